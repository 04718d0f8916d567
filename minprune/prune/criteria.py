"""Criteria: how much does each weight matter? Evidence in, one score per weight out; higher means keep.

    magnitude    |w|                          free; ignores what the weight meets
    random       uniform in [0, 1)            the baseline that a criterion must beat
    taylor       mean over batches of |w · ∂L/∂w|     how much the loss moves, to first order, if w goes
    snip         |w · mean of ∂L/∂w| / Σ      the same for the mean gradient; made for networks before training
    activation   |w| · ‖x‖₂                   the weight times the size of the input it meets (Wanda)
    l1           |w|, pooled by its mean      for pieces larger than a weight; magnitude pools by the root of the mean square

Two more look at whole outputs (filters, rows), so each weight gets the score of the output that it belongs to:

    geometric_median   Σ_j ‖w_i − w_j‖₂ / √size     an output close to all others can be replaced by them (FPGM)
    bn_scale           |γ| of the BatchNorm after    what remains of the output after normalisation (network slimming)

``Criterion.pool`` says how pieces larger than a weight get their score from their weights (see ``granularity.POOLS``).

A new criterion is one function and one line in ``CRITERIA``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from minprune.data import Split
from minprune.errors import check_name
from minprune.nn import Module
from minprune.prune.evidence import Batches, Evidence, batch_norm_scales, check_finite, gather
from minprune.prune.example import InputShape
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


def geometric_median(evidence: Evidence) -> Scores:
    """Σ_j ‖w_i − w_j‖₂ / √size for output i, the same for all its weights. Source: He et al. 2019, equation 5."""
    return {name: _per_output(_distances(w.reshape(w.shape[0], -1)), w) for name, w in evidence.weights.items()}


def _distances(rows: Array) -> Array:
    """For each row the sum of its distances to all rows, divided by √(row length)."""
    rows = rows.astype(np.float64)
    squares = np.einsum("oc,oc->o", rows, rows)
    apart = squares[:, None] + squares - 2 * (rows @ rows.T)  # ‖a − b‖² = ‖a‖² + ‖b‖² − 2ab
    return np.sqrt(np.maximum(apart, 0)).sum(axis=1) / math.sqrt(rows.shape[1])


def bn_scale(evidence: Evidence) -> Scores:
    """|γ| of the BatchNorm that follows, for every weight of the output; layers without one have no score. Source: Liu et al. 2017."""
    if not evidence.scales:
        raise ValueError("bn_scale expected a BatchNorm after some convolution, but there is none")
    return {name: _per_output(np.abs(scale), evidence.weights[name]) for name, scale in evidence.scales.items()}


def _per_output(values: Array, w: Array) -> Array:
    """One value per output (O,), spread over the weights (O, C, ...)."""
    return np.broadcast_to(values.reshape(-1, *[1] * (w.ndim - 1)), w.shape).copy()


@dataclass(frozen=True)
class Criterion:
    """A scoring function, what it needs beside the weights, and how scores of weights become one of a larger piece.

    ``relative`` scores compare channels of one layer only: deep layers have more and smaller weights, and would go first. Where channels
    of all layers are ranked together, each is divided by the mean of what is left of its group.
    """

    function: Callable[[Evidence], Scores]
    needs_data: bool = False
    needs_rng: bool = False
    needs_shape: bool = False
    pool: str = "rms"
    relative: bool = False


CRITERIA = {
    "magnitude": Criterion(magnitude, relative=True),
    "l1": Criterion(magnitude, pool="mean", relative=True),
    "random": Criterion(random, needs_rng=True, pool="first"),
    "taylor": Criterion(taylor, needs_data=True, pool="mean"),
    "snip": Criterion(snip, needs_data=True, pool="mean"),
    "activation": Criterion(activation, needs_data=True, relative=True),
    "geometric_median": Criterion(geometric_median, relative=True),
    "bn_scale": Criterion(bn_scale, needs_shape=True),
}


def score(
    model: Module,
    criterion: str = "magnitude",
    *,
    data: Split | Batches | None = None,
    rng: np.random.Generator | None = None,
    input_shape: InputShape | None = None,
) -> Scores:
    """Score every prunable weight of ``model``.

    Args:
        criterion: a name in ``CRITERIA``.
        data: calibration data for "taylor", "snip" and "activation": a Split or an iterable of (images, labels).
        rng: for "random".
        input_shape: (C, H, W) of one image, for "bn_scale"; the networks of ``minprune.models`` know theirs.

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
    evidence = gather(model, data if chosen.needs_data else None, rng=rng)
    if chosen.needs_shape:
        evidence = replace(evidence, scales=batch_norm_scales(model, input_shape))
    scores = chosen.function(evidence)
    check_finite("scores", scores)
    return scores
