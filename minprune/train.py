"""Training and evaluation: the loop that every experiment runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from minprune import ops
from minprune.data import Split, Splits, batches
from minprune.errors import NonFiniteError, check_name
from minprune.nn import BatchNorm2d, Module
from minprune.optim import SGD, Adam, AdamW, ConstantLR, CosineLR, Optimizer, Schedule, StepLR, WarmupLR, check_at_least
from minprune.tape import no_grad

if TYPE_CHECKING:
    import pandas as pd

OPTIMIZERS = ("sgd", "nesterov", "adam", "adamw")
LR_SCHEDULES = ("constant", "cosine", "step")


@dataclass(frozen=True)
class Report:
    """Accuracy (a fraction), mean cross-entropy (nats) and the number of images they were taken over."""

    accuracy: float
    loss: float
    count: int


def evaluate(model: Module, split: Split, batch_size: int = 256) -> Report:
    """Accuracy and loss of ``model`` on ``split``, in evaluation mode; the model's mode is restored."""
    correct, loss = 0, 0.0
    with model.evaluating(), no_grad():
        for images, labels in batches(split, batch_size):
            logits = model(images)
            correct += int((logits.data.argmax(axis=1) == labels).sum())
            loss += ops.cross_entropy(logits, labels).item() * len(labels)
    return Report(correct / len(split), loss / len(split), len(split))


@dataclass(frozen=True)
class Recipe:
    """How to train: everything but the model, the data and the seed. Learning rates are of the first step after warm-up.

    ``lr_schedule`` spans ``epochs``: "constant", "cosine" (down to 0) or "step" (a tenth after each third).
    ``scale_penalty`` is the λ of network slimming, see ``penalise_scales``.
    """

    epochs: int = 10
    lr: float = 0.1
    optimizer: str = "sgd"
    lr_schedule: str = "cosine"
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_epochs: float = 0.0
    scale_penalty: float = 0.0

    def __post_init__(self) -> None:
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        check_name("learning-rate schedule", self.lr_schedule, LR_SCHEDULES)
        for what, low in (("epochs", 0), ("lr", 0), ("batch_size", 1), ("warmup_epochs", 0), ("scale_penalty", 0)):
            check_at_least(what, getattr(self, what), low)

    def make_optimizer(self, model: Module) -> Optimizer:
        """A fresh optimizer for ``model``."""
        if self.optimizer in ("sgd", "nesterov"):
            return SGD(model, self.lr, self.momentum, self.weight_decay, nesterov=self.optimizer == "nesterov")
        return {"adam": Adam, "adamw": AdamW}[self.optimizer](model, self.lr, weight_decay=self.weight_decay)

    def make_schedule(self, steps_per_epoch: int) -> Schedule:
        """The learning rate's factor as a function of the step."""
        warmup = round(self.warmup_epochs * steps_per_epoch)
        rest = max(self.epochs * steps_per_epoch - warmup, 1)
        after: Schedule = ConstantLR()
        if self.lr_schedule == "cosine":
            after = CosineLR(rest)
        elif self.lr_schedule == "step":
            after = StepLR(math.ceil(rest / 3))
        return WarmupLR(warmup, after) if warmup else after

    def shortened(self, epochs: int) -> Recipe:
        """The same recipe over another number of epochs."""
        return replace(self, epochs=epochs)


@dataclass
class FitOptions:
    """What ``fit`` may be told beyond the essentials.

    ``first_epoch`` starts the schedule later (learning-rate rewinding). ``after_step(step)`` is called after each optimizer step,
    counted from 1 in this call: gradual pruning cuts there. ``progress`` names the bar, "" for none. ``scale_penalty`` is the λ of
    ``penalise_scales``.
    """

    schedule: Schedule = field(default_factory=ConstantLR)
    batch_size: int = 64
    first_epoch: int = 0
    after_step: Callable[[int], None] | None = None
    progress: str = "training"
    scale_penalty: float = 0.0


def penalise_scales(model: Module, strength: float) -> None:
    """Add the gradient of λ Σ |γ|, λ sign(γ), to that of every BatchNorm scale γ: unneeded channels shrink while the network trains.

    Source: Liu et al. 2017 ("network slimming"), equation 1.
    """
    for _, module in model.named_modules():
        if isinstance(module, BatchNorm2d):
            module.weight.accumulate(strength * np.sign(module.weight.data))


def fit(
    model: Module,
    splits: Splits,
    *,
    epochs: int,
    optimizer: Optimizer,
    rng: np.random.Generator,
    options: FitOptions | None = None,
) -> pd.DataFrame:
    """Train ``model`` in place on ``splits.train``; after each epoch look at ``splits.val``. Leaves it in evaluation mode.

    Args:
        epochs: passes over the training images.
        optimizer: made for this model.
        rng: draws the order of the images.

    Returns:
        A row per epoch: epoch, step, lr, train_loss (mean over the epoch's batches), val_loss, val_accuracy.

    Raises:
        NonFiniteError: the loss became NaN or infinite; the model is left as it was at that step.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    options = options or FitOptions()
    steps_per_epoch = math.ceil(len(splits.train) / options.batch_size)
    base_lr = optimizer.lr
    rows = []
    step = 0
    bar = tqdm(total=epochs * steps_per_epoch, desc=options.progress, disable=None if options.progress else True, leave=False, unit="step")
    model.train()
    try:
        for epoch in range(options.first_epoch, options.first_epoch + epochs):
            losses = []
            for images, labels in batches(splits.train, options.batch_size, rng=rng):
                optimizer.lr = base_lr * options.schedule(options.first_epoch * steps_per_epoch + step)
                optimizer.zero_grad()
                loss = ops.cross_entropy(model(images), labels)
                losses.append(loss.item())
                if not math.isfinite(losses[-1]):
                    raise NonFiniteError(f"the loss became {losses[-1]} in epoch {epoch + 1}; try a smaller learning rate than {base_lr}")
                loss.backward()
                if options.scale_penalty:
                    penalise_scales(model, options.scale_penalty)
                optimizer.step()
                step += 1
                if options.after_step is not None:
                    options.after_step(step)
                bar.update()
            report = evaluate(model, splits.val)
            bar.set_postfix(val_accuracy=f"{report.accuracy:.1%}")
            rows.append((epoch + 1, step, optimizer.lr, float(np.mean(losses)), report.loss, report.accuracy))
    finally:
        bar.close()
        optimizer.lr = base_lr
        model.eval()
    return pd.DataFrame(rows, columns=["epoch", "step", "lr", "train_loss", "val_loss", "val_accuracy"])


def fit_recipe(
    model: Module,
    splits: Splits,
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    first_epoch: int = 0,
    after_step: Callable[[int], None] | None = None,
    progress: str = "training",
) -> pd.DataFrame:
    """``fit`` as ``recipe`` says, with a fresh optimizer, from ``first_epoch`` to the recipe's last."""
    steps_per_epoch = math.ceil(len(splits.train) / recipe.batch_size)
    options = FitOptions(recipe.make_schedule(steps_per_epoch), recipe.batch_size, first_epoch, after_step, progress, recipe.scale_penalty)
    return fit(model, splits, epochs=recipe.epochs - first_epoch, optimizer=recipe.make_optimizer(model), rng=rng, options=options)
