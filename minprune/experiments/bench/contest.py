"""Timing several libraries in one run, so that their ratio means something on a noisy machine.

Each contestant lives in a process of its own, since thread pools disturb one another: a pool that has just worked keeps spinning for a
moment. All get the same number of threads, for every library that knows one, and OpenMP's are pinned to cores. They take turns in blocks
of calls; in a process the first calls of a block are warm-up and do not count, and while it waits for its turn it sleeps. Between two turns
all rest, until the threads of the last have stopped looking for more work (OpenBLAS's do so for tens of milliseconds, and take a core from
whoever comes next). What is reported is the median over all its calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from minprune.errors import BenchError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PINNED = {"OMP_PROC_BIND": "true"}  # each thread stays on its core: two that share one wait for each other half the time
REST = 0.1  # seconds


@dataclass(frozen=True)
class Contestant:
    """``maker`` ("module:function") is called with ``arguments`` in the contestant's process and returns what is timed."""

    name: str
    maker: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Rules:
    """``blocks`` turns of ``calls`` timed calls each, after ``warmup`` that are not; ``threads`` for everyone."""

    threads: int
    blocks: int = 12
    calls: int = 12
    warmup: int = 4


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call: median and quartiles; and MiB by which the process's peak grew in its calls (None where that is not known)."""

    median: float
    low: float
    high: float
    mib: float | None


def compete(contestants: list[Contestant], rules: Rules) -> dict[str, Timing]:
    """Time all contestants in turns; the keys are their names."""
    times: dict[str, list[float]] = {c.name: [] for c in contestants}
    with ExitStack() as stack:
        ends = {c.name: stack.enter_context(_process(c, rules)) for c in contestants}
        for _ in range(rules.blocks):
            for name, end in ends.items():
                time.sleep(REST)
                end.send("go")
                times[name] += _answer(name, end)
        growth = {}
        for name, end in ends.items():
            end.send("memory")
            growth[name] = _answer(name, end)
    quartiles = {name: [float(q) for q in np.percentile(t, [25, 50, 75])] for name, t in times.items()}
    return {name: Timing(median, low, high, growth[name]) for name, (low, median, high) in quartiles.items()}


def _answer(name: str, end: Any) -> Any:
    try:
        kind, value = end.recv()
    except EOFError:
        raise BenchError(f"the process of {name} ended before it answered") from None
    if kind == "error":
        raise BenchError(f"{name} failed in its process: {value}")
    return value


@contextmanager
def _process(contestant: Contestant, rules: Rules) -> Iterator[Any]:
    """The near end of a pipe to a contestant's process, once that is ready."""
    context = get_context("spawn")
    near, far = context.Pipe()
    kept = {name: os.environ.get(name) for name in (*THREAD_VARIABLES, *PINNED)}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(rules.threads)) | PINNED)  # a child reads them when it starts
    try:
        process = context.Process(target=_contend, args=(contestant, rules, far), daemon=True)
        process.start()
        far.close()  # ours; when the process ends, the pipe does
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    try:
        _answer(contestant.name, near)
        yield near
    finally:
        process.terminate()
        process.join()


def _contend(contestant: Contestant, rules: Rules, end: Any) -> None:
    """What runs in the process: make the call, and answer each "go" with the times of a block."""
    try:
        module, function = contestant.maker.split(":")
        call: Callable[[], Any] = getattr(import_module(module), function)(*contestant.arguments)
        before = peak_mib()
        end.send(("ready", None))
        while (asked := _asked(end)) is not None:
            if asked == "go":
                end.send(("times", _block(call, rules)))
            else:
                after = peak_mib()
                end.send(("memory", None if before is None or after is None else after - before))
    except KeyboardInterrupt:  # it reached the process that asked too, which says so
        return
    except Exception as error:  # whatever went wrong is told to the process that asked
        with suppress(BrokenPipeError):
            end.send(("error", f"{type(error).__name__}: {error}"))


def _asked(end: Any) -> str | None:
    """What the process at the other end wants next; None where it is gone."""
    try:
        return str(end.recv())
    except EOFError:
        return None


def _block(call: Callable[[], Any], rules: Rules) -> list[float]:
    """Milliseconds of each timed call."""
    times = []
    for i in range(rules.warmup + rules.calls):
        start = time.perf_counter()
        call()
        if i >= rules.warmup:
            times.append((time.perf_counter() - start) * 1e3)
    return times


def peak_mib() -> float | None:
    """The largest resident set this process has had, in MiB, from Linux's /proc; None elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
