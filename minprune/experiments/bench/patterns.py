"""A Dense layer of which n of every m weights are kept: the engine's dense kernel, its CSR kernel and its kernel for patterns.

Each runs the layer's step alone, weights against inputs that lie in lanes already, panel by panel as in a batch; one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from minprune import nn, prune
from minprune.experiments.bench.contest import Contestant, Rules, compete

HERE = "minprune.experiments.bench.patterns"
PATTERNS = ("2:4", "1:2", "1:4", "4:8")
KERNELS = ("dense", "sparse", "pattern")
LAYER = (500, 800)  # (O, K): LeNet-5's largest layer
PANEL = 64  # images


@dataclass(frozen=True)
class PatternTiming:
    """Milliseconds of a layer's product under a pattern, by kernel."""

    pattern: str
    batch_size: int
    dense_ms: float
    sparse_ms: float
    pattern_ms: float

    def as_dict(self) -> dict[str, object]:
        """All numbers, with how much faster the pattern's kernel is than the others, for JSON."""
        return asdict(self) | {"over_dense": self.dense_ms / self.pattern_ms, "over_sparse": self.sparse_ms / self.pattern_ms}


def time_patterns(batch_size: int = 256) -> list[PatternTiming]:
    """Time every pattern by every kernel, all in turns; ``batch_size`` is rounded up to whole panels."""
    panels = -(-batch_size // PANEL)
    contestants = [Contestant(f"{p} {k}", f"{HERE}:kernel_call", (p, k, panels)) for p in PATTERNS for k in KERNELS]
    found = compete(contestants, Rules(threads=1, blocks=8, calls=20, warmup=5))
    return [PatternTiming(p, panels * PANEL, *(found[f"{p} {k}"].median for k in KERNELS)) for p in PATTERNS]


def kernel_call(pattern: str, kernel: str, panels: int) -> Callable[[], object]:
    """The step of the layer by one kernel."""
    from minprune.kernels import engine as machine
    from minprune.sparse.machine import empty_workspaces
    from minprune.sparse.plan import make_program
    from minprune.sparse.trace import trace

    outputs, inputs = LAYER
    model = nn.Sequential(nn.Linear(inputs, outputs, rng=np.random.default_rng(0)))
    prune.cut(model, granularity=pattern)
    program = make_program(trace(model, (inputs,)), lambda _: kernel)
    work = empty_workspaces(program, PANEL, 1)[0]
    work[:] = np.random.default_rng(1).standard_normal(work.size)
    code = machine.load_code(program.steps)
    return lambda: machine.rehearse.serial(work, program.steps, code, program.arrays, PANEL, panels)
