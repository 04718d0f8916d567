"""Criteria: how much does each weight matter? Evidence in, one score per weight out; higher means keep.

    magnitude    |w|                          free; ignores what the weight meets
    random       uniform in [0, 1)            the baseline that a criterion must beat
    taylor       mean over batches of |w · ∂L/∂w|     how much the loss moves, to first order, if w goes
    snip         |w · mean of ∂L/∂w| / Σ      the same for the mean gradient; made for networks before training
    activation   |w| · ‖x‖₂                   the weight times the size of the input it meets (Wanda)

A new criterion is one function and one line in ``CRITERIA``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minprune.data import Split
from minprune.errors import check_name
from minprune.nn import Module
from minprune.prune.evidence import Batches, Evidence, check_finite, gather
from minprune.tensor import Array

Scores = dict[str, Array]  # parameter name -> score of each weight, of the parameter's shape


def magnitude(evidence: Evidence) -> Scores:
    """|w|. Source: Han et al. 2015."""
    return {name: np.abs(w) for name, w in evidence.weights.items()}


def random(evidence: Evidence) -> Scores:
    """Uniform in [0, 1), drawn in the order of the parameters."""
    assert evidence.rng is not None, "score() checks this"
    return {name: evidence.rng.random(w.shape, dtype=np.float32) for name, w in evidence.weights.items()}


def taylor(evidence: Evidence) -> Scores:
    """Mean over batches of |w · dL/dw|. Source: Molchanov et al. 2017, equation 7, for single weights."""
    return evidence.saliencies


def snip(evidence: Evidence) -> Scores:
    """|w · mean dL/dw|, divided by its sum over the network. Source: Lee et al. 2019, equation 6."""
    raw = {name: np.abs(w * evidence.gradients[name]) for name, w in evidence.weights.items()}
    total = sum(float(s.sum(dtype=np.float64)) for s in raw.values())
    if total == 0:
        raise ValueError("snip expected some weight with a gradient, but w · dL/dw is zero everywhere")
    return {name: s / np.float32(total) for name, s in raw.items()}


def activation(evidence: Evidence) -> Scores:
    """|w| · ‖x‖₂ with x the input that the weight multiplies, over batch and positions. Source: Sun et al. 2024, equation 1."""
    return {name: np.abs(w) * evidence.input_norms[name] for name, w in evidence.weights.items()}


@dataclass(frozen=True)
class Criterion:
    """A scoring function, and what it needs beside the weights."""

    function: Callable[[Evidence], Scores]
    needs_data: bool = False
    needs_rng: bool = False


CRITERIA = {
    "magnitude": Criterion(magnitude),
    "random": Criterion(random, needs_rng=True),
    "taylor": Criterion(taylor, needs_data=True),
    "snip": Criterion(snip, needs_data=True),
    "activation": Criterion(activation, needs_data=True),
}


def score(
    model: Module, criterion: str = "magnitude", *, data: Split | Batches | None = None, rng: np.random.Generator | None = None
) -> Scores:
    """Score every prunable weight of ``model``.

    Args:
        criterion: a name in ``CRITERIA``.
        data: calibration data for "taylor", "snip" and "activation": a Split or an iterable of (images, labels).
        rng: for "random".

    Returns:
        {parameter name: array of the parameter's shape}, higher means keep.

    Raises:
        ValueError: an unknown criterion, or calibration data or rng missing.
        NonFiniteError: a weight, gradient or score is NaN or infinite; names the parameter.
    """
    chosen = CRITERIA[check_name("criterion", criterion, CRITERIA)]
    if chosen.needs_data and data is None:
        raise ValueError(f"criterion {criterion!r} needs calibration data: pass data=splits.train, or a list of (images, labels) batches")
    if chosen.needs_rng and rng is None:
        raise ValueError(f"criterion {criterion!r} needs a random generator: pass rng=numpy.random.default_rng(seed)")
    scores = chosen.function(gather(model, data if chosen.needs_data else None, rng=rng))
    check_finite("scores", scores)
    return scores
