"""Granularity: what is cut in one piece. Scores of weights in, scores of units out; masks of units in, masks of weights out.

Single weights ("leaves") are here. A coarser granularity is one more entry: how to pool the scores of a parameter into one number
per unit, and how to spread a unit's fate over its weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minprune.errors import check_name
from minprune.tensor import Array


@dataclass(frozen=True)
class Granularity:
    """``pool`` turns weight scores (the parameter's shape) into unit scores; ``spread`` turns a unit mask into a weight mask."""

    pool: Callable[[Array], Array]
    spread: Callable[[Array, tuple[int, ...]], Array]


GRANULARITIES = {"weight": Granularity(pool=lambda scores: scores, spread=lambda mask, shape: mask)}


def get(name: str) -> Granularity:
    """The granularity of that name; a ValueError that lists those there are."""
    return GRANULARITIES[check_name("granularity", name, GRANULARITIES)]
