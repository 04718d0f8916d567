"""The microkernels on which every product of the package runs.

All see memory as *positions*: a position is a run of ``width`` float32 numbers, one per image of the batch, so that one instruction works
on as many images as a vector has lanes.

    dense_block    out[i] = start[i] + Σ_k w[i, k] · x[offset[k]]           for a block of outputs i
    sparse_row     out[t] = start + Σ_p value[p] · x[offset[p] + t]         for one output at places t, over its kept weights p
    sparse_window  the largest of the four sums of a window of 2 x 2 such places, for a few windows side by side
    sparse_dot     Σ_p value[p] · x[offset[p]]                              for one output and one image: no lanes to march in
    dot_block      out[i, j] = Σ dy[i] · x[offset[j]]                       over places and images, for a block of weights (i, j)

Each is a numba intrinsic whose loop holds all its sums in registers; the block's size is an argument, and for every size there is code of
its own. Arrays come flat, every ``_at`` is an index into one, and nothing is checked: that is done at the doors (``ops``, ``sparse``).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minprune.kernels.compile import N
from minprune.kernels.host import HOST, VECTORS
from minprune.kernels.ir import F32, I32, Emitter, constant

LANES = HOST.lanes
NO_FLOOR = float("-inf")  # as ``floor``: no ReLU
DENSE_BLOCKS = {100 * rows + vectors: (rows, vectors) for vectors in VECTORS for rows in range(1, HOST.rows(vectors) + 1)}
SPARSE_BLOCKS = range(1, HOST.places + 1)
WINDOW_BLOCKS = {100 * n + vectors: (n, vectors) for vectors in VECTORS for n in range(1, HOST.windows(vectors) + 1)}
DOT_BLOCKS = {100 * rows + taps: (rows, taps) for rows in range(1, HOST.dot_rows + 1) for taps in range(1, HOST.dot_taps + 1)}
CHAINS = 8  # sums that must be under way at once to hide the latency of an addition


def open_block(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Emitter, list[Any]]:
    """An emitter, and the arguments with every array replaced by the address of its first element."""
    e = Emitter(builder, LANES)
    kinds = signature.args
    return e, [e.pointer(context, k, a) if isinstance(k, types.Array) else a for k, a in zip(kinds, arguments, strict=True)]


def first_sums(e: Emitter, cells: list[tuple[int, int]], targets: list[Any], start: Any, start_at: Any) -> list[Any]:
    """What the sums of a block begin with: the j-th vector at targets[i] where ``start_at`` is negative, else start[i]; (i, j) in cells."""

    def from_memory() -> list[Any]:
        return [e.load(e.at(targets[i], j * LANES)) for i, j in cells]

    def from_numbers() -> list[Any]:
        numbers = [e.splat(e.number(e.at(start, start_at, i))) for i in range(len(targets))]
        return [numbers[i] for i, _ in cells]

    return e.either(e.builder.icmp_signed("<", start_at, constant(0)), from_memory, from_numbers)


def _key(builder: Any, first: Any, second: Any) -> Any:
    return builder.add(builder.mul(first, constant(100)), second)


@intrinsic
def dense_block(
    typing,
    rows,
    vectors,
    x,
    x_at,
    offset,
    width,
    count,
    w,
    w_at,
    w_row,
    w_step,
    start,
    start_at,
    floor,
    out,
    out_at,
    out_offset,
    out_offset_at,
):
    """out[i] = max(floor, start[i] + Σ_k w[i, k] · x[offset[k]]) for i < ``rows`` and k < ``count``, ``vectors`` vectors of each.

    x[offset[k]] starts at x_at + offset[k] · width; w[i, k] is at w_at + i · w_row + k · w_step; out[i] starts at
    out_at + out_offset[out_offset_at + i] · width. start[i] is the number at start_at + i; where ``start_at`` is negative the sums go on
    from what ``out`` holds. Each x is loaded once and used ``rows`` times.
    """
    signature = types.void(N, N, x, N, offset, N, N, w, N, N, N, start, N, types.float32, out, N, out_offset, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        rows, vectors, x, x_at, offset, width, count, w, w_at, w_row, w_step, start, start_at, floor, out, out_at, places, places_at = a
        x, w, out, places, floor = e.at(x, x_at), e.at(w, w_at), e.at(out, out_at), e.at(places, places_at), e.splat(floor)

        def block(case: int) -> None:
            height, wide = DENSE_BLOCKS[case]
            cells = [(i, j) for i in range(height) for j in range(wide)]
            targets = [e.at(out, e.times(e.index(e.at(places, i)), width)) for i in range(height)]

            def step(k: Any, sums: list[Any]) -> list[Any]:
                source = e.at(x, e.times(e.index(e.at(offset, k)), width))
                xs = [e.load(e.at(source, j * LANES)) for j in range(wide)]
                column = e.at(w, e.times(w_step, k))
                ws = [e.splat(e.number(e.at(column, e.times(w_row, i)))) for i in range(height)]
                return [e.fma(ws[i], xs[j], s) for (i, j), s in zip(cells, sums, strict=True)]

            sums = e.loop(constant(0), count, 1, first_sums(e, cells, targets, start, start_at), step)
            for (i, j), s in zip(cells, sums, strict=True):
                e.store(e.clamp(s, floor), e.at(targets[i], j * LANES))

        e.switch(_key(builder, rows, vectors), list(DENSE_BLOCKS), block)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sparse_row(typing, places, x, x_at, x_step, offset, width, value, lo, hi, start, from_out, floor, out, out_at, out_step):
    """out[t] = max(floor, start + Σ_{lo <= p < hi} value[p] · x[offset[p] + t]) at ``places`` places t, a vector of each.

    x[offset[p] + t] starts at x_at + offset[p] · width + t · x_step, out[t] at out_at + t · out_step. Where ``from_out`` is not 0 the sums
    go on from what ``out`` holds, and ``start`` does not matter. Each weight is loaded once and used at all places.
    """
    signature = types.void(N, x, N, N, offset, N, value, N, N, types.float32, N, types.float32, out, N, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        places, x, x_at, x_step, offset, width, value, lo, hi, start, from_out, floor, out, out_at, out_step = a
        x, out, start, floor = e.at(x, x_at), e.at(out, out_at), e.splat(start), e.splat(floor)

        def block(many: int) -> None:
            unroll = max(CHAINS // many, 1)
            targets = [e.at(out, e.times(out_step, t)) for t in range(many)]
            steps = [e.times(x_step, t) for t in range(many)]

            def one(p: Any, sums: list[Any]) -> list[Any]:
                w = e.splat(e.number(e.at(value, p)))
                source = e.at(x, e.times(e.index(e.at(offset, p)), width))
                return [e.fma(w, e.load(e.at(source, step)), s) for step, s in zip(steps, sums, strict=True)]

            def several(p: Any, sums: list[Any]) -> list[Any]:
                groups = [sums[u::unroll] for u in range(unroll)]
                groups = [one(builder.add(p, constant(u)), group) for u, group in enumerate(groups)]
                return [group[n] for n in range(many) for group in groups]

            first = e.either(builder.icmp_signed("!=", from_out, constant(0)), lambda: [e.load(t) for t in targets], lambda: [start] * many)
            if unroll == 1:
                sums = e.loop(lo, hi, 1, first, one)
            else:
                whole = builder.add(lo, builder.mul(builder.sdiv(builder.sub(hi, lo), constant(unroll)), constant(unroll)))
                spread = [s if u == 0 else e.zero() for s in first for u in range(unroll)]
                spread = e.loop(lo, whole, unroll, spread, several)
                sums = [e.total(spread[n * unroll : (n + 1) * unroll]) for n in range(many)]
                sums = e.loop(whole, hi, 1, sums, one)
            for target, s in zip(targets, sums, strict=True):
                e.store(e.clamp(s, floor), target)

        e.switch(places, SPARSE_BLOCKS, block)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sparse_window(typing, windows, vectors, x, x_at, x_row, offset, width, value, lo, hi, start, floor, out, out_at):
    """out[q] = max(floor, the largest of start + Σ_{lo <= p < hi} value[p] · x[offset[p] + t] at the 2 x 2 places t of window q).

    For ``windows`` windows q side by side, ``vectors`` vectors of each. Place (r, s) of window q starts at
    x_at + r · x_row + (2 · q + s) · width behind x[offset[p]], out[q] at out_at + q · width. NaN wins.
    """
    signature = types.void(N, N, x, N, N, offset, N, value, N, N, types.float32, types.float32, out, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        windows, vectors, x, x_at, x_row, offset, width, value, lo, hi, start, floor, out, out_at = a
        x, out, start, floor = e.at(x, x_at), e.at(out, out_at), e.splat(start), e.splat(floor)

        def block(case: int) -> None:
            many, wide = WINDOW_BLOCKS[case]
            places = [e.times(width, t) for t in range(2 * many)]

            def step(p: Any, sums: list[Any]) -> list[Any]:
                w = e.splat(e.number(e.at(value, p)))
                upper = e.at(x, e.times(e.index(e.at(offset, p)), width))
                corners = [e.at(row, place) for row in (upper, e.at(upper, x_row)) for place in places]
                xs = [e.load(e.at(corner, j * LANES)) for corner in corners for j in range(wide)]
                return [e.fma(w, here, s) for here, s in zip(xs, sums, strict=True)]

            sums = e.loop(lo, hi, 1, [start] * (4 * many * wide), step)
            tall = [e.larger(a, b) for a, b in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :], strict=True)]
            for q in range(many):
                for j in range(wide):
                    left = 2 * q * wide + j
                    e.store(e.clamp(e.larger(tall[left], tall[left + wide]), floor), e.at(out, places[q], j * LANES))

        e.switch(_key(builder, windows, vectors), list(WINDOW_BLOCKS), block)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sparse_dot(typing, x, x_at, offset, value, lo, hi):
    """Σ_{lo <= p < hi} value[p] · x[offset[p]], where x[offset] is at x_at + offset.

    The numbers of x are put into vectors one by one: the processor's own instruction for that, a gather, is slower than it looks (with
    AVX2 on Zen 3 it takes twice as long).
    """
    signature = types.float32(x, N, offset, value, N, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, (x, x_at, offset, value, lo, hi) = open_block(context, builder, signature, arguments)
        lanes = min(LANES, 8)
        e = Emitter(builder, lanes)
        x = e.at(x, x_at)

        def picked(p: Any) -> Any:
            return e.number(e.at(x, e.index(e.at(offset, p))))

        def vector(p: Any, total: Any) -> Any:
            several = ir.Constant(e.vector, ir.Undefined)
            for j in range(lanes):
                several = builder.insert_element(several, picked(builder.add(p, constant(j))), ir.Constant(I32, j))
            return e.fma(e.load(e.at(value, p)), several, total)

        def whole(step: int) -> Any:
            return builder.add(lo, builder.mul(builder.sdiv(builder.sub(hi, lo), constant(step)), constant(step)))

        def two(p: Any, sums: list[Any]) -> list[Any]:
            return [vector(p, sums[0]), vector(builder.add(p, constant(lanes)), sums[1])]

        def one(p: Any, sums: list[Any]) -> list[Any]:
            return [builder.fadd(sums[0], builder.fmul(e.number(e.at(value, p)), picked(p)))]

        even, odd = whole(2 * lanes), whole(lanes)
        first, second = e.loop(lo, even, 2 * lanes, [e.zero()] * 2, two)
        (first,) = e.loop(even, odd, lanes, [first], lambda p, sums: [vector(p, sums[0])])
        (total,) = e.loop(odd, hi, 1, [e.sum(builder.fadd(first, second))], one)
        return total

    return signature, generate


@intrinsic
def dot_block(typing, rows, taps, x, x_at, offset, offset_at, width, dy, dy_at, dy_row, pages, lines, runs, add, out, out_at, out_row):
    """out[i, j] = Σ dy[i] · x[offset[j]] for i < ``rows`` and j < ``taps``, summed over pages of lines of ``runs`` vectors.

    ``pages`` and ``lines`` are (how many, how far apart in x, how far apart in dy). The vectors of x[offset[j]] start at
    x_at + offset[offset_at + j] · width, those of dy[i] at dy_at + i · dy_row; out[i, j] is at out_at + i · out_row + j, and is
    added to where ``add`` is not 0. Each vector of dy is used
    ``taps`` times and each of x ``rows`` times.
    """
    three = types.UniTuple(N, 3)
    signature = types.void(N, N, x, N, offset, N, N, dy, N, N, three, three, N, N, out, N, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        rows, taps, x, x_at, offset, offset_at, width, dy, dy_at, dy_row, pages, lines, runs, add, out, out_at, out_row = a
        x, dy, offset, out = e.at(x, x_at), e.at(dy, dy_at), e.at(offset, offset_at), e.at(out, out_at)
        nest = [[builder.extract_value(level, n) for n in range(3)] for level in (pages, lines)]

        def block(case: int) -> None:
            height, many = DOT_BLOCKS[case]
            cells = [(i, j) for i in range(height) for j in range(many)]
            sources = [e.at(x, e.times(e.index(e.at(offset, j)), width)) for j in range(many)]
            gradients = [e.at(dy, e.times(dy_row, i)) for i in range(height)]

            def run(m: Any, sums: list[Any], x_here: Any, dy_here: Any) -> list[Any]:
                xs = [e.load(e.at(source, builder.add(x_here, m))) for source in sources]
                ds = [e.load(e.at(gradient, builder.add(dy_here, m))) for gradient in gradients]
                return [e.fma(ds[i], xs[j], s) for (i, j), s in zip(cells, sums, strict=True)]

            def walk(levels: list[list[Any]], sums: list[Any], x_here: Any, dy_here: Any) -> list[Any]:
                if not levels:
                    length = e.times(runs, LANES)
                    return e.loop(constant(0), length, LANES, sums, lambda m, s: run(m, s, x_here, dy_here))
                (count, x_step, dy_step), *inner = levels

                def turn(n: Any, sums: list[Any]) -> list[Any]:
                    return walk(inner, sums, builder.add(x_here, e.times(x_step, n)), builder.add(dy_here, e.times(dy_step, n)))

                return e.loop(constant(0), count, 1, sums, turn)

            sums = walk(nest, [e.zero()] * len(cells), constant(0), constant(0))
            targets = [e.at(out, e.times(out_row, i), j) for i, j in cells]
            nothing = [ir.Constant(F32, 0.0)] * len(cells)
            old = e.either(builder.icmp_signed("!=", add, constant(0)), lambda: [e.number(t) for t in targets], lambda: nothing)
            for target, before, s in zip(targets, old, sums, strict=True):
                builder.store(builder.fadd(before, e.sum(s)), target)

        e.switch(_key(builder, rows, taps), list(DOT_BLOCKS), block)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transpose_block(typing, x, x_at, x_row, out, out_at, out_row):
    """out[j, i] = x[i, j] for a square of LANES x LANES numbers, rows ``x_row`` and ``out_row`` apart.

    A square in registers is turned in log2(LANES) rounds; in the round of distance d, rows i and i + d exchange their off-diagonal
    blocks of d x d. Source: Eklundh 1972.
    """
    signature = types.void(x, N, N, out, N, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        x, x_at, x_row, out, out_at, out_row = a
        x, out = e.at(x, x_at), e.at(out, out_at)
        rows = [e.load(e.at(x, e.times(x_row, i))) for i in range(LANES)]
        distance = LANES // 2
        while distance:
            upper = [k if not k & distance else LANES + k - distance for k in range(LANES)]
            lower = [k + distance if not k & distance else LANES + k for k in range(LANES)]
            for i in range(LANES):
                if not i & distance:
                    j = i + distance
                    rows[i], rows[j] = e.shuffle(rows[i], rows[j], upper), e.shuffle(rows[i], rows[j], lower)
            distance //= 2
        for i, row in enumerate(rows):
            e.store(row, e.at(out, e.times(out_row, i)))
        return context.get_dummy_value()

    return signature, generate
