"""Batch normalisation on kernels. Same functions as ``plain.norm``."""

from __future__ import annotations

import math

import numpy as np

from minprune.fast import lanes
from minprune.kernels import norm

Array = np.ndarray


def statistics(x: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance (C,) of each channel of x (N, C, H, W)."""
    images = lanes.as_lanes(x)
    mean, var = np.empty(x.shape[1], np.float32), np.empty(x.shape[1], np.float32)
    norm.statistics(images.reshape(-1), mean, var, *_sizes(x, images))
    return mean, var


def scale_and_shift(x: Array, scale: Array, shift: Array) -> Array:
    """scale · x + shift, per channel."""
    images = lanes.as_lanes(x)
    out = lanes.empty(images.shape[:-1], images.shape[-1])
    norm.normalise(images.reshape(-1), out.reshape(-1), scale, shift, *_sizes(x, images))
    return lanes.view(out, len(x))


def sums(grad: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    """(Σ dy · x̂, Σ dy), each (C,), over batch and positions, with x̂ = (x − mean) · inv_std."""
    images = lanes.as_lanes(x)
    dweight, dbias = np.empty_like(mean), np.empty_like(mean)
    norm.sums(lanes.as_lanes(grad).reshape(-1), images.reshape(-1), mean, inv_std, dweight, dbias, *_sizes(x, images))
    return dweight, dbias


def input_grad(grad: Array, x: Array, factor: Array, slope: Array, offset: Array) -> Array:
    """factor · dy + slope · x + offset, per channel."""
    images = lanes.as_lanes(x)
    dx = lanes.empty(images.shape[:-1], images.shape[-1])
    norm.input_grad(lanes.as_lanes(grad).reshape(-1), images.reshape(-1), dx.reshape(-1), factor, slope, offset, *_sizes(x, images))
    return lanes.view(dx, len(x))


def _sizes(x: Array, images: Array) -> tuple[int, int, int]:
    """(positions of a plane, images, lanes)."""
    return math.prod(x.shape[2:]), len(x), images.shape[-1]
