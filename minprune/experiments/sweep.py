"""Running a curve: for every seed a dense network, from it a chain of pruned ones for every method, each point measured.

Chains run in parallel, on the cores of this machine (joblib) or on a dask cluster. Each writes its points to a journal as they are
finished, so that an interrupted run keeps them. All methods of a seed start from the same trained weights and see the images in the same
order. Times are measured at the end, one network after another in this process, when no chain disturbs them any more.
"""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minprune import checkpoint
from minprune.data import Splits
from minprune.experiments.config import DENSE, CurveConfig, Method
from minprune.experiments.kept import Chain, Point, load_network, load_points_of, save_chain
from minprune.experiments.runtime import quickest
from minprune.metrics import macs, saved_bytes, size
from minprune.nn import Module
from minprune.prune import Cubic, Cut, GuardWarning, Levels, gradual, iterate, prunable_parameters
from minprune.tensor import Array
from minprune.train import evaluate, fit_recipe

if TYPE_CHECKING:
    import pandas as pd

CUBIC_SHARE = 2 / 3  # of the training steps over which a cubic schedule prunes; the rest lets the network settle
CUBIC_CUTS = 10

State = dict[str, Array]


@dataclass(frozen=True)
class Workers:
    """Where chains run: ``jobs`` processes on this machine (None: one per core), or the dask scheduler at ``cluster``."""

    jobs: int | None = None
    cluster: str | None = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a curve; ``points`` holds what was finished."""

    def __init__(self, points: pd.DataFrame) -> None:
        super().__init__("interrupted")
        self.points = points


def run_curve(config: CurveConfig, workers: Workers | None = None, *, networks: Path | None = None, progress: bool = True) -> pd.DataFrame:
    """All points of a curve, a row each, ordered by method, seed and density.

    Columns: model, data, method, seed, density (asked for, in units of the granularity), kept (weights that remain, of ``prunable``),
    parameters (biases and all), macs (sparse, per image), bytes (saved file), epochs (of fine-tuning behind this point), val_accuracy,
    test_accuracy, guarded (the guard had to keep a layer alive); where the config says timed, runtime and ms (of a batch of 64 images).

    Args:
        networks: a folder that keeps every finished chain, for a ``timed`` config with its networks. Chains that it holds already are not
            run again: a second call measures nothing but times.

    Raises:
        Interrupted: Ctrl-C; carries the finished points, without times.
        ValueError: the folder holds another experiment.
    """
    from tqdm.auto import tqdm

    workers = workers or Workers()
    chains = [(method, seed) for seed in config.seeds for method in (None, *config.methods)]
    with ExitStack() as stack:
        journal = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="minprune-curve-")))
        folder = networks or journal / "networks"
        done = {chain: load_points_of(folder, config, *chain) for chain in chains}
        missing = [chain for chain, points in done.items() if points is None]
        kept = [point for points in done.values() for point in points or []]
        total = sum(len(method.densities(config.densities) if method else config.densities) + 1 for method, _ in missing)
        parallel = stack.enter_context(_parallel(workers, max_jobs=max(len(missing), 1)))
        bar = stack.enter_context(tqdm(total=total, desc="dense networks", unit="point", disable=None if progress else True))
        stack.enter_context(_watch(journal, bar))
        try:
            seeds = sorted({seed for _, seed in missing})
            states = dict(zip(seeds, parallel(train_dense, [(config, seed) for seed in seeds]), strict=True))
            bar.set_description("pruned networks")
            finished = parallel(run_chain, [(config, method, seed, states[seed], journal) for method, seed in missing])
            for (method, seed), chain in zip(missing, finished, strict=True):
                save_chain(folder, config, method, seed, chain)
                done[method, seed] = chain.points
            if config.timed:
                bar.set_description("times")
                done |= _timed(folder, {chain: points or [] for chain, points in done.items()})
        except KeyboardInterrupt:
            raise Interrupted(_table(config, kept + _read_journal(journal))) from None
    return _table(config, [point for points in done.values() for point in points or []])


def _timed(folder: Path, chains: dict[tuple[Method | None, int], list[Point]]) -> dict[tuple[Method | None, int], list[Point]]:
    """The chains with the quicker runtime of each network and its milliseconds; a chain's uncut networks are measured once."""
    cut = {chain: [i for i, p in enumerate(points) if i == 0 or p["density"] < 1] for chain, points in chains.items()}
    places = [(chain, i) for chain, numbers in cut.items() for i in numbers]
    measured = dict(zip(places, quickest([load_network(folder, *chain, i) for chain, i in places]), strict=True))
    return {
        chain: [
            point | dict(zip(("runtime", "ms"), measured.get((chain, i), measured[chain, 0]), strict=True))
            for i, point in enumerate(points)
        ]
        for chain, points in chains.items()
    }


def train_dense(config: CurveConfig, seed: int) -> State:
    """The weights and buffers of the dense network of one seed."""
    _leave_ctrl_c_to_the_parent()
    splits, rng = config.load_data(seed), np.random.default_rng(seed)
    model = config.make_model(splits, rng)
    fit_recipe(model, splits, config.training, rng=rng, progress="")
    return model.state_dict()


def run_chain(config: CurveConfig, method: Method | None, seed: int, state: State, journal: Path | None = None) -> Chain:
    """All points of one method (None: the dense control, which is only trained further) and one seed."""
    _leave_ctrl_c_to_the_parent()
    points, networks = [], []
    for point, shipped in chain_points(config, method, seed, state):
        points.append(point)
        if config.timed:
            networks.append(checkpoint.to_bytes(shipped))
        if journal is not None and journal.is_dir():  # not so on another machine of a cluster
            with open(journal / f"{method.label if method else DENSE} {seed}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(point) + "\n")
    return Chain(points, networks)


def chain_points(config: CurveConfig, method: Method | None, seed: int, state: State) -> Iterator[tuple[Point, Module]]:
    """The points of one chain with their networks, from the dense one to the sparsest."""
    splits = config.load_data(seed)
    dense: Module = config.make_model(splits, np.random.default_rng(seed))
    dense.load_state_dict(state)
    rng = np.random.default_rng((seed, 1))  # the same order of images for every method
    name = method.label if method else DENSE
    how = _cut(method)

    def point(model: Module, density: float, epochs: int, guarded: bool = False) -> tuple[Point, Module]:
        shipped = how.shipped(model, splits)
        row = {"method": name, "seed": seed, "density": density, "epochs": epochs} | _measure(model, shipped, splits)
        return row | {"guarded": guarded}, shipped

    yield point(dense, 1.0, 0)
    model = dense
    for i, density in enumerate(method.densities(config.densities) if method else config.densities, start=1):
        epochs = i * config.finetuning.epochs
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", GuardWarning)
            model = _prune_to(config, method, splits, (dense, model), (density, epochs), rng)
        yield point(model, 1.0 if method is None else density, epochs, any(issubclass(w.category, GuardWarning) for w in caught))


def _prune_to(
    config: CurveConfig,
    method: Method | None,
    splits: Splits,
    start: tuple[Module, Module],
    goal: tuple[float, int],
    rng: np.random.Generator,
) -> Module:
    """The next network of a chain: from ``start`` = (the dense one, the last one) to ``goal`` = (density, epochs since dense)."""
    (dense, last), (density, epochs) = start, goal
    if method is None:
        control = last.copy()
        fit_recipe(control, splits, config.finetuning, rng=rng, progress="")
        return control
    how, sparsity = _cut(method), 1 - density
    if method.schedule == "iterative":
        run = iterate(last, splits, schedule=Levels([sparsity]), recipe=config.finetuning, rng=rng, cut=how, progress=False)
        if len(run.history) == 1:  # so few units that nothing had to go this time; the point is due its training all the same
            fit_recipe(run.model, splits, config.finetuning, rng=rng, progress="")
    elif method.schedule == "one-shot":
        recipe = config.finetuning.shortened(epochs)
        run = iterate(dense, splits, schedule=Levels([sparsity]), recipe=recipe, rng=rng, cut=how, progress=False)
    else:
        recipe = config.finetuning.shortened(epochs)
        steps = epochs * -(-len(splits.train) // recipe.batch_size)
        every = max(int(steps * CUBIC_SHARE) // CUBIC_CUTS, 1)
        schedule = Cubic(final=sparsity, cuts=min(CUBIC_CUTS, max(steps, 1)), every=every)
        run = gradual(dense, splits, schedule=schedule, recipe=recipe, rng=rng, cut=how, progress=False)
    return run.model


def _cut(method: Method | None) -> Cut:
    """What decides which weights of a chain go; for the dense control, which is never cut, what says nothing."""
    return Cut() if method is None else Cut(method.criterion, method.scope, method.granularity)


def _measure(model: Module, shipped: Module, splits: Splits) -> Point:
    """Accuracy of ``model``, and parameters, work and bytes as they would be shipped (see ``Cut.shipped``)."""
    weights = prunable_parameters(model).values()
    return {
        "kept": sum(p.size if p.mask is None else int(p.mask.sum()) for p in weights),
        "prunable": sum(p.size for p in weights),
        "parameters": size(shipped).kept,
        "macs": sum(layer.sparse for layer in macs(shipped, splits.image_shape)),
        "bytes": saved_bytes(shipped),
        "val_accuracy": evaluate(model, splits.val).accuracy,
        "test_accuracy": evaluate(model, splits.test).accuracy,
    }


@contextmanager
def _parallel(workers: Workers, max_jobs: int) -> Iterator[Any]:
    """A function ``(function, list of argument tuples) -> iterator of results`` that spreads the calls over the workers."""
    import joblib

    with ExitStack() as stack:
        jobs = min(workers.jobs or joblib.cpu_count(), max_jobs)
        if workers.cluster is not None:
            from distributed import Client

            stack.enter_context(Client(workers.cluster, timeout="30s"))
            stack.enter_context(joblib.parallel_config(backend="dask"))
            jobs = -1
        elif jobs > 1:
            stack.enter_context(joblib.parallel_config(backend="loky", inner_max_num_threads=1))
        yield lambda function, calls: joblib.Parallel(n_jobs=jobs, return_as="generator")(
            joblib.delayed(function)(*arguments) for arguments in calls
        )


def _leave_ctrl_c_to_the_parent() -> None:
    """In a worker process: ignore the SIGINT that a terminal sends to all, and let the parent end the work."""
    import multiprocessing

    if multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _watch(journal: Path, bar: Any) -> Iterator[None]:
    """Move ``bar`` to the number of points in the journal, a few times a second, from a thread."""
    done = threading.Event()

    def update() -> None:
        bar.update(len(_read_journal(journal)) - bar.n)

    def watch() -> None:
        while not done.wait(0.3):
            update()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        update()


def _read_journal(journal: Path) -> list[Point]:
    """The points written so far; a line that is still being written does not count."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(journal.glob("*.jsonl")))
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _table(config: CurveConfig, points: list[Point]) -> pd.DataFrame:
    import pandas as pd

    order = [DENSE, *(m.label for m in config.methods)]
    rows = sorted(points, key=lambda p: (order.index(p["method"]), p["seed"], p["epochs"]))
    table = pd.DataFrame(rows)
    table.insert(0, "model", config.model)
    table.insert(1, "data", config.data)
    return table
