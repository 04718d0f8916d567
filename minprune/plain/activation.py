"""ReLU."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def relu_grad(grad: Array, out: Array) -> Array:
    """The gradient where ReLU's output is above zero, or NaN."""
    return np.where(out <= 0, grad.dtype.type(0), grad)
