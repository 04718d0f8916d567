"""Sensitivity: how much does accuracy fall when one layer alone is cut, and nothing is trained afterwards?

In: a trained network. Out: a table with a row per layer and sparsity, and from it a budget for each layer: the most that it can lose within
an allowed drop. Budgets are a ``scope`` for ``prune.cut``. Accuracy is of the validation images, since budgets are chosen by it.
Source: Li et al. 2017 ("Pruning filters for efficient convnets"), figure 2b, for filters; Han et al. 2015, figure 6, for weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minprune import data, models
from minprune.data import Splits
from minprune.errors import check_name
from minprune.experiments.config import RECIPES, make_model
from minprune.nn import Module
from minprune.prune import CRITERIA, NM, cut, scope_names, score
from minprune.prune import granularity as granularities
from minprune.prune.schedule import check_fraction
from minprune.train import Recipe, evaluate, fit_recipe

if TYPE_CHECKING:
    import pandas as pd

SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TOGETHER = "all budgets together"


@dataclass(frozen=True)
class SensitivityConfig:
    """A scan: which network and data, what is cut by which criterion, how far, over which seeds.

    ``sparsities`` are shares of a layer's units, ascending, above 0; accuracy without a cut is always measured. ``max_drop`` is what a
    layer's budget may cost alone, as a fraction of accuracy (0.01 is one point).
    """

    model: str
    data: str
    criterion: str = "magnitude"
    granularity: str = "weight"
    sparsities: tuple[float, ...] = SPARSITIES
    seeds: tuple[int, ...] = (0, 1, 2)
    max_drop: float = 0.01
    training: Recipe = field(default_factory=lambda: RECIPES["digits"][0])

    def __post_init__(self) -> None:
        check_name("model", self.model, models.MODELS)
        check_name("data set", self.data, data.DATASETS)
        check_name("criterion", self.criterion, CRITERIA)
        if isinstance(granularities.get(self.granularity), NM | granularities.Layer):
            raise ValueError(f"a scan cuts layers one by one to several sparsities, which {self.granularity!r} cannot have")
        for s in (*self.sparsities, self.max_drop):
            check_fraction("sparsity or max_drop", s)
        if not self.sparsities or list(self.sparsities) != sorted(set(self.sparsities)) or self.sparsities[0] <= 0:
            raise ValueError(f"sparsities expected different numbers above 0 in ascending order, got {list(self.sparsities)}")


def run_sensitivity(config: SensitivityConfig, *, progress: bool = True) -> tuple[pd.DataFrame, dict[str, float]]:
    """Train a network per seed, scan each, and suggest budgets from the means.

    Returns:
        (points, budgets). Points have the columns model, data, granularity, criterion, seed, layer, sparsity and val_accuracy; sparsity 0
        is the dense network, and the layer "all budgets together" (sparsity NaN) is a cut with the budgets.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    rows: list[dict[str, Any]] = []
    networks = {}
    for seed in tqdm(config.seeds, desc="seeds", disable=None if progress else True, leave=False):
        splits, rng = data.load(config.data, seed=seed), np.random.default_rng(seed)
        model = make_model(config.model, splits, rng)
        fit_recipe(model, splits, config.training, rng=rng, progress="")
        rows += [{"seed": seed} | row for row in scan(model, splits, config, rng)]
        networks[seed] = model, splits
    budgets = suggest_budgets(pd.DataFrame(rows), config.max_drop)
    for seed, (model, splits) in networks.items():
        accuracy = _accuracy_after(model, splits, config, budgets, np.random.default_rng(seed))
        rows.append({"seed": seed, "layer": TOGETHER, "sparsity": np.nan, "val_accuracy": accuracy})
    about = {"model": config.model, "data": config.data, "granularity": config.granularity, "criterion": config.criterion}
    return pd.DataFrame([about | row for row in rows]), budgets


def scan(model: Module, splits: Splits, config: SensitivityConfig, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """A row per layer and sparsity; each cut starts from the same network, which is not changed."""
    scores = score(model, config.criterion, data=splits.train, rng=rng, input_shape=splits.image_shape)
    dense = evaluate(model, splits.val).accuracy
    for layer in scope_names(model, config.granularity, splits.image_shape):
        yield {"layer": layer, "sparsity": 0.0, "val_accuracy": dense}
        for sparsity in config.sparsities:
            accuracy = _accuracy_after(model, splits, config, {layer: sparsity}, rng, scores=scores)
            yield {"layer": layer, "sparsity": sparsity, "val_accuracy": accuracy}


def _accuracy_after(
    model: Module, splits: Splits, config: SensitivityConfig, scope: dict[str, float], rng: np.random.Generator, **arguments: Any
) -> float:
    """Validation accuracy of a copy after a cut."""
    work = model.copy()
    cut(
        work,
        scope=scope,
        criterion=config.criterion,
        granularity=config.granularity,
        data=splits.train,
        rng=rng,
        min_per_layer=0,
        input_shape=splits.image_shape,
        **arguments,
    )
    return evaluate(work, splits.val).accuracy


def suggest_budgets(points: pd.DataFrame, max_drop: float) -> dict[str, float]:
    """{layer: the largest sparsity up to which the mean accuracy stays within ``max_drop`` of the dense network's}; 0.0 where none does.

    The result is a ``scope`` for ``prune.cut``. Layers cut together cost more than each alone, so measure it, and fine-tune.
    """
    means = points.dropna(subset=["sparsity"]).groupby(["layer", "sparsity"], sort=False)["val_accuracy"].mean().unstack("sparsity")
    budgets = {}
    for layer, accuracies in means[sorted(means.columns)].iterrows():
        within = accuracies.to_numpy() >= accuracies.iloc[0] - max_drop - 1e-12
        first_bad = len(within) if within.all() else int(np.argmin(within))
        budgets[str(layer)] = float(accuracies.index[first_bad - 1])
    return budgets
