"""The Dense layer as matrix products."""

from __future__ import annotations

import numpy as np

from minprune.filters import Filters

Array = np.ndarray


def forward(x: Array, filters: Filters) -> Array:
    """y (N, O) = x (N, C) Wᵀ + b."""
    out = x @ filters.weight.T
    return out if filters.bias is None else out + filters.bias


def input_grad(filters: Filters, grad: Array) -> Array:
    """dx (N, C) = dy (N, O) W."""
    return grad @ filters.weight


def weight_grad(x: Array, grad: Array, filters: Filters) -> Array:  # noqa: ARG001 (its fast twin looks at the mask)
    """dW (O, C) = dyᵀ x."""
    return grad.T @ x


def bias_grad(grad: Array) -> Array:
    """db (O,) = Σₙ dy."""
    return grad.sum(axis=0)
