"""The loop at the heart of it: score → mask → fine-tune → check → stop or again.

``iterate`` goes round in rounds, each a cut followed by fine-tuning with the mask held; it checks accuracy, size and speed, and hands out
the last model that kept every promise. ``gradual`` cuts a little every few steps while it trains. Both work on a copy: the model that
comes in is never changed.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minprune.data import Splits
from minprune.errors import check_name
from minprune.metrics import latency, macs, saved_bytes, size
from minprune.nn import Module
from minprune.optim import check_at_least
from minprune.prune.choice import SCOPES
from minprune.prune.criteria import CRITERIA
from minprune.prune.cutting import cut, unit_sparsity
from minprune.prune.evidence import prunable_parameters
from minprune.prune.granularity import Coupled
from minprune.prune.granularity import get as get_granularity
from minprune.prune.schedule import Cubic, Schedule, check_fraction, check_whole
from minprune.prune.surgery import compact
from minprune.tensor import Array
from minprune.train import Recipe, evaluate, fit_recipe

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cut:
    """What decides which weights go: the arguments of ``cut`` that stay the same from round to round."""

    criterion: str = "magnitude"
    scope: str = "global"
    granularity: str = "weight"
    min_per_layer: int = 1

    def __post_init__(self) -> None:
        check_name("criterion", self.criterion, CRITERIA)
        get_granularity(self.granularity)
        check_name("scope", self.scope, SCOPES)  # a dict of amounts leaves nothing for a schedule to say

    def apply(self, model: Module, sparsity: float, splits: Splits, rng: np.random.Generator) -> None:
        """Prune ``model`` in place to ``sparsity`` of the whole, in units of the granularity; calibration data are training images."""
        cut(
            model,
            sparsity,
            criterion=self.criterion,
            scope=self.scope,
            granularity=self.granularity,
            data=splits.train,
            rng=rng,
            min_per_layer=self.min_per_layer,
            input_shape=splits.image_shape,
        )

    def done(self, model: Module, splits: Splits) -> float:
        """The share of the granularity's units that ``model`` has lost, and half a unit: rounding may have left it below its target."""
        share, units = unit_sparsity(model, self.granularity, splits.image_shape)
        return share + 0.5 / max(units, 1)

    def shipped(self, model: Module, splits: Splits) -> Module:
        """The model as it would be handed on: compacted where whole channels or layers are cut, else ``model`` itself."""
        return compact(model, splits.image_shape) if isinstance(get_granularity(self.granularity), Coupled) else model


@dataclass(frozen=True)
class Stop:
    """When to stop. None leaves a rule out.

    Floors, which the model that is handed out always keeps: ``min_accuracy`` on the validation images (a fraction), ``max_drop`` below the
    dense model's accuracy (a fraction: 0.01 is one point). Goals, of which one reached ends the loop: ``target_sparsity`` of the prunable
    weights, ``max_bytes`` of the saved file, ``max_ms`` of measured milliseconds for one image.
    """

    min_accuracy: float | None = None
    max_drop: float | None = None
    target_sparsity: float | None = None
    max_bytes: int | None = None
    max_ms: float | None = None

    def __post_init__(self) -> None:
        for what in ("min_accuracy", "max_drop", "target_sparsity"):
            if getattr(self, what) is not None:
                check_fraction(what, getattr(self, what))
        for what in ("max_bytes", "max_ms"):
            if getattr(self, what) is not None:
                check_at_least(what, getattr(self, what), 0)

    def floor(self, dense_accuracy: float) -> float:
        """The lowest validation accuracy allowed, given the dense model's."""
        from_drop = -math.inf if self.max_drop is None else dense_accuracy - self.max_drop
        return max(from_drop, -math.inf if self.min_accuracy is None else self.min_accuracy)

    def reached(self, row: Mapping[str, Any]) -> str | None:
        """The goal that a row of the history reaches, in words, or None."""
        if self.target_sparsity is not None and row["sparsity"] >= self.target_sparsity - 0.5 / row["prunable"]:
            return f"target sparsity {self.target_sparsity:.2%} reached"
        if self.max_bytes is not None and row["bytes"] <= self.max_bytes:
            return f"{row['bytes']:,} bytes, at most {self.max_bytes:,} wanted"
        if self.max_ms is not None and row["ms"] <= self.max_ms:
            return f"{row['ms']:.3f} ms, at most {self.max_ms:.3f} wanted"
        return None


@dataclass(frozen=True)
class Rewind:
    """Go back in training after each cut, instead of fine-tuning at the end of it.

    ``epoch`` is where the recipe's learning-rate schedule starts again. With ``state`` (a ``state_dict`` taken at that epoch) the surviving
    weights return to it too: weight rewinding (Frankle and Carbin 2019), of which lottery tickets are the case of epoch 0.
    Without, only the learning rate does (Renda et al. 2020).
    """

    epoch: int = 0
    state: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        check_whole("epoch", self.epoch, 0)


@dataclass(frozen=True)
class Run:
    """What ``iterate`` and ``gradual`` return: the model, what happened (a row per round), why it ended, and which row the model is."""

    model: Module
    history: pd.DataFrame
    reason: str
    chosen: int


def iterate(
    model: Module,
    splits: Splits,
    *,
    schedule: Schedule,
    recipe: Recipe,
    rng: np.random.Generator,
    cut: Cut | None = None,
    stop: Stop | None = None,
    rewind: Rewind | None = None,
    progress: bool = True,
) -> Run:
    """Prune and fine-tune a copy of ``model`` in rounds until a stop rule holds or the schedule ends.

    Args:
        schedule: the sparsity *of the whole* after each round: ``OneShot``, ``Remainder``, ``Geometric``, ``Levels`` or ``Cubic``.
            Rounds that a pruned model has behind it already are left out.
        recipe: the fine-tuning of each round; with ``rewind``, the whole training of which the end is repeated.
        rng: draws the order of the images, and random scores.
        stop: the floors and goals, on the validation images; the test images are never looked at.

    Returns:
        A Run. Its model is the last one that kept every floor: a round that falls below is in the history, but rolled back.
        History columns: round, sparsity (of the prunable weights), prunable, kept (all parameters), macs (sparse, per image),
        bytes (saved), ms (one image, median), accuracy_cut (after the cut), accuracy and loss (after fine-tuning), seconds.
        Accuracy and loss are of the validation images.

    Raises:
        ValueError: the dense model is below the floor already, or ``rewind`` goes beyond the recipe's last epoch.
    """
    import pandas as pd

    cut, stop = cut or Cut(), stop or Stop()
    if rewind is not None and rewind.epoch > recipe.epochs:
        raise ValueError(f"rewind expected an epoch of at most the recipe's {recipe.epochs}, got {rewind.epoch}")
    work = model.copy()
    rows = [measure_round(work, splits, 0, cut)]
    floor = stop.floor(rows[0]["accuracy"])
    if rows[0]["accuracy"] < floor:
        raise ValueError(
            f"the model's validation accuracy of {rows[0]['accuracy']:.4f} is below the floor of {floor:.4f} before any cut; "
            f"train it longer or lower the floor"
        )
    good, chosen, reason = work.copy(), 0, stop.reached(rows[0]) or "the schedule ended"
    done = cut.done(work, splits)
    targets = [t for t in _up_to(schedule.targets(), stop.target_sparsity) if t > done]
    if stop.reached(rows[0]):
        targets = []
    for number, sparsity in enumerate(targets, start=1):
        start = time.perf_counter()
        cut.apply(work, sparsity, splits, rng)
        after_cut = evaluate(work, splits.val).accuracy
        if rewind is not None and rewind.state is not None:
            work.load_state_dict(rewind.state)
        name = f"round {number}/{len(targets)}: fine-tuning at {1 - sparsity:.1%} of the weights" if progress else ""
        fit_recipe(work, splits, recipe, rng=rng, first_epoch=rewind.epoch if rewind else 0, progress=name)
        row = measure_round(work, splits, number, cut) | {"accuracy_cut": after_cut, "seconds": time.perf_counter() - start}
        rows.append(row)
        if row["accuracy"] < floor:
            reason = f"round {number} fell to {row['accuracy']:.4f}, below the floor of {floor:.4f}; rolled back to round {chosen}"
            break
        good, chosen = work.copy(), number
        goal = stop.reached(row)
        if goal:
            reason = goal
            break
    return Run(good, pd.DataFrame(rows), reason, chosen)


def _up_to(targets: list[float], goal: float | None) -> list[float]:
    """The targets below ``goal``, and then ``goal`` itself where the schedule would overshoot it."""
    if goal is None or not targets or targets[-1] <= goal:
        return targets
    return [*(t for t in targets if t < goal), goal]


def gradual(
    model: Module,
    splits: Splits,
    *,
    schedule: Cubic,
    recipe: Recipe,
    rng: np.random.Generator,
    cut: Cut | None = None,
    progress: bool = True,
) -> Run:
    """Train a copy of ``model`` as ``recipe`` says and prune it meanwhile, a cut after each step that ``schedule`` names.

    Returns:
        A Run whose history has the rows "before" (round 0) and "after" (round 1), with the columns of ``iterate``.

    Warns:
        UserWarning: the recipe has fewer steps than the schedule needs, so that its last cuts never happen.
    """
    import pandas as pd

    cut = cut or Cut()
    steps = recipe.epochs * math.ceil(len(splits.train) / recipe.batch_size)
    if steps < schedule.last_step:
        done = [step for step in range(steps + 1) if schedule.is_cut(step)]
        end = schedule.at(done[-1]) if done else current_sparsity(model)[0]
        warnings.warn(
            f"the schedule's last cut falls on step {schedule.last_step}, but training has only {steps} steps: "
            f"{len(done)} of {schedule.cuts + 1} cuts happen, and the sparsity ends at {end:.1%}",
            stacklevel=2,
        )
    work = model.copy()
    start = time.perf_counter()
    rows = [measure_round(work, splits, 0, cut)]

    def after_step(step: int) -> None:
        if schedule.is_cut(step) and schedule.at(step) > cut.done(work, splits):
            cut.apply(work, schedule.at(step), splits, rng)
            work.train()

    if schedule.is_cut(0):
        after_step(0)
    fit_recipe(work, splits, recipe, rng=rng, after_step=after_step, progress="pruning gradually" if progress else "")
    rows.append(measure_round(work, splits, 1, cut) | {"seconds": time.perf_counter() - start})
    return Run(work, pd.DataFrame(rows), "the recipe ended", 1)


def measure_round(model: Module, splits: Splits, number: int, cut: Cut) -> dict[str, Any]:
    """One row of the history: accuracy and sparsity of ``model`` as it stands, size, work and time of it as it would be shipped."""
    report = evaluate(model, splits.val)
    shipped = cut.shipped(model, splits)
    sparsity, prunable = current_sparsity(model)
    return {
        "round": number,
        "sparsity": sparsity,
        "prunable": prunable,
        "kept": size(shipped).kept,
        "macs": sum(layer.sparse for layer in macs(shipped, splits.image_shape)),
        "bytes": saved_bytes(shipped),
        "ms": latency(shipped, splits.image_shape).median,
        "accuracy_cut": report.accuracy,
        "accuracy": report.accuracy,
        "loss": report.loss,
        "seconds": 0.0,
    }


def current_sparsity(model: Module) -> tuple[float, int]:
    """(the share of the prunable weights that is masked, how many prunable weights there are)."""
    weights = prunable_parameters(model).values()
    prunable = sum(p.size for p in weights)
    return sum(p.size - int(p.mask.sum()) for p in weights if p.mask is not None) / prunable, prunable
