"""The Dense (fully connected) layer's mathematics: y = x Wᵀ + b."""

from __future__ import annotations

from minprune.errors import ShapeError
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
    out = x.data @ weight.data.T
    if bias is not None:
        bias = as_tensor(bias)
        if bias.shape != weight.shape[:1]:
            raise ShapeError(f"linear expected a bias of shape {weight.shape[:1]}, got {bias.shape}")
        parents.append(bias)
        out += bias.data

    def vjp(g: Array) -> tuple[Array | None, ...]:
        dx = g @ weight.data if x.requires_grad else None
        dw = g.T @ x.data if weight.requires_grad else None
        return (dx, dw) if bias is None else (dx, dw, g.sum(axis=0))

    return record("linear", out, parents, vjp)
