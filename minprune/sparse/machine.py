"""The engine that runs on the kernels: a program, the memory it works in, and the layout of each call."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from minprune import parallel
from minprune.fast.memory import ALIGN
from minprune.kernels import engine as machine
from minprune.kernels.fields import Arrays
from minprune.sparse.engine import Engine, Path, revive
from minprune.sparse.plan import Program
from minprune.sparse.trace import Trace
from minprune.tensor import Array

Layout = tuple[int, int]  # (images of a panel, workers)


def empty_workspaces(program: Program, width: int, workers: int) -> Array:
    """Zeroed memory (workers, floats), each row of which starts at a cache line: vectors that straddle two lines take twice as long."""
    floats = math.ceil(program.positions * width / ALIGN) * ALIGN
    memory = np.zeros(workers * floats + ALIGN, np.float32)
    start = -(memory.ctypes.data // memory.itemsize) % ALIGN
    return memory[start : start + workers * floats].reshape(workers, floats)


class KernelEngine(Engine):
    """An engine of kernels. ``nbytes`` counts all its numbers: weights, offsets, row starts, biases, tables.

    ``widths`` is {images of a panel: measured milliseconds per panel}, from which each call chooses (1: an image by itself).
    """

    def __init__(self, trace: Trace, program: Program, paths: tuple[Path, ...], widths: dict[int, float]) -> None:
        super().__init__(trace, paths)
        self.widths, self._program = widths, program
        self._code = machine.load_code(program.steps)
        self._idle: deque[tuple[Layout, Array]] = deque()  # workspaces that wait for their next use
        self._layouts: dict[tuple[int, int], Layout] = {}

    @property
    def nbytes(self) -> int:
        return self._program.nbytes

    def _run(self, batch: Array, out: Array) -> None:
        n = len(batch)
        layout = self._layout(n, parallel.threads() if parallel.may_run_parallel() else 1)
        work = self._workspace(layout)
        p, (width, workers) = self._program, layout
        machine.run(batch, out, work, p.steps, self._code, p.arrays, p.entry, p.exits, width, most=workers)
        self._idle.append((layout, work))

    def _layout(self, n: int, threads: int) -> Layout:
        """The panels that take least time for ``n`` images on ``threads`` threads, by what was measured."""
        if (n, threads) not in self._layouts:
            rounds = {width: math.ceil(math.ceil(n / width) / threads) for width in self.widths}
            best = min(self.widths, key=lambda width: rounds[width] * self.widths[width])
            self._layouts[n, threads] = best, min(threads, math.ceil(n / best))
        return self._layouts[n, threads]

    def _workspace(self, layout: Layout) -> Array:
        """Memory (workers, floats) for the activations; its borders are zero and stay so. Reused where one lies idle."""
        try:
            kept, work = self._idle.popleft()
        except IndexError:  # none is idle: this is the first call, or other threads have them all
            return empty_workspaces(self._program, *layout)
        return work if kept == layout else empty_workspaces(self._program, *layout)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_idle": deque(), "_code": None}

    def __reduce__(self) -> tuple[Any, ...]:
        return revive, (self.__getstate__(),)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        p = self._program  # joblib hands large arrays on as files that may not be written to, which kernels do not take
        self._program = replace(p, arrays=Arrays(*(np.require(a, requirements="W") for a in p.arrays)))
        self._code = machine.load_code(self._program.steps)  # another process has its machine code elsewhere

    def report(self) -> str:
        """A table: which layer took which path and why, and the time of a panel of each width."""
        times = ", ".join(f"{width} image{'s' * (width > 1)} {ms * 1e3:.0f} µs" for width, ms in self.widths.items())
        return "\n".join([*self._table(), f"a panel on one thread: {times}", f"{self.nbytes:,} bytes"])
