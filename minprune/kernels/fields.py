"""What a program's steps are written down as: a row of numbers each, whose columns are named here; and the arrays beside it."""

from typing import NamedTuple

import numpy as np
from numba import types

from minprune.kernels.compile import B, F, H, I, N

Array = np.ndarray

# source, target, scratch, other: regions, in positions; *_plane, *_row: how far apart channels and rows are there, in positions.
# y, x: places of the output (of a convolution, before pooling); stride_*; window_*: what is pooled, 1 and 1 for nothing; taps: of a filter,
# zeros included. *_at: where a step's part of the program's arrays begins (values_at of a scale: -1 for a mere ReLU). relu: 1 to clamp at
# zero.
# spread: 1 where the other factor has one position per channel. keep, of: of a pattern n:m; kept: weights of a row under it.
FIELDS = (
    "kind", "source", "target", "scratch", "channels", "outputs", "source_plane", "source_row", "target_plane", "target_row", "y", "x",
    "stride_y", "stride_x", "window_y", "window_x", "starts_at", "values_at", "bias_at", "taps", "taps_at", "planes_at", "relu",
    "other", "other_plane", "other_row", "spread", "keep", "of", "kept", "positions_at",
)  # fmt: skip
(
    KIND, SOURCE, TARGET, SCRATCH, CHANNELS, OUTPUTS, SOURCE_PLANE, SOURCE_ROW, TARGET_PLANE, TARGET_ROW, Y, X, STRIDE_Y, STRIDE_X,
    WINDOW_Y, WINDOW_X, STARTS_AT, VALUES_AT, BIAS_AT, TAPS, TAPS_AT, PLANES_AT, RELU, OTHER, OTHER_PLANE, OTHER_ROW, SPREAD, KEEP,
    OF, KEPT, POSITIONS_AT,
) = range(len(FIELDS))  # fmt: skip
# wide: its offsets have 32 bits, not 16. pattern: n:m.
KINDS = (
    "dense_conv", "sparse_conv", "wide_sparse_conv", "pattern_conv", "dense_linear", "sparse_linear", "wide_sparse_linear",
    "pattern_linear", "max_pool", "mean_pool", "scale", "add", "mul", "exp", "inverse", "copy",
)  # fmt: skip
ADD, COPY, EXP, INVERSE, MEAN_POOL, SCALE = map(KINDS.index, ("add", "copy", "exp", "inverse", "mean_pool", "scale"))


class Arrays(NamedTuple):
    """A program's numbers, flat; each step knows where its part of them begins."""

    dense: Array  # float32: weights, zeros included, and those that patterns keep
    narrow: Array  # float32: kept weights whose offsets fit 16 bits
    narrow_offsets: Array  # uint16
    wide: Array  # float32: the others
    wide_offsets: Array  # int32
    starts: Array  # int32: where rows of kept weights begin
    biases: Array  # float32
    tables: Array  # int32: offsets of taps and planes
    positions: Array  # uint8: of patterns


# A step's row, and what the machine code of a step takes: its row, the workspace, the program's arrays, how many floats a position has.
ROW = types.intp[::1]
ARRAYS = types.NamedTuple((F, F, H, F, I, I, F, I, B), Arrays)
STEP = ROW, F, ARRAYS, N
