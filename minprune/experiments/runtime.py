"""How a pruned network is run: the one place where a figure's runtime is chosen.

A network may run as it is, every zero multiplied, or through the sparse engine, which looks at kept weights only. Which of them is quicker
depends on what was pruned, so both are timed, side by side, and the quicker counts. One thread works, so that a time does not hang on what
the machine's other cores do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minprune import backend, parallel
from minprune.metrics.latency import measure
from minprune.nn import Module
from minprune.tape import no_grad

BATCH = 64  # images
TIME = 200.0  # milliseconds to measure for, about, by 10 calls at least and 100 at most


def runtimes(model: Module, input_shape: tuple[int, ...]) -> dict[str, Callable[[Any], Any]]:
    """{name: the forward pass of ``model``, which is in evaluation mode}; the engine is there where the kernels run."""
    known: dict[str, Callable[[Any], Any]] = {"network": model}
    if backend.kernels_run():
        from minprune.sparse.compiler import compile as compile_engine

        known["engine"] = compile_engine(model, input_shape)
    return known


def quickest(model: Module, input_shape: tuple[int, ...]) -> tuple[str, float]:
    """(the name of the quicker runtime, its median milliseconds for a batch of 64 images on one thread)."""
    x = np.random.default_rng(0).random((BATCH, *input_shape), dtype=np.float32)
    before = parallel.threads()
    parallel.threads(1)
    try:
        with model.evaluating(), no_grad():
            times = {name: _median(partial(call, x)) for name, call in runtimes(model, input_shape).items()}
    finally:
        parallel.threads(before)
    name = min(times, key=times.__getitem__)
    return name, times[name]


def _median(call: Callable[[], Any]) -> float:
    first = measure(call, warmup=2, repeats=3).median
    return measure(call, repeats=int(np.clip(TIME / first, 10, 100))).median
