"""Cross-entropy."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """(the mean of −log softmax(logits)[label], softmax(logits) of shape (N, K))."""
    shifted = logits - logits.max(axis=1, keepdims=True)  # so that nothing overflows
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    log_p = shifted[np.arange(len(labels)), labels] - np.log(sums[:, 0])
    return np.asarray(-log_p.mean(dtype=logits.dtype)), powers / sums


def cross_entropy_grad(grad: Array, softmax: Array, labels: Array) -> Array:
    """(softmax − onehot) · grad / N, for a gradient with one element."""
    dx = softmax.copy()
    dx[np.arange(len(labels)), labels] -= 1
    return dx * (grad / len(labels))
