"""Operations that move values without computing: flatten, concatenation and its inverse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


def flatten(x: TensorLike) -> Tensor:
    """(N, ...) -> (N, everything else). Element order is that of (C, H, W), whatever the memory order."""
    x = as_tensor(x)
    if x.ndim < 1:
        raise ShapeError("flatten expected at least one axis, got a single number")
    features = int(np.prod(x.shape[1:]))
    return record("flatten", x.data.reshape(x.shape[0], features), (x,), lambda g: (g.reshape(x.shape),))


def concat(tensors: Sequence[TensorLike], axis: int = 1) -> Tensor:
    """Join tensors along an existing axis (channels by default).

    Raises:
        ShapeError: nothing to join, or shapes that differ off the axis.
    """
    parts = [as_tensor(t) for t in tensors]
    if not parts:
        raise ShapeError("concat expected at least one tensor, got none")
    shapes = [p.shape for p in parts]
    ndim = parts[0].ndim
    if not -ndim <= axis < ndim:
        raise ShapeError(f"concat expected an axis of {shapes[0]}, got {axis}")
    axis %= ndim
    if len({(s[:axis], s[axis + 1 :]) for s in shapes}) != 1:
        raise ShapeError(f"concat expected equal shapes off axis {axis}, got {shapes}")
    ends = np.cumsum([s[axis] for s in shapes])[:-1]

    def vjp(g: Array) -> list[Array]:
        return np.split(g, ends, axis=axis)

    return record("concat", np.concatenate([p.data for p in parts], axis=axis), parts, vjp, axis=axis)


def split(x: TensorLike, sizes: Sequence[int] | Array, axis: int = 1) -> tuple[Tensor, ...]:
    """The inverse of ``concat``: consecutive pieces of the given sizes along an axis (channels by default).

    Raises:
        ShapeError: the sizes do not add up to the axis.
    """
    x = as_tensor(x)
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"split expected an axis of {x.shape}, got {axis}")
    axis %= x.ndim
    if not len(sizes) or min(sizes) < 0 or sum(sizes) != x.shape[axis]:
        raise ShapeError(f"split expected sizes that add up to axis {axis} of {x.shape}, got {[int(n) for n in sizes]}")
    ends = np.cumsum(sizes)
    return tuple(_slice(x, axis, int(end - n), int(end), sizes) for n, end in zip(sizes, ends, strict=True))


def _slice(x: Tensor, axis: int, start: int, stop: int, sizes: Sequence[int] | Array) -> Tensor:
    """One piece of ``split``."""
    place = (slice(None),) * axis + (slice(start, stop),)

    def vjp(g: Array) -> tuple[Array]:
        grad = np.zeros_like(x.data)
        grad[place] = g
        return (grad,)

    return record("split", x.data[place], (x,), vjp, axis=axis, start=start, stop=stop, sizes=sizes)
