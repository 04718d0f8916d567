"""What is done to whole arrays: sums of activations and gradients, and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def add(a: Array, b: Array) -> Array:
    """a + b, of equal or broadcasting shapes."""
    return a + b


def masked(array: Array, p: Any, out: Array | None = None) -> Array:
    """``array`` with zeros where the mask of the Parameter ``p`` prunes; in ``out`` if given.

    A bitwise AND with all ones or all zeros: it runs at memory speed, which choosing by condition does not.
    """
    bits = p.bits(array.itemsize)
    result = np.bitwise_and(array.view(bits.dtype), bits, out=None if out is None else out.view(bits.dtype))
    return result.view(array.dtype)
