"""How much to prune: an amount becomes a whole number of units, and a total becomes a budget for each layer.

An amount follows PyTorch's rule: a float is a fraction in [0, 1], an int is a count; so 1.0 means all and 1 means one unit.
Fractions are rounded half to even: ``round(amount * n)``.

    uniform   every layer loses the same fraction
    erk       small layers keep more: density ∝ (fan-in + fan-out + kernel) / (their product)
    lamp      each layer keeps what survives a global ranking of w² relative to what remains of its layer
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minprune.tensor import Array

Amount = float | int
Budgets = dict[str, int]  # parameter name -> how many units to prune


def count_of(amount: Amount, n: int, what: str = "sparsity") -> int:
    """How many of ``n`` units ``amount`` is.

    Raises:
        TypeError: neither a float nor an int.
        ValueError: a float outside [0, 1], a negative int, or an int larger than ``n``.
    """
    if isinstance(amount, bool | np.bool_) or not isinstance(amount, int | float | np.integer | np.floating):
        raise TypeError(f"{what} expected a fraction (float) or a count (int), got {type(amount).__name__} {amount!r}")
    if isinstance(amount, int | np.integer):
        if not 0 <= amount <= n:
            raise ValueError(
                f"{what} as a count expected a whole number from 0 to {n}, got {amount} (a fraction is a float: 1.0 means all)"
            )
        return int(amount)
    if not 0 <= amount <= 1:  # also refuses NaN
        raise ValueError(f"{what} as a fraction expected a number in [0, 1], got {amount}")
    return round(float(amount) * n)


def uniform(scores: dict[str, Array], sparsity: Amount) -> Budgets:
    """The same fraction (or count) of each layer."""
    return {name: count_of(sparsity, s.size, f"sparsity of {name}") for name, s in scores.items()}


def erk(scores: dict[str, Array], sparsity: Amount) -> Budgets:
    """Erdős-Rényi-kernel budgets: density ∝ Σ of the axis lengths / their product; the total is met exactly.

    Layers whose share would exceed 1 are left dense, and the rest is scaled again until all fit.
    Source: Evci et al. 2020, section 3, "sparsity distribution".
    """
    sizes = {name: s.size for name, s in scores.items()}
    keep = sum(sizes.values()) - count_of(sparsity, sum(sizes.values()))
    share = {name: sum(s.shape) / math.prod(s.shape) for name, s in scores.items()}
    dense: set[str] = set()
    while True:
        room = keep - sum(sizes[name] for name in dense)
        weight = sum(share[name] * sizes[name] for name in sizes if name not in dense)
        scale = room / weight if weight else 0.0
        full = {name for name in sizes if name not in dense and scale * share[name] > 1}
        if not full:
            break
        dense |= full
    kept = {name: float(sizes[name]) if name in dense else scale * share[name] * sizes[name] for name in sizes}
    return {name: sizes[name] - k for name, k in _round_to_total(kept, keep, sizes).items()}


def _round_to_total(wanted: dict[str, float], total: int, limits: dict[str, int]) -> dict[str, int]:
    """Whole numbers nearest to ``wanted`` that add up to ``total``: round down, then give to the largest remainders."""
    whole = {name: min(math.floor(w), limits[name]) for name, w in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: whole[name] - wanted[name])
    while (left := total - sum(whole.values())) > 0:
        for name in [n for n in by_remainder if whole[n] < limits[n]][:left]:
            whole[name] += 1
    return whole


def lamp(scores: dict[str, Array], sparsity: Amount) -> Budgets:
    """Budgets from a global ranking by the LAMP score, score² / Σ of the squares of all scores of the layer at least as large.

    Source: Lee et al. 2021, equation 4. With magnitude scores this is the paper's method.
    """
    layered = {name: _lamp_scores(s) for name, s in scores.items()}
    everything = np.concatenate(list(layered.values()))
    order = np.argsort(everything, kind="stable")[: count_of(sparsity, everything.size)]
    ends = np.cumsum([s.size for s in layered.values()])
    layer_of = np.searchsorted(ends, order, side="right")
    return {name: int((layer_of == i).sum()) for i, name in enumerate(layered)}


def _lamp_scores(scores: Array) -> Array:
    """The LAMP scores of one layer in ascending order; zeros where the layer is zero from there on."""
    squares = np.sort(scores.ravel().astype(np.float64)) ** 2
    remaining = np.cumsum(squares[::-1])[::-1]
    return np.divide(squares, remaining, out=np.zeros_like(squares), where=remaining > 0)


def beyond(budgets: Budgets, gone: Budgets) -> Budgets:
    """``budgets`` with the same total, but none below what is ``gone`` already: where one would be, the other layers prune less for it.

    Whole numbers make this necessary even when only the total grows: rounding may hand a layer one unit back (the Alabama paradox).
    """
    extra = {name: max(k - gone[name], 0) for name, k in budgets.items()}
    left = sum(budgets.values()) - sum(gone.values())
    share = left / max(sum(extra.values()), 1)
    return {name: gone[name] + k for name, k in _round_to_total({n: share * k for n, k in extra.items()}, left, extra).items()}


BUDGETS: dict[str, Callable[[dict[str, Array], Amount], Budgets]] = {"erk": erk, "lamp": lamp}
