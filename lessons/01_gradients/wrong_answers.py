"""Mistakes that people make in lesson 01; each must be caught, and told what it is."""

import sys

import numpy as np

from minprune.course import wrong


@wrong("numeric_gradient", "A one-sided difference")
def pokes_one_side(function, x, step):
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        higher = x.astype(np.float64)
        higher[place] += step
        result[place] = (function(higher) - function(x)) / step
    return result


@wrong("numeric_gradient", "lie 2 * step apart")
def divides_by_one_step(function, x, step):
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        higher, lower = x.astype(np.float64), x.astype(np.float64)
        higher[place] += step
        lower[place] -= step
        result[place] = (function(higher) - function(lower)) / step
    return result


@wrong("numeric_gradient", "An earlier poke is still there")
def leaves_the_poke(function, x, step):
    poked = x.astype(np.float64)
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        poked[place] += step
        above = function(poked)
        poked[place] -= 2 * step
        result[place] = (above - function(poked)) / (2 * step)
    return result


@wrong("numeric_gradient", "drowns in rounding")
def stays_in_float32(function, x, step):
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        higher, lower = x.copy(), x.copy()
        higher[place] += step
        lower[place] -= step
        result[place] = (function(higher) - function(lower)) / (2 * step)
    return result


@wrong("numeric_gradient", "changes it in place")
def pokes_x_itself(function, x, step):
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += step
        above = function(x)
        x[place] -= 2 * step
        result[place] = (above - function(x)) / (2 * step)
    return result


@wrong("numeric_gradient", "All places are poked at once")
def pokes_everything_at_once(function, x, step):
    return (function(x + step) - function(x - step)) / (2 * step)


@wrong("numeric_gradient", "A whole row is poked at once")
def pokes_rows(function, x, step):
    result = np.zeros(x.shape)
    for i in range(len(x)):
        poke = np.zeros(x.shape)
        poke[i] = step
        result[i] = (function(x + poke) - function(x - poke)) / (2 * step)
    return result


@wrong("numeric_gradient", "Poke as far as `step` says")
def has_a_step_of_its_own(function, x, step):
    return _central(function, x, 1e-6, np.float64)


@wrong("numeric_gradient", "a / (2 * step)")
def forgets_the_brackets(function, x, step):
    return _central(function, x, step, np.float64) * step**2


@wrong("numeric_gradient", "should hold values of type float64")
def returns_float32(function, x, step):
    return _central(function, x, step, x.dtype)


@wrong("unbroadcast", "A mean, not a sum")
def takes_the_mean(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.mean(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            grad = grad.mean(axis=axis, keepdims=True)
    return grad


@wrong("unbroadcast", "still stretched")
def only_sums_the_front(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    return grad


@wrong("unbroadcast", "keepdims=True")
def loses_the_axis_of_length_one(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    stretched = tuple(axis for axis, n in enumerate(shape) if n == 1)
    return grad.sum(axis=stretched) if stretched else grad


@wrong("unbroadcast", "runs over the first axes, not the last")
def sums_the_last_axes(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=-1)
    for axis, n in enumerate(shape):
        if n == 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad


@wrong("unbroadcast", "takes the first copy")
def keeps_the_first_copy(grad, shape):
    while grad.ndim > len(shape):
        grad = grad[0]
    for axis, n in enumerate(shape):
        if n == 1:
            grad = np.take(grad, [0], axis=axis)
    return grad


@wrong("unbroadcast", "still there with length 1")
def keeps_the_axes_in_front(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    return grad.sum(axis=tuple(axis for axis, n in enumerate(padded) if n == 1), keepdims=True)


@wrong("relu_backward", "the chain rule multiplies it with `grad`")
def forgets_the_incoming_gradient(grad, x):
    return (x > 0).astype(grad.dtype)


@wrong("relu_backward", "It looks at the sign of grad")
def applies_relu_to_the_gradient(grad, x):
    return np.maximum(grad, 0)


@wrong("relu_backward", "Negative gradients are lost")
def clips_the_gradient_too(grad, x):
    return np.where((x > 0) & (grad > 0), grad, 0.0)


@wrong("relu_backward", "At exactly 0 the slope is 0")
def lets_zero_through(grad, x):
    return grad * (x >= 0)


@wrong("relu_backward", "the slope of ReLU is 0 or 1")
def multiplies_with_the_output(grad, x):
    return grad * np.maximum(x, 0)


@wrong("relu_backward", "the way forward")
def goes_forward(grad, x):
    return np.maximum(x, 0)


@wrong("relu_backward", "np.sign gives -1")
def multiplies_with_the_sign(grad, x):
    return grad * np.sign(x)


@wrong("matmul_backward", "b has to be transposed")
def forgets_to_transpose_b(grad, a, b):
    return grad @ b, a.T @ grad


@wrong("matmul_backward", "`grad` is not used")
def leaves_grad_out(grad, a, b):
    return np.ones_like(grad) @ b.T, a.T @ np.ones_like(grad)


@wrong("matmul_backward", "that is gradᵀ a")
def returns_db_transposed(grad, a, b):
    return grad @ b.T, grad.T @ a


@wrong("matmul_backward", "da first, then db")
def swaps_the_two_results(grad, a, b):
    return a.T @ grad, grad @ b.T


@wrong("matmul_backward", "element by element")
def multiplies_elementwise(grad, a, b):
    return grad * b, grad * a


@wrong("matmul_backward", "No average over the rows")
def averages_over_the_batch(grad, a, b):
    return grad @ b.T, a.T @ grad / len(a)


@wrong("topological_order", "put in twice")
def never_remembers_who_was_seen(result):
    order = []
    for parent in result.parents:
        order += never_remembers_who_was_seen.function(parent)
    return [*order, result]


@wrong("topological_order", "which ends at about 1,000")
def recurses(result):
    order, seen = [], set()

    def visit(node):
        seen.add(node)
        for parent in node.parents:
            if parent not in seen:
                visit(parent)
        order.append(node)

    visit(result)
    return order


@wrong("topological_order", "A higher recursion limit")
def raises_the_recursion_limit(result):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return recurses.function(result)
    finally:
        sys.setrecursionlimit(limit)


@wrong("topological_order", "it is the other way round")
def puts_children_first(result):
    return _right_order(result)[::-1]


@wrong("topological_order", "level by level")
def walks_level_by_level(result):
    order, seen = [result], {result}
    for node in order:
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                order.append(parent)
    return order[::-1]


@wrong("topological_order", "It walks every path")
def removes_doubles_at_the_end(result):
    paths = [[result]]
    depth = {result: 0}
    while paths:
        path = paths.pop()
        for parent in path[-1].parents:
            depth[parent] = max(depth.get(parent, 0), len(path))
            paths.append([*path, parent])
    return sorted(depth, key=lambda node: -depth[node])


@wrong("topological_order", "they belong in the order")
def leaves_out_the_leaves(result):
    return [node for node in _right_order(result) if node.parents or node is result]


@wrong("backpropagate", "overwrites an earlier one")
def overwrites_instead_of_adding(order):
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "another node holds as well")
def adds_in_place(order):
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                if id(parent) in grads:
                    grads[id(parent)] += part
                else:
                    grads[id(parent)] = part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "It walks from the leaves")
def walks_forward(order):
    grads = {id(node): np.zeros_like(node.data) for node in order}
    grads[id(order[-1])] = np.ones_like(order[-1].data)
    for node in order[:-1]:
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads[id(parent)] + part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "It walks from the leaves")
def walks_forward_to_the_last(order):
    grads = {id(node): np.zeros_like(node.data) for node in order}
    grads[id(order[-1])] = np.ones_like(order[-1].data)
    for node in order:
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads[id(parent)] + part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "What arrives at a node from several users is added")
def multiplies_the_parts(order):
    grads = {id(node): np.ones_like(node.data) for node in order}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads[id(parent)] * part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "Every gradient starts at 1")
def starts_everything_at_one(order):
    grads = {id(node): np.ones_like(node.data) for node in order}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads[id(parent)] + part
    return [grads[id(node)] for node in order]


@wrong("backpropagate", "Gradients of an earlier walk are still there")
def keeps_gradients_on_the_nodes(order):
    for node in order:
        node.grad = getattr(node, "grad", 0.0 * node.data)
    order[-1].grad = np.ones_like(order[-1].data)
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(node.grad)):
                parent.grad = parent.grad + part
    return [node.grad for node in order]


@wrong("backpropagate", "in the order of `order`")
def returns_them_backwards(order):
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads.get(id(parent), 0) + part
    return [grads[id(node)] for node in reversed(order)]


@wrong("backpropagate", "the inner ones too")
def returns_only_the_leaves(order):
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for node in reversed(order):
        if node.vjp is not None:
            for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
                grads[id(parent)] = grads.get(id(parent), 0) + part
    return [grads[id(node)] for node in order if node.vjp is None]


def _central(function, x, step, dtype):
    result = np.zeros(x.shape, dtype)
    for place in np.ndindex(x.shape):
        higher, lower = x.astype(np.float64), x.astype(np.float64)
        higher[place] += step
        lower[place] -= step
        result[place] = (function(higher) - function(lower)) / (2 * step)
    return result


def _right_order(result):
    order, seen, stack = [], {result}, [(result, iter(result.parents))]
    while stack:
        parent = next(stack[-1][1], None)
        if parent is None:
            order.append(stack.pop()[0])
        elif parent not in seen:
            seen.add(parent)
            stack.append((parent, iter(parent.parents)))
    return order
