"""Pooling on kernels. Same functions as ``plain.pool``."""

from __future__ import annotations

import numpy as np

from minprune.fast import lanes
from minprune.fast.memory import floats
from minprune.geometry import Geometry
from minprune.kernels import pool
from minprune.plain import pool as plain

Array = np.ndarray
MOST = 256  # elements of a window, whose number is kept in a byte


def max_pool(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    """(N, C, H, W) -> the maximum of each window (N, C, Y, X), and what ``max_pool_grad`` needs."""
    if geometry.kernel[0] * geometry.kernel[1] > MOST:
        return plain.max_pool(x, geometry)
    images = lanes.as_lanes(x)
    c, h, w, width = images.shape
    places = geometry.output_size(h, w)
    out = lanes.empty((c, *places), width)
    winner = floats(-(-out.size // 4)).view(np.uint8)
    pool.maximum(images.reshape(-1), out.reshape(-1), winner, c, (h, w), places, geometry.kernel, geometry.stride, width)
    return lanes.view(out, len(x)), winner


def max_pool_grad(grad: Array, x: Array, memory: Array, geometry: Geometry) -> Array:
    """dx (N, C, H, W): each window's gradient goes to its first maximum."""
    if geometry.kernel[0] * geometry.kernel[1] > MOST:
        return plain.max_pool_grad(grad, x, memory, geometry)
    (_, c, h, w), dy = x.shape, lanes.as_lanes(grad)
    width = dy.shape[-1]
    dx = lanes.empty((c, h, w), width)
    places = geometry.output_size(h, w)
    pool.maximum_grad(dy.reshape(-1), memory, dx.reshape(-1), c, (h, w), places, geometry.kernel, geometry.stride, width)
    return lanes.view(dx, len(x))


def mean_pool(x: Array, geometry: Geometry) -> Array:
    """(N, C, H, W) -> the mean of each window (N, C, Y, X)."""
    images = lanes.as_lanes(x)
    c, h, w, width = images.shape
    places = geometry.output_size(h, w)
    out = lanes.empty((c, *places), width)
    pool.mean(images.reshape(-1), out.reshape(-1), c, (h, w), places, geometry.kernel, geometry.stride, width)
    return lanes.view(out, len(x))


def mean_pool_grad(grad: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """dx of ``shape`` (N, C, H, W): each element of a window gets an equal share."""
    (n, c, h, w), dy = shape, lanes.as_lanes(grad)
    width = dy.shape[-1]
    dx = lanes.empty((c, h, w), width)
    places = geometry.output_size(h, w)
    pool.mean_grad(dy.reshape(-1), dx.reshape(-1), c, (h, w), places, geometry.kernel, geometry.stride, width)
    return lanes.view(dx, n)
