"""The Dense layer on kernels: a convolution whose image is a single position. Same functions as ``plain.linear``."""

from __future__ import annotations

import numpy as np

from minprune.fast import conv, lanes, sparsity, tables
from minprune.fast.memory import ALIGN, floats
from minprune.filters import Filters
from minprune.geometry import Geometry
from minprune.kernels import products
from minprune.parallel import parts

Array = np.ndarray
POINT = Geometry((1, 1), (1, 1), (0, 0))


def forward(x: Array, filters: Filters) -> Array:
    """y (N, O) = x (N, C) Wᵀ + b."""
    return lanes.view(conv.forward(_points(x), filters, POINT, (1, 1))[:, 0, 0], len(x))


def input_grad(filters: Filters, grad: Array) -> Array:
    """dx (N, C) = dy (N, O) W."""
    dy = _points(grad)
    shape = filters.weight.shape[1], 1, 1, dy.shape[-1]
    return lanes.view(conv.input_grad(filters, dy, shape, POINT)[:, 0, 0], len(grad))


def weight_grad(x: Array, grad: Array, filters: Filters) -> Array:
    """dW (O, C) = dyᵀ x."""
    o, c = filters.weight.shape
    if sparsity.lean(filters.mask, sparsity.WEIGHT_GRAD) is not None:
        return conv.weight_grad(_points(x), _points(grad), filters, POINT)
    if c < ALIGN:  # narrower than a vector
        return np.ascontiguousarray(grad.T @ x)
    dy = lanes.as_lanes(grad)
    dw = floats(o * c).reshape(o, c)
    each, rows, width = tables.planes(len(x), 1), tables.planes(o, 1), dy.shape[1]
    products.outer(lanes.as_samples(x).reshape(-1), dy.reshape(-1), dw.reshape(-1), each, rows, tables.zeros(o), width, parts())
    return dw


def bias_grad(grad: Array) -> Array:
    """db (O,) = Σₙ dy."""
    return conv.bias_grad(lanes.as_lanes(grad))


def _points(batch: Array) -> Array:
    """(N, C) as images of a single position, (C, 1, 1, width)."""
    return lanes.as_lanes(batch)[:, None, None]
