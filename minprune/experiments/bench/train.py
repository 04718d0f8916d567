"""Timing a training step beside PyTorch's, in one run, so that the ratio means something on a noisy machine.

The two take turns in blocks of steps. Only one of them runs within a block, since their thread pools would disturb each other (a pool that
has just worked keeps spinning for a moment); the first steps of a block are warm-up and do not count.

The memory of a training step is measured in processes of their own: the growth of the peak resident set from before the first step.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from minprune import models, ops
from minprune.optim import SGD
from minprune.tensor import Array

Step = Callable[[], None]
MODELS = ("lenet5", "lenet300100", "resnet")
BLOCKS, WARMUP, STEPS = 12, 4, 12
MEMORY_STEPS = 10


@dataclass(frozen=True)
class TrainTiming:
    """One training step: medians in milliseconds, peak memory growth in MiB; PyTorch's are None where it is not installed."""

    model: str
    batch_size: int
    threads: int
    ours_ms: float
    ours_mib: float | None
    torch_ms: float | None
    torch_mib: float | None

    @property
    def time_ratio(self) -> float | None:
        """Ours / PyTorch's; below 1 ours is faster."""
        return None if self.torch_ms is None else self.ours_ms / self.torch_ms

    @property
    def memory_ratio(self) -> float | None:
        """Ours / PyTorch's; below 1 ours takes less."""
        return None if self.torch_mib is None or self.ours_mib is None else self.ours_mib / self.torch_mib

    def as_dict(self) -> dict[str, object]:
        """All numbers, ratios included, for JSON."""
        return asdict(self) | {"time_ratio": self.time_ratio, "memory_ratio": self.memory_ratio}


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return find_spec("torch") is not None


def time_training(batch_size: int = 64, threads: int = 2) -> Iterator[TrainTiming]:
    """Time one SGD-with-momentum step of each network, ours and PyTorch's in turn, both on ``threads`` threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        for model in MODELS:
            libraries = ("ours", "torch") if has_torch() else ("ours",)
            steps = {name: STEP_MAKERS[name](model, batch_size, threads) for name in libraries}
            times = _in_turn(steps)
            memory = {name: _memory_growth(name, model, batch_size, threads) for name in steps}
            yield TrainTiming(model, batch_size, threads, times["ours"], memory["ours"], times.get("torch"), memory.get("torch"))


def _in_turn(steps: dict[str, Step]) -> dict[str, float]:
    """Median milliseconds of each step over blocks that take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(BLOCKS):
        for name, step in steps.items():
            for i in range(WARMUP + STEPS):
                start = time.perf_counter()
                step()
                if i >= WARMUP:
                    times[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(t)) for name, t in times.items()}


def _batch(batch_size: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.random((batch_size, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, batch_size)


def our_step(name: str, batch_size: int, threads: int) -> Step:
    """One training step of ours: zero_grad, forward, backward, step. The threads are the BLAS library's, limited by the caller."""
    del threads
    model = models.create(name, rng=np.random.default_rng(0)).train()
    optimizer = SGD(model, lr=0.01, momentum=0.9)
    images, labels = _batch(batch_size)

    def step() -> None:
        optimizer.zero_grad()
        ops.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def torch_step(name: str, batch_size: int, threads: int) -> Step:
    """The same in PyTorch, eager mode, with ``threads`` threads."""
    import torch

    from minprune.experiments.torch_models import TORCH_MODELS

    torch.set_num_threads(threads)
    model = TORCH_MODELS[name]().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = (torch.from_numpy(a) for a in _batch(batch_size))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def peak_mib() -> float:
    """The largest resident set this process has had, in MiB, from Linux's /proc. (``getrusage`` would count the parent's, too.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _memory_growth(library: str, model: str, batch_size: int, threads: int) -> float | None:
    """MiB by which the peak of a fresh process grows in a few training steps; None where it cannot be measured (not Linux)."""
    if sys.platform != "linux":
        return None
    code = (
        "from threadpoolctl import threadpool_limits\n"
        "from minprune.experiments import bench\n"
        f"step = bench.STEP_MAKERS[{library!r}]({model!r}, {batch_size}, {threads})\n"
        f"limit = threadpool_limits({threads})\n"
        f"before = bench.peak_mib()\n"
        f"for _ in range({MEMORY_STEPS}): step()\n"
        "print(bench.peak_mib() - before)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


STEP_MAKERS = {"ours": our_step, "torch": torch_step}
