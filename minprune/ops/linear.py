"""The Dense (fully connected) layer's mathematics: y = x Wᵀ + b."""

from __future__ import annotations

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.filters import Filters
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


def linear(x: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """y = x Wᵀ + b.

    Args:
        x: (N, C) inputs.
        weight: (O, C), one row per output unit, as in PyTorch.
        bias: (O,) or None.

    Returns:
        (N, O). Backward: dx = dy W, dW = dyᵀ x, db = Σₙ dy.

    Raises:
        ShapeError: the shapes do not fit.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 2:
        raise ShapeError(f"linear expected a weight of shape (O, C), got {weight.shape}")
    if x.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ShapeError(f"linear expected an input of shape (N, {weight.shape[1]}), got {x.shape}")
    parents = [x, weight]
    if bias is not None:
        bias = as_tensor(bias)
        if bias.shape != weight.shape[:1]:
            raise ShapeError(f"linear expected a bias of shape {weight.shape[:1]}, got {bias.shape}")
        parents.append(bias)
    work = backend.implementation("linear", np.result_type(*(p.data for p in parents)))
    filters = Filters(weight.data, None if bias is None else bias.data, getattr(weight, "mask", None))

    def vjp(g: Array) -> tuple[Array | None, ...]:
        dx = work.input_grad(filters, g) if x.requires_grad else None
        dw = work.weight_grad(x.data, g, filters) if weight.requires_grad else None
        return (dx, dw) if bias is None else (dx, dw, work.bias_grad(g))

    return record("linear", work.forward(x.data, filters), parents, vjp)
