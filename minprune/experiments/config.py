"""What an experiment is: facts only, frozen, so that the same description gives the same result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minprune import data, models
from minprune.data import Split, Splits
from minprune.errors import check_name
from minprune.models import ImageModel
from minprune.prune import CRITERIA, NM, SCOPES
from minprune.prune import granularity as granularities
from minprune.prune.schedule import check_fraction
from minprune.train import Recipe

SCHEDULES = ("one-shot", "iterative", "cubic")
DENSE = "dense"

# How each data set is trained when nothing else is said: (dense training, fine-tuning after each cut)
RECIPES = {
    "digits": (Recipe(epochs=30, lr=0.05), Recipe(epochs=2, lr=0.05)),
    "mnist": (Recipe(epochs=10, lr=0.05, weight_decay=5e-4), Recipe(epochs=2, lr=0.05, weight_decay=5e-4)),
    "fashion-mnist": (Recipe(epochs=15, lr=0.05, weight_decay=5e-4), Recipe(epochs=2, lr=0.05, weight_decay=5e-4)),
}


@dataclass(frozen=True)
class Method:
    """One line of a pruning curve: a point in criterion x scope x granularity x schedule."""

    criterion: str
    schedule: str
    scope: str = "global"
    granularity: str = "weight"

    def __post_init__(self) -> None:
        granularities.get(self.granularity)
        check_name("criterion", self.criterion, CRITERIA)
        check_name("schedule", self.schedule, SCHEDULES)
        check_name("scope", self.scope, SCOPES)

    @property
    def label(self) -> str:
        """How the method is called in tables and figures: "magnitude, iterative" (global scope and single weights go without saying)."""
        said = [(self.scope, "global"), (self.granularity, "weight")]
        return ", ".join([self.criterion, self.schedule, *(value for value, default in said if value != default)])

    def densities(self, asked: tuple[float, ...]) -> tuple[float, ...]:
        """Of the densities asked for, those that the method can have: a pattern n:m has only its own."""
        pattern = granularities.get(self.granularity)
        return (1 - pattern.sparsity,) if isinstance(pattern, NM) else asked


@dataclass(frozen=True)
class CurveConfig:
    """A pruning curve: which network and data, which methods, at which densities, over which seeds.

    ``densities`` are shares of the prunable weights (or of the granularity's units) that remain, descending, all below 1; the dense
    network is always measured. Every point at the i-th density has had the same training: ``training`` and then i times
    ``finetuning.epochs`` epochs, whatever its method. So has the dense control at the end of its line. With ``timed`` every point is run
    as ``runtime.quickest`` says, and its milliseconds are among its columns. ``train_images`` trains on so many images only, and
    validates on as many at most, drawn by the seed; the test stays whole.
    """

    model: str
    data: str
    methods: tuple[Method, ...]
    densities: tuple[float, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    training: Recipe = field(default_factory=lambda: RECIPES["digits"][0])
    finetuning: Recipe = field(default_factory=lambda: RECIPES["digits"][1])
    timed: bool = False
    train_images: int | None = None

    def __post_init__(self) -> None:
        check_name("model", self.model, models.MODELS)
        check_name("data set", self.data, data.DATASETS)
        for d in self.densities:
            check_fraction("density", d)
        if not self.densities or list(self.densities) != sorted(set(self.densities), reverse=True) or self.densities[0] >= 1:
            raise ValueError(f"densities expected different numbers below 1 in descending order, got {list(self.densities)}")
        if not self.methods or not self.seeds:
            raise ValueError(f"expected at least one method and one seed, got {len(self.methods)} and {len(self.seeds)}")

    def load_data(self, seed: int) -> Splits:
        """The data set, divided by ``seed``.

        Raises:
            ValueError: it has fewer training images than ``train_images``.
        """
        splits = data.load(self.data, seed=seed)
        if self.train_images is None:
            return splits
        if not 1 <= self.train_images <= len(splits.train):
            raise ValueError(f"train_images expected a number from 1 to {len(splits.train)}, got {self.train_images}")
        rng = np.random.default_rng(seed)
        return replace(splits, train=_some(splits.train, self.train_images, rng), val=_some(splits.val, self.train_images, rng))

    def make_model(self, splits: Splits, rng: np.random.Generator) -> ImageModel:
        """A fresh network that fits the data."""
        return make_model(self.model, splits, rng)


def _some(split: Split, most: int, rng: np.random.Generator) -> Split:
    """At most so many images, in their order."""
    chosen = np.sort(rng.permutation(len(split))[:most])
    return Split(split.images[chosen], split.labels[chosen])


def make_model(name: str, splits: Splits, rng: np.random.Generator, **arguments: Any) -> ImageModel:
    """A fresh network ``name`` for the images and classes of ``splits``."""
    return models.create(name, input_shape=splits.image_shape, num_classes=splits.num_classes, rng=rng, **arguments)
