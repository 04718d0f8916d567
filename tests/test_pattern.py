"""Patterns n:m from the mask to the engine: found, stored, multiplied by kernels that equal their loops, chosen where quickest."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import minprune as mp
from minprune import nn
from minprune.prune import NM
from minprune.sparse.formats import Pattern, find_pattern
from tests.oracles import oracle

oracle("numba")
from numba import njit  # noqa: E402

from minprune.kernels import pattern as kernels  # noqa: E402 (needs numba)
from minprune.kernels.fields import KIND, KINDS  # noqa: E402
from minprune.kernels.micro import NO_FLOOR  # noqa: E402
from minprune.sparse import measure  # noqa: E402
from minprune.sparse.machine import KernelEngine  # noqa: E402
from minprune.sparse.measure import WIDTHS  # noqa: E402
from minprune.sparse.plan import make_program  # noqa: E402
from minprune.sparse.trace import Layer, kept, trace  # noqa: E402

Array = np.ndarray
RNG = np.random.default_rng(0)
LANES = kernels.LANES
PATTERNS = ("1:2", "2:4", "1:4", "4:8")
BATCHES = (1, 17, 64, 130)


def masked(pattern: str, *shape: int) -> tuple[Array, Array]:
    """(a random weight, a mask of that pattern)."""
    keep, of = (int(part) for part in pattern.split(":"))
    weight = RNG.standard_normal(shape).astype(np.float32)
    return weight, NM(keep, of).mask(np.abs(weight))


# --- the format -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 16), (7, 29), (4, 3, 3, 3), (2, 40)])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_stored_in_five_bytes_a_weight_and_comes_back(pattern: str, shape: tuple[int, ...]) -> None:
    weight, mask = masked(pattern, *shape)
    stored = Pattern.from_dense(weight, mask)
    assert f"{stored.keep}:{stored.of}" == pattern
    assert (stored.values.dtype, stored.positions.dtype, stored.positions.max() < stored.of) == (np.float32, np.uint8, True)
    assert stored.nbytes == 5 * mask.sum()
    np.testing.assert_array_equal(stored.mask(), mask)
    np.testing.assert_array_equal(stored.to_dense(), np.where(mask, weight, 0))
    x = RNG.standard_normal((mask[0].size, 3)).astype(np.float32)
    np.testing.assert_allclose(stored.multiply(x), np.where(mask, weight, 0).reshape(len(mask), -1) @ x, rtol=1e-4, atol=1e-5)


def test_what_is_no_pattern_is_not_found() -> None:
    _, mask = masked("2:4", 6, 24)
    assert find_pattern(mask) == (2, 4)
    broken = mask.copy()
    broken[3, :4] = [True, True, True, False]
    assert find_pattern(broken) is None
    assert find_pattern(np.ones((3, 8), bool)) is None
    assert find_pattern(np.zeros((3, 8), bool)) is None
    swapped = mask.copy()
    swapped[0, :4], swapped[0, -4:] = [True, True, True, False], [False, False, False, True]  # as many as before, but not in every group
    assert find_pattern(swapped) is None
    assert find_pattern(np.tile([True, False], (3, 8))) == (1, 2)  # which is 2:4 too: the smallest counts
    with pytest.raises(ValueError, match="keeps n of every m neighbours"):
        Pattern.from_dense(np.ones((6, 24), np.float32), broken)


# --- the microkernels -------------------------------------------------------------------------------------------------------------


@njit
def pattern_block(rows, vectors, x, x_at, width, pattern, value, value_at, position, position_at, start, start_at, floor, out, at, place):
    kernels.pattern_block(
        rows, vectors, x, x_at, width, pattern, value, value_at, position, position_at, start, start_at, floor, out, at, place, 1
    )  # fmt: skip


@njit
def tap_pattern_block(rows, vectors, x, x_at, taps, width, pattern, value, value_at, position, position_at, start, from_at, floor, out, at, place):  # fmt: skip # noqa: E501
    kernels.tap_pattern_block(
        rows, vectors, x, x_at, taps, width, pattern, value, value_at, position, position_at, start, from_at, floor, out, at, place, 1
    )  # fmt: skip


@pytest.mark.parametrize("taps", [False, True])
@pytest.mark.parametrize("groups", [0, 1, 5])
@pytest.mark.parametrize(("keep", "of", "rest"), [(1, 2, 0), (2, 4, 0), (2, 4, 1), (1, 4, 0), (4, 8, 3), (3, 5, 2)])
def test_a_block_is_its_loop_from_numbers_and_from_memory(keep: int, of: int, rest: int, groups: int, taps: bool) -> None:
    count, size, width = groups * keep + rest, (groups + 1) * of, 4 * LANES + 3
    row, x_at, value_at, position_at, out_at = count + 3, 5, 2, 1, 7
    x = RNG.standard_normal(x_at + size * width).astype(np.float32)
    value = RNG.standard_normal(value_at + kernels.HEIGHT * row).astype(np.float32)
    position = RNG.integers(0, of, position_at + kernels.HEIGHT * row).astype(np.uint8)
    offset = RNG.permutation(size).astype(np.int32)
    place, start = RNG.permutation(kernels.HEIGHT + 1).astype(np.int32), np.arange(1, 7, dtype=np.float32)
    sizes = {case[1:] for case in kernels.BLOCKS.values()}
    for (rows, vectors), floor, remembers in product(sizes, (NO_FLOOR, 0.5), (False, True)):
        out = RNG.standard_normal(out_at + (kernels.HEIGHT + 1) * width).astype(np.float32)
        expected = out.copy()
        for i in range(rows):
            target = slice(out_at + place[1 + i] * width, out_at + place[1 + i] * width + vectors * LANES)
            total = out[target].astype(float) if remembers else np.full(vectors * LANES, start[2 + i], float)
            for p in range(count):
                k = p // keep * of + int(position[position_at + i * row + p])
                at = x_at + int(offset[k] if taps else k) * width
                total += float(value[value_at + i * row + p]) * x[at : at + vectors * LANES]
            expected[target] = np.maximum(total, floor)
        head = (rows, vectors, x, x_at, *([offset] if taps else []), width, (keep, of, count, row), value, value_at, position, position_at)
        block = tap_pattern_block if taps else pattern_block
        block(*head, start, -1 if remembers else 2, np.float32(floor), out, out_at, place)
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=2e-5, err_msg=f"{rows} rows, {vectors} vectors, {floor}, {remembers}")


# --- in the engine ----------------------------------------------------------------------------------------------------------------


def engine(model: nn.Module, shape: tuple[int, ...], width: int) -> KernelEngine:
    """The model with every layer that has a pattern on the pattern's path."""

    def path(layer: Layer) -> str:
        return "pattern" if find_pattern(kept(layer)) else "dense"

    traced = trace(model, shape)
    program = make_program(traced, path)
    assert {KINDS[k] for k in program.steps[:, KIND]} & {"pattern_linear", "pattern_conv"}
    return KernelEngine(traced, program, (), {width: 1.0})


def networks(pattern: str) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Convolutions with padding, stride, pooling and filters of 9, 27 and 45 weights, and Dense layers of 50, 75 and 800 inputs."""
    rng = np.random.default_rng(4)
    convolutions = nn.Sequential(
        nn.Conv2d(1, 5, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 7, 3, stride=2, rng=rng), nn.BatchNorm2d(7),
        nn.Conv2d(7, 3, 1, rng=rng), nn.Flatten(), nn.Linear(75, 11, rng=rng),
    )  # fmt: skip
    wide = nn.Sequential(nn.Linear(800, 50, rng=rng), nn.ReLU(), nn.Linear(50, 10, rng=rng))
    found = {"convolutions": (convolutions, (1, 22, 22)), "Dense": (wide, (800,))}
    for model, _ in found.values():
        for p in model.parameters():
            if p.data.ndim == 1:
                p.data = rng.standard_normal(p.shape).astype(np.float32)
        mp.prune.cut(model.eval(), granularity=pattern)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["convolutions", "Dense"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_engine_computes_what_the_masked_model_does(pattern: str, name: str, width: int) -> None:
    model, shape = networks(pattern)[name]
    x = RNG.standard_normal((max(BATCHES), *shape)).astype(np.float32)
    with mp.backend.using("numpy"):
        expected = model(x).data
    made = engine(model, shape, width)
    for n in BATCHES:
        np.testing.assert_allclose(made(x[:n]), expected[:n], rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=f"batch {n}")


def test_a_nan_goes_where_a_kept_weight_takes_it_and_nowhere_else() -> None:
    model = nn.Sequential(nn.Linear(10, 6, rng=RNG))
    mp.prune.cut(model, granularity="2:4")  # the last group has two inputs, and keeps both
    for width, i in product(WIDTHS, range(10)):
        x = np.ones((3, 10), np.float32)
        x[1, i] = np.nan
        y = engine(model, (10,), width)(x)
        np.testing.assert_array_equal(np.isnan(y), np.outer([False, True, False], model[0].weight.mask[:, i]))


def test_the_pattern_is_taken_where_it_is_quickest_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(16, 8, rng=RNG), nn.Linear(8, 4, rng=RNG))
    mp.prune.cut(model, scope={"0.weight": 0.5}, rng=RNG)
    model[1].weight.set_mask(masked("2:4", 4, 8)[1])
    monkeypatch.setattr(measure, "_measured", {})
    monkeypatch.setattr(measure, "_time", lambda _, steps, __: 1.5 if KINDS[steps[0, KIND]].startswith("pattern") else 2.5)
    made = mp.sparse.compile(model, (16,))
    assert [p.path for p in made.paths] == ["sparse", "2:4"]
    assert made.paths[1].reason == "dense 2.5 µs, sparse 2.5 µs, 2:4 1.5 µs"
    assert "2:4" in made.report()
    x = RNG.standard_normal((5, 16)).astype(np.float32)
    np.testing.assert_allclose(made(x), model.eval()(x).data, rtol=1e-4, atol=1e-5)
