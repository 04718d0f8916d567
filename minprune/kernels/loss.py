"""Cross-entropy in lockstep: logits (K, width), flat. A few hundred numbers, so one thread does it."""

from __future__ import annotations

import numpy as np

from minprune.kernels.crew import kernel, take


@kernel
def cross_entropy(turn, logits, labels, softmax, mean, width):
    """softmax of each image's logits, shifted by their maximum so that nothing overflows; mean[0] is the mean of −log softmax[label]."""
    if take(turn, 1) < 0:
        return
    classes, total = logits.size // width, 0.0
    for i in range(width):
        top = logits[i]
        for k in range(1, classes):
            value = logits[k * width + i]
            top = value if value > top or value != value else top
        powers = np.float32(0)
        for k in range(classes):
            power = np.exp(logits[k * width + i] - top)
            softmax[k * width + i] = power
            powers += power
        for k in range(classes):
            softmax[k * width + i] /= powers
        if i < labels.size:
            total += np.log(powers) - (logits[labels[i] * width + i] - top)
    mean[0] = total / labels.size


@kernel
def cross_entropy_grad(turn, softmax, labels, dx, factor, width):
    """factor · (softmax − onehot(labels)); zero in the padding lanes."""
    if take(turn, 1) < 0:
        return
    for at in range(softmax.size):
        dx[at] = softmax[at] * factor if at % width < labels.size else 0
    for i in range(labels.size):
        dx[labels[i] * width + i] -= factor
