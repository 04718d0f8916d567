"""Tables of positions: where the taps of a filter and the planes of a batch lie, in positions of a padded image (C, H, W)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Array = np.ndarray


@lru_cache(maxsize=512)
def taps(channels: int, kernel: tuple[int, int], height: int, width: int) -> Array:
    """int32 (C·R·S,): the position of each tap of a filter laid at the top left corner of an image."""
    c, r, s = np.ogrid[:channels, : kernel[0], : kernel[1]]
    return ((c * height + r) * width + s).astype(np.int32).ravel()


@lru_cache(maxsize=512)
def planes(channels: int, size: int) -> Array:
    """int32 (C,): the position at which each channel's plane of ``size`` positions starts."""
    return np.arange(channels, dtype=np.int32) * np.int32(size)


@lru_cache(maxsize=64)
def zeros(n: int) -> Array:
    """float32 zeros (n,): the bias of a layer that has none."""
    return np.zeros(n, np.float32)
