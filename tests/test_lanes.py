"""Memory for the kernels: a batch in lanes is recognised and nothing else is, and memory is lent out again only when nobody looks at it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minprune.nn import Parameter
from tests.oracles import oracle

oracle("numba")
from minprune.fast import lanes, memory  # noqa: E402 (needs numba)

Array = np.ndarray
LARGE = memory.SMALL
shapes = st.one_of(st.tuples(st.integers(1, 20)), st.tuples(*[st.integers(1, 6)] * 3))
batches = st.integers(1, 300)


def numbers(*shape: int) -> Array:
    """Different values, so that no two places can be confused."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def address(array: Array) -> int:
    return array.__array_interface__["data"][0]


def in_lanes(batch: Array) -> Array:
    return lanes.view(lanes.as_lanes(batch), len(batch))


@given(st.integers(1, 5000))
def test_a_width_holds_the_batch_and_rows_do_not_share_cache_sets(n: int) -> None:
    width = lanes.width_for(n)
    assert n <= width < n + 2 * memory.ALIGN
    assert width % memory.ALIGN == 0
    assert width % 128 != 0


def test_widths_by_hand() -> None:
    assert [lanes.width_for(n) for n in (1, 16, 17, 64, 113, 128, 256)] == [16, 16, 32, 64, 144, 144, 272]


@settings(deadline=None)
@given(batches, shapes)
def test_a_batch_in_lanes_has_its_images_innermost_and_zeros_behind_them(n: int, shape: tuple[int, ...]) -> None:
    batch = numbers(n, *shape)
    found = lanes.as_lanes(batch)
    assert found.shape == (*shape, lanes.width_for(n))
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(np.moveaxis(found[..., :n], -1, 0), batch)
    np.testing.assert_array_equal(found[..., n:], 0)
    np.testing.assert_array_equal(lanes.view(found, n), batch)
    np.testing.assert_array_equal(lanes.as_samples(lanes.view(found, n).reshape(n, -1)), batch.reshape(n, -1))


@settings(deadline=None)
@given(batches, shapes.filter(lambda shape: np.prod(shape) > 1))
def test_the_memory_behind_a_view_is_found_again(n: int, shape: tuple[int, ...]) -> None:
    memory_behind = lanes.as_lanes(numbers(n, *shape))
    view = lanes.view(memory_behind, n)
    flat = view.reshape(n, -1)
    for batch in (view, flat, flat.reshape(view.shape), view[:], view.view()):
        found = lanes.memory_of(batch)
        assert found is not None
        assert address(found) == address(memory_behind)
        assert found.shape == (*batch.shape[1:], lanes.width_for(n))
        assert lanes.as_lanes(batch).base is memory_behind.base or n == lanes.width_for(n)


@pytest.mark.parametrize("n", [1, 5, 16, 37, 128])
def test_channels_of_a_view_are_found_too(n: int) -> None:
    memory_behind = lanes.as_lanes(numbers(n, 6, 2, 3))
    found = lanes.memory_of(lanes.view(memory_behind, n)[:, 2:5])
    assert found is not None
    assert address(found) == address(memory_behind[2:])
    np.testing.assert_array_equal(found, memory_behind[2:5])


def from_bytes(n: int) -> Array:
    return np.frombuffer(numbers(6, lanes.width_for(n)).tobytes(), np.float32).reshape(6, -1).T[:n]


COPIED: dict[str, Callable[[], Array]] = {
    "C order": lambda: numbers(5, 6),
    "C order, images": lambda: numbers(5, 3, 2, 2),
    "C order, batch of a whole width": lambda: numbers(16, 3, 2, 2),
    "batch innermost, but no room for padding": lambda: np.ascontiguousarray(numbers(5, 6).T).T,
    "float64": lambda: np.ascontiguousarray(numbers(16, 6).T).T.astype(np.float64),
    "other byte order": lambda: np.ascontiguousarray(numbers(16, 6).T).T.astype(">f4"),
    "three axes": lambda: np.moveaxis(np.ascontiguousarray(np.moveaxis(numbers(16, 6, 2), 0, -1)), -1, 0),
    "one axis": lambda: numbers(16),
    "the first images": lambda: in_lanes(numbers(10, 6))[:5],
    "the last images": lambda: in_lanes(numbers(10, 6))[5:],
    "one image": lambda: in_lanes(numbers(10, 6))[3:4],
    "the first images, in memory that is lent": lambda: in_lanes(numbers(10, 6, 20, 20))[:5],
    "the last images, by a whole step": lambda: in_lanes(numbers(144, 6))[16:],
    "every second image": lambda: in_lanes(numbers(10, 6))[::2],
    "images in reverse": lambda: in_lanes(numbers(10, 6))[::-1],
    "every second channel": lambda: in_lanes(numbers(10, 6))[:, ::2],
    "part of the image": lambda: in_lanes(numbers(10, 6, 4, 4))[:, :, 1:3],
    "channels exchanged": lambda: in_lanes(numbers(10, 6, 4, 4)).transpose(0, 1, 3, 2),
    "a single position": lambda: in_lanes(numbers(10, 1)),
    "an empty batch": lambda: in_lanes(numbers(10, 6))[:0],
    "over bytes": lambda: from_bytes(5),
    "over an array that is not ours": lambda: numbers(6 * 16).reshape(6, 16).T[:5],
    "over one that is as large as ours": lambda: numbers(6 * 16 + 16)[: 6 * 16].reshape(6, 16).T[:5],
}


@pytest.mark.parametrize("name", [name for name in COPIED if name not in ("three axes", "one axis")])
def test_everything_else_is_copied(name: str) -> None:
    batch = COPIED[name]()
    found = lanes.as_lanes(batch)
    assert lanes.memory_of(batch) is None
    assert not np.shares_memory(found, batch)
    np.testing.assert_array_equal(found[..., : len(batch)], np.moveaxis(batch, 0, -1))
    np.testing.assert_array_equal(found[..., len(batch) :], 0)
    if batch.ndim == 2:
        np.testing.assert_array_equal(lanes.as_samples(batch), batch)


@pytest.mark.parametrize("name", ["three axes", "one axis"])
def test_other_numbers_of_axes_are_not_lanes(name: str) -> None:
    assert lanes.memory_of(COPIED[name]()) is None


@pytest.mark.parametrize("n", [5, 16])
def test_a_file_in_memory_is_read_but_never_taken_for_our_memory(n: int, tmp_path: Path) -> None:
    wide = numbers(6, lanes.width_for(n))
    wide.tofile(tmp_path / "batch")
    batch = np.memmap(tmp_path / "batch", np.float32, "r", shape=wide.shape).T[:n]
    found = lanes.as_lanes(batch)
    np.testing.assert_array_equal(found[:, :n], wide[:, :n])
    np.testing.assert_array_equal(found[:, n:], 0)
    assert np.shares_memory(found, batch) == (n == 16)  # a whole width has no padding that could be wrong


def test_what_lies_as_lanes_by_chance_is_taken_as_it_is() -> None:
    batch = np.moveaxis(numbers(3, 2, 2, 32), -1, 0)
    found = lanes.memory_of(batch)
    assert found is not None
    assert (address(found), found.shape) == (address(batch), (3, 2, 2, 32))


def test_memory_that_was_lanes_once_is_not_recognised_by_its_past() -> None:
    old = in_lanes(numbers(5, 16, 40, 40))
    at = address(old)
    del old
    weight = memory.floats(16 * 40 * 40 * 16).reshape(-1, 16)  # the same memory, and no batch in it
    assert address(weight) == at
    assert lanes.memory_of(weight.T[:5]) is None


def test_a_parameters_copy_in_lanes_does_not_change_the_parameter() -> None:
    p = Parameter(numbers(4, 3))
    lanes.as_lanes(p.data)[...] = -1
    np.testing.assert_array_equal(p.data, numbers(4, 3))


@pytest.fixture
def _nothing_idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shelf of our own."""
    monkeypatch.setattr(memory, "_idle", type(memory._idle)())
    monkeypatch.setattr(memory, "_idle_size", 0)
    return


def idle() -> int:
    """How many floats lie idle, counted one by one."""
    return sum(array.size for waiting in memory._idle.values() for array in waiting)


@given(st.one_of(st.integers(0, 3000), st.integers(LARGE - 3, LARGE + 3000)))
def test_memory_starts_at_a_cache_line_and_can_be_written(count: int) -> None:
    array = memory.floats(count)
    assert (array.shape, array.dtype) == ((count,), np.float32)
    assert address(array) % 64 == 0 or count == 0
    array[...] = 1
    assert array.sum() == count


@pytest.mark.usefixtures("_nothing_idle")
@pytest.mark.parametrize(
    "look", [lambda a: a, lambda a: a[5:10], lambda a: a.reshape(2, -1).T[3:], lambda a: memoryview(a), lambda a: a.view(np.uint8)]
)
def test_memory_comes_back_when_the_last_view_dies_and_not_before(look: Callable[[Array], object]) -> None:
    first = memory.floats(LARGE + 2)
    at = address(first)
    looker = look(first)
    del first
    assert idle() == 0
    other = memory.floats(LARGE + 2)
    assert address(other) != at
    del looker
    assert idle() == LARGE + 2 + memory.ALIGN
    assert address(memory.floats(LARGE + 2)) == at


@pytest.mark.usefixtures("_nothing_idle")
def test_memory_of_another_size_is_not_handed_out() -> None:
    memory.floats(LARGE + 2)
    other = memory.floats(LARGE + 1)
    assert idle() == LARGE + 2 + memory.ALIGN
    assert other.size == LARGE + 1


@pytest.mark.usefixtures("_nothing_idle")
@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40))
def test_two_live_arrays_never_overlap(moves: list[tuple[bool, int]]) -> None:
    alive: list[Array] = []
    for i, (take, which) in enumerate(moves):
        if take or not alive:
            alive.append(memory.floats(LARGE - 1 + which % 3))
            alive[-1][...] = i
        else:
            alive.pop(which % len(alive))
        regions = sorted((address(a), address(a) + a.nbytes) for a in alive)
        assert all(end <= start for (_, end), (start, _) in pairwise(regions))
    assert all((a == a[0]).all() for a in alive)


@pytest.mark.usefixtures("_nothing_idle")
def test_what_lies_idle_has_a_bound_and_what_was_wanted_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_IDLE", 4 * LARGE)

    def kept() -> list[int]:
        assert idle() == memory._idle_size <= 4 * LARGE
        return sorted(size - LARGE - memory.ALIGN for size, waiting in memory._idle.items() if waiting)

    for i in range(6):
        memory.floats(LARGE + i)
    assert kept() == [3, 4, 5]  # a fourth would be more than four times LARGE
    memory.floats(LARGE + 3)
    memory.floats(LARGE + 6)
    assert kept() == [3, 5, 6]
    together = [memory.floats(LARGE + i) for i in (5, 5, 5, 5, 5)]
    del together
    assert kept() == [5]
    memory.floats(5 * LARGE)  # larger than all that may lie idle
    assert kept() == []


@pytest.mark.usefixtures("_nothing_idle")
def test_memory_that_dies_while_the_shelf_is_in_use_waits_in_the_tray() -> None:
    array = memory.floats(LARGE)
    at = address(array)
    with memory._shelf:  # as if the garbage collector ran in the middle of our own work
        del array
        assert address(memory.floats(LARGE)) != at
        assert idle() == 0
    again = [memory.floats(LARGE) for _ in range(3)]
    assert at in [address(a) for a in again]
    assert not memory._tray


@pytest.mark.usefixtures("_nothing_idle")
def test_several_threads_may_take_and_give_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_IDLE", 3 * LARGE)
    faults: list[object] = []

    def work(number: int) -> None:
        try:
            for i in range(1500):
                arrays = [memory.floats(LARGE + i % 2) for _ in range(1 + i % 3)]
                for j, array in enumerate(arrays):
                    array[::1024] = number * 100 + j
                faults.extend(a[0] for j, a in enumerate(arrays) if not (a[::1024] == number * 100 + j).all())
        except Exception as error:  # whatever it is, the main thread reports it
            faults.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert faults == []
    memory.floats(LARGE)  # whoever comes next puts away what was left in the tray
    assert not memory._tray
    assert idle() == memory._idle_size <= 3 * LARGE
