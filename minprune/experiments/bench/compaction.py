"""The ResNet with half of the channels of every layer cut: how much faster is it once they are really gone?

Three networks, by forward pass (evaluation mode, no gradients) and by training step (SGD with momentum): dense; masked, which leaves its
zeros out where the sparse kernels of training pay; and compacted, the same outputs from half the channels.

How many times as fast the compacted network is (``minprune bench compact``, batch 64; all runs made, on a machine shared with others):

                                 forward: over masked, over dense     training: over masked, over dense
    one thread, two runs         2.1 2.1                2.6 2.6       2.3 2.4                2.7 2.8
    two threads, two runs        1.8 2.0                1.9 2.3       1.9 1.9                2.1 2.2

Against the masked network it stays below 2.5 everywhere; against the dense one it is above with one thread. The runs with two threads took
longer than those with one, so somebody else had a core: they say little about two free ones. Two reasons stand out in one forward pass
with a clock around each kernel (one thread, 20.4, 15.6 and 7.3 ms in all, more than without the clocks). The masked network, a quarter
dense, takes sparse kernels already: its products take 6.6 ms, the dense network's 10.9. And only products shrink fourfold, to 2.6 ms;
BatchNorm, padding, ReLU and sums move half as much memory, 6.5 to 2.6 ms, and all between the 38 kernels, 3.2 to 2.5 ms, hardly shrinks.
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
