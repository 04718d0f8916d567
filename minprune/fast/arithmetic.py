"""What is done to whole arrays, on all threads: sums of activations and gradients that lie in lanes, and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from minprune.fast import lanes
from minprune.fast.memory import floats
from minprune.kernels import elementwise
from minprune.plain import arithmetic as plain

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


def masked(array: Array, p: Any, out: Array | None = None) -> Array:
    """``array`` with zeros where the mask of the Parameter ``p`` prunes; in ``out`` if given."""
    if out is None and lanes.is_masked(array, p.mask):
        return array
    if not array.flags.c_contiguous or (out is not None and not out.flags.c_contiguous):
        return plain.masked(array, p, out)
    result = floats(array.size).reshape(array.shape) if out is None else out
    elementwise.masked(array.reshape(-1), p.mask.reshape(-1), result.reshape(-1), work=array.size * 0.2)
    return result
