"""Memory for lockstep: the batch innermost.

To the reader a batch of images is (N, C, H, W) and a batch of vectors (N, C). In memory the kernels want (C, H, W, width): all the images'
values of one position side by side, padded with zeros to a ``width`` that is a multiple of 16, so that no kernel needs to care for a rest.
Both are true at once for an array that is *shaped* (N, C, H, W) over memory laid out the other way; ``as_lanes`` recognises such a one and
hands out its memory, and copies any other. So only the first layer converts.

Padding lanes are computed along with the others and never read by anyone but the kernels. They start as zeros, and gradients are zero in
them, so they add nothing to a sum over the batch. A slice of a batch, say its first five images, looks the same but has other images where
its padding should be. So ``view`` notes the size of the batch behind the memory, and what is smaller is not recognised but copied.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TypeGuard

import numpy as np

from minprune.fast.memory import ALIGN, address, floats
from minprune.fast.once import once
from minprune.kernels import elementwise

Array = np.ndarray
BATCH_FIRST = {2: (1, 0), 4: (3, 0, 1, 2)}
BATCH_LAST = {2: (1, 0), 4: (1, 2, 3, 0)}
_masks = count()


def width_for(n: int) -> int:
    """Lanes for a batch of ``n``: the next multiple of 16, and 16 more where rows a power of two apart would share few cache sets."""
    width = -(-n // ALIGN) * ALIGN
    return width + ALIGN if width % 128 == 0 else width


def empty(shape: tuple[int, ...], width: int) -> Array:
    """Uninitialised float32 memory (*shape, width) that starts at a cache line. ``shape`` is (C,) or (C, H, W)."""
    return floats(math.prod(shape) * width).reshape(*shape, width)


def view(lanes: Array, n: int) -> Array:
    """The batch as its reader knows it, (N, C, H, W) or (N, C), over ``lanes``; nothing is copied."""
    owner = lanes.base
    if _is_owner(owner) and owner.size == lanes.size + ALIGN:
        owner[_end(owner, address(owner))] = n
    return lanes[..., :n].transpose(BATCH_FIRST[lanes.ndim])


def as_lanes(batch: Array) -> Array:
    """The float32 memory (C, H, W, width) or (C, width) behind ``batch``, or a copy laid out that way."""
    found = memory_of(batch)
    if found is not None:
        return found
    n, *shape = batch.shape
    width, size = width_for(n), math.prod(shape)
    lanes = empty(tuple(shape), width)
    samples = np.ascontiguousarray(batch, np.float32).reshape(-1)
    elementwise.transpose(samples, lanes.reshape(-1), n, size, size, width, work=n * size * 0.5)
    lanes[..., n:] = 0
    return lanes


def as_samples(batch: Array) -> Array:
    """(N, C) sample by sample: the batch itself, or a copy laid out that way."""
    lanes = memory_of(batch)
    if lanes is None:
        return np.ascontiguousarray(batch, np.float32)
    (size, width), n = lanes.shape, len(batch)
    samples = floats(n * size).reshape(n, size)
    elementwise.transpose(lanes.reshape(-1), samples.reshape(-1), size, n, width, size, work=n * size * 0.5)
    return samples


def memory_of(batch: Array) -> Array | None:
    """The lanes that ``batch`` is a ``view`` of (perhaps reshaped from (N, C, H, W) to (N, C·H·W)), or that it happens to be, or None."""
    if batch.ndim not in BATCH_LAST or batch.dtype != np.float32 or batch.size == 0:
        return None
    n, *shape = batch.shape
    width = width_for(n)
    inner = batch.transpose(BATCH_LAST[batch.ndim])
    if n == width and inner.flags.c_contiguous:
        return inner
    owner = batch.base
    if not _is_owner(owner):
        return None
    before = address(owner)
    end = _end(owner, before)
    if owner[end] != n:
        return None
    strides = [4 * width * math.prod(shape[i + 1 :]) for i in range(len(shape))]
    if n != width and math.prod(shape) == 1:
        return None  # any few neighbours look like that
    fits = all(size == 1 or have == want for size, have, want in zip(shape, batch.strides[1:], strides, strict=True))
    if not fits or (n > 1 and batch.strides[0] != 4):
        return None
    first, count = end - (owner.size - ALIGN), math.prod(shape) * width
    start = (batch.__array_interface__["data"][0] - before) // 4
    if start < first or start + count > end or (start - first) % width:
        return None
    return owner[start : start + count].reshape(*shape, width)


def note_mask(grad: Array, mask: Array) -> None:
    """Note in the spare number behind ``grad`` (whole memory of ``floats``) that it is zero already where ``mask`` prunes."""
    owner = grad.base
    if _is_owner(owner) and owner.size == grad.size + ALIGN:
        owner[_end(owner, address(owner))] = _token(mask)


def is_masked(grad: Array, mask: Array) -> bool:
    """Whether ``note_mask`` said so of this very mask."""
    owner = grad.base
    return _is_owner(owner) and owner.size == grad.size + ALIGN and bool(owner[_end(owner, address(owner))] == _token(mask))


@once
def _token(mask: Array) -> float:  # noqa: ARG001 (each has the next, whatever is in it)
    """A number of this mask's own: negative, whole, and one that float32 holds exactly; lanes' own notes are not negative."""
    return -1.0 - next(_masks) % (1 << 23)


def _is_owner(owner: object) -> TypeGuard[Array]:
    """Whether ``floats`` could have made it."""
    return type(owner) is np.ndarray and owner.ndim == 1 and owner.dtype == np.float32 and owner.size > ALIGN and owner.flags.carray


def _end(owner: Array, start: int) -> int:
    """Where, in what ``floats`` made at the address ``start``, the memory ends that it handed out."""
    return -(start // 4) % ALIGN + owner.size - ALIGN
