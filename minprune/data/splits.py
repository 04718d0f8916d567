"""What a data set looks like to the rest of the package: images and labels, in a training, a validation and a test part.

The training part fits the weights, the validation part drives every choice (when to stop, how much to prune), and the test part
chooses nothing: it is looked at once, to report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minprune.errors import ShapeError
from minprune.ops.loss import check_labels
from minprune.tensor import Array


@dataclass(frozen=True)
class Split:
    """Images float32 (N, C, H, W) with values in [0, 1], and labels int64 (N,)."""

    images: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A data set in three parts; ``seed`` chose which images went where."""

    name: str
    train: Split
    val: Split
    test: Split
    num_classes: int
    seed: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, c, h, w = self.train.images.shape
        return c, h, w


def make_split(images: Array, labels: Array, num_classes: int) -> Split:
    """A checked Split of images (N, C, H, W) or (N, H, W) and labels (N,).

    Raises:
        ShapeError: no images, or a shape that is neither.
        ValueError, TypeError: labels that are not whole numbers in [0, num_classes).
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.size == 0:
        raise ShapeError(f"expected at least one image, of shape (N, C, H, W) or (N, H, W), got {images.shape}")
    return Split(np.ascontiguousarray(images, np.float32), check_labels(labels, len(images), num_classes))


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Split off a stratified ``fraction``: every class keeps its share in both parts. Returns (rest, held out)."""
    from sklearn.model_selection import train_test_split

    rest, held = train_test_split(np.arange(len(split)), test_size=fraction, stratify=split.labels, random_state=seed)
    return tuple(Split(split.images[i], split.labels[i]) for i in (np.sort(rest), np.sort(held)))  # type: ignore[return-value]
