"""Dense products in lockstep: convolution and the Dense layer, forward and backward.

A Dense layer is the convolution whose image is a single position: C taps, one place. All arrays come flat; ``fast.tables`` makes offsets.
Letters: O out-channels, K = C·R·S taps of a filter, Y X output places, ``width`` lanes of a position.

    forward       y[o, place]       = b[o] + Σ_k w[o, k] · x[tap k + place]
    input grad    dx[tap k + place] += Σ_o w[o, k] · dy[o, place]
    weight grad   dw[o, k]          = Σ_{place, image} dy[o, place] · x[tap k + place]

Whoever computes fast soon waits for memory, so the loops are nested for the caches: forward and input gradient do everything that there is
to do with one place before they go to the next, and the weight gradient walks over the images in bands of rows that fit the second-level
cache. No two tasks write to the same place: forward is shared out by bands of rows and blocks of outputs, the input gradient by lanes and
channels, the weight gradient by blocks of weights. ``parts`` is how many tasks are wanted.
"""

from __future__ import annotations

from minprune.kernels.compile import FOUR, PAIR, F, I, N, apart, inline
from minprune.kernels.crew import ceil_div, kernel, part, share
from minprune.kernels.host import HOST
from minprune.kernels.micro import LANES, NO_FLOOR, dense_block, dot_block

WIDEST = HOST.widest
ROWS_4, ROWS_2, ROWS_1 = HOST.rows(4), HOST.rows(2), HOST.rows(1)
ROWS = HOST.rows(WIDEST)
DOT_ROWS, DOT_TAPS = HOST.dot_rows, HOST.dot_taps
BAND = 3 << 16  # floats of a band of both images: 768 KiB
GROUP = 4 * LANES  # lanes of a task of the input gradient


@inline
def vectors_at(lane, width):
    """How many vectors a block at ``lane`` takes: 4, 2 or 1, whatever is left of ``width`` and the processor has registers for."""
    left = min((width - lane) // LANES, WIDEST)
    return 4 if left >= 4 else (2 if left >= 2 else 1)


@inline
def rows_of(vectors):
    """The most rows of a block that is ``vectors`` wide."""
    return ROWS_4 if vectors == 4 else (ROWS_2 if vectors == 2 else ROWS_1)


@kernel
def forward(turn, x, taps, w, bias, out, planes, image, width, parts):
    """y of a convolution or Dense layer. ``planes[o]`` is where output o's plane starts; ``image`` is (Y, X, rows apart, columns apart)."""
    bands = min(image[0], parts)
    blocks = min(ceil_div(parts, bands), ceil_div(planes.size, ROWS))
    for task in share(turn, bands * blocks):
        band, block = task // blocks, task % blocks
        rows = part(band, bands, image[0]), part(band + 1, bands, image[0])
        outputs = part(block, blocks, planes.size), part(block + 1, blocks, planes.size)
        forward_task(x, taps, w, bias, out, planes, rows, outputs, image, width)


@apart((F, I, F, F, F, I, PAIR, PAIR, FOUR, N))
def forward_task(x, taps, w, bias, out, planes, rows, outputs, image, width):
    """Some outputs at some rows of places."""
    (_, columns, x_row, x_column), K = image, taps.size
    first, count = outputs[0], outputs[1] - outputs[0]
    lane = 0
    while lane < width:
        vectors = vectors_at(lane, width)
        pieces = ceil_div(count, rows_of(vectors))
        for y in range(rows[0], rows[1]):
            for c in range(columns):
                x_at, y_at = (y * x_row + c * x_column) * width + lane, (y * columns + c) * width + lane
                for i in range(pieces):
                    o = first + part(i, pieces, count)
                    height = first + part(i + 1, pieces, count) - o
                    dense_block(height, vectors, x, x_at, taps, width, K, w, o * K, K, 1, bias, o, NO_FLOOR, out, y_at, planes, o)
        lane += vectors * LANES


@kernel
def input_grad(turn, dy, planes, w, dx, taps, per_channel, plane, image, width, parts):
    """dx, set to zero and summed up; ``per_channel`` taps belong to a channel, whose image has ``plane`` positions."""
    channels = taps.size // per_channel
    groups = ceil_div(width, GROUP)
    ranges = min(ceil_div(parts, groups), channels)
    for task in share(turn, groups * ranges):
        group, i = task // ranges, task % ranges
        lanes = group * GROUP, min((group + 1) * GROUP, width)
        input_grad_task(
            dy, planes, w, dx, taps, (part(i, ranges, channels), part(i + 1, ranges, channels)), lanes, per_channel, plane, image, width
        )


@apart((F, I, F, F, I, PAIR, PAIR, N, N, FOUR, N))
def input_grad_task(dy, planes, w, dx, taps, channels, lanes, per_channel, plane, image, width):
    """Some channels in some lanes."""
    rows, columns, x_row, x_column = image
    for p in range(channels[0] * plane, channels[1] * plane):
        target = dx[p * width + lanes[0] : p * width + lanes[1]]
        for i in range(target.size):
            target[i] = 0
    first, count, K = channels[0] * per_channel, (channels[1] - channels[0]) * per_channel, taps.size
    lane = lanes[0]
    while lane < lanes[1]:
        vectors = vectors_at(lane, lanes[1])
        pieces = ceil_div(count, rows_of(vectors))
        for y in range(rows):
            for c in range(columns):
                y_at, x_at = (y * columns + c) * width + lane, (y * x_row + c * x_column) * width + lane
                for i in range(pieces):
                    k = first + part(i, pieces, count)
                    height = first + part(i + 1, pieces, count) - k
                    dense_block(height, vectors, dy, y_at, planes, width, planes.size, w, k, 1, K, w, -1, NO_FLOOR, dx, x_at, taps, k)
        lane += vectors * LANES


@kernel
def weight_grad(turn, x, taps, dy, dw, image, width, parts):
    """dw of a convolution: dot products over all places and images."""
    blocks = ceil_div(dw.size // taps.size, DOT_ROWS) * ceil_div(taps.size, DOT_TAPS)
    tasks = min(parts, blocks)
    for task in share(turn, tasks):
        weight_grad_task(x, taps, dy, dw, (part(task, tasks, blocks), part(task + 1, tasks, blocks)), image, width)


@apart((F, I, F, F, PAIR, FOUR, N))
def weight_grad_task(x, taps, dy, dw, blocks, image, width):
    """Some blocks of weights, band by band."""
    (Y, X, x_row, x_column), K = image, taps.size
    outputs = dw.size // K
    row_blocks, tap_blocks = ceil_div(outputs, DOT_ROWS), ceil_div(K, DOT_TAPS)
    if x_column == 1:  # neighbours in both images are neighbours in memory: a line is a whole row
        line, runs = (1, 0, 0), X * width // LANES
    else:
        line, runs = (X, x_column * width, width), width // LANES
    bands = min(ceil_div(dy.size + Y * x_row * width * (taps[K - 1] // (Y * x_row) + 1), BAND), Y)
    for band in range(bands):
        y = part(band, bands, Y)
        page = part(band + 1, bands, Y) - y, x_row * width, X * width
        for block in range(blocks[0], blocks[1]):
            i, j = block // tap_blocks, block % tap_blocks
            o, k = part(i, row_blocks, outputs), part(j, tap_blocks, K)
            rows, many = part(i + 1, row_blocks, outputs) - o, part(j + 1, tap_blocks, K) - k
            y_at, x_at = (o * Y + y) * X * width, y * x_row * width
            dot_block(rows, many, x, x_at, taps, k, width, dy, y_at, Y * X * width, page, line, runs, band, dw, o * K + k, K)


@kernel
def outer(turn, x, dy, dw, each, rows_at, zeros, width, parts):
    """dw (O, C) of a Dense layer from the inputs x (N, C), one after another, and dy in lanes: Σ_n dy[o, n] · x[n]. C is at least LANES."""
    tasks = min(parts, ceil_div(rows_at.size, ROWS))
    for task in share(turn, tasks):
        outer_task(x, dy, dw, each, rows_at, zeros, (part(task, tasks, rows_at.size), part(task + 1, tasks, rows_at.size)), width)


@apart((F, F, F, I, I, F, PAIR, N))
def outer_task(x, dy, dw, each, rows_at, zeros, outputs, width):
    """The weights of some outputs."""
    C, first, count = dw.size // rows_at.size, outputs[0], outputs[1] - outputs[0]
    c = 0
    while c < C:
        vectors = vectors_at(c, max(C, c + LANES))
        at = min(c, C - vectors * LANES)  # the last block overlaps the one before rather than end in a rest
        pieces = ceil_div(count, rows_of(vectors))
        for i in range(pieces):
            o = first + part(i, pieces, count)
            height = first + part(i + 1, pieces, count) - o
            dense_block(height, vectors, x, at, each, C, each.size, dy, o * width, width, 1, zeros, o, NO_FLOOR, dw, at, rows_at, o)
        c += vectors * LANES
