"""A program's steps that are Dense layers: dense, sparse and of a pattern n:m, in a panel or in an image. See ``engine``."""

from __future__ import annotations

import numpy as np

from minprune.kernels.compile import apart, inline, summing_inline
from minprune.kernels.crew import ceil_div, part
from minprune.kernels.fields import (
    BIAS_AT,
    KEEP,
    KEPT,
    OF,
    OUTPUTS,
    PLANES_AT,
    POSITIONS_AT,
    RELU,
    SOURCE,
    STARTS_AT,
    STEP,
    TAPS,
    TAPS_AT,
    TARGET,
    VALUES_AT,
)
from minprune.kernels.lean import sparse_run
from minprune.kernels.micro import LANES, NO_FLOOR, dense_block, sparse_dot
from minprune.kernels.pattern import HEIGHT, pattern_block
from minprune.kernels.products import rows_of, vectors_at

NEAR = 1 << 13  # floats of the inputs that a pattern's outputs read before they go on: 32 KiB, two thirds of a first-level cache


@apart(STEP)
def sparse_linear(step, work, arrays, width):
    """A Dense layer over its kept weights."""
    linear_by_output(step, work, arrays.narrow, arrays.narrow_offsets, arrays.starts, arrays.biases, width)


@apart(STEP)
def wide_sparse_linear(step, work, arrays, width):
    """The same where offsets need 32 bits."""
    linear_by_output(step, work, arrays.wide, arrays.wide_offsets, arrays.starts, arrays.biases, width)


@inline
def linear_by_output(step, work, values, offsets, starts, biases, width):
    """One output after another, over its kept weights."""
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    source, target = step[SOURCE] * width, step[TARGET] * width
    for o in range(step[OUTPUTS]):
        at = step[STARTS_AT] + o
        lo, hi, bias = step[VALUES_AT] + starts[at], step[VALUES_AT] + starts[at + 1], biases[step[BIAS_AT] + o]
        if width == 1:
            total = bias + sparse_dot(work, source, offsets, values, lo, hi)
            work[target + o] = floor if total < floor else total
        else:
            sparse_run(work, source, work, target + o * width, width // LANES, offsets, width, values, lo, hi, bias, 0, floor)


@apart(STEP)
def pattern_linear(step, work, arrays, width):
    """A block of the inputs after another, few enough to stay in the first-level cache, and for each some outputs at a time."""
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    source, target, kept, keep, of = step[SOURCE] * width, step[TARGET] * width, step[KEPT], step[KEEP], step[OF]
    values, positions, biases, tables = arrays.dense, arrays.positions, arrays.biases, arrays.tables
    values_at, positions_at = step[VALUES_AT], step[POSITIONS_AT]
    if width == 1:
        groups = tables[step[TAPS_AT] : step[TAPS_AT] + kept]
        for o in range(step[OUTPUTS]):
            at, there = values_at + o * kept, positions_at + o * kept
            total = biases[step[BIAS_AT] + o] + pattern_dot(work[source:], values[at : at + kept], groups, positions[there : there + kept])
            work[target + o] = floor if total < floor else total
        return
    outputs = tables[step[PLANES_AT] : step[PLANES_AT] + step[OUTPUTS]]
    groups = ceil_div(kept, keep)
    lane = 0
    while lane < width:
        vectors = vectors_at(lane, width)
        blocks = ceil_div(groups * of * vectors * LANES, NEAR)
        for block in range(blocks):
            first, last = part(block, blocks, groups), part(block + 1, blocks, groups)
            pattern = keep, of, min(last * keep, kept) - first * keep, kept
            x_at, skipped, end = source + first * of * width + lane, first * keep, block == blocks - 1
            for i in range(ceil_div(step[OUTPUTS], HEIGHT)):
                o = i * HEIGHT
                w_at, p_at = values_at + o * kept + skipped, positions_at + o * kept + skipped
                pattern_block(
                    min(HEIGHT, step[OUTPUTS] - o), vectors, work, x_at, width, pattern, values, w_at, positions, p_at,
                    biases, step[BIAS_AT] + o if block == 0 else -1, floor if end else np.float32(NO_FLOOR),
                    work, target + lane, outputs, o,
                )  # fmt: skip
        lane += vectors * LANES


@summing_inline
def pattern_dot(x, values, groups, positions):
    """Σ values[p] · x[groups[p] + positions[p]]; ``groups`` is where the group of each kept weight begins."""
    total = np.float32(0)
    for p in range(values.size):
        total += values[p] * x[groups[p] + positions[p]]
    return total


@apart(STEP)
def dense_linear(step, work, arrays, width):
    """Blocks of outputs in a panel; dot products along the inputs for a single image."""
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    K, source, target = step[TAPS], step[SOURCE] * width, step[TARGET] * width
    values, biases, tables = arrays.dense, arrays.biases, arrays.tables
    if width == 1:
        for o in range(step[OUTPUTS]):
            at = step[VALUES_AT] + o * K
            total = biases[step[BIAS_AT] + o] + dot(work[source : source + K], values[at : at + K])
            work[target + o] = floor if total < floor else total
        return
    taps = tables[step[TAPS_AT] : step[TAPS_AT] + K]
    outputs = tables[step[PLANES_AT] : step[PLANES_AT] + step[OUTPUTS]]
    lane = 0
    while lane < width:
        vectors = vectors_at(lane, width)
        pieces = ceil_div(step[OUTPUTS], rows_of(vectors))
        for i in range(pieces):
            o = part(i, pieces, step[OUTPUTS])
            rows = part(i + 1, pieces, step[OUTPUTS]) - o
            w_at, b_at = step[VALUES_AT] + o * K, step[BIAS_AT] + o
            dense_block(
                rows, vectors, work, source + lane, taps, width, K, values, w_at, K, 1, biases, b_at, floor, work, target + lane, outputs, o
            )
        lane += vectors * LANES


@summing_inline
def dot(x, values):
    """Σ values[i] · x[i]."""
    total = np.float32(0)
    for i in range(values.size):
        total += values[i] * x[i]
    return total
