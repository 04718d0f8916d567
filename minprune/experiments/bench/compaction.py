"""The ResNet with half of the channels of every layer cut: how much faster is it once they are really gone?

Three networks, by forward pass (evaluation mode, no gradients) and by training step (SGD with momentum): dense; masked, which multiplies
its zeros; and compacted, the same outputs from half the channels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from minprune import models, prune
from minprune.experiments.bench.contest import Contestant, Rules, compete
from minprune.experiments.bench.train import step_of
from minprune.nn import Module
from minprune.tape import no_grad

HERE = "minprune.experiments.bench.compaction"
WORKS = ("forward", "training")
NETWORKS = ("dense", "masked", "compacted")


@dataclass(frozen=True)
class CompactionTiming:
    """Milliseconds of one batch, for one kind of work, by network."""

    work: str
    batch_size: int
    threads: int
    dense_ms: float
    masked_ms: float
    compacted_ms: float

    def as_dict(self) -> dict[str, object]:
        """All numbers, with the compacted network's speed-up over the two others, for JSON."""
        return asdict(self) | {"over_dense": self.dense_ms / self.compacted_ms, "over_masked": self.masked_ms / self.compacted_ms}


def time_compaction(batch_size: int = 64, threads: int = 2) -> list[CompactionTiming]:
    """Time all networks and both kinds of work in turns."""
    contestants = [Contestant(f"{w} {n}", f"{HERE}:{w}_call", (n, batch_size)) for w in WORKS for n in NETWORKS]
    found = compete(contestants, Rules(threads))
    return [CompactionTiming(w, batch_size, threads, *(found[f"{w} {n}"].median for n in NETWORKS)) for w in WORKS]


def seconds_to_compact() -> float:
    """How long the surgery itself takes: the quickest of three."""
    model, times = network("masked"), []
    for _ in range(3):
        start = time.perf_counter()
        prune.compact(model)
        times.append(time.perf_counter() - start)
    return min(times)


def network(name: str) -> Module:
    """One of the three, with random weights."""
    model = models.create("resnet", rng=np.random.default_rng(0))
    if name != "dense":
        prune.cut(model, 0.5, scope="layer", granularity="channel")
    return prune.compact(model) if name == "compacted" else model


def forward_call(name: str, batch_size: int) -> Callable[[], object]:
    """The forward pass."""
    model = network(name).eval()
    images = np.random.default_rng(0).random((batch_size, 1, 28, 28), dtype=np.float32)

    def call() -> object:
        with no_grad():
            return model(images)

    return call


def training_call(name: str, batch_size: int) -> Callable[[], object]:
    """The training step."""
    return step_of(network(name), batch_size)
