"""How long does it take? Wall-clock time of a call, after warm-up, as a median with its spread.

The first calls fill caches and are thrown away; the median shrugs off the odd interruption; the quartiles show how noisy the machine was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minprune.nn import Module
from minprune.tape import no_grad


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call: median, first and third quartile, over ``repeats`` calls."""

    median: float
    low: float
    high: float
    repeats: int

    def __str__(self) -> str:
        return f"{self.median:.3f} ms ({self.low:.3f}-{self.high:.3f}, n={self.repeats})"


def measure(call: Callable[[], Any], *, warmup: int = 5, repeats: int = 30) -> Latency:
    """Time ``call`` ``repeats`` times after ``warmup`` calls that do not count."""
    if repeats < 1 or warmup < 0:
        raise ValueError(f"expected repeats >= 1 and warmup >= 0, got {repeats} and {warmup}")
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    low, median, high = np.percentile(times, [25, 50, 75])
    return Latency(float(median), float(low), float(high), repeats)


def latency(model: Module, input_shape: tuple[int, ...], *, batch_size: int = 1, warmup: int = 5, repeats: int = 30) -> Latency:
    """Time the forward pass of ``model``, as it is, on one batch of ``input_shape`` (C, H, W) images, in evaluation mode.

    Masked weights are multiplied like any other here: a mask alone makes nothing faster.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size expected a whole number >= 1, got {batch_size!r}")
    x = np.random.default_rng(0).random((batch_size, *input_shape), dtype=np.float32)
    with model.evaluating(), no_grad():
        return measure(lambda: model(x), warmup=warmup, repeats=repeats)
