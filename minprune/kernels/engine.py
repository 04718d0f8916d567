"""A whole network in one kernel: each thread carries a panel of images through all layers, so that activations stay in its cache.

The network is a *program*, a table with a row of numbers per step (``fields`` names the columns), and this file is the machine that runs
it. Steps read and write regions of a workspace, counted in positions of ``width`` floats. The same program runs in two layouts:

    panel   ``width`` images side by side at every position, a multiple of the lanes: for batches
    image   one image, ``width`` 1: the lanes run along the rows of the image, and in a Dense layer along the inputs

A convolution's sums go into a little scratch memory (for a single image, over whole rows of the input, what hangs over at their ends
included); what is a place is then kept, and pooled, on its way to the target (``keep_places``). So strides, pooling and both layouts share
one code. A sparse convolution in a panel whose places are neighbours has two shorter ways: without pooling its sums go straight to the
target, and with 2 x 2 pooling only the largest of four leaves the registers (``sparse_windows``). ReLU is the ``floor`` of a sum.

A step is called at the address of its kind's machine code, so that only the kinds that a program has need be compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from minprune.kernels.compile import F, N, address_of, apart, call_by_address, inline
from minprune.kernels.conv_steps import dense_conv, pattern_conv, sparse_conv, wide_sparse_conv
from minprune.kernels.crew import ceil_div, kernel, share
from minprune.kernels.elementwise import copy
from minprune.kernels.fields import ARRAYS, KIND, KINDS, STEP, Array
from minprune.kernels.linear_steps import dense_linear, pattern_linear, sparse_linear, wide_sparse_linear
from minprune.kernels.micro import LANES, transpose_block
from minprune.kernels.unweighted import combine, pool, unary

REGION = types.UniTuple(N, 6)
CODE = {
    "dense_conv": dense_conv,
    "sparse_conv": sparse_conv,
    "wide_sparse_conv": wide_sparse_conv,
    "pattern_conv": pattern_conv,
    "dense_linear": dense_linear,
    "sparse_linear": sparse_linear,
    "wide_sparse_linear": wide_sparse_linear,
    "pattern_linear": pattern_linear,
    "max_pool": pool,
    "mean_pool": pool,
    "scale": unary,
    "exp": unary,
    "inverse": unary,
    "add": combine,
    "mul": combine,
    "copy": combine,
}


def load_code(steps: Array) -> Array:
    """For each kind of step the address of its machine code, int64; compiled, or loaded, are those that occur in ``steps``."""
    code = np.zeros(len(KINDS), np.int64)
    for kind in np.unique(steps[:, KIND]):
        code[kind] = address_of(CODE[KINDS[kind]], STEP)
    return code


@kernel
def run(turn, x, out, work, steps, code, arrays, entry, exits, width):
    """Carry all images x (N, ...) through the program; flat results go to ``out`` (N, features).

    ``work`` is (threads, floats), ``code`` what ``load_code`` returned, ``arrays`` a ``fields.Arrays``; ``entry`` is the input's
    (region, channels, rows, columns, plane, row), ``exits`` has a row of the same for every result.
    """
    n, (_, worker, _) = x.shape[0], turn
    for panel in share(turn, ceil_div(n, width)):
        run_panel(x, out, work[worker], steps, code, arrays, entry, exits, panel * width, min((panel + 1) * width, n), width)


@kernel
def rehearse(turn, work, steps, code, arrays, width, repeats):
    """Run the steps on whatever is in the workspace, ``repeats`` times, on one thread: to be timed."""
    for _ in share(turn, repeats):
        for s in range(steps.shape[0]):
            run_step(code[steps[s, KIND]], steps[s], work, arrays, width)


@apart(
    (
        types.float32[:, ::1], types.float32[:, ::1], F, types.intp[:, ::1], types.intp[::1], ARRAYS, REGION, types.intp[:, ::1], N, N, N,
    )
)  # fmt: skip
def run_panel(x, out, work, steps, code, arrays, entry, exits, first, last, width):
    """The images first..last-1, through all steps."""
    load(x, work, entry, first, last, width)
    for s in range(steps.shape[0]):
        run_step(code[steps[s, KIND]], steps[s], work, arrays, width)
    at = 0
    for e in range(exits.shape[0]):
        at = unload(work, out, exits[e], first, last, width, at)


@intrinsic
def run_step(typing, address, step, work, arrays, width):
    """One step, by the machine code at ``address``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        call_by_address(context, builder, values[0], STEP, values[1:])
        return context.get_dummy_value()

    return types.void(N, *STEP), generate


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
