"""ReLU, and what moves or adds up numbers without multiplying them; arrays come flat."""

from __future__ import annotations

import numpy as np

from minprune.kernels.compile import inline
from minprune.kernels.crew import ceil_div, kernel, share, summing_kernel
from minprune.kernels.micro import LANES, transpose_block

CHUNK = 1 << 14  # elements of a task


@inline
def clear(a, at, count):
    """Zeros in ``count`` elements from ``at``."""
    part = a[at : at + count]
    for i in range(count):
        part[i] = 0


@inline
def copy(a, a_at, out, out_at, count):
    """``count`` elements from one array to another."""
    source, target = a[a_at : a_at + count], out[out_at : out_at + count]
    for i in range(count):
        target[i] = source[i]


@kernel
def relu(turn, x, out):
    """max(x, 0); NaN stays NaN."""
    for task in share(turn, ceil_div(x.size, CHUNK)):
        start = task * CHUNK
        xs, ys = x[start : start + CHUNK], out[start : start + CHUNK]
        for i in range(xs.size):
            ys[i] = 0 if xs[i] < 0 else xs[i]


@kernel
def relu_grad(turn, grad, out, dx):
    """dx: the gradient where the output is above zero, or NaN."""
    for task in share(turn, ceil_div(grad.size, CHUNK)):
        start = task * CHUNK
        gs, ys, ds = grad[start : start + CHUNK], out[start : start + CHUNK], dx[start : start + CHUNK]
        for i in range(gs.size):
            ds[i] = 0 if ys[i] <= 0 else gs[i]


@kernel
def add(turn, a, b, out):
    """a + b."""
    for task in share(turn, ceil_div(a.size, CHUNK)):
        part = slice(task * CHUNK, (task + 1) * CHUNK)
        add_part(a[part], b[part], out[part])


@inline
def add_part(a, b, out):
    """The sum of one chunk."""
    for i in range(a.size):
        out[i] = a[i] + b[i]


@kernel
def masked(turn, a, keep, out):
    """a where ``keep``, else zero."""
    for task in share(turn, ceil_div(a.size, CHUNK)):
        part = slice(task * CHUNK, (task + 1) * CHUNK)
        masked_part(a[part], keep[part], out[part])


@inline
def masked_part(a, keep, out):
    """One chunk."""
    for i in range(a.size):
        out[i] = a[i] if keep[i] else 0


@kernel
def transpose(turn, a, out, rows, columns, a_row, out_row):
    """out[j, i] = a[i, j], a with rows ``a_row`` apart and out with rows ``out_row`` apart; in squares, for the cache's sake."""
    for task in share(turn, ceil_div(columns, LANES)):
        transpose_columns(a, out, rows, task * LANES, min((task + 1) * LANES, columns), a_row, out_row)


@inline
def transpose_columns(a, out, rows, first, last, a_row, out_row):
    """Columns first..last-1 of a, at most LANES of them."""
    whole = rows // LANES * LANES if last - first == LANES else 0
    for i in range(0, whole, LANES):
        transpose_block(a, i * a_row + first, a_row, out, first * out_row + i, out_row)
    for j in range(first, last):
        for i in range(whole, rows):
            out[j * out_row + i] = a[i * a_row + j]


@summing_kernel
def row_sums(turn, a, sums):
    """sums[i] of the i-th of ``sums.size`` equal runs of a."""
    length = a.size // sums.size
    for i in share(turn, sums.size):
        run = a[i * length : (i + 1) * length]
        total = np.float32(0)
        for j in range(length):
            total += run[j]
        sums[i] = total


@kernel
def pad(turn, x, out, C, image, margin, width):
    """Copy images (C, H, W, width) into the middle of ``out`` (C, H + 2·py, W + 2·px, width), zeros around them."""
    H, W = image
    py, px = margin
    row = (W + 2 * px) * width
    for c in share(turn, C):
        for y in range(H + 2 * py):
            at = (c * (H + 2 * py) + y) * row
            if y < py or y >= H + py:
                clear(out, at, row)
            else:
                clear(out, at, px * width)
                copy(x, (c * H + y - py) * W * width, out, at + px * width, W * width)
                clear(out, at + (px + W) * width, px * width)


@kernel
def crop(turn, x, out, C, image, margin, width):
    """The opposite of ``pad``: ``out`` (C, H, W, width) is the middle of x."""
    H, W = image
    py, px = margin
    for c in share(turn, C):
        for y in range(H):
            at = ((c * (H + 2 * py) + y + py) * (W + 2 * px) + px) * width
            copy(x, at, out, (c * H + y) * W * width, W * width)
