"""Sums of whole activations and gradients, on all threads where both lie in lanes."""

from __future__ import annotations

import numpy as np

from minprune.fast import lanes
from minprune.kernels import elementwise

Array = np.ndarray
WORTH_LOOKING = 1 << 14  # elements


def add(a: Array, b: Array) -> Array:
    """a + b, of equal or broadcasting shapes."""
    if a.size < WORTH_LOOKING or a.shape != b.shape:
        return a + b
    one, other = lanes.memory_of(a), lanes.memory_of(b)
    if one is None or other is None:
        return a + b
    out = lanes.empty(one.shape[:-1], one.shape[-1])
    elementwise.add(one.reshape(-1), other.reshape(-1), out.reshape(-1))
    return lanes.view(out, len(a))
