"""Which way each layer goes, by measuring all on this machine.

A layer of which nothing is pruned is dense, any other runs both ways (and, where its mask is a pattern n:m, a third) on one panel of the
widest kind, and the quickest wins. That takes milliseconds where images are small. Layers of the same shapes, geometry and number of kept
weights are measured once per process.
"""

from __future__ import annotations

import time

import numpy as np

from minprune.kernels import engine as machine
from minprune.kernels.fields import FIELDS, KINDS
from minprune.sparse.engine import Path
from minprune.sparse.formats import find_pattern
from minprune.sparse.machine import KernelEngine, empty_workspaces
from minprune.sparse.plan import Program, make_program
from minprune.sparse.trace import Trace, kept, weighted
from minprune.tensor import Array

WIDTHS = (1, 16, 32, 64)  # images of a panel to choose from
LEAST_US = 300.0  # a measurement takes at least so long
TRIES = 5

_measured: dict[tuple, float] = {}


def quickest_engine(traced: Trace) -> KernelEngine:
    """The engine whose layers each go the way that was quickest."""
    paths = _paths(traced)
    by_value = dict(zip([layer.output for layer in weighted(traced)], paths, strict=True))
    program = make_program(traced, lambda layer: _kernel(by_value[layer.output].path))
    widths = {width: _time(program, program.steps, width) * 1e-3 for width in WIDTHS}
    return KernelEngine(traced, program, tuple(paths), widths)


def _kernel(path: str) -> str:
    """The kernel of a path: a pattern is named by its numbers."""
    return path if path in ("dense", "sparse") else "pattern"


def _paths(traced: Trace) -> list[Path]:
    """The quickest way for each layer with weights."""
    layers = weighted(traced)
    patterns = {layer.output: find_pattern(kept(layer)) for layer in layers}
    programs = {"dense": make_program(traced, lambda _: "dense"), "sparse": make_program(traced, lambda _: "sparse")}
    if any(patterns.values()):
        programs["pattern"] = make_program(traced, lambda layer: "pattern" if patterns[layer.output] else "sparse")
    kinds = programs["dense"].steps[:, FIELDS.index("kind")]
    rows = [i for i, kind in enumerate(kinds) if KINDS[kind] in ("dense_conv", "dense_linear")]
    paths = []
    for layer, i in zip(layers, rows, strict=True):
        assert layer.weight is not None
        left, pattern = int(kept(layer).sum()), patterns[layer.output]
        density = left / layer.weight.size
        if left in (0, layer.weight.size):
            paths.append(Path(layer.name, layer.weight.shape, density, "dense" if left else "sparse", {}))
            continue
        key = (layer.kind, layer.weight.shape, layer.shape, layer.geometry, layer.window, left)
        times = {}
        for path in ("dense", "sparse", *([f"{pattern[0]}:{pattern[1]}"] if pattern else [])):
            if (*key, path) not in _measured:
                program = programs[_kernel(path)]
                _measured[*key, path] = _time(program, program.steps[i : i + 1], WIDTHS[-1])
            times[path] = _measured[*key, path]
        best = min(reversed(times), key=times.__getitem__)  # of equal times, the path that stores least
        paths.append(Path(layer.name, layer.weight.shape, density, best, times))
    return paths


def _time(program: Program, steps: Array, width: int) -> float:
    """Microseconds of ``steps`` on one panel and one thread: the best of a few tries."""
    if len(steps) == 0:  # a network that only flattens: however often it is repeated, it takes no time
        return 0.0
    work, code = empty_workspaces(program, width, 1)[0], machine.load_code(steps)
    best, repeats = np.inf, 1
    tries = 0
    while tries < TRIES:
        start = time.perf_counter()
        machine.rehearse.serial(work, steps, code, program.arrays, width, repeats)
        took = (time.perf_counter() - start) * 1e6
        if took < LEAST_US:
            repeats *= 2
            continue
        best, tries = min(best, took / repeats), tries + 1
    return float(best)
