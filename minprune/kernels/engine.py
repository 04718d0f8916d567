"""A whole network in one kernel: each thread carries a panel of images through all layers, so that activations stay in its cache.

The network is a *program*, a table with a row of numbers per step (``FIELDS`` names the columns), and this file is the machine that runs
it. Steps read and write regions of a workspace, counted in positions of ``width`` floats. The same program runs in two layouts:

    panel   ``width`` images side by side at every position, a multiple of the lanes: for batches
    image   one image, ``width`` 1: the lanes run along the rows of the image, and in a Dense layer along the inputs

A convolution runs over whole rows of its input, what hangs over at their ends included, into a little scratch memory, output by output;
what is a place is then kept (and pooled, and clamped by ReLU) on its way to the target. So strides, pooling and both layouts share one
code.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minprune.kernels.compile import inline, kernel, summing_inline
from minprune.kernels.elementwise import copy
from minprune.kernels.host import HOST
from minprune.kernels.micro import LANES, NO_FLOOR, dense_block, max_pairs, max_row, sparse_row, transpose_block
from minprune.kernels.products import part, rows_of, vectors_at

# source, target, scratch, other: regions, in positions; *_plane, *_row: how far apart channels and rows are there, in positions.
# y, x: places of the output (before pooling); stride_*; window_*: what is pooled, 1 and 1 for nothing; taps: of a filter, zeros included.
# *_at: where a step's part of the program's arrays begins. wide: offsets have 32 bits, not 16. relu: 1 to clamp at zero.
FIELDS = (
    "kind", "source", "target", "scratch", "channels", "outputs", "source_plane", "source_row", "target_plane", "target_row", "y", "x",
    "stride_y", "stride_x", "window_y", "window_x", "starts_at", "values_at", "bias_at", "taps", "taps_at", "planes_at", "wide", "relu",
    "other", "other_plane", "other_row",
)  # fmt: skip
(
    KIND, SOURCE, TARGET, SCRATCH, CHANNELS, OUTPUTS, SOURCE_PLANE, SOURCE_ROW, TARGET_PLANE, TARGET_ROW, Y, X, STRIDE_Y, STRIDE_X,
    WINDOW_Y, WINDOW_X, STARTS_AT, VALUES_AT, BIAS_AT, TAPS, TAPS_AT, PLANES_AT, WIDE, RELU, OTHER, OTHER_PLANE, OTHER_ROW,
) = range(len(FIELDS))  # fmt: skip
KINDS = ("dense_conv", "sparse_conv", "dense_linear", "sparse_linear", "max_pool", "mean_pool", "scale", "add", "copy")
DENSE_CONV, SPARSE_CONV, DENSE_LINEAR, SPARSE_LINEAR, MAX_POOL, MEAN_POOL, SCALE, ADD, COPY = range(len(KINDS))
PLACES = HOST.places(1)
ROWS = HOST.rows(4)


@kernel
def run(x, out, work, steps, arrays, entry, exits, width, workers):
    """Carry all images x (N, ...) through the program; flat results go to ``out`` (N, features).

    ``work`` is (workers, floats). ``arrays`` is (dense weights, kept weights with 16-bit offsets, those offsets, the same with 32 bits, row
    starts, biases, tables); ``entry`` is the input's (region, channels, rows, columns, plane, row), ``exits`` has a row of the same for
    every result.
    """
    n = x.shape[0]
    panels = (n + width - 1) // width
    for worker in prange(workers):
        for panel in range(part(worker, workers, panels), part(worker + 1, workers, panels)):
            run_panel(x, out, work[worker], steps, arrays, entry, exits, panel * width, min((panel + 1) * width, n), width)


@kernel
def rehearse(work, steps, arrays, width, repeats):
    """Run the steps on whatever is in the workspace, ``repeats`` times: to be timed."""
    for _ in range(repeats):
        for s in range(steps.shape[0]):
            run_step(steps[s], work, arrays, width)


@inline
def run_panel(x, out, work, steps, arrays, entry, exits, first, last, width):
    """The images first..last-1, through all steps."""
    load(x, work, entry, first, last, width)
    for s in range(steps.shape[0]):
        run_step(steps[s], work, arrays, width)
    at = 0
    for e in range(exits.shape[0]):
        at = unload(work, out, exits[e], first, last, width, at)


@inline
def run_step(step, work, arrays, width):
    """One step, of whatever kind."""
    dense, narrow, narrow_offsets, wide, wide_offsets, starts, biases, tables = arrays
    kind = step[KIND]
    if kind == SPARSE_CONV:
        if step[WIDE]:
            sparse_conv(step, work, wide, wide_offsets, starts, biases, width)
        else:
            sparse_conv(step, work, narrow, narrow_offsets, starts, biases, width)
    elif kind == DENSE_CONV:
        dense_conv(step, work, dense, biases, tables, width)
    elif kind == SPARSE_LINEAR:
        if step[WIDE]:
            sparse_linear(step, work, wide, wide_offsets, starts, biases, width)
        else:
            sparse_linear(step, work, narrow, narrow_offsets, starts, biases, width)
    elif kind == DENSE_LINEAR:
        dense_linear(step, work, dense, biases, tables, width)
    elif kind in (MAX_POOL, MEAN_POOL):
        pool(step, work, kind == MEAN_POOL, width)
    elif kind == SCALE:
        scale(step, work, dense, biases, width)
    else:
        combine(step, work, kind == ADD, width)


@inline
def load(x, work, entry, first, last, width):
    """Lay the images' values side by side; lanes without an image are zero."""
    region, channels, rows, columns, plane, row = entry
    if row == columns and plane == rows * columns:  # one run of neighbours
        load_run(x, work, region, 0, channels * rows * columns, first, last, width)
        return
    for c in range(channels):
        for y in range(rows):
            load_run(x, work, region + c * plane + y * row, (c * rows + y) * columns, columns, first, last, width)


@inline
def load_run(x, work, to, at, count, first, last, width):
    """``count`` neighbouring values of each image, from its value ``at`` on, to the positions from ``to`` on."""
    features = x.shape[1]
    flat = x.reshape(x.size)
    if width == 1:
        copy(flat, first * features + at, work, to, count)
        return
    for lane in range(0, width, LANES):
        source = (first + lane) * features + at
        if count >= LANES and first + lane + LANES <= last:
            for i in range(0, count, LANES):
                i = min(i, count - LANES)  # the last square overlaps the one before
                transpose_block(flat, source + i, features, work, (to + i) * width + lane, width)
            continue
        for i in range(count):
            for j in range(LANES):
                inside = first + lane + j < last
                work[(to + i) * width + lane + j] = flat[source + j * features + i] if inside else 0


@inline
def unload(work, out, result, first, last, width, at):
    """Copy a result behind what is in ``out`` already, image by image; returns where the next begins."""
    region, channels, rows, columns, plane, row = result
    for c in range(channels):
        for y in range(rows):
            source = (region + c * plane + y * row) * width
            for i in range(columns):
                for j in range(last - first):
                    out[first + j, at + i] = work[source + i * width + j]
            at += columns
    return at


@inline
def sparse_run(work, source, target, vectors, offsets, width, values, lo, hi, bias, floor):
    """A sparse row at a run of neighbouring places, ``vectors`` vectors long."""
    done = 0
    pieces = (vectors + PLACES - 1) // PLACES
    for i in range(pieces):
        many = part(i + 1, pieces, vectors) - done
        sparse_row(
            many, 1, work, source + done * LANES, LANES, offsets, width, values, lo, hi, bias, 0, floor, work, target + done * LANES, LANES
        )
        done += many


@inline
def sparse_conv(step, work, values, offsets, starts, biases, width):
    """Output by output: scratch = bias + Σ over the kept weights, then what is a place goes to the target.

    In a panel, all outputs of one row (of one window of pooling) are done before the next, while that band of the input is in the cache.
    """
    row = step[SOURCE_ROW]
    bands = 1 if width == 1 else step[Y] // step[WINDOW_Y]
    direct = width > 1 and step[STRIDE_X] == 1 and step[WINDOW_Y] * step[WINDOW_X] == 1
    across = ((step[X] - 1) * step[STRIDE_X] + 1) * width  # floats of a row of places
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    for y in range(bands):
        for o in range(step[OUTPUTS]):
            at = step[STARTS_AT] + o
            lo, hi, bias = step[VALUES_AT] + starts[at], step[VALUES_AT] + starts[at + 1], biases[step[BIAS_AT] + o]
            if width == 1:
                vectors = (step[Y] * step[STRIDE_Y] * row + LANES - 1) // LANES
                sparse_run(work, step[SOURCE], step[SCRATCH], vectors, offsets, 1, values, lo, hi, bias, floor)
                keep(step, work, step[SCRATCH], o, 0, step[Y] // step[WINDOW_Y], width)
                continue
            for r in range(step[WINDOW_Y]):
                source = (step[SOURCE] + (y * step[WINDOW_Y] + r) * step[STRIDE_Y] * row) * width
                target = (step[SCRATCH] + r * step[STRIDE_Y] * row) * width
                if direct:
                    target = (step[TARGET] + o * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
                if step[STRIDE_X] == 1:
                    sparse_run(work, source, target, across // LANES, offsets, width, values, lo, hi, bias, floor)
                else:
                    sparse_places(work, source, target, step[X], step[STRIDE_X] * width, offsets, width, values, lo, hi, bias, floor)
            if not direct:
                keep(step, work, step[SCRATCH], o, y, y + 1, width)


@inline
def sparse_places(work, source, target, places, apart, offsets, width, values, lo, hi, bias, floor):
    """A sparse row at places that are ``apart`` floats from one another, as they will lie in scratch."""
    for t in range(places):
        for lane in range(0, width, LANES):
            at = t * apart + lane
            sparse_row(1, 1, work, source + at, apart, offsets, width, values, lo, hi, bias, 0, floor, work, target + at, apart)


@inline
def dense_conv(step, work, values, biases, tables, width):
    """The same for a block of outputs at a time, over all taps."""
    row, K = step[SOURCE_ROW], step[TAPS]
    taps = tables[step[TAPS_AT] : step[TAPS_AT] + K]
    planes = tables[step[PLANES_AT] : step[PLANES_AT] + ROWS]  # of the scratch memory, one for each output of a block
    plane = planes[1] if ROWS > 1 else 0
    across = ((step[X] - 1) * step[STRIDE_X] + 1) * width
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    pieces = (step[OUTPUTS] + ROWS - 1) // ROWS
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
                    dense_block(
                        rows, vectors, work, source + done, taps, width, K, values, step[VALUES_AT] + o * K, K, 1,
                        biases, step[BIAS_AT] + o, floor, work, target + done, planes, 0,
                    )  # fmt: skip
                    done += vectors * LANES
            if width == 1 or r == step[WINDOW_Y] - 1:
                for j in range(rows):
                    first = 0 if width == 1 else y // step[WINDOW_Y]
                    last = step[Y] // step[WINDOW_Y] if width == 1 else first + 1
                    keep(step, work, step[SCRATCH] + j * plane, o + j, first, last, width)


@inline
def keep(step, work, scratch, o, first, last, width):
    """Rows first..last-1 of output o: from the places in scratch to the target, pooled on the way.

    Scratch holds rows at the pitch of the source; in a panel, only those of the window that is being pooled.
    """
    row, line = step[SOURCE_ROW] * step[STRIDE_Y] * width, step[STRIDE_X] * width
    for y in range(first, last):
        top = scratch * width + (y * step[WINDOW_Y] * row if width == 1 else 0)
        to = (step[TARGET] + o * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
        columns = step[X] // step[WINDOW_X]
        pairs = width == 1 and step[WINDOW_Y] == 2 and step[WINDOW_X] == 2 and step[STRIDE_X] == 1
        if pairs and step[TARGET_ROW] == columns:  # what is written too much is written over by what follows
            max_pairs(top, top + row, columns, work, work, to)
            continue
        if width > 1:
            for lane in range(0, width, 4 * LANES):
                vectors = vectors_at(lane, width)
                max_row(columns, vectors, work, top + lane, step[WINDOW_Y], step[WINDOW_X], row, line, work, to + lane, width)
            continue
        for p in range(columns):
            best = work[top + p * step[WINDOW_X] * line]
            for number in range(1, step[WINDOW_Y] * step[WINDOW_X]):
                here = work[top + number // step[WINDOW_X] * row + (p * step[WINDOW_X] + number % step[WINDOW_X]) * line]
                best = here if here > best or here != here else best
            work[to + p] = best


@inline
def larger(target, values, first):
    """target = the larger of both, or the values at first; NaN wins."""
    if first:
        for i in range(target.size):
            target[i] = values[i]
    else:
        for i in range(target.size):
            target[i] = values[i] if values[i] > target[i] or values[i] != values[i] else target[i]


@inline
def sparse_linear(step, work, values, offsets, starts, biases, width):
    """One output after another, over its kept weights."""
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    source, target = step[SOURCE] * width, step[TARGET] * width
    for o in range(step[OUTPUTS]):
        at = step[STARTS_AT] + o
        lo, hi, bias = step[VALUES_AT] + starts[at], step[VALUES_AT] + starts[at + 1], biases[step[BIAS_AT] + o]
        if width == 1:
            total = bias + gather_dot(work[source : source + step[CHANNELS]], values[lo:hi], offsets[lo:hi])
            work[target + o] = floor if total < floor else total
        else:
            lane = 0
            while lane < width:
                vectors = vectors_at(lane, width)
                y_at = target + o * width + lane
                sparse_row(1, vectors, work, source + lane, 0, offsets, width, values, lo, hi, bias, 0, floor, work, y_at, 0)
                lane += vectors * LANES


@summing_inline
def gather_dot(x, values, offsets):
    """Σ values[p] · x[offsets[p]]."""
    total = np.float32(0)
    for p in range(values.size):
        total += values[p] * x[offsets[p]]
    return total


@inline
def dense_linear(step, work, values, biases, tables, width):
    """Blocks of outputs in a panel; dot products along the inputs for a single image."""
    floor = np.float32(0) if step[RELU] else np.float32(NO_FLOOR)
    K, source, target = step[TAPS], step[SOURCE] * width, step[TARGET] * width
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
        pieces = (step[OUTPUTS] + rows_of(vectors) - 1) // rows_of(vectors)
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


@inline
def pool(step, work, mean, width):
    """The maximum or the mean of each window; windows may overlap."""
    share = np.float32(1 / (step[WINDOW_Y] * step[WINDOW_X]))
    for c in range(step[CHANNELS]):
        for y in range(step[Y]):
            for p in range(step[X]):
                to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW] + p) * width
                target = work[to : to + width]
                corner = step[SOURCE] + c * step[SOURCE_PLANE] + y * step[STRIDE_Y] * step[SOURCE_ROW] + p * step[STRIDE_X]
                for number in range(step[WINDOW_Y] * step[WINDOW_X]):
                    at = (corner + number // step[WINDOW_X] * step[SOURCE_ROW] + number % step[WINDOW_X]) * width
                    here = work[at : at + width]
                    if mean and number > 0:
                        for i in range(width):
                            target[i] += here[i]
                    else:
                        larger(target, here, number == 0)
                if mean:
                    for i in range(width):
                        target[i] *= share
                if step[RELU]:
                    clamp(target)


@inline
def clamp(target):
    """max(x, 0); NaN stays NaN."""
    for i in range(target.size):
        target[i] = 0 if target[i] < 0 else target[i]


@inline
def scale(step, work, values, biases, width):
    """A factor and a shift per channel: a BatchNorm that no convolution could take in; without factors (values_at below 0), a ReLU."""
    for c in range(step[CHANNELS]):
        factor, shift = np.float32(1), np.float32(0)
        if step[VALUES_AT] >= 0:
            factor, shift = values[step[VALUES_AT] + c], biases[step[BIAS_AT] + c]
        for y in range(step[Y]):
            source = (step[SOURCE] + c * step[SOURCE_PLANE] + y * step[SOURCE_ROW]) * width
            to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
            here, target = work[source : source + step[X] * width], work[to : to + step[X] * width]
            for i in range(target.size):
                target[i] = factor * here[i] + shift
            if step[RELU]:
                clamp(target)


@inline
def combine(step, work, add, width):
    """A sum of two regions, or a copy of one."""
    for c in range(step[CHANNELS]):
        for y in range(step[Y]):
            source = (step[SOURCE] + c * step[SOURCE_PLANE] + y * step[SOURCE_ROW]) * width
            to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
            here, target = work[source : source + step[X] * width], work[to : to + step[X] * width]
            for i in range(target.size):
                target[i] = here[i]
            if add:
                other = (step[OTHER] + c * step[OTHER_PLANE] + y * step[OTHER_ROW]) * width
                there = work[other : other + step[X] * width]
                for i in range(target.size):
                    target[i] += there[i]
            if step[RELU]:
                clamp(target)
