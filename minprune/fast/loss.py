"""Cross-entropy on a kernel. Same functions as ``plain.loss``."""

from __future__ import annotations

import numpy as np

from minprune.fast import lanes
from minprune.kernels import loss

Array = np.ndarray


def cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """(the mean of −log softmax(logits)[label], softmax(logits) of shape (N, K))."""
    inputs = lanes.as_lanes(logits)
    softmax = lanes.empty(inputs.shape[:1], inputs.shape[1])
    mean = np.empty(1, np.float32)
    loss.cross_entropy.serial(inputs.reshape(-1), labels, softmax.reshape(-1), mean, inputs.shape[1])
    return mean.reshape(()), lanes.view(softmax, len(labels))


def cross_entropy_grad(grad: Array, softmax: Array, labels: Array) -> Array:
    """(softmax − onehot) · grad / N, for a gradient with one element."""
    inputs = lanes.as_lanes(softmax)
    dx = lanes.empty(inputs.shape[:1], inputs.shape[1])
    loss.cross_entropy_grad.serial(inputs.reshape(-1), labels, dx.reshape(-1), np.float32(grad / len(labels)), inputs.shape[1])
    return lanes.view(dx, len(labels))
