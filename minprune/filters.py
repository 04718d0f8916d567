"""A layer's weights as the implementations take them: the weight, the bias, and the mask that tells which weights can be left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Filters:
    """``weight`` (O, C, R, S) or (O, C), ``bias`` (O,) or None, ``mask`` of the weight's shape (False: the weight is zero) or None."""

    weight: Array
    bias: Array | None = None
    mask: Array | None = None
