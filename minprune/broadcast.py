"""What NumPy does to shapes behind our backs, undone for the backward pass: broadcasting, reduction, indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from minprune.tape import Array

Axis = int | tuple[int, ...] | None


def unbroadcast(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``grad`` over the axes along which an array of ``shape`` was broadcast: the derivative of broadcasting."""
    if grad.shape == shape:
        return grad
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True) if stretched else grad


def respread(g: Array, axis: Axis, keepdims: bool, ndim: int) -> Array:
    """Give a reduced gradient back its reduced axes, with length 1."""
    if keepdims:
        return g
    return np.expand_dims(g, tuple(range(ndim)) if axis is None else axis)


def is_basic_index(index: Any) -> bool:
    """Whether an index is of numbers and slices alone, so that no element can be picked twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, int | slice | np.integer) for p in parts)
