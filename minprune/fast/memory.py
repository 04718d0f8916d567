"""Memory that is asked for again and again.

A training step needs the same few dozen arrays as the step before. Given back to the operating system and asked for anew they would cost a
page fault for every 4 KiB, which for a small network is as long as the arithmetic. So large arrays are kept when they are no longer used,
and handed out again when one of the same size is wanted, up to a bound on what lies idle.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import OrderedDict, deque

import numpy as np

Array = np.ndarray
ALIGN = 16  # floats: 64 bytes, a cache line and the widest vector
SMALL = 1 << 14  # floats: below this the allocator does well by itself
MOST_IDLE = 1 << 26  # floats: 256 MiB

_idle: OrderedDict[int, deque[Array]] = OrderedDict()  # size -> arrays of that size, the sizes least recently used first
_idle_size = 0
_lent: dict[int, tuple[weakref.ref, Array]] = {}  # what is in use, by the identity of its handle


def floats(count: int) -> Array:
    """Uninitialised float32 memory (count,) that starts at a cache line; all views of it look back at one one-dimensional owner."""
    block = np.empty(count + ALIGN, np.float32) if count < SMALL else _lend(_take(count + ALIGN))
    start = -(block.ctypes.data // block.itemsize) % ALIGN
    return block[start : start + count]


def _take(size: int) -> Array:
    """An idle array of ``size`` floats, else a new one."""
    global _idle_size
    waiting = _idle.get(size)
    if waiting:
        _idle.move_to_end(size)
        _idle_size -= size
        return waiting.pop()
    return np.empty(size, np.float32)


def _lend(memory: Array) -> Array:
    """The same memory in an array whose end of life, and that of all its views, brings ``memory`` back."""
    handle = (ctypes.c_float * memory.size).from_buffer(memory.data)
    key = id(handle)
    _lent[key] = weakref.ref(handle, lambda _: _give_back(key)), memory
    return np.frombuffer(handle, np.float32)  # type: ignore[call-overload]


def _give_back(key: int) -> None:
    """Keep what is no longer used; where too much lies idle, let go of the sizes that have not been wanted for longest."""
    global _idle_size
    _, memory = _lent.pop(key)
    _idle.setdefault(memory.size, deque()).append(memory)
    _idle_size += memory.size
    while _idle_size > MOST_IDLE:
        size, waiting = next(iter(_idle.items()))
        if waiting:
            waiting.pop()
            _idle_size -= size
        else:
            del _idle[size]
