"""Threads: how many there are is one setting, and results do not depend on it, nor on who else computes: threads, forks, workers."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import minprune as mp
from minprune import backend, parallel
from tests.oracles import oracle

oracle("numba")

Array = np.ndarray
MOST = parallel.available()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """As many threads again as there were, when a test is over."""
    limit, before = parallel._limit, parallel.threads()
    yield
    parallel.threads(before)
    parallel._limit = limit


def train(seed: int, chosen: str = "numba") -> dict[str, Array]:
    """The weights after two steps of a network with convolutions, pooling, normalisation and Dense layers, large enough for threads."""
    rng = np.random.default_rng(seed)
    layers = [mp.nn.Conv2d(3, 20, 3, padding=1, rng=rng), mp.nn.BatchNorm2d(20), mp.nn.Conv2d(20, 12, 3, stride=2, rng=rng)]
    dense = mp.nn.Linear(12 * 3 * 3, 10, rng=rng)
    model = mp.nn.Sequential(*layers, mp.nn.MaxPool2d(2), mp.nn.Flatten(), dense).train()
    optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9)
    with backend.using(chosen):
        for _ in range(2):
            x, y = rng.random((70, 3, 14, 14), np.float32), rng.integers(0, 10, 70)
            optimizer.zero_grad()
            mp.ops.cross_entropy(model(mp.Tensor(x)), y).backward()
            optimizer.step()
    return {name: array.copy() for name, array in model.state_dict().items()}


def assert_same(one: dict[str, Array], other: dict[str, Array], tolerance: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_without_an_argument_threads_tells_and_changes_nothing() -> None:
    assert mp.threads() == mp.threads() == (parallel._limit or MOST)
    mp.threads(1)
    assert mp.threads() == mp.threads() == 1


@pytest.mark.parametrize("n", range(1, MOST + 1))
def test_threads_returns_what_is_in_force_and_limits_blas(n: int) -> None:
    (np.ones((64, 64)) @ np.ones((64, 64))).sum()  # BLAS is loaded
    assert mp.threads(n) == n
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    if not blas:
        pytest.skip("threadpoolctl knows no BLAS of this NumPy, so there is nothing to limit")
    assert set(blas) == {n}


def test_fewer_threads_can_be_more_again() -> None:
    for n in (1, MOST, 1, MOST):
        mp.threads(n)
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} <= {n}
        assert mp.threads() == n


@pytest.mark.parametrize("bad", [True, 2.0, "2", np.float32(1), [1]])
def test_threads_must_be_a_whole_number(bad: object) -> None:
    with pytest.raises(TypeError, match="threads expected a whole number, got"):
        mp.threads(bad)


def test_a_whole_number_of_numpys_will_do() -> None:
    assert mp.threads(np.int64(1)) == 1
    assert type(mp.threads()) is int


@pytest.mark.parametrize("bad", [0, -1, MOST + 1])
def test_threads_must_be_there(bad: int) -> None:
    mp.threads(1)
    with pytest.raises(ValueError, match=f"threads expected a number from 1 to {MOST}, .*, got {bad}"):
        mp.threads(bad)
    assert mp.threads() == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"OMP_NUM_THREADS": "4,2"}, 6),
        ({"OMP_NUM_THREADS": "64"}, 6),
        ({"NUMBA_NUM_THREADS": ""}, 6),
        ({}, 6),
    ],
)
def test_the_environment_may_lower_the_number_of_cores(environment: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parallel._most.cache_clear()
    try:
        assert parallel.available() == expected
    finally:
        parallel._most.cache_clear()


def test_with_one_thread_nothing_runs_in_parallel() -> None:
    mp.threads(1)
    assert not parallel.may_run_parallel()
    assert parallel.parts() == 1
    if MOST == 1:
        pytest.skip("a single core: nothing can run in parallel")
    mp.threads(MOST)
    assert parallel.may_run_parallel()
    assert parallel.parts() > MOST


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    plain = train(0, "numpy")
    for n in (1, MOST):
        mp.threads(n)
        assert_same(train(0), plain, 2e-4)
    mp.threads(1)
    alone = train(0)
    mp.threads(MOST)
    assert_same(train(0), alone)


@pytest.mark.parametrize("n", sorted({1, MOST}))
def test_several_python_threads_train_at_once(n: int) -> None:
    mp.threads(n)
    seeds = range(4)
    expected = [train(seed) for seed in seeds]
    start = threading.Barrier(len(seeds))

    def stress(seed: int) -> list[dict[str, Array]]:
        start.wait(timeout=60)
        return [train(seed) for _ in range(5)]

    with ThreadPoolExecutor(len(seeds)) as pool:
        results = list(pool.map(stress, seeds))
    for weights, repetitions in zip(expected, results, strict=True):
        assert len(repetitions) == 5
        for repeated in repetitions:
            assert_same(repeated, weights)
    assert not np.array_equal(expected[0]["0.weight"], expected[1]["0.weight"])


def _train_and_send(connection: Connection, seeds: list[int]) -> None:
    connection.send(([train(seed) for seed in seeds], parallel.may_run_parallel()))
    connection.close()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_computes_the_same_on_one_thread() -> None:
    mp.threads(MOST)
    expected = [train(seed) for seed in (0, 1)]  # the parent's thread pool is at work before it forks
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_train_and_send, args=(sender, [0, 1]))
    child.start()
    sender.close()
    try:
        assert receiver.poll(120), "the child hangs"
        results, on_threads = receiver.recv()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert not on_threads
    for one, other in zip(results, expected, strict=True):
        assert_same(one, other)
    assert parallel.may_run_parallel() == (MOST > 1)
    assert_same(train(0), expected[0])


def test_joblibs_workers_compute_the_same() -> None:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    expected = [train(seed) for seed in range(3)]
    try:
        results = Parallel(n_jobs=2, backend="loky")(delayed(train)(seed) for seed in range(3))
    finally:
        get_reusable_executor().shutdown(wait=True)
    for one, other in zip(results, expected, strict=True):
        assert_same(one, other)
