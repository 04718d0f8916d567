"""Elementwise non-linearities and dropout: a tensor in, a tensor of the same shape out."""

from __future__ import annotations

import numpy as np

from minprune import backend
from minprune.tensor import Tensor, TensorLike, as_tensor, record


def relu(x: TensorLike) -> Tensor:
    """max(x, 0), elementwise; the derivative at 0 is 0, as in PyTorch."""
    x = as_tensor(x)
    work = backend.implementation("activation", x.dtype)
    out = work.relu(x.data)
    return record("relu", out, (x,), lambda g: (work.relu_grad(g, out),))


def dropout(x: TensorLike, p: float, *, rng: np.random.Generator) -> Tensor:
    """Set each element to zero with probability ``p`` and scale the others by 1/(1-p), so that the mean is unchanged.

    Raises:
        ValueError: ``p`` is outside [0, 1).
    Source: Srivastava et al. 2014, in the "inverted" form that needs no scaling at test time.
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout expected a probability in [0, 1), got {p!r}")
    x = as_tensor(x)
    scale = (rng.random(x.shape, dtype=np.float32) >= p).astype(x.dtype) / (1 - p)
    return record("dropout", x.data * scale, (x,), lambda g: (g * scale,), p=p)
