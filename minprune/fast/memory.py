"""Memory that is asked for again and again.

A training step needs the same few dozen arrays as the step before. Given back to the operating system and asked for anew they would cost a
page fault for every 4 KiB, which for a small network is as long as the arithmetic. So large arrays are kept when they are no longer used,
and handed out again when one of the same size is wanted, up to a bound on what lies idle.

Arrays die at any moment and in any thread, even while this file is at work. So what comes back is first put down in a tray, which needs no
lock, and whoever finds the shelf free puts it away; who finds it taken never waits: that would be for ever in the middle of one's own work,
or in a forked child.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import OrderedDict, deque

import numpy as np

Array = np.ndarray
ALIGN = 16  # floats: 64 bytes, a cache line and the widest vector
SMALL = 1 << 15  # floats: below this the allocator does well by itself
MOST_IDLE = 1 << 26  # floats: 256 MiB

_idle: OrderedDict[int, deque[Array]] = OrderedDict()  # size -> arrays of that size, the sizes least recently used first
_idle_size = 0
_shelf = threading.Lock()  # over the two above
_tray: deque[Array] = deque()  # what came back and was not put away yet
_lent: dict[int, tuple[weakref.ref, Array]] = {}  # what is in use, by the identity of its handle


def floats(count: int) -> Array:
    """Uninitialised float32 memory (count,) that starts at a cache line; all views of it look back at one one-dimensional owner.

    The owner has ALIGN numbers more, and the one right after the memory is 0: there ``lanes`` notes what lies in it.
    """
    block = np.empty(count + ALIGN, np.float32) if count < SMALL else _lend(_take(count + ALIGN))
    start = -(address(block) // 4) % ALIGN
    block[start + count] = 0
    return block[start : start + count]


def address(block: Array) -> int:
    """Of the first number of contiguous, writable memory. (``__array_interface__`` knows it of any array, but takes five times as long.)"""
    return ctypes.addressof(ctypes.c_char.from_buffer(block))  # type: ignore[arg-type]


def _take(size: int) -> Array:
    """An idle array of ``size`` floats, else a new one."""
    global _idle_size
    if _shelf.acquire(blocking=False):
        try:
            _put_away()
            waiting = _idle.get(size)
            if waiting is not None:
                _idle.move_to_end(size)
            if waiting:
                _idle_size -= size
                return waiting.pop()
        finally:
            _shelf.release()
    return np.empty(size, np.float32)


def _lend(memory: Array) -> Array:
    """The same memory in an array whose end of life, and that of all its views, brings ``memory`` back."""
    handle = (ctypes.c_float * memory.size).from_buffer(memory.data)
    key = id(handle)
    _lent[key] = weakref.ref(handle, lambda _: _give_back(key)), memory
    return np.frombuffer(handle, np.float32)  # type: ignore[call-overload]


def _give_back(key: int) -> None:
    """Keep what is no longer used."""
    _tray.append(_lent.pop(key)[1])
    if _shelf.acquire(blocking=False):
        try:
            _put_away()
        finally:
            _shelf.release()


def _put_away() -> None:
    """From the tray to the shelf; where too much lies idle, let go of the sizes that have not been wanted for longest."""
    global _idle_size
    while _tray:
        memory = _tray.popleft()
        _idle.setdefault(memory.size, deque()).append(memory)
        _idle_size += memory.size
    while _idle_size > MOST_IDLE:
        size, waiting = next(iter(_idle.items()))
        if waiting:
            waiting.pop()
            _idle_size -= size
        else:
            del _idle[size]
