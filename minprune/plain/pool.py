"""Pooling as elementwise operations between strided views: a step for each of the R·S elements of the window, at memory speed."""

from __future__ import annotations

import numpy as np

from minprune.geometry import Geometry

Array = np.ndarray


def max_pool(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(N, C, H, W) -> the maximum of each window (N, C, Y, X), twice: ``max_pool_grad`` finds it again in x."""
    first, *others = _taps(x, geometry)
    out = first.copy()
    for view in others:
        np.maximum(out, view, out=out)
    return out.transpose(3, 0, 1, 2), out.transpose(3, 0, 1, 2)


def max_pool_grad(grad: Array, x: Array, memory: Array, geometry: Geometry) -> Array:
    """dx (N, C, H, W): each window's gradient goes to its first maximum (or NaN); ``memory`` is what ``max_pool`` gave beside it."""
    dx = np.zeros_like(x)
    flowing, tops = grad.transpose(1, 2, 3, 0), memory.transpose(1, 2, 3, 0)  # (C, Y, X, N)
    disjoint = geometry.stride[0] >= geometry.kernel[0] and geometry.stride[1] >= geometry.kernel[1]
    zero = grad.dtype.type(0)
    waiting = np.ones(tops.shape, bool)  # windows whose maximum was not met yet
    for source, target in zip(_taps(x, geometry), _taps(dx, geometry), strict=True):
        hit = ((source == tops) | np.isnan(source)) & waiting
        waiting ^= hit
        if disjoint:  # each input is in one window only: nothing to add to
            target[...] = np.where(hit, flowing, zero)
        else:
            target += np.where(hit, flowing, zero)
    return dx


def mean_pool(x: Array, geometry: Geometry) -> Array:
    """(N, C, H, W) -> the mean of each window (N, C, Y, X)."""
    first, *others = _taps(x, geometry)
    out = first.copy()
    for view in others:
        out += view
    out /= len(others) + 1
    return out.transpose(3, 0, 1, 2)


def mean_pool_grad(grad: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """dx of ``shape`` (N, C, H, W): each element of a window gets an equal share."""
    n, c, h, w = shape
    dx = np.zeros((c, h, w, n), grad.dtype).transpose(3, 0, 1, 2)
    taps = _taps(dx, geometry)
    share = grad.transpose(1, 2, 3, 0) / len(taps)
    for target in taps:
        target += share
    return dx


def _taps(x: Array, geometry: Geometry) -> list[Array]:
    """The views of x (N, C, H, W) that each element of the window meets, in reading order, each (C, Y, X, N)."""
    taps = geometry.taps(x.transpose(1, 2, 3, 0), geometry.output_size(*x.shape[2:]))
    return [view for row in taps for view in row]
