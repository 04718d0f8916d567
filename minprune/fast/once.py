"""What is worked out of an array once, and remembered as long as the array lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import numpy as np

Array = np.ndarray
T = TypeVar("T")


def once(function: Callable[[Array], T]) -> Callable[[Array], T]:
    """Remember what ``function`` returns for an array. For arrays that never change: they are told apart by their identity."""
    known: dict[int, tuple[weakref.ref, T]] = {}

    @wraps(function)
    def remembered(array: Array) -> T:
        key = id(array)
        found = known.get(key)
        if found is not None and found[0]() is array:
            return found[1]
        result = function(array)
        known[key] = weakref.ref(array, lambda _: known.pop(key, None)), result
        return result

    return remembered
