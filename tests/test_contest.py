"""Timing in processes: what comes back, and that whatever goes wrong there ends with an error here and not with waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from minprune.errors import BenchError
from minprune.experiments.bench.contest import Contestant, Rules, compete

RULES = Rules(threads=1, blocks=2, calls=3, warmup=1)


def sleeper(seconds: float) -> Callable[[], None]:
    return lambda: time.sleep(seconds)


def thread_variable() -> Callable[[], None]:
    assert os.environ["OMP_NUM_THREADS"] == "1"
    return lambda: None


def unmade(error: type[Exception]) -> Callable[[], None]:
    raise error("no such luck")


def failing(error: type[Exception]) -> Callable[[], None]:
    def call() -> None:
        raise error("no such luck")

    return call


def ending(when: str) -> Callable[[], None]:
    if when == "made":
        os._exit(9)
    return lambda: os._exit(9)


def contestant(function: Callable[..., object], *arguments: object) -> Contestant:
    return Contestant(function.__name__, f"{__name__}:{function.__name__}", arguments)


def test_medians_come_back_under_their_names() -> None:
    found = compete([Contestant("long", f"{__name__}:sleeper", (0.03,)), contestant(sleeper, 0.003), contestant(thread_variable)], RULES)
    assert found["long"].median > 29
    assert found["sleeper"].low <= found["sleeper"].median <= found["sleeper"].high
    assert found["thread_variable"].median < found["sleeper"].median < found["long"].median


@pytest.mark.parametrize("made", [unmade, failing])
@pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ValueError])
def test_an_error_in_a_process_is_told(made: Callable[..., object], error: type[Exception]) -> None:
    with pytest.raises(BenchError, match=f"{made.__name__} failed in its process: {error.__name__}: no such luck"):
        compete([contestant(made, error)], RULES)


@pytest.mark.parametrize("when", ["made", "called"])
def test_a_process_that_ends_is_not_waited_for(when: str) -> None:
    with pytest.raises(BenchError, match="the process of ending ended before it answered"):
        compete([contestant(ending, when)], RULES)
