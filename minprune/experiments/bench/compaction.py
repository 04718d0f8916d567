"""The ResNet with half of the channels of every layer cut: how much faster is it once they are really gone?

Three networks, by forward pass (evaluation mode, no gradients) and by training step (SGD with momentum): dense; masked, which multiplies
its zeros unless the sparse kernels of training pay, which leave them out; and compacted, the same outputs from half the channels.

Measured with one thread (``minprune bench compact --threads 1``, batch 64): the forward pass takes 15.1 ms dense, 12.2 masked and 5.9
compacted, a training step 51, 45 and 19 ms. So half of the channels are 2.6 times as fast as the dense network, forward and training, and
2.1 and 2.3 times as fast as the masked one, whose density of a quarter takes the sparse kernels already. Where a forward pass's time goes,
dense and compacted: products 10.9 and 2.6 ms (four times less work, four times faster); BatchNorm, padding, ReLU and sums 6.5 and 2.6 ms
(they move half as much memory); Python and the launches of 38 kernels, the same for both, half a millisecond and more where other programs
run. What halves or stays, not the products, keeps the whole from being four times as fast.
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
