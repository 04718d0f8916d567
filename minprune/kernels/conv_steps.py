"""A program's steps that are convolutions: dense, sparse and of a pattern n:m, in a panel or in an image. See ``engine``."""

from __future__ import annotations

import numpy as np
from numba import types

from minprune.kernels.compile import F, H, I, N, apart, inline, pasted
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
    ROW,
    SCRATCH,
    SOURCE,
    SOURCE_ROW,
    STARTS_AT,
    STEP,
    STRIDE_X,
    STRIDE_Y,
    TAPS,
    TAPS_AT,
    TARGET,
    TARGET_PLANE,
    TARGET_ROW,
    VALUES_AT,
    WINDOW_X,
    WINDOW_Y,
    X,
    Y,
)
from minprune.kernels.host import HOST
from minprune.kernels.lean import sparse_run
from minprune.kernels.maxima import max_pairs, max_row
from minprune.kernels.micro import LANES, NO_FLOOR, dense_block, sparse_window
from minprune.kernels.pattern import HEIGHT, tap_pattern_block
from minprune.kernels.products import vectors_at

WINDOWS = HOST.windows(1)  # whose sums fit in registers, a vector of each; half as many of two vectors
ROWS = HOST.rows(HOST.widest)


@apart(STEP)
def sparse_conv(step, work, arrays, width):
    """A convolution over its kept weights."""
    conv_by_output(step, work, arrays.narrow, arrays.narrow_offsets, arrays.starts, arrays.biases, width)


@apart(STEP)
def wide_sparse_conv(step, work, arrays, width):
    """The same where offsets need 32 bits."""
    conv_by_output(step, work, arrays.wide, arrays.wide_offsets, arrays.starts, arrays.biases, width)


@inline
def conv_by_output(step, work, values, offsets, starts, biases, width):
    """Output by output: bias + Σ over the kept weights, straight to the target where that is possible (``direct``, ``square``), else to
    scratch, from where ``keep_places`` takes what is a place.

    In a panel, all outputs of one row (of one window of pooling) are done before the next, while that band of the input is in the cache.
    """
    row = step[SOURCE_ROW]
    bands = 1 if width == 1 else step[Y] // step[WINDOW_Y]
    side_by_side = step[STRIDE_X] == 1  # the places, in memory
    direct = side_by_side and step[WINDOW_Y] * step[WINDOW_X] == 1
    square = side_by_side and step[WINDOW_Y] == 2 and step[WINDOW_X] == 2
    across = ((step[X] - 1) * step[STRIDE_X] + 1) * width  # floats of a row of places
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    for y in range(bands):
        for o in range(step[OUTPUTS]):
            at = step[STARTS_AT] + o
            lo, hi, bias = step[VALUES_AT] + starts[at], step[VALUES_AT] + starts[at + 1], biases[step[BIAS_AT] + o]
            if width == 1:
                vectors = ceil_div(step[Y] * step[STRIDE_Y] * row, LANES)
                sparse_run(work, step[SOURCE], work, step[SCRATCH], vectors, offsets, 1, values, lo, hi, bias, 0, floor)
                keep_places(step, work, step[SCRATCH], o, 0, step[Y] // step[WINDOW_Y], width)
                continue
            if square:
                source = (step[SOURCE] + 2 * y * step[STRIDE_Y] * row) * width
                target = (step[TARGET] + o * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
                x_row = step[STRIDE_Y] * row * width
                sparse_windows(work, source, x_row, target, step[X] // 2, offsets, width, values, lo, hi, bias, floor)
                continue
            for r in range(step[WINDOW_Y]):
                source = (step[SOURCE] + (y * step[WINDOW_Y] + r) * step[STRIDE_Y] * row) * width
                target = (step[SCRATCH] + r * step[STRIDE_Y] * row) * width
                if direct:
                    target = (step[TARGET] + o * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
                if side_by_side:
                    sparse_run(work, source, work, target, across // LANES, offsets, width, values, lo, hi, bias, 0, floor)
                else:
                    strided_row(work, source, target, step[X], step[STRIDE_X] * width, offsets, width, values, lo, hi, bias, floor)
            if not direct:
                keep_places(step, work, step[SCRATCH], o, y, y + 1, width)


@apart(*((F, N, N, N, N, offsets, N, F, N, N, types.float32, types.float32) for offsets in (I, H)))
def sparse_windows(work, source, x_row, target, windows, offsets, width, values, lo, hi, bias, floor):
    """Pooled sums of one output: of each of ``windows`` windows of 2 x 2 places side by side the largest. The upper places start at
    ``source``, the lower ones ``x_row`` floats later; the sums never leave the registers."""
    lane = 0
    while lane < width:
        vectors = vectors_at(lane, width)
        pieces = ceil_div(windows, WINDOWS // vectors)
        for i in range(pieces):
            first = part(i, pieces, windows)
            many, at = part(i + 1, pieces, windows) - first, first * width + lane
            here = source + 2 * first * width + lane
            sparse_window(many, vectors, work, here, x_row, offsets, width, values, lo, hi, bias, floor, work, target + at)
        lane += vectors * LANES


@inline
def strided_row(work, source, target, places, step, offsets, width, values, lo, hi, bias, floor):
    """A sparse row at places that are ``step`` floats from one another, as they will lie in scratch."""
    for t in range(places):
        for lane in range(0, width, LANES):
            at = t * step + lane
            sparse_run(work, source + at, work, target + at, 1, offsets, width, values, lo, hi, bias, 0, floor)


@pasted
def all_taps(step, arrays, rows, vectors, work, source, taps, width, o, floor, target, planes):
    """The sums of outputs o, o + 1, … at ``vectors`` vectors of places."""
    K = step[TAPS]
    dense_block(
        rows, vectors, work, source, taps, width, K, arrays.dense, step[VALUES_AT] + o * K, K, 1,
        arrays.biases, step[BIAS_AT] + o, floor, work, target, planes, 0,
    )  # fmt: skip


@pasted
def taps_of_pattern(step, arrays, rows, vectors, work, source, taps, width, o, floor, target, planes):
    """The same over the kept taps."""
    kept = step[KEPT]
    tap_pattern_block(
        rows, vectors, work, source, taps, width, (step[KEEP], step[OF], kept, kept), arrays.dense, step[VALUES_AT] + o * kept,
        arrays.positions, step[POSITIONS_AT] + o * kept, arrays.biases, step[BIAS_AT] + o, floor, work, target, planes, 0,
    )  # fmt: skip


def _by_blocks(sums, height):
    """Make a convolution that does up to ``height`` outputs at a time; the helper ``sums`` computes them."""

    def conv(step, work, arrays, width):
        row, tables = step[SOURCE_ROW], arrays.tables
        taps = tables[step[TAPS_AT] : step[TAPS_AT] + step[TAPS]]
        planes = tables[step[PLANES_AT] : step[PLANES_AT] + ROWS]  # of the scratch memory, one for each output of a block
        plane = planes[1]
        across = ((step[X] - 1) * step[STRIDE_X] + 1) * width
        floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
        pieces = ceil_div(step[OUTPUTS], height)
        lines = 1 if width == 1 else step[Y]
        length = step[Y] * step[STRIDE_Y] * row if width == 1 else across
        for i in range(pieces):
            o = part(i, pieces, step[OUTPUTS])
            rows = part(i + 1, pieces, step[OUTPUTS]) - o
            for y in range(lines):
                source, r = step[SOURCE] * width + y * step[STRIDE_Y] * row * width, y % step[WINDOW_Y]
                target = (step[SCRATCH] + r * step[STRIDE_Y] * row) * width
                lanes = length if width == 1 or step[STRIDE_X] == 1 else width  # of neighbouring places, or of one
                for start in range(0, length, lanes * step[STRIDE_X] if lanes < length else length):
                    done = start
                    while done < start + lanes:
                        vectors = vectors_at(done, max(start + lanes, done + LANES))
                        sums(step, arrays, rows, vectors, work, source + done, taps, width, o, floor, target + done, planes)
                        done += vectors * LANES
                if width == 1 or r == step[WINDOW_Y] - 1:
                    for j in range(rows):
                        first = 0 if width == 1 else y // step[WINDOW_Y]
                        last = step[Y] // step[WINDOW_Y] if width == 1 else first + 1
                        keep_places(step, work, step[SCRATCH] + j * plane, o + j, first, last, width)

    conv.__qualname__ = f"conv_of_{sums.py_func.__name__}"
    return inline(conv)


dense_by_blocks, pattern_by_blocks = _by_blocks(all_taps, ROWS), _by_blocks(taps_of_pattern, HEIGHT)


@apart(STEP)
def dense_conv(step, work, arrays, width):
    """A convolution over all taps."""
    dense_by_blocks(step, work, arrays, width)


@apart(STEP)
def pattern_conv(step, work, arrays, width):
    """A convolution over the taps that a pattern n:m keeps."""
    pattern_by_blocks(step, work, arrays, width)


@apart((ROW, F, N, N, N, N, N))
def keep_places(step, work, scratch, o, first, last, width):
    """Rows first..last-1 of output o: from the places in scratch to the target, pooled on the way.

    Scratch holds rows at the pitch of the source; in a panel, only those of the window that is being pooled.
    """
    row, column = step[SOURCE_ROW] * step[STRIDE_Y] * width, step[STRIDE_X] * width
    for y in range(first, last):
        top = scratch * width + (y * step[WINDOW_Y] * row if width == 1 else 0)
        to = (step[TARGET] + o * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
        columns = step[X] // step[WINDOW_X]
        pairs = width == 1 and step[WINDOW_Y] == 2 and step[WINDOW_X] == 2 and step[STRIDE_X] == 1
        if pairs and step[TARGET_PLANE] == step[Y] // 2 * columns:  # no border: what is written too much, what follows writes over
            max_pairs(top, top + row, columns, work, work, to)
            continue
        if width > 1:
            lane = 0
            while lane < width:
                vectors = vectors_at(lane, width)
                max_row(columns, vectors, work, top + lane, step[WINDOW_Y], step[WINDOW_X], row, column, work, to + lane, width)
                lane += vectors * LANES
            continue
        for p in range(columns):
            best = work[top + p * step[WINDOW_X] * column]
            for number in range(1, step[WINDOW_Y] * step[WINDOW_X]):
                here = work[top + number // step[WINDOW_X] * row + (p * step[WINDOW_X] + number % step[WINDOW_X]) * column]
                best = here if here > best or here != here else best
            work[to + p] = best
