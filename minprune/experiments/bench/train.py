"""A training step of each network beside PyTorch's: SGD with momentum on one batch of random images.

The memory of a step is the growth of the process's peak from after a first step on a single image, which loads code and kernels, so that it
counts what training needs and not what the libraries weigh.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import numpy as np

from minprune import models, ops, prune
from minprune.experiments.bench.contest import Contestant, Rules, compete
from minprune.nn import Module
from minprune.optim import SGD
from minprune.tensor import Array

Step = Callable[[], None]
MODELS = ("lenet5", "lenet300100", "resnet")
HERE = "minprune.experiments.bench.train"


@dataclass(frozen=True)
class TrainTiming:
    """One training step: medians in milliseconds, peak memory growth in MiB; PyTorch's are None where it is not installed."""

    model: str
    batch_size: int
    threads: int
    ours_ms: float
    ours_mib: float | None
    numpy_ms: float
    pruned_ms: float
    torch_ms: float | None
    torch_mib: float | None

    @property
    def speedup(self) -> float | None:
        """PyTorch's time / ours; above 1 ours is faster."""
        return None if self.torch_ms is None else self.torch_ms / self.ours_ms

    @property
    def memory_ratio(self) -> float | None:
        """Ours / PyTorch's; below 1 ours takes less."""
        return None if self.torch_mib is None or self.ours_mib is None else self.ours_mib / self.torch_mib

    def as_dict(self) -> dict[str, object]:
        """All numbers, ratios included, for JSON."""
        return asdict(self) | {"speedup": self.speedup, "memory_ratio": self.memory_ratio}


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return find_spec("torch") is not None


def time_training(batch_size: int = 64, threads: int = 2) -> Iterator[TrainTiming]:
    """Time one step of each network: ours, the NumPy backend's and PyTorch's in turns."""
    makers = {"ours": "our_step", "numpy": "numpy_step", "pruned": "pruned_step"} | ({"torch": "torch_step"} if has_torch() else {})
    for model in MODELS:
        contestants = [Contestant(name, f"{HERE}:{maker}", (model, batch_size, threads)) for name, maker in makers.items()]
        found = compete(contestants, Rules(threads))
        ours, peer = found["ours"], found.get("torch")
        peers = (None, None) if peer is None else (peer.median, peer.mib)
        yield TrainTiming(model, batch_size, threads, ours.median, ours.mib, found["numpy"].median, found["pruned"].median, *peers)


def _batch(batch_size: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.random((batch_size, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, batch_size)


def our_step(name: str, batch_size: int, threads: int) -> Step:  # noqa: ARG001 (the environment sets the threads)
    """One training step of ours: zero_grad, forward, backward, step."""
    return step_of(models.create(name, rng=np.random.default_rng(0)), batch_size)


def pruned_step(name: str, batch_size: int, threads: int) -> Step:  # noqa: ARG001
    """The same with 95 % of every layer pruned: a step of sparse fine-tuning."""
    model = models.create(name, rng=np.random.default_rng(0))
    prune.cut(model, 0.95, scope="layer")
    return step_of(model, batch_size)


def step_of(model: Module, batch_size: int) -> Step:
    """A training step of ``model`` on random images."""
    optimizer = SGD(model.train(), lr=0.01, momentum=0.9)

    def step(images: Array, labels: Array) -> None:
        optimizer.zero_grad()
        ops.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return _after_one_image(step, *_batch(batch_size))


def numpy_step(name: str, batch_size: int, threads: int) -> Step:
    """The same on the NumPy backend."""
    os.environ["MINPRUNE_BACKEND"] = "numpy"  # this process has not run an operation yet
    return our_step(name, batch_size, threads)


def torch_step(name: str, batch_size: int, threads: int) -> Step:
    """The same in PyTorch, eager mode."""
    import torch

    from minprune.experiments.bench.torch_models import TORCH_MODELS

    torch.set_num_threads(threads)
    model = TORCH_MODELS[name]().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return _after_one_image(step, *(torch.from_numpy(a) for a in _batch(batch_size)))


def _after_one_image(step: Callable, images: object, labels: object) -> Step:
    """``step`` on the batch, after a first step on its first image."""
    step(images[:1], labels[:1])  # type: ignore[index]
    return lambda: step(images, labels)
