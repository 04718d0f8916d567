"""Products with a pruned weight while training: work in proportion to what is kept.

A sparse weight is written down twice: by rows (for each output its kept taps) for forward and weight gradient, and by columns (for each tap
the outputs that keep it) for the input gradient. ``starts`` are where rows or columns begin; positions are offsets as in ``products``.

    forward       y[o, place]        = b[o] + Σ over the kept taps of o:      value · x[tap + place]
    input grad    dx[tap + place]    += Σ over the outputs that keep tap:     value · dy[o, place]
    weight grad   dvalue             = Σ_{place, image} dy[o, place] · x[tap + place]      for every kept weight, and no other

A Dense layer has a single place, so that a whole row reads all of x once, which is more than a first-level cache holds. ``point_forward``
therefore takes a block of x that fits, and for it all the rows, before the next; the weights lie in that order, so that they are read
straight through. A task is a strip of the batch: each thread needs its images only, and all weights. The input gradient of such a layer
is the same product with the weight by columns.
"""

from __future__ import annotations

import numpy as np

from minprune.kernels.compile import FOUR, PAIR, F, H, I, N, X, apart, inline
from minprune.kernels.crew import ceil_div, kernel, part, share
from minprune.kernels.host import HOST
from minprune.kernels.micro import LANES, NO_FLOOR, dot_block, sparse_row

PLACES = HOST.places
DOT_TAPS = HOST.dot_taps
STRIP = HOST.strip
NEAR = HOST.near // (STRIP * LANES)  # positions of such a strip that stay near


@apart(*((F, N, F, N, N, offsets, N, F, N, N, X, N, X) for offsets in (I, H)))
def sparse_run(x, x_at, out, out_at, vectors, offsets, width, values, lo, hi, bias, add, floor):
    """A sparse row at a run of neighbouring places, ``vectors`` vectors long; on top of what ``out`` holds where ``add`` is not 0."""
    done = 0
    pieces = ceil_div(vectors, PLACES)
    for i in range(pieces):
        many = part(i + 1, pieces, vectors) - done
        here, there = x_at + done * LANES, out_at + done * LANES
        sparse_row(many, x, here, LANES, offsets, width, values, lo, hi, bias, add, floor, out, there, LANES)
        done += many


@inline
def sparse_places(x, x_at, x_step, out, out_at, out_step, places, offsets, width, values, lo, hi, bias, add):
    """A sparse row at ``places`` places that are ``x_step`` and ``out_step`` floats apart."""
    if x_step == width and out_step == width:
        sparse_run(x, x_at, out, out_at, places * width // LANES, offsets, width, values, lo, hi, bias, add, NO_FLOOR)
        return
    for p in range(places):
        sparse_run(x, x_at + p * x_step, out, out_at + p * out_step, width // LANES, offsets, width, values, lo, hi, bias, add, NO_FLOOR)


@kernel
def gather(turn, w, index, values, parts):
    """values = w[index]."""
    tasks = min(parts, index.size)
    for task in share(turn, tasks):
        for p in range(part(task, tasks, index.size), part(task + 1, tasks, index.size)):
            values[p] = w[index[p]]


@kernel
def point_forward(turn, x, taps, values, starts, bias, out, width, threads):
    """y (O, width) of x (K, width); the weights of row o in block b of x are starts[b · O + o] <= p < starts[b · O + o + 1]."""
    strips = ceil_div(width, STRIP * LANES)
    bands = min(ceil_div(threads, strips), bias.size)
    for task in share(turn, strips * bands):
        strip, band = task // bands, task % bands
        vectors = part(strip, strips, width // LANES), part(strip + 1, strips, width // LANES)
        rows = part(band, bands, bias.size), part(band + 1, bands, bias.size)
        point_forward_task(x, taps, values, starts, bias, out, rows, vectors, width)


@apart((F, I, F, I, F, F, PAIR, PAIR, N))
def point_forward_task(x, taps, values, starts, bias, out, rows, vectors, width):
    """Some rows, for some neighbouring vectors of images."""
    many, lane = vectors[1] - vectors[0], vectors[0] * LANES
    for first in range(0, starts.size - 1, bias.size):
        for o in range(rows[0], rows[1]):
            lo, hi = starts[first + o], starts[first + o + 1]
            if lo < hi or first == 0:
                sparse_row(many, x, lane, LANES, taps, width, values, lo, hi, bias[o], first, NO_FLOOR, out, o * width + lane, LANES)


@kernel
def forward(turn, x, offsets, values, starts, bias, out, image, width, parts):
    """y (O, Y, X, width), flat; ``image`` is (Y, X, rows apart, columns apart) as in ``products``."""
    bands = min(image[0], parts)
    blocks = min(ceil_div(parts, bands), bias.size)
    for task in share(turn, bands * blocks):
        band, block = task // blocks, task % blocks
        rows = part(band, bands, image[0]), part(band + 1, bands, image[0])
        outputs = part(block, blocks, bias.size), part(block + 1, blocks, bias.size)
        forward_task(x, offsets, values, starts, bias, out, rows, outputs, image, width)


@apart((F, I, F, I, F, F, PAIR, PAIR, FOUR, N))
def forward_task(x, offsets, values, starts, bias, out, rows, outputs, image, width):
    """Some outputs at some rows of places."""
    lines, columns, x_row, x_column = image
    for y in range(rows[0], rows[1]):
        for o in range(outputs[0], outputs[1]):
            x_at, y_at = y * x_row * width, (o * lines + y) * columns * width
            lo, hi = starts[o], starts[o + 1]
            sparse_places(x, x_at, x_column * width, out, y_at, width, columns, offsets, width, values, lo, hi, bias[o], 0)


@kernel
def input_grad(turn, dy, planes, values, starts, dx, taps, per_channel, plane, image, width, parts):
    """dx, set to zero and summed up; ``planes`` are where the planes of dy begin that belong to each value, column by column."""
    channels = taps.size // per_channel
    tasks = min(parts, channels)
    for task in share(turn, tasks):
        chosen = part(task, tasks, channels), part(task + 1, tasks, channels)
        input_grad_task(dy, planes, values, starts, dx, taps, chosen, per_channel, plane, image, width)


@apart((F, I, F, I, F, I, PAIR, N, N, FOUR, N))
def input_grad_task(dy, planes, values, starts, dx, taps, channels, per_channel, plane, image, width):
    """Some channels."""
    rows, columns, x_row, x_column = image
    for c in range(channels[0], channels[1]):
        cleared = dx[c * plane * width : (c + 1) * plane * width]
        for i in range(cleared.size):
            cleared[i] = 0
        for k in range(c * per_channel, (c + 1) * per_channel):
            lo, hi = starts[k], starts[k + 1]
            if lo == hi:
                continue
            for y in range(rows):
                x_at, y_at = (taps[k] + y * x_row) * width, y * columns * width
                sparse_places(dy, y_at, width, dx, x_at, x_column * width, columns, planes, width, values, lo, hi, np.float32(0), 1)


@kernel
def weight_grad(turn, x, offsets, index, starts, dy, grads, dw, image, width, parts):
    """dw, zero but at ``index``, where the kept weights lie; ``grads`` is memory for their gradients in a row."""
    outputs = starts.size - 1
    tasks = min(parts, outputs)
    for task in share(turn, tasks):
        first, last = part(task, tasks, outputs), part(task + 1, tasks, outputs)
        weight_grad_task(x, offsets, starts, dy, grads, first, last, image, width)
        spread(grads, index, dw, starts, first, last)


@apart((F, I, I, F, F, N, N, FOUR, N))
def weight_grad_task(x, offsets, starts, dy, grads, first, last, image, width):
    """The rows first..last-1."""
    rows, columns, x_row, x_column = image
    page = rows, x_row * width, columns * width
    if x_column == 1:
        line, runs = (1, 0, 0), columns * width // LANES
    else:
        line, runs = (columns, x_column * width, width), width // LANES
    for o in range(first, last):
        p = starts[o]
        while p < starts[o + 1]:
            many = min(DOT_TAPS, starts[o + 1] - p)
            dot_block(1, many, x, 0, offsets, p, width, dy, o * rows * columns * width, 0, page, line, runs, 0, grads, p, 0)
            p += many


@inline
def spread(grads, index, dw, starts, first, last):
    """The gradients of the rows first..last-1 to their places, and zeros to all others."""
    size = dw.size // (starts.size - 1)
    for i in range(first * size, last * size):
        dw[i] = 0
    for p in range(starts[first], starts[last]):
        dw[index[p]] = grads[p]
