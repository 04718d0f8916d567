"""A whole network in one kernel: each thread carries a panel of images through all layers, so that activations stay in its cache.

The network is a *program*, a table with a row of numbers per step (``fields`` names the columns), and this file is the machine that runs
it. Steps read and write regions of a workspace, counted in positions of ``width`` floats. The same program runs in two layouts:

    panel   ``width`` images side by side at every position, a multiple of the lanes: for batches
    image   one image, ``width`` 1: the lanes run along the rows of the image, and in a Dense layer along the inputs

A convolution runs over whole rows of its input, what hangs over at their ends included, into a little scratch memory, output by output;
what is a place is then kept (and pooled, and clamped by ReLU) on its way to the target. So strides, pooling and both layouts share one
code.
"""

from __future__ import annotations

from numba import types

from minprune.kernels.compile import B, F, H, I, N, apart, inline
from minprune.kernels.crew import kernel, share
from minprune.kernels.elementwise import copy
from minprune.kernels.fields import (
    DENSE_CONV,
    DENSE_LINEAR,
    EXP,
    INVERSE,
    KIND,
    MAX_POOL,
    MEAN_POOL,
    PATTERN_CONV,
    PATTERN_LINEAR,
    SCALE,
    SPARSE_CONV,
    SPARSE_LINEAR,
    WIDE,
)
from minprune.kernels.micro import LANES, transpose_block
from minprune.kernels.unweighted import combine, pool, unary
from minprune.kernels.weighted import STEP, dense_conv, dense_linear, pattern_linear, sparse_conv, sparse_linear

ARRAYS = types.Tuple((F, F, H, F, I, I, F, I, B))
REGION = types.UniTuple(N, 6)


@kernel
def run(turn, x, out, work, steps, arrays, entry, exits, width):
    """Carry all images x (N, ...) through the program; flat results go to ``out`` (N, features).

    ``work`` is (threads, floats). ``arrays`` is (dense weights and those of patterns, kept weights with 16-bit offsets, those offsets, the
    same with 32 bits, row starts, biases, tables, positions of patterns); ``entry`` is the input's (region, channels, rows, columns,
    plane, row), ``exits`` has a row of the same for every result.
    """
    n, (_, worker, _) = x.shape[0], turn
    for panel in share(turn, (n + width - 1) // width):
        run_panel(x, out, work[worker], steps, arrays, entry, exits, panel * width, min((panel + 1) * width, n), width)


@kernel
def rehearse(turn, work, steps, arrays, width, repeats):
    """Run the steps on whatever is in the workspace, ``repeats`` times, on one thread: to be timed."""
    for _ in share(turn, repeats):
        for s in range(steps.shape[0]):
            run_step(steps[s], work, arrays, width)


@apart((types.float32[:, ::1], types.float32[:, ::1], F, types.intp[:, ::1], ARRAYS, REGION, types.intp[:, ::1], N, N, N))
def run_panel(x, out, work, steps, arrays, entry, exits, first, last, width):
    """The images first..last-1, through all steps."""
    load(x, work, entry, first, last, width)
    for s in range(steps.shape[0]):
        run_step(steps[s], work, arrays, width)
    at = 0
    for e in range(exits.shape[0]):
        at = unload(work, out, exits[e], first, last, width, at)


@apart((STEP, F, ARRAYS, N))
def run_step(step, work, arrays, width):
    """One step, of whatever kind."""
    dense, narrow, narrow_offsets, wide, wide_offsets, starts, biases, tables, positions = arrays
    kind = step[KIND]
    if kind == SPARSE_CONV:
        if step[WIDE]:
            sparse_conv(step, work, wide, wide_offsets, starts, biases, width)
        else:
            sparse_conv(step, work, narrow, narrow_offsets, starts, biases, width)
    elif kind in (DENSE_CONV, PATTERN_CONV):
        dense_conv(step, work, dense, positions, biases, tables, width)
    elif kind == SPARSE_LINEAR:
        if step[WIDE]:
            sparse_linear(step, work, wide, wide_offsets, starts, biases, width)
        else:
            sparse_linear(step, work, narrow, narrow_offsets, starts, biases, width)
    elif kind == DENSE_LINEAR:
        dense_linear(step, work, dense, biases, tables, width)
    elif kind == PATTERN_LINEAR:
        pattern_linear(step, work, dense, positions, biases, tables, width)
    elif kind in (MAX_POOL, MEAN_POOL):
        pool(step, work, kind == MEAN_POOL, width)
    elif kind in (SCALE, EXP, INVERSE):
        unary(step, work, dense, biases, width)
    else:
        combine(step, work, width)


@inline
def load(x, work, entry, first, last, width):
    """Lay the images' values side by side; lanes without an image are zero."""
    region, channels, rows, columns, plane, row = entry
    if row == columns and plane == rows * columns:  # one run of neighbours
        channels, rows, columns = 1, 1, channels * rows * columns
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
