"""From a masked or compacted model to an engine: trace it, make the engine, and hold that against the model."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.nn import Module
from minprune.sparse.engine import Engine, kind_of
from minprune.sparse.matrices import PlainEngine
from minprune.sparse.trace import outputs, trace
from minprune.tensor import Array, Tensor

TOLERANCE = 1e-2  # of the largest output: what is wrong is wrong by more, and rounding in a deep network by less
LARGEST = 1e30  # beyond it, another order of additions may overflow


def compile(model: Module, input_shape: Sequence[int]) -> Engine:  # noqa: A001 (as re.compile: always called with its module's name)
    """An engine that computes what ``model`` computes in evaluation mode, with its present weights and masks.

    BatchNorm is folded into the layer before it. Weights that a mask prunes (without a mask, those that are zero) are not visited. Where
    the kernels do not run (see ``backend``), the engine does the same in NumPy, no faster for its zeros.

    Args:
        input_shape: (C, H, W) or (C,) of one input.

    Raises:
        TypeError: ``model`` is no Module or does not return Tensors, ``input_shape`` is no sequence of whole numbers.
        ShapeError: the model does not take that shape.
        NotImplementedError: an operation that the compiler does not know; names it.
        ValueError: a mask prunes weights that are not zero; or the engine computes something else than the model, which is so where values
            leave the tape.
    """
    if not isinstance(model, Module):
        found = f"the class {model.__name__}" if isinstance(model, type) else kind_of(model)
        raise TypeError(f"sparse.compile expected a minprune Module, got {found}")
    shape = _checked(input_shape)
    traced = trace(model, shape)
    if backend.kernels_run():
        from minprune.sparse.measure import quickest_engine

        engine: Engine = quickest_engine(traced)
    else:
        engine = PlainEngine(traced)
    _compare(engine, model, shape)
    return engine


def _checked(shape: Any) -> tuple[int, ...]:
    """``shape`` as a tuple, if it is one of whole numbers from 1 on."""
    shape = shape.tolist() if isinstance(shape, np.ndarray) else shape
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes) or not all(isinstance(n, Integral) for n in shape):
        raise TypeError(f"input_shape expected (C, H, W) or (C,), whole numbers, got {shape!r}")
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ShapeError(f"input_shape expected (C, H, W) or (C,) with numbers from 1 on, got {tuple(shape)}")
    return tuple(int(n) for n in shape)


def _compare(engine: Engine, model: Module, shape: tuple[int, ...]) -> None:
    """A ValueError if engine and model differ on two random inputs."""
    x: Array = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    with np.errstate(all="ignore"):
        results = engine(x)
        found = [results] if isinstance(results, np.ndarray) else list(results)
        try:
            expected = [y.data for y in outputs(model, Tensor(x))]
        except (TypeError, ValueError) as error:
            raise _lost(f"it takes one image but not two ({error})") from error
        if [y.shape for y in found] != [y.shape for y in expected]:
            raise _lost(f"for two images it returns shapes {[y.shape for y in expected]}, not {[y.shape for y in found]}")
        for got, want in zip(found, expected, strict=True):
            usable = np.abs(want) < LARGEST  # not so where it is NaN
            far = np.abs(got - want)[usable].max(initial=0)
            if not far <= TOLERANCE * np.abs(want)[usable].max(initial=1e-6):  # not so where far is NaN
                raise _lost(f"for random inputs it and the engine differ by {far:.2g}")


def _lost(why: str) -> ValueError:
    return ValueError(
        f"sparse.compile could not follow the model: {why}. What is computed outside of Tensors (from their .data, or by chance), and "
        "which of several ways is taken, cannot depend on the input; and no image may depend on another"
    )
