"""What a program's steps are written down as: a row of numbers each, whose columns are named here."""

# source, target, scratch, other: regions, in positions; *_plane, *_row: how far apart channels and rows are there, in positions.
# y, x: places of the output (before pooling); stride_*; window_*: what is pooled, 1 and 1 for nothing; taps: of a filter, zeros included.
# *_at: where a step's part of the program's arrays begins. wide: offsets have 32 bits, not 16. relu: 1 to clamp at zero.
# spread: 1 where the other factor has one position per channel. keep, of: of a pattern n:m; kept: weights of a row under it.
FIELDS = (
    "kind", "source", "target", "scratch", "channels", "outputs", "source_plane", "source_row", "target_plane", "target_row", "y", "x",
    "stride_y", "stride_x", "window_y", "window_x", "starts_at", "values_at", "bias_at", "taps", "taps_at", "planes_at", "wide", "relu",
    "other", "other_plane", "other_row", "spread", "keep", "of", "kept", "positions_at",
)  # fmt: skip
(
    KIND, SOURCE, TARGET, SCRATCH, CHANNELS, OUTPUTS, SOURCE_PLANE, SOURCE_ROW, TARGET_PLANE, TARGET_ROW, Y, X, STRIDE_Y, STRIDE_X,
    WINDOW_Y, WINDOW_X, STARTS_AT, VALUES_AT, BIAS_AT, TAPS, TAPS_AT, PLANES_AT, WIDE, RELU, OTHER, OTHER_PLANE, OTHER_ROW, SPREAD, KEEP,
    OF, KEPT, POSITIONS_AT,
) = range(len(FIELDS))  # fmt: skip
KINDS = (
    "dense_conv", "sparse_conv", "pattern_conv", "dense_linear", "sparse_linear", "pattern_linear", "max_pool", "mean_pool", "scale", "add",
    "mul", "exp", "inverse", "copy",
)  # fmt: skip
(
    DENSE_CONV, SPARSE_CONV, PATTERN_CONV, DENSE_LINEAR, SPARSE_LINEAR, PATTERN_LINEAR, MAX_POOL, MEAN_POOL, SCALE, ADD, MUL, EXP,
    INVERSE, COPY,
) = range(len(KINDS))  # fmt: skip
