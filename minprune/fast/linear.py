"""The Dense layer on kernels: a convolution whose image is a single position. Same functions as ``plain.linear``."""

from __future__ import annotations

import numpy as np

from minprune.fast import conv, lanes, tables
from minprune.fast.memory import ALIGN, floats
from minprune.filters import Filters
from minprune.kernels import products
from minprune.parallel import parts

Array = np.ndarray
ONE_PLACE = (1, 1, 1, 1)


def forward(x: Array, filters: Filters) -> Array:
    """y (N, O) = x (N, C) Wᵀ + b."""
    inputs = lanes.as_lanes(x)
    (c, width), o = inputs.shape, filters.weight.shape[0]
    out = lanes.empty((o,), width)
    bias = tables.zeros(o) if filters.bias is None else np.ascontiguousarray(filters.bias)
    taps, planes = tables.planes(c, 1), tables.planes(o, 1)
    products.forward(inputs.reshape(-1), taps, conv.flat(filters.weight), bias, out.reshape(-1), planes, ONE_PLACE, width, parts())
    return lanes.view(out, len(x))


def input_grad(filters: Filters, grad: Array) -> Array:
    """dx (N, C) = dy (N, O) W."""
    dy = lanes.as_lanes(grad)
    (o, width), c = dy.shape, filters.weight.shape[1]
    out = lanes.empty((c,), width)
    taps, planes = tables.planes(c, 1), tables.planes(o, 1)
    products.input_grad(dy.reshape(-1), planes, conv.flat(filters.weight), out.reshape(-1), taps, 1, 1, ONE_PLACE, width, parts())
    return lanes.view(out, len(grad))


def weight_grad(x: Array, grad: Array, filters: Filters) -> Array:
    """dW (O, C) = dyᵀ x."""
    o, c = filters.weight.shape
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
