"""Every microkernel, at every size of block that this processor has, is the loop that its docstring says, and writes nothing else."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.oracles import oracle

oracle("numba")
from numba import njit  # noqa: E402

from minprune.kernels import maxima, micro  # noqa: E402 (needs numba)
from minprune.kernels.host import VECTORS  # noqa: E402

Array = np.ndarray
LANES = micro.LANES
UNTOUCHED = np.float32(-77)
FLOORS = (np.float32(micro.NO_FLOOR), np.float32(0), np.float32(0.75))
COUNTS = (0, 1, 2, 7, 20)
OFFSETS = (np.int32, np.uint16)


@njit
def dense_block(rows, vectors, x, x_at, offset, width, count, w, at, strides, start, start_at, floor, out, out_at, places, places_at):
    micro.dense_block(
        rows, vectors, x, x_at, offset, width, count, w, at, strides[0], strides[1], start, start_at, floor, out, out_at, places, places_at
    )


@njit
def sparse_row(places, x, x_at, x_step, offset, width, value, lo, hi, start, from_out, floor, out, out_at, out_step):
    micro.sparse_row(places, x, x_at, x_step, offset, width, value, lo, hi, start, from_out, floor, out, out_at, out_step)


@njit
def sparse_window(windows, vectors, x, x_at, x_row, offset, width, value, lo, hi, start, floor, out, out_at):
    micro.sparse_window(windows, vectors, x, x_at, x_row, offset, width, value, lo, hi, start, floor, out, out_at)


@njit
def sparse_dot(x, x_at, offset, value, lo, hi):
    return micro.sparse_dot(x, x_at, offset, value, lo, hi)


@njit
def dot_block(rows, taps, x, x_at, offset, offset_at, width, dy, dy_at, dy_row, pages, lines, runs, add, out, out_at, out_row):
    micro.dot_block(rows, taps, x, x_at, offset, offset_at, width, dy, dy_at, dy_row, pages, lines, runs, add, out, out_at, out_row)


@njit
def max_and_winner(window_y, window_x, x, x_at, x_row, x_step, width, out, winner, out_at):
    maxima.max_and_winner(window_y, window_x, x, x_at, x_row, x_step, width, out, winner, out_at)


@njit
def max_row(columns, vectors, x, x_at, window_y, window_x, x_row, x_step, out, out_at, out_step):
    maxima.max_row(columns, vectors, x, x_at, window_y, window_x, x_row, x_step, out, out_at, out_step)


@njit
def max_pairs(upper, lower, count, x, out, out_at):
    maxima.max_pairs(upper, lower, count, x, out, out_at)


@njit
def transpose_block(x, x_at, x_row, out, out_at, out_row):
    micro.transpose_block(x, x_at, x_row, out, out_at, out_row)


def normal(seed: int, size: int) -> Array:
    return np.random.default_rng(seed).standard_normal(size, np.float32)


def untouched(size: int) -> Array:
    return np.full(size, UNTOUCHED, np.float32)


def assert_close(out: Array, expected: Array, what: str) -> None:
    """Sums equal to rounding; what was not to be written is exactly as it was."""
    np.testing.assert_array_equal(out[expected == UNTOUCHED], UNTOUCHED, err_msg=what)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=2e-5, err_msg=what)


def spoilt(x: Array, seed: int, share: float = 0.2) -> Array:
    """The same with NaN and infinities in it."""
    rng, x = np.random.default_rng(seed), x.copy()
    x[rng.random(x.size) < share] = np.nan
    x[rng.random(x.size) < share / 2] = np.inf
    x[rng.random(x.size) < share / 2] = -np.inf
    return x


# --- products ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", OFFSETS)
@pytest.mark.parametrize("count", COUNTS)
def test_dense_block_is_its_loop_from_numbers_and_from_memory(count: int, dtype: type) -> None:
    width, x_at, w_at, out_at, start_at, places_at = 4 * LANES + 3, 5, 2, 7, 3, 1
    rng = np.random.default_rng(count)
    offset = rng.integers(0, 9, max(count, 1)).astype(dtype)
    x, w, start = normal(1, x_at + 10 * width), normal(2, 400), normal(3, 12)
    for (rows, vectors), floor, remembers, transposed in product(micro.DENSE_BLOCKS.values(), FLOORS, (False, True), (False, True)):
        lanes = vectors * LANES
        strides = (1, 9) if transposed else (count + 2, 1)
        places = rng.permutation(rows + 2).astype(np.int32)
        out = untouched(out_at + (rows + 3) * width)
        targets = [slice(out_at + places[places_at + i] * width, out_at + places[places_at + i] * width + lanes) for i in range(rows)]
        for i, target in enumerate(targets):
            out[target] = normal(10 + i, lanes)
        expected = out.copy()
        for i, target in enumerate(targets):
            total = out[target].astype(float) if remembers else np.full(lanes, start[start_at + i], float)
            for k in range(count):
                at = x_at + int(offset[k]) * width
                total += float(w[w_at + i * strides[0] + k * strides[1]]) * x[at : at + lanes]
            expected[target] = np.maximum(total, floor)
        from_at = -1 if remembers else start_at
        dense_block(rows, vectors, x, x_at, offset, width, count, w, w_at, strides, start, from_at, floor, out, out_at, places, places_at)
        assert_close(out, expected, f"{rows} rows, {vectors} vectors, floor {floor}, from memory {remembers}, transposed {transposed}")


@pytest.mark.parametrize("dtype", OFFSETS)
@pytest.mark.parametrize("count", [*COUNTS, 8, 16, 33])  # whole rounds of an unrolled loop, and what is left
def test_sparse_row_is_its_loop_from_a_number_and_from_memory(count: int, dtype: type) -> None:
    lo, x_at, out_at = 3, 6, 9
    offset = np.random.default_rng(count).integers(0, 9, lo + count + 1).astype(dtype)
    value = normal(2, lo + count + 1)
    start = np.float32(0.3)
    for places, floor, remembers in product(micro.SPARSE_BLOCKS, FLOORS, (False, True)):
        width, x_step, out_step = LANES + 1, LANES + 2, LANES + 5
        x = normal(1, x_at + 9 * width + places * x_step)
        out = untouched(out_at + places * out_step)
        targets = [slice(out_at + t * out_step, out_at + t * out_step + LANES) for t in range(places)]
        for t, target in enumerate(targets):
            out[target] = normal(10 + t, LANES)
        expected = out.copy()
        for t, target in enumerate(targets):
            total = out[target].astype(float) if remembers else np.full(LANES, start, float)
            for p in range(lo, lo + count):
                at = x_at + int(offset[p]) * width + t * x_step
                total += float(value[p]) * x[at : at + LANES]
            expected[target] = np.maximum(total, floor)
        hi = lo + count
        sparse_row(places, x, x_at, x_step, offset, width, value, lo, hi, start, int(remembers), floor, out, out_at, out_step)
        assert_close(out, expected, f"{places} places, floor {floor}, from memory {remembers}")


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("dtype", OFFSETS)
@pytest.mark.parametrize("count", COUNTS)
def test_sparse_window_is_the_largest_of_its_four_rows_and_nan_wins(count: int, dtype: type, broken: bool) -> None:
    lo, x_at, out_at, start, x_row = 3, 6, 9, np.float32(0.3), 75 * LANES
    offset = np.random.default_rng(count).integers(0, 9, lo + count + 1).astype(dtype)
    value, hi = normal(2, lo + count + 1), lo + count
    for (windows, vectors), floor in product(micro.WINDOW_BLOCKS.values(), FLOORS):
        lanes, width = vectors * LANES, vectors * LANES + 2
        x = normal(1, x_at + (10 + 2 * windows) * width + x_row)
        x = spoilt(x, count, 0.02) if broken else x
        out = untouched(out_at + (windows + 1) * width)
        expected = out.copy()
        for q in range(windows):
            sums = np.full((4, lanes), start, float)
            for place, p in product(range(4), range(lo, hi)):
                at = x_at + int(offset[p]) * width + place // 2 * x_row + (2 * q + place % 2) * width
                with np.errstate(invalid="ignore"):  # infinities of both signs
                    sums[place] += float(value[p]) * x[at : at + lanes]
            expected[out_at + q * width : out_at + q * width + lanes] = np.maximum(sums.max(axis=0), floor)
        sparse_window(windows, vectors, x, x_at, x_row, offset, width, value, lo, hi, start, floor, out, out_at)
        assert_close(out, expected, f"{windows} windows, {vectors} vectors, floor {floor}")


@pytest.mark.parametrize("dtype", OFFSETS)
def test_sparse_dot_is_its_sum_for_every_rest(dtype: type) -> None:
    lo, x_at, x = 3, 6, normal(1, 100)
    for count in range(3 * 2 * LANES):
        offset = np.random.default_rng(count).integers(0, 94, lo + count + 1).astype(dtype)
        value, kept = normal(2, lo + count + 1), slice(lo, lo + count)
        expected = value[kept].astype(float) @ x[x_at + offset[kept]]
        assert sparse_dot(x, x_at, offset, value, lo, lo + count) == pytest.approx(expected, rel=1e-5, abs=2e-5), count
        outside = np.full_like(x, np.nan)  # only what is kept is read
        outside[x_at + offset[kept]] = x[x_at + offset[kept]]
        assert sparse_dot(outside, x_at, offset, value, lo, lo + count) == pytest.approx(expected, rel=1e-5, abs=2e-5), count
        for spoiler in (np.nan, np.inf) if count else ():
            x_spoilt = x.copy()
            x_spoilt[x_at + offset[lo + count // 2]] = spoiler
            assert not np.isfinite(sparse_dot(x_spoilt, x_at, offset, value, lo, lo + count)), count


@pytest.mark.parametrize(("pages", "lines", "runs"), [(0, 2, 1), (2, 0, 3), (3, 1, 0), (1, 1, 1), (2, 3, 2), (1, 4, 5)])
def test_dot_block_is_its_loop_put_there_and_added(pages: int, lines: int, runs: int) -> None:
    width, x_at, dy_at, offset_at, out_at = LANES + 1, 2, 4, 3, 5
    line, page = runs * LANES + 3, lines * (runs * LANES + 3) + 1
    dy_line, dy_page, dy_row = runs * LANES + 1, lines * (runs * LANES + 2), pages * page + 2
    offset = np.random.default_rng(pages).integers(0, 9, 12).astype(np.int32)
    x, dy = normal(1, x_at + 9 * width + pages * page), normal(2, dy_at + 6 * (dy_row + LANES))
    for (rows, taps), add in product(micro.DOT_BLOCKS.values(), (0, 1)):
        out_row = taps + 2
        out = untouched(out_at + rows * out_row)
        expected = out.copy()
        for i, j in product(range(rows), range(taps)):
            at = out_at + i * out_row + j
            out[at] = i - j
            total = float(out[at]) if add else 0.0
            for p, m in product(range(pages), range(lines)):
                here = x_at + int(offset[offset_at + j]) * width + p * page + m * line
                there = dy_at + i * dy_row + p * dy_page + m * dy_line
                total += float(x[here : here + runs * LANES].astype(float) @ dy[there : there + runs * LANES])
            expected[at] = total
        three = (pages, page, dy_page), (lines, line, dy_line)
        dot_block(rows, taps, x, x_at, offset, offset_at, width, dy, dy_at, dy_row, *three, runs, add, out, out_at, out_row)
        assert_close(out, expected, f"{rows} rows, {taps} taps, add {add}")


@pytest.mark.parametrize("floor", FLOORS)
def test_a_nan_passes_through_a_product_and_its_floor_in_its_own_lane_only(floor: np.float32) -> None:
    x, offset, one, place = normal(1, LANES), np.zeros(1, np.int32), np.ones(1, np.float32), np.zeros(1, np.int32)
    x[3] = np.nan
    dense, sparse = untouched(LANES), untouched(LANES)
    dense_block(1, 1, x, 0, offset, LANES, 1, one, 0, (1, 1), np.zeros(1, np.float32), 0, floor, dense, 0, place, 0)
    sparse_row(1, x, 0, 0, offset, LANES, one, 0, 1, np.float32(0), 0, floor, sparse, 0, 0)
    for out in (dense, sparse):
        np.testing.assert_array_equal(out, np.maximum(x, floor))
        assert list(np.flatnonzero(np.isnan(out))) == [3]


# --- maxima and transposition -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [0, 1, 2, 5])
@pytest.mark.parametrize("window", [(1, 1), (1, 3), (2, 2), (3, 1), (4, 3)])
def test_max_row_is_the_maximum_of_each_window_and_nan_wins(window: tuple[int, int], columns: int) -> None:
    (window_y, window_x), x_at, out_at = window, 3, 4
    for vectors, broken in product(VECTORS, (False, True)):
        lanes = vectors * LANES
        x_step, out_step = lanes + 1, lanes + 2
        x_row = (columns * window_x + 1) * x_step
        x = normal(vectors, x_at + window_y * x_row + lanes)
        if broken:
            x = spoilt(x, columns)
            x[x_at] = np.nan
        out = untouched(out_at + columns * out_step + 1)
        expected = out.copy()
        for p in range(columns):
            corner = x_at + p * window_x * x_step
            seen = [corner + r * x_row + s * x_step for r, s in product(range(window_y), range(window_x))]
            expected[out_at + p * out_step :][:lanes] = np.max([x[at : at + lanes] for at in seen], axis=0)
        max_row(columns, vectors, x, x_at, window_y, window_x, x_row, x_step, out, out_at, out_step)
        np.testing.assert_array_equal(out, expected, err_msg=f"{vectors} vectors, NaN {broken}")
        assert np.isnan(out).any() == (broken and columns > 0)


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("window", [(1, 1), (1, 3), (2, 2), (3, 1), (16, 16)])
def test_max_and_winner_tells_the_first_of_equals_and_the_first_nan(window: tuple[int, int], broken: bool) -> None:
    (window_y, window_x), width, x_at, out_at = window, 3 * LANES, 5, 2
    x_step = width + 1
    x_row = window_x * x_step + 2
    x = np.round(normal(0, x_at + window_y * x_row + width))  # many are equal
    x = spoilt(x, 1, share=0.02) if broken else x
    seen = np.stack([x[x_at + r * x_row + s * x_step :][:width] for r, s in product(range(window_y), range(window_x))])
    out, winner = untouched(out_at + width + 3), np.full(out_at + width + 3, 77, np.uint8)
    expected, who = out.copy(), winner.copy()
    expected[out_at : out_at + width], who[out_at : out_at + width] = seen.max(axis=0), seen.argmax(axis=0)
    max_and_winner(window_y, window_x, x, x_at, x_row, x_step, width, out, winner, out_at)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(winner, who)


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("count", [0, 1, 2, LANES - 1, LANES, LANES + 1, 3 * LANES + 2])
def test_max_pairs_is_the_maximum_of_each_square_and_nan_wins(count: int, share: float) -> None:
    upper, lower, out_at = 5, 8 * LANES + 7, 3
    x = spoilt(normal(count, 18 * LANES), count, share)
    written = -(-count // LANES) * LANES  # whole vectors
    out = untouched(out_at + written + 2)
    expected = out.copy()
    rows = np.stack([x[at : at + 2 * written].reshape(written, 2) for at in (upper, lower)])
    expected[out_at : out_at + written] = rows.max(axis=(0, 2))
    max_pairs(upper, lower, count, x, out, out_at)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("place", range(4))
def test_max_pairs_finds_the_nan_and_the_maximum_wherever_they_are_in_a_square(place: int) -> None:
    for special in (np.float32(9), np.float32(np.nan)):
        x = np.zeros(4 * LANES, np.float32)
        x[2 * LANES * (place // 2) + 2 + place % 2] = special  # in the second square
        out = untouched(LANES)
        max_pairs(0, 2 * LANES, 2, x, out, 0)
        np.testing.assert_array_equal(out, [0, special] + [0] * (LANES - 2))


@pytest.mark.parametrize(("x_row", "out_row"), [(LANES, LANES), (LANES + 3, LANES + 1), (3 * LANES, 2 * LANES)])
def test_transpose_block_turns_a_square_and_writes_nothing_else(x_row: int, out_row: int) -> None:
    x_at, out_at = 4, 6
    x = np.arange(x_at + LANES * x_row, dtype=np.float32)
    x[x_at + 1] = np.nan
    out = untouched(out_at + LANES * out_row)
    expected = out.copy()
    for i, j in product(range(LANES), range(LANES)):
        expected[out_at + j * out_row + i] = x[x_at + i * x_row + j]
    transpose_block(x, x_at, x_row, out, out_at, out_row)
    np.testing.assert_array_equal(out, expected)


def test_a_block_of_a_size_that_has_no_code_does_nothing() -> None:
    out, x = untouched(8 * LANES), np.ones(8 * LANES, np.float32)
    numbers, table = np.ones(1, np.float32), np.zeros(1, np.int32)
    dense_block(1, 3, x, 0, table, LANES, 1, numbers, 0, (0, 0), numbers, 0, FLOORS[0], out, 0, table, 0)
    sparse_row(99, x, 0, 0, table, LANES, numbers, 0, 1, np.float32(1), 0, FLOORS[0], out, 0, LANES)
    sparse_window(9, 1, x, 0, LANES, table, LANES, numbers, 0, 1, np.float32(1), FLOORS[0], out, 0)
    max_row(1, 3, x, 0, 1, 1, LANES, LANES, out, 0, LANES)
    np.testing.assert_array_equal(out, UNTOUCHED)
