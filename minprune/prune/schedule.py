"""Schedules: how the sparsity grows, round by round or step by step.

Every schedule lists its cuts as sparsities *of the whole*, ascending; the first sees a dense network, the last leaves the final
sparsity. ``Cubic`` also says at which training step each cut falls, for pruning gradually while training.

    one-shot     one cut
    remainder    each round takes a share of what remains: 20 %, then 10 %, … (Han et al. 2015; Frankle and Carbin 2019)
    geometric    the same share of the remainder in every round, chosen to end at the final sparsity
    cubic        fast at first, slow at the end (Zhu and Gupta 2017)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minprune.prune.amounts import count_of


class Schedule(Protocol):
    """Anything that lists its sparsities of the whole, ascending."""

    def targets(self) -> list[float]: ...


def check_fraction(what: str, value: float) -> None:
    """A TypeError or ValueError unless ``value`` is a number in [0, 1]; here 1 means all, since a schedule has no counts."""
    count_of(float(value) if isinstance(value, int) and not isinstance(value, bool) else value, 1, what)


def check_whole(what: str, value: int, low: int) -> None:
    """A ValueError unless ``value`` is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"{what} expected a whole number >= {low}, got {value!r}")


@dataclass(frozen=True)
class OneShot:
    """Everything in one cut."""

    sparsity: float

    def __post_init__(self) -> None:
        check_fraction("sparsity", self.sparsity)

    def targets(self) -> list[float]:
        return [float(self.sparsity)]


@dataclass(frozen=True)
class Remainder:
    """Each round prunes a share *of what remains*: Remainder([0.2, 0.1]) leaves 80 %, then 72 % of the whole."""

    amounts: Sequence[float]

    def __post_init__(self) -> None:
        if not self.amounts:
            raise ValueError("amounts expected at least one share of the remainder, got none")
        for i, a in enumerate(self.amounts):
            check_fraction(f"amounts[{i}]", a)

    def targets(self) -> list[float]:
        densities = [math.prod(1 - a for a in self.amounts[: i + 1]) for i in range(len(self.amounts))]
        return [1 - d for d in densities]


@dataclass(frozen=True)
class Geometric:
    """``rounds`` cuts, each leaving the same share of what remains, down to the final ``sparsity``."""

    sparsity: float
    rounds: int

    def __post_init__(self) -> None:
        check_fraction("sparsity", self.sparsity)
        if self.sparsity == 1:
            raise ValueError("a geometric schedule expected a sparsity below 1, which it can never reach, got 1")
        check_whole("rounds", self.rounds, 1)

    def targets(self) -> list[float]:
        steps = [1 - (1 - self.sparsity) ** (i / self.rounds) for i in range(1, self.rounds)]
        return [*steps, float(self.sparsity)]


@dataclass(frozen=True)
class Levels:
    """The sparsities themselves, ascending: what a curve asks for."""

    sparsities: Sequence[float]

    def __post_init__(self) -> None:
        for i, s in enumerate(self.sparsities):
            check_fraction(f"sparsities[{i}]", s)
        if not self.sparsities or list(self.sparsities) != sorted(self.sparsities):
            raise ValueError(f"sparsities expected one number or more, ascending, got {list(self.sparsities)}")

    def targets(self) -> list[float]:
        return [float(s) for s in self.sparsities]


@dataclass(frozen=True)
class Cubic:
    """s(t) = s_f + (s_i − s_f)(1 − (t − t₀)/(n Δt))³ from step t₀ to t₀ + n Δt, constant after; cuts fall on multiples of Δt from t₀.

    ``final`` s_f, ``cuts`` n, ``every`` Δt in steps, ``start`` t₀ in steps, ``initial`` s_i. Step t₀ itself is a cut to s_i.
    Source: Zhu and Gupta 2017, equation 1.
    """

    final: float
    cuts: int
    every: int = 1
    start: int = 0
    initial: float = 0.0

    def __post_init__(self) -> None:
        check_fraction("final", self.final)
        check_fraction("initial", self.initial)
        if self.initial > self.final:
            raise ValueError(f"initial expected a sparsity of at most final={self.final}, got {self.initial}")
        for what, value, low in (("cuts", self.cuts, 1), ("every", self.every, 1), ("start", self.start, 0)):
            check_whole(what, value, low)

    def at(self, step: int) -> float:
        """The sparsity of the whole that the formula asks for at ``step``."""
        progress = min(max((step - self.start) / (self.cuts * self.every), 0.0), 1.0)
        return self.final + (self.initial - self.final) * (1 - progress) ** 3

    def is_cut(self, step: int) -> bool:
        """Whether a cut falls on ``step``."""
        since = step - self.start
        return since >= 0 and since % self.every == 0 and since // self.every <= self.cuts

    @property
    def last_step(self) -> int:
        """The step of the last cut, t₀ + n Δt."""
        return self.start + self.cuts * self.every

    def targets(self) -> list[float]:
        return [self.at(self.start + i * self.every) for i in range(1, self.cuts + 1)]
