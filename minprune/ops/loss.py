"""Cross-entropy: how surprised a classifier is by the true labels."""

from __future__ import annotations

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


def check_labels(labels: Array, count: int, classes: int) -> Array:
    """``labels`` as an int64 array (count,), or a clear error if they are not whole numbers in [0, classes)."""
    array = np.asarray(labels)
    if array.shape != (count,):
        raise ShapeError(f"labels expected shape ({count},), got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels expected whole numbers, got dtype {array.dtype}")
    if count and (array.min() < 0 or array.max() >= classes):
        raise ValueError(f"labels expected values in [0, {classes}), got values from {array.min()} to {array.max()}")
    return array.astype(np.int64, copy=False)


def cross_entropy(logits: TensorLike, labels: Array) -> Tensor:
    """The mean over the batch of −log softmax(logits)[label].

    Args:
        logits: (N, K), unnormalised.
        labels: (N,) whole numbers in [0, K).

    Returns:
        A tensor with one element. Backward: d logits = (softmax(logits) − onehot(labels)) / N.

    Raises:
        ShapeError, TypeError, ValueError: empty batch, shapes that do not fit, labels that are not classes.
    """
    logits = as_tensor(logits)
    if logits.ndim != 2 or 0 in logits.shape:
        raise ShapeError(f"cross_entropy expected logits of shape (N, K) with N, K >= 1, got {logits.shape}")
    n, k = logits.shape
    target = check_labels(labels, n, k)
    work = backend.implementation("loss", logits.dtype)
    loss, softmax = work.cross_entropy(logits.data, target)
    return record("cross_entropy", loss, (logits,), lambda g: (work.cross_entropy_grad(g, softmax, target),))
