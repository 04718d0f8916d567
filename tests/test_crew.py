"""Tasks are shared out between threads: each is done once, by whoever is free, and one thread can do them all."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

import minprune as mp
from minprune import parallel
from minprune.kernels import crew
from minprune.kernels.crew import COUNTER, kernel, share, take


@njit
def deal(counters, threads, tasks, order, taken, by):
    """Threads that come in the given order, and each time do one task; ``taken`` counts how often each was, ``by`` whom."""
    for me in order:
        task = take((counters, me, threads), tasks)
        if task >= 0:
            taken[task] += 1
            by[task] = me


@kernel
def count_up(turn, done, by, waits):
    """done[i] += 1, by thread by[i]; a thread whose ``waits`` is not zero takes so long over a task."""
    for task in share(turn, done.size):
        lost = 0.0
        for i in range(waits[turn[1]]):
            lost += 1.0 / (i + lost + 1.0)
        done[task] += 1 if lost >= 0 else 0
        by[task] = turn[1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 40), st.integers(0, 9999))
@example(4, 3, 0)
@example(3, 0, 0)
def test_every_task_is_taken_once_in_whatever_order_the_threads_come(threads: int, tasks: int, seed: int) -> None:
    counters = np.zeros(threads * COUNTER, np.int64)
    order = np.random.default_rng(seed).integers(0, threads, 40 * threads)
    taken, by = np.zeros(max(tasks, 1), np.int64), np.full(max(tasks, 1), -1)
    deal(counters.ctypes.data, threads, tasks, np.concatenate([order, np.repeat(np.arange(threads), tasks + 1)]), taken, by)
    assert taken[:tasks].tolist() == [1] * tasks


def test_each_thread_begins_with_its_own_and_then_helps_the_others() -> None:
    counters, taken, by = np.zeros(3 * COUNTER, np.int64), np.zeros(9, np.int64), np.full(9, -1)
    deal(counters.ctypes.data, 3, 9, np.array([0, 1, 2] * 3), taken, by)
    assert by.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    counters[:], by[:] = 0, -1
    deal(counters.ctypes.data, 3, 9, np.array([1] * 7 + [0, 2]), taken, by)
    assert by.tolist() == [1, 0, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("most", [None, 1, 2])
@pytest.mark.parametrize("tasks", [0, 1, 2, 1000])
def test_a_kernel_does_every_task_once(tasks: int, most: int | None) -> None:
    done, by = np.zeros(tasks, np.int64), np.full(tasks, -1)
    count_up(done, by, np.zeros(parallel.available(), np.int64), most=most)
    assert done.tolist() == [1] * tasks
    assert set(by) <= set(range(most or parallel.threads()))


@pytest.mark.skipif(parallel.available() < 2, reason="needs two cores")
def test_no_thread_waits_for_one_that_is_slow() -> None:
    waits = np.zeros(parallel.available(), np.int64)
    waits[1] = 10_000_000
    done, by = np.zeros(100, np.int64), np.full(100, -1)
    mp.threads(2)
    try:
        count_up(done, by, waits, most=2)
    finally:
        mp.threads(parallel.available())
    assert done.tolist() == [1] * 100
    assert (by == 1).sum() < 50 <= (by == 0).sum()


def test_little_work_stays_on_the_thread_that_asks() -> None:
    done, by = np.zeros(100, np.int64), np.full(100, -1)
    count_up(done, by, np.zeros(parallel.available(), np.int64), work=crew.WORTH_SHARING - 1)
    assert set(by) == {0}
