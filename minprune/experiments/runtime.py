"""How a pruned network is run: the one place where a figure's runtime is chosen.

A network may run as it is, every zero multiplied, or through the sparse engine, which looks at kept weights only. Which of them is quicker
depends on what was pruned, so both are timed, side by side, and the quicker counts. One thread works, so that a time does not hang on what
the machine's other cores do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minprune import backend, parallel
from minprune.metrics.latency import measure
from minprune.models import ImageModel
from minprune.nn import Module
from minprune.tape import no_grad

BATCH = 64  # images
ROUNDS = 4
TIME = 25.0  # milliseconds to measure a runtime for in a round, about, by 5 calls at least and 50 at most


def runtimes(model: Module, input_shape: tuple[int, ...]) -> dict[str, Callable[[Any], Any]]:
    """{name: the forward pass of ``model``, which is in evaluation mode}; the engine is there where the kernels run."""
    known: dict[str, Callable[[Any], Any]] = {"network": model}
    if backend.kernels_run():
        from minprune.sparse.compiler import compile as compile_engine

        known["engine"] = compile_engine(model, input_shape)
    return known


def quickest(networks: Sequence[ImageModel]) -> list[tuple[str, float]]:
    """(the name of the quicker runtime, its milliseconds for a batch of 64 images on one thread), for each network.

    All are measured in turns, ``ROUNDS`` times over, so that a slow minute of the machine does not fall on one network alone: of the
    medians of a runtime, one per round, the lowest counts.
    """
    rng, before = np.random.default_rng(0), parallel.threads()
    calls = [
        {name: partial(call, rng.random((BATCH, *n.input_shape), dtype=np.float32)) for name, call in runtimes(n, n.input_shape).items()}
        for n in networks
    ]
    times: list[dict[str, list[float]]] = [{name: [] for name in of} for of in calls]
    parallel.threads(1)
    try:
        with no_grad():
            for _ in range(ROUNDS):
                for network, of, found in zip(networks, calls, times, strict=True):
                    with network.evaluating():
                        for name, call in of.items():
                            found[name].append(_median(call))
    finally:
        parallel.threads(before)
    return [min(((name, min(medians)) for name, medians in found.items()), key=lambda pair: pair[1]) for found in times]


def _median(call: Callable[[], Any]) -> float:
    first = measure(call, warmup=1, repeats=1).median
    return measure(call, warmup=0, repeats=int(np.clip(TIME / first, 5, 50))).median
