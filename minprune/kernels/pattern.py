"""The microkernel for weights of which every ``of`` neighbours keep exactly ``keep``: the fixed count of a pattern n:m, put to use.

    pattern_block    out[i] = start[i] + Σ_p value[i, p] · x[p // keep · of + position[i, p]]    for a block of outputs i

Because all rows keep equally many, one loop serves several of them at once, no row needs a start, and the inputs can be taken in blocks
that stay in the first-level cache. A position within its group fits a byte; where ``keep`` is even, two are loaded at a time.

What it gains seems bounded by loads. A dense block loads each x once for six rows; here every row picks its own, so each multiplication
loads 64 bytes from the first-level cache, and its share of weights and positions on top: 1.4 loads where the dense block needs 0.4.
Measured for LeNet-5's largest layer (500 x 800, batch 256, one thread, AVX-512, ``minprune bench patterns``), milliseconds:

    kept    dense   CSR    n:m     dense / n:m   CSR / n:m
    2:4     1.24    1.91   1.13    1.10          1.69
    4:8     1.24    1.88   1.06    1.17          1.77
    1:4     1.25    0.92   0.76    1.65          1.22
    1:2     1.24    1.94   1.45    0.86          1.33

A quarter of the multiplications is 1.65 times as fast as all of them, half only 1.1 to 1.2 times, and 1:2, whose positions are loaded one
by one, slower than dense. While this kernel was made, prototypes (other heights and widths of a block, rows interleaved in memory, a width
known when compiled) reached 1.0 to 1.24 for 2:4 on a machine that others used too; the best of them were interleaved and would have needed
another storage. With all of x in the first-level cache a prototype did 2.8 billion multiplications of a vector a second where the dense
block did 4.5, which would bound 2:4 near 1.25. That loads are what bounds it is concluded from this, not read from hardware counters. A
convolution's taps need a look-up each, so there CSR, which resolves them beforehand and uses a weight at 16 places, is mostly quicker; the
engine measures, and takes what is. With AVX2, whose sixteen registers leave room for blocks half as wide, 2:4 was slower than dense (0.64).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minprune.kernels.compile import FOUR, N
from minprune.kernels.host import HOST, VECTORS
from minprune.kernels.ir import I64, constant
from minprune.kernels.micro import LANES, first_sums, open_block

HEIGHT = min(HOST.rows(HOST.widest), 4)  # the most rows of a block; more would not leave registers for their addresses
PAIRS = (1, 2)  # positions loaded at once
BLOCKS = {
    1000 * at_once + 100 * rows + vectors: (at_once, rows, vectors)
    for at_once in PAIRS
    for vectors in VECTORS
    for rows in range(1, HEIGHT + 1)
}


@intrinsic
def pattern_block(
    typing,
    rows,
    vectors,
    x,
    x_at,
    width,
    pattern,
    value,
    value_at,
    position,
    position_at,
    start,
    start_at,
    floor,
    out,
    out_at,
    out_offset,
    out_offset_at,
):
    """out[i] = max(floor, start[i] + Σ_p value[i, p] · x[p // keep · of + position[i, p]]) for i < ``rows``, ``vectors`` vectors of each.

    ``pattern`` is (keep, of, kept weights of this block of inputs, kept weights of a whole row): p runs up to the third, and value[i, p] is
    at value_at + i · fourth + p, position[i, p] (uint8) likewise. x[k] starts at x_at + k · width. The rest is as in ``dense_block``.
    """
    signature = types.void(N, N, x, N, N, FOUR, value, N, position, N, start, N, types.float32, out, N, out_offset, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        rows, vectors, x, x_at, width, *rest = a
        x = e.at(x, x_at)

        def source(corner: Any, position: Any) -> Any:
            return e.at(x, e.times(builder.add(corner, position), width))

        return _block(e, context, rows, vectors, width, source, rest)

    return signature, generate


@intrinsic
def tap_pattern_block(
    typing,
    rows,
    vectors,
    x,
    x_at,
    offset,
    width,
    pattern,
    value,
    value_at,
    position,
    position_at,
    start,
    start_at,
    floor,
    out,
    out_at,
    out_offset,
    out_offset_at,
):
    """The same for the taps of a filter, which do not lie side by side: x[k] starts at x_at + offset[k] · width."""
    signature = types.void(N, N, x, N, offset, N, FOUR, value, N, position, N, start, N, types.float32, out, N, out_offset, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        rows, vectors, x, x_at, offset, width, *rest = a
        x = e.at(x, x_at)

        def source(corner: Any, position: Any) -> Any:
            return e.at(x, e.times(e.index(e.at(offset, corner, position)), width))

        return _block(e, context, rows, vectors, width, source, rest)

    return signature, generate


def _block(e: Any, context: Any, rows: Any, vectors: Any, width: Any, source: Any, rest: list[Any]) -> Any:
    """The code of both; ``source(corner, position)`` is the address of the x at that position of the group that begins at ``corner``."""
    builder = e.builder
    pattern, value, value_at, position, position_at, start, start_at, floor, out, out_at, places, places_at = rest
    keep, of, count, row = (builder.extract_value(pattern, n) for n in range(4))
    value, position, floor = e.at(value, value_at), e.at(position, position_at), e.splat(floor)
    out, places = e.at(out, out_at), e.at(places, places_at)

    def block(case: int) -> None:
        at_once, height, wide = BLOCKS[case]
        cells = [(i, j) for i in range(height) for j in range(wide)]
        targets = [e.at(out, e.times(e.index(e.at(places, i)), width)) for i in range(height)]
        values = [e.at(value, e.times(row, i)) for i in range(height)]
        positions = [e.at(position, e.times(row, i)) for i in range(height)]

        def few(p: Any, sums: list[Any], corner: Any) -> list[Any]:
            sums = list(sums)
            for i in range(height):
                bits = builder.bitcast(e.at(positions[i], p), ir.IntType(8 * at_once).as_pointer())
                packed = builder.zext(builder.load(bits, align=1), I64)
                for u in range(at_once):
                    here = source(corner, builder.and_(builder.lshr(packed, constant(8 * u)), constant(255)))
                    w = e.splat(e.number(e.at(values[i], p, u)))
                    for j in range(wide):
                        sums[i * wide + j] = e.fma(w, e.load(e.at(here, j * LANES)), sums[i * wide + j])
            return sums

        def group(g: Any, sums: list[Any]) -> list[Any]:
            """The kept weights of one group; the last may be shorter."""
            first, corner = e.times(g, keep), e.times(g, of)
            end = builder.add(first, keep)
            end = builder.select(builder.icmp_signed("<", end, count), end, count)
            return e.loop(first, end, at_once, sums, lambda p, s: few(p, s, corner))

        groups = builder.sdiv(builder.add(count, builder.sub(keep, constant(1))), keep)
        sums = first_sums(e, cells, targets, start, start_at)
        for (i, j), s in zip(cells, e.loop(constant(0), groups, 1, sums, group), strict=True):
            e.store(e.clamp(s, floor), e.at(targets[i], j * LANES))

    uneven = builder.trunc(builder.or_(keep, count), ir.IntType(1))  # an odd number of weights at the end is no pair either
    at_once = builder.select(uneven, constant(1), constant(2))
    e.switch(builder.add(builder.mul(at_once, constant(1000)), builder.add(builder.mul(rows, constant(100)), vectors)), list(BLOCKS), block)
    return context.get_dummy_value()
