"""What every engine is to its user: a network that takes batches of any size, from any number of threads, and says how it runs."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from minprune import backend
from minprune.errors import BackendError, ShapeError
from minprune.sparse.trace import Trace
from minprune.tensor import Array, Tensor


@dataclass(frozen=True)
class Path:
    """Which way a layer went, and why.

    ``path`` is "dense", "sparse", a pattern such as "2:4", or "NumPy" without kernels; ``times`` are microseconds per panel of each that
    was measured when the engine was compiled, none where there was nothing to choose.
    """

    name: str
    shape: tuple[int, ...]
    density: float
    path: str
    times: dict[str, float]

    @property
    def reason(self) -> str:
        """In words."""
        if self.path == "NumPy":
            return "no kernels: every weight is multiplied, zero or not"
        if not self.times:
            return "nothing is pruned" if self.density == 1 else "nothing is left"
        return ", ".join(f"{path} {us:.1f} µs" for path, us in self.times.items())


def kind_of(thing: Any) -> str:
    """The name of its type, with the module where that is not Python itself: there are Tensors elsewhere too."""
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Engine(ABC):
    """Made by ``sparse.compile``. ``engine(x)`` is the network's output for a batch x.

    ``paths`` tells which way each layer goes and why, ``nbytes`` what it takes to store. Safe to call from several threads at once.
    """

    def __init__(self, trace: Trace, paths: tuple[Path, ...]) -> None:
        self.input_shape, self.paths = trace.input_shape, paths
        self.output_shapes = tuple(shape for _, shape in trace.outputs)
        self._single = trace.single
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.output_shapes)])
        self._features = int(ends[-1])
        self._parts = [slice(low, high) for low, high in pairwise(ends)]

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of all its numbers."""

    @abstractmethod
    def report(self) -> str:
        """A table: which layer took which path and why."""

    @abstractmethod
    def _run(self, batch: Array, out: Array) -> None:
        """From x (N, features) to the outputs (N, features of all), side by side."""

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
        if out is not None:
            flat = self._checked_out(out, n)
            self._run(batch.copy() if np.may_share_memory(batch, flat) else batch, flat)
            return out
        flat = np.empty((n, self._features), np.float32)
        self._run(batch, flat)
        if self._single:
            return flat.reshape(n, *self.output_shapes[0])
        return tuple(flat[:, part].reshape(n, *shape) for part, shape in zip(self._parts, self.output_shapes, strict=True))

    def _checked(self, x: Any) -> Array:
        """x as a contiguous, writable (N, features) array."""
        array = x.data if isinstance(x, Tensor) else x
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            found = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else kind_of(array)
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
        if not isinstance(out, np.ndarray) or out.dtype != np.float32:
            raise TypeError("out expected an array of float32, got " + str(getattr(out, "dtype", type(out).__name__)))
        if not (out.flags.c_contiguous and out.flags.writeable):
            found = "one in another order" if out.flags.writeable else "a read-only one"
            raise TypeError(f"out expected a contiguous, writable array, got {found}")
        if out.shape != (n, *self.output_shapes[0]):
            raise ShapeError(f"out expected shape {(n, *self.output_shapes[0])}, got {out.shape}")
        return out.reshape(n, -1)

    def _table(self) -> list[str]:
        """The lines of the table of paths."""
        rows = [("layer", "shape", "density", "path", "because")]
        rows += [(p.name, "x".join(map(str, p.shape)), f"{p.density:.1%}", p.path, p.reason) for p in self.paths]
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]


def revive(state: dict[str, Any]) -> Engine:
    """The engine of kernels that was pickled.

    Raises:
        BackendError: the kernels do not run here.
    """
    fault = backend.numba_fault()
    if fault:
        raise BackendError(f"this engine was made for the kernels, and numba does not work here ({fault}); compile the model here")
    made_by = importlib.import_module("minprune.sparse.machine").KernelEngine  # imports this file
    engine = made_by.__new__(made_by)
    engine.__setstate__(state)
    return cast(Engine, engine)
