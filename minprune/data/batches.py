"""Mini-batches: a split in, a stream of (images, labels) out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minprune.data.splits import Split
from minprune.errors import ShapeError
from minprune.tensor import Array


def batches(split: Split, batch_size: int, *, rng: np.random.Generator | None = None) -> Iterator[tuple[Array, Array]]:
    """Go once through ``split``, in random order if ``rng`` is given; the last batch may be smaller.

    Raises:
        ShapeError: the split is empty.
        ValueError: ``batch_size`` is below 1.
    """
    if len(split) == 0:
        raise ShapeError("expected at least one image, got an empty data set")
    if batch_size < 1:
        raise ValueError(f"batch_size expected a whole number >= 1, got {batch_size!r}")
    order = np.arange(len(split)) if rng is None else rng.permutation(len(split))
    for start in range(0, len(split), batch_size):
        chosen = order[start : start + batch_size]
        yield split.images[chosen], split.labels[chosen]
