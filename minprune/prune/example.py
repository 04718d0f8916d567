"""One example through a network: from the shape of its input to the outputs, with the tape that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any

import numpy as np

from minprune.errors import ShapeError
from minprune.nn import Module
from minprune.tensor import Tensor

InputShape = tuple[int, ...] | Sequence[tuple[int, ...]]  # of one input without the batch, or one for each of several inputs


def example(model: Module, input_shape: InputShape | None) -> list[Tensor]:
    """One random input of each shape, with a batch of one, of the model's dtype, such that everything that depends on it is on the tape."""
    shape = input_shape if input_shape is not None else getattr(model, "input_shape", None)
    if shape is None:
        raise ShapeError(f"expected an input_shape, such as (C, H, W), since a {type(model).__name__} does not know its own; got None")
    shapes = list(shape) if len(shape) and isinstance(shape[0], tuple | list) else [shape]
    rng, dtype = np.random.default_rng(0), next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    return [Tensor(rng.standard_normal((1, *map(int, s))).astype(dtype), requires_grad=True) for s in shapes]


def run(model: Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of ``model`` in evaluation mode, on a tape (even inside ``no_grad``); every module's mode is restored.

    Raises:
        TypeError: an output is not a tensor.
        ShapeError: the inputs do not fit the model.
    """
    with model.evaluating():
        result = Context().run(model, *inputs)  # a context of its own, which leaves a tape even inside no_grad()
    outputs = _flat(result)
    for out in outputs:
        if not isinstance(out, Tensor):
            raise TypeError(
                f"{type(model).__name__} expected to return tensors, or a tuple, list or dict of them, got {type(out).__name__}"
            )
    return outputs


def _flat(result: Any) -> list[Any]:
    if isinstance(result, dict):
        result = list(result.values())
    return [out for part in result for out in _flat(part)] if isinstance(result, tuple | list) else [result]
