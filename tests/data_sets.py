"""Small data sets and networks that train in milliseconds."""

from __future__ import annotations

import numpy as np

import minprune as mp
from minprune.data import Splits, make_split


def clusters(seed: int = 0, classes: int = 4, size: int = 5) -> Splits:
    """One noisy prototype image per class, easy to tell apart: 160 / 80 / 80 images (N, 1, size, size)."""
    rng = np.random.default_rng(seed)
    prototypes = rng.standard_normal((classes, 1, size, size))

    def split(n: int):
        labels = np.arange(n) % classes
        return make_split(prototypes[labels] + 0.3 * rng.standard_normal((n, 1, size, size)), labels, classes)

    return Splits("clusters", split(160), split(80), split(80), classes, seed)


def small_net(seed: int = 0, classes: int = 4, size: int = 5) -> mp.nn.Sequential:
    """A convolution and two Dense layers for ``clusters``; parameters "0.weight", "3.weight", "5.weight" can be pruned."""
    rng = np.random.default_rng(seed)
    return mp.nn.Sequential(
        mp.nn.Conv2d(1, 4, 3, padding=1, rng=rng),
        mp.nn.ReLU(),
        mp.nn.Flatten(),
        mp.nn.Linear(4 * size * size, 12, rng=rng),
        mp.nn.ReLU(),
        mp.nn.Linear(12, classes, rng=rng),
    )


def trained(splits: Splits, seed: int = 0) -> mp.nn.Sequential:
    """A ``small_net`` trained on ``splits``."""
    model = small_net(seed)
    mp.train.fit_recipe(model, splits, mp.train.Recipe(epochs=4, lr=0.05), rng=np.random.default_rng(seed), progress="")
    return model
