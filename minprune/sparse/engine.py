"""An engine: a compiled network that runs batches of any size, from any number of threads."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from minprune import parallel
from minprune.errors import ShapeError
from minprune.fast.memory import ALIGN
from minprune.kernels import engine as machine
from minprune.kernels.fields import Arrays
from minprune.sparse.plan import Program
from minprune.sparse.trace import Trace
from minprune.tensor import Array, Tensor

Layout = tuple[int, int]  # (images of a panel, workers)


@dataclass(frozen=True)
class Path:
    """Which way a layer went, and why.

    ``path`` is "dense", "sparse" or a pattern such as "2:4"; ``times`` are microseconds per panel of each that was measured when the
    engine was compiled, none where there was nothing to choose.
    """

    name: str
    shape: tuple[int, ...]
    density: float
    path: str
    times: dict[str, float]

    @property
    def reason(self) -> str:
        """In words."""
        if not self.times:
            return "nothing is pruned" if self.density == 1 else "nothing is left"
        return ", ".join(f"{path} {us:.1f} µs" for path, us in self.times.items())


def empty_workspaces(program: Program, width: int, workers: int) -> Array:
    """Zeroed memory (workers, floats), each row of which starts at a cache line: vectors that straddle two lines take twice as long."""
    floats = math.ceil(program.positions * width / ALIGN) * ALIGN
    memory = np.zeros(workers * floats + ALIGN, np.float32)
    start = -(memory.ctypes.data // memory.itemsize) % ALIGN
    return memory[start : start + workers * floats].reshape(workers, floats)


class Engine:
    """Made by ``sparse.compile``. ``engine(x)`` is the network's output for a batch x.

    ``paths`` tells which kernel each layer takes and why; ``widths`` is {images of a panel: measured milliseconds per panel}, from which
    each call chooses (1: an image by itself). ``nbytes`` counts all its numbers: weights, offsets, row starts, biases, tables. Safe to call
    from several threads at once.
    """

    def __init__(self, trace: Trace, program: Program, paths: tuple[Path, ...], widths: dict[int, float]) -> None:
        self.input_shape = trace.input_shape
        self.output_shapes = tuple(shape for _, shape in trace.outputs)
        self.paths, self.widths = paths, widths
        self._program, self._single = program, trace.single
        self._code = machine.load_code(program.steps)
        self._idle: deque[tuple[Layout, Array]] = deque()  # workspaces that wait for their next use
        self._layouts: dict[tuple[int, int], Layout] = {}
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.output_shapes)])
        self._features = int(ends[-1])
        self._parts = [slice(low, high) for low, high in pairwise(ends)]

    @property
    def nbytes(self) -> int:
        return self._program.nbytes

    def __call__(self, x: Any, out: Array | None = None) -> Any:
        """The outputs for a batch.

        Args:
            x: float32 (N, *input_shape), N >= 1, in any memory order. NaN goes through to every output that a kept weight connects it with.
            out: where to put them: float32, contiguous, of the output's shape. For networks with a single output.

        Returns:
            float32 (N, *output shape), ``out`` if it was given; a tuple of such where the model returns several tensors.

        Raises:
            ShapeError, TypeError: x or out has another shape or dtype, or the batch is empty.
        """
        batch = self._checked(x)
        n = len(batch)
        flat = np.empty((n, self._features), np.float32) if out is None else self._checked_out(out, n)
        layout = self._layout(n, parallel.threads() if parallel.may_run_parallel() else 1)
        work = self._workspace(layout)
        p, (width, workers) = self._program, layout
        machine.run(batch, flat, work, p.steps, self._code, p.arrays, p.entry, p.exits, width, most=workers)
        self._idle.append((layout, work))
        if out is not None:
            return out
        if self._single:
            return flat.reshape(n, *self.output_shapes[0])
        return tuple(flat[:, part].reshape(n, *shape) for part, shape in zip(self._parts, self.output_shapes, strict=True))

    def _checked(self, x: Any) -> Array:
        """x as a contiguous, writable (N, features) array."""
        array = x.data if isinstance(x, Tensor) else x
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            found = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"the engine expected an array of float32, got {found}")
        if array.shape[1:] != self.input_shape or array.ndim == 0 or len(array) == 0:
            raise ShapeError(
                f"the engine expected a batch of shape (N, {', '.join(map(str, self.input_shape))}) with N >= 1, got {array.shape}"
            )
        if not (array.flags.c_contiguous and array.flags.writeable):
            array = array.copy(order="C")
        return array.reshape(len(array), -1)

    def _checked_out(self, out: Array, n: int) -> Array:
        """out as a (N, features) view of itself."""
        if not self._single:
            raise ValueError(f"out= serves networks with one output; this one has {len(self.output_shapes)}")
        if not isinstance(out, np.ndarray) or out.dtype != np.float32 or not (out.flags.c_contiguous and out.flags.writeable):
            raise TypeError("out expected a contiguous, writable array of float32, got " + str(getattr(out, "dtype", type(out).__name__)))
        if out.shape != (n, *self.output_shapes[0]):
            raise ShapeError(f"out expected shape {(n, *self.output_shapes[0])}, got {out.shape}")
        return out.reshape(n, -1)

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

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        p = self._program  # joblib hands large arrays on as files that may not be written to, which kernels do not take
        self._program = replace(p, arrays=Arrays(*(np.require(a, requirements="W") for a in p.arrays)))
        self._code = machine.load_code(self._program.steps)  # another process has its machine code elsewhere

    def report(self) -> str:
        """A table: which layer took which path and why, and the time of a panel of each width."""
        rows = [("layer", "shape", "density", "path", "because")]
        rows += [(p.name, "x".join(map(str, p.shape)), f"{p.density:.1%}", p.path, p.reason) for p in self.paths]
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]
        times = ", ".join(f"{width} image{'s' * (width > 1)} {ms * 1e3:.0f} µs" for width, ms in self.widths.items())
        return "\n".join([*lines, f"a panel on one thread: {times}", f"{self.nbytes:,} bytes"])
