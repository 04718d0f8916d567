"""The Dense layer on kernels: a convolution whose image is a single position. Same functions as ``plain.linear``."""

from __future__ import annotations

import numpy as np

from minprune.fast import conv, lanes, sparsity, tables
from minprune.fast.memory import ALIGN, floats
from minprune.filters import Filters
from minprune.geometry import Geometry
from minprune.kernels import lean, products
from minprune.parallel import parts, threads

Array = np.ndarray
POINT = Geometry((1, 1), (1, 1), (0, 0))

__all__ = ["bias_grad", "forward", "input_grad", "weight_grad"]


def forward(x: Array, filters: Filters) -> Array:
    """y (N, O) = x (N, C) Wᵀ + b."""
    pattern = sparsity.lean(filters.mask, sparsity.FORWARD)
    if pattern is None:
        return lanes.view(conv.forward(_points(x), Filters(filters.weight, filters.bias), POINT, (1, 1))[:, 0, 0], len(x))
    return lanes.view(multiply(lanes.as_lanes(x), filters, pattern.rows, conv.bias_of(filters)), len(x))


def input_grad(filters: Filters, grad: Array) -> Array:
    """dx (N, C) = dy (N, O) W."""
    dy, c = lanes.as_lanes(grad), filters.weight.shape[1]
    pattern = sparsity.lean(filters.mask, sparsity.INPUT_GRAD)
    if pattern is None:
        dx = conv.input_grad(Filters(filters.weight), dy[:, None, None], (c, 1, 1, dy.shape[1]), POINT)[:, 0, 0]
    else:
        dx = multiply(dy, filters, pattern.columns, tables.zeros(c))
    return lanes.view(dx, len(grad))


def multiply(x: Array, filters: Filters, lines: sparsity.Lines, bias: Array) -> Array:
    """y (lines, width) = b + the weight, ``lines`` of it being its rows or its columns, times x (length of a line, width)."""
    blocks = lines.blocked(len(x), lean.NEAR)
    return product(x, blocks, conv.values_of(filters, blocks), bias)


def product(x: Array, blocks: sparsity.Lines, values: Array, bias: Array) -> Array:
    """The same with the kept weights in a row, block after block."""
    y = lanes.empty((bias.size,), x.shape[1])
    lean.point_forward(x.reshape(-1), blocks.along, values, blocks.starts, bias, y.reshape(-1), x.shape[1], threads())
    return y


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
