"""Lesson 01, Gradients from scratch: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 01           # all exercises of this lesson
    minprune check 01 --hint    # the next hint
    minprune check 01 --reset   # start again; your file is kept beside
"""

import numpy as np


def numeric_gradient(function, x, step):
    """Return the gradient of `function` at `x` by central differences: for each place of `x`,
    (function(x with step added there) - function(x with step taken away there)) / (2 * step). Poke
    copies in float64, so that a small step does not drown in rounding.

    Args:
        function: takes an array of the shape of x, returns a number.
        x: array of floats, of any shape; it must not be changed.
        step: how far to poke, a float.

    Returns:
        array of the shape of x, float64.
    """
    raise NotImplementedError("write numeric_gradient here")


def relu_backward(grad, x):
    """Return the gradient with respect to `x` for y = max(x, 0), given `grad`, the gradient with
    respect to y. At x = 0 exactly, the slope counts as 0.

    Args:
        grad: array of floats, of any shape.
        x: the input of the ReLU, of the same shape.

    Returns:
        array of the same shape.
    """
    raise NotImplementedError("write relu_backward here")


def matmul_backward(grad, a, b):
    """Return (da, db), the gradients with respect to `a` and `b` for y = a @ b, given `grad`, the
    gradient with respect to y.

    Args:
        grad: array (N, M).
        a: array (N, K).
        b: array (K, M).

    Returns:
        da (N, K) and db (K, M).
    """
    raise NotImplementedError("write matmul_backward here")


def unbroadcast(grad, shape):
    """Return `grad` summed over every axis along which an array of `shape` was stretched by
    broadcasting, so that the result has that `shape`. Axes that NumPy added in front are summed
    away; stretched axes of length 1 are summed, too, but stay, with length 1.

    Args:
        grad: array of a shape to which `shape` broadcasts, such as (4, 2, 3).
        shape: the shape before broadcasting, such as (2, 1); it may be ().

    Returns:
        array of shape `shape`.
    """
    raise NotImplementedError("write unbroadcast here")


def topological_order(result):
    """Return all nodes that `result` depends on, and `result` itself, in a list in which every node
    stands after all its parents. Each node once, however many ways lead to it. The walk must visit
    each node once and must not call itself.

    Args:
        result: a node. Its `.parents` is a tuple of nodes (empty for a leaf; the same one may be in
            it twice). Nodes can be put into a set, and be keys of a dictionary.

    Returns:
        list of nodes, `result` last.
    """
    raise NotImplementedError("write topological_order here")


def backpropagate(order):
    """Return the gradient of the last node with respect to every node of `order`. Walk from the
    last to the first: each node that has a vjp turns its gradient into one part per parent,
    `node.vjp(gradient)`; the parts that arrive at a node are added up.

    Args:
        order: nodes in a topological order. Each has `.data` (an array), `.parents` (a tuple of
            nodes) and `.vjp` (a function from a gradient to one part per parent, or None for a
            leaf). All lead to the last one, whose own gradient is an array of ones of the shape of
            its data. The arrays that a vjp returns must not be changed: other nodes may hold them,
            too.

    Returns:
        list of arrays, one per node, in the order of `order`.
    """
    raise NotImplementedError("write backpropagate here")
