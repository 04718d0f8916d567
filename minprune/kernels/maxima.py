"""The microkernels of pooling: maxima that stay in registers. See ``micro``; NaN wins everywhere, as in NumPy."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minprune.kernels.compile import N
from minprune.kernels.host import VECTORS
from minprune.kernels.ir import I32, constant
from minprune.kernels.micro import LANES, open_block


@intrinsic
def max_row(typing, columns, vectors, x, x_at, window_y, window_x, x_row, x_step, out, out_at, out_step):
    """out[p] = the maximum over a window of ``window_y`` x ``window_x`` places, for ``columns`` windows p, ``vectors`` vectors of each.

    Place (r, s) of window p starts at x_at + r · x_row + (p · window_x + s) · x_step, and out[p] at out_at + p · out_step. NaN wins.
    """
    signature = types.void(N, N, x, N, N, N, N, N, out, N, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        columns, vectors, x, x_at, window_y, window_x, x_row, x_step, out, out_at, out_step = a
        x, out, zero = e.at(x, x_at), e.at(out, out_at), constant(0)

        def block(wide: int) -> None:
            def column(p: Any, nothing: list[Any]) -> list[Any]:
                corner = e.at(x, e.times(e.times(x_step, window_x), p))

                def line(r: Any, best: list[Any]) -> list[Any]:
                    def place(s: Any, best: list[Any]) -> list[Any]:
                        here = e.at(corner, e.times(x_row, r), e.times(x_step, s))
                        return [e.larger(b, e.load(e.at(here, j * LANES))) for j, b in enumerate(best)]

                    return e.loop(zero, window_x, 1, best, place)

                first = [e.load(e.at(corner, j * LANES)) for j in range(wide)]
                for j, best in enumerate(e.loop(zero, window_y, 1, first, line)):
                    e.store(best, e.at(out, e.times(out_step, p), j * LANES))
                return nothing

            e.loop(zero, columns, 1, [], column)

        e.switch(vectors, VECTORS, block)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def max_and_winner(typing, window_y, window_x, x, x_at, x_row, x_step, width, out, winner, out_at):
    """out[i] = the maximum over a window of places, for ``width`` lanes i, and winner[i] (uint8) the number of its place in reading order.

    Place (r, s) starts at x_at + r · x_row + s · x_step. The first of equals wins, and the first NaN over all numbers.
    """
    signature = types.void(N, N, x, N, N, N, N, out, winner, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, a = open_block(context, builder, signature, arguments)
        window_y, window_x, x, x_at, x_row, x_step, width, out, winner, out_at = a
        x, out, winner, zero = e.at(x, x_at), e.at(out, out_at), e.at(winner, out_at), constant(0)

        def vector(lane: Any, nothing: list[Any]) -> list[Any]:
            def line(r: Any, leader: list[Any]) -> list[Any]:
                def place(s: Any, leader: list[Any]) -> list[Any]:
                    best, who = leader
                    here = e.load(e.at(x, e.times(x_row, r), e.times(x_step, s), lane))
                    number = e.splat(builder.trunc(builder.add(e.times(window_x, r), s), I32))
                    beaten = e.beats(here, best)
                    return [builder.select(beaten, here, best), builder.select(beaten, number, who)]

                return e.loop(zero, window_x, 1, leader, place)

            first = [e.load(e.at(x, lane)), e.splat(ir.Constant(I32, 0))]
            best, who = e.loop(zero, window_y, 1, first, line)
            e.store(best, e.at(out, lane))
            e.store_bytes(who, e.at(winner, lane))
            return nothing

        e.loop(zero, width, LANES, [], vector)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def max_pairs(typing, upper, lower, count, x, out, out_at):
    """out[p] = the maximum of the 2 x 2 window p of one image whose rows start at ``upper`` and ``lower``; NaN wins.

    Whole vectors of windows are written, up to LANES - 1 more than ``count``.
    """
    signature = types.void(N, N, N, x, out, N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, (upper, lower, count, x, out, out_at) = open_block(context, builder, signature, arguments)
        even, odd = list(range(0, 2 * LANES, 2)), list(range(1, 2 * LANES, 2))

        def step(p: Any, nothing: list[Any]) -> list[Any]:
            at = e.times(p, 2)
            tall = [e.larger(e.load(e.at(x, upper, at, j)), e.load(e.at(x, lower, at, j))) for j in (0, LANES)]
            e.store(e.larger(e.shuffle(*tall, even), e.shuffle(*tall, odd)), e.at(out, out_at, p))
            return nothing

        e.loop(constant(0), count, LANES, [], step)
        return context.get_dummy_value()

    return signature, generate
