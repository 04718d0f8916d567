"""The choice: which units go. Scores of units by layer in, exactly as many True (pruned) as asked out.

A unit may be a weight, a kernel, a channel: here it is a number. Between units of equal score the one that comes first in memory order
(and, across layers, in the model's order) goes first: a threshold would take all of them, and prune more than was asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minprune.errors import callers_level, check_name
from minprune.prune.amounts import BUDGETS, Amount, beyond, count_of
from minprune.tensor import Array

Scores = dict[str, Array]  # layer -> score of each unit, higher means keep
Masks = dict[str, Array]
SCOPES = ("global", "layer", *BUDGETS)
Scope = str | Mapping[str, Amount]


class GuardWarning(UserWarning):
    """The guard kept a layer from being pruned away entirely."""


@dataclass(frozen=True)
class Request:
    """How much shall go, and from where.

    ``sparsity`` is of the whole, earlier cuts included; ``amount`` instead is of what remains. ``scope`` as in ``make_masks``.
    ``min_per_layer`` units are kept in every layer; ``round_to`` rounds the kept units of each layer up to a multiple.
    """

    sparsity: Amount | None = None
    scope: Scope = "global"
    amount: Amount | None = None
    min_per_layer: int = 1
    round_to: int = 1

    def __post_init__(self) -> None:
        for what, low in (("min_per_layer", 0), ("round_to", 1)):
            value = getattr(self, what)
            if not isinstance(value, int | np.integer) or value < low:
                raise ValueError(f"{what} expected a whole number >= {low}, got {value!r}")


def choose(units: Scores, kept: Masks, request: Request) -> Masks:
    """The units that are pruned in the end, True where pruned: those pruned before, and the lowest scores.

    Args:
        units: {layer: scores of its units}.
        kept: {layer: bool array}, False for the units that earlier cuts pruned.

    Raises:
        TypeError, ValueError: an amount or scope that makes no sense, or a sparsity below what is pruned already.
    """
    ranked = {name: np.where(kept[name], u, -np.inf) for name, u in units.items()}
    targets = _targets({name: np.where(kept[name], u, 0) for name, u in units.items()}, kept, request)
    groups = [(list(units), targets)] if isinstance(targets, int) else [([name], k) for name, k in targets.items()]
    pruned: Masks = {}
    for names, k in groups:
        pruned |= _choose_guarded({n: ranked[n] for n in names}, kept, k, request.min_per_layer)
    if request.round_to > 1:
        pruned = {name: _rounded(pruned[name], ranked[name], kept[name], request.round_to) for name in units}
    return pruned


def _targets(units: Scores, kept: Masks, request: Request) -> int | dict[str, int]:
    """How many units shall be pruned in the end: one number for all layers together, or one for each."""
    sizes = {name: u.size for name, u in units.items()}
    gone = {name: int(u.size - kept[name].sum()) for name, u in units.items()}
    sparsity, amount, scope = request.sparsity, request.amount, request.scope
    if isinstance(scope, Mapping):
        if sparsity is not None or amount is not None:
            raise ValueError("with a dict of per-layer amounts as scope, leave sparsity and amount out")
        for name in scope:
            check_name("layer in scope", name, units)
        return {name: _target(scope[name], None, sizes[name], gone[name], name) if name in scope else gone[name] for name in sizes}
    check_name("scope", scope, SCOPES)
    if (sparsity is None) == (amount is None):
        raise ValueError(
            "expected either sparsity (of the whole) or amount (of what remains), got " + ("neither" if amount is None else "both")
        )
    if scope == "layer":
        return {name: _target(sparsity, amount, sizes[name], gone[name], name) for name in sizes}
    total = _target(sparsity, amount, sum(sizes.values()), sum(gone.values()), "the network")
    if scope == "global":
        return total
    return beyond(BUDGETS[scope](units, total), gone)


def _target(sparsity: Amount | None, amount: Amount | None, size: int, gone: int, where: str) -> int:
    if amount is not None:
        return gone + count_of(amount, size - gone, f"amount of {where}")
    assert sparsity is not None, "_targets() checks this"
    k = count_of(sparsity, size, f"sparsity of {where}")
    if k < gone:
        raise ValueError(
            f"expected a sparsity of {where} of at least {gone}/{size}, which is pruned already, got {k}/{size}; pruning never revives"
        )
    return k


def _choose_guarded(ranked: Scores, kept: Masks, k: int, min_per_layer: int) -> Masks:
    """The ``k`` lowest of several layers, but never the last ``min_per_layer`` of one; a GuardWarning where that matters."""
    floors = {name: min(min_per_layer, int(kept[name].sum())) for name in ranked}
    chosen = smallest_of(ranked, k)
    short = [name for name, u in ranked.items() if u.size - int(chosen[name].sum()) < floors[name]]
    if not short:
        return chosen
    safe = {name: np.where(_best(u, floors[name]), np.inf, u) for name, u in ranked.items()}
    room = sum(int((u < np.inf).sum()) for u in safe.values())
    warnings.warn(
        f"{', '.join(short)} would have kept fewer than {min_per_layer}, the least that every layer keeps"
        + (f", so {k - room} fewer than asked are pruned" if room < k else ""),
        GuardWarning,
        stacklevel=callers_level(),
    )
    return smallest_of(safe, min(k, room))


def _rounded(pruned: Array, ranked: Array, kept: Array, multiple: int) -> Array:
    """Fewer pruned units, so that those that stay are a multiple; the best are given back, but none that an earlier cut pruned."""
    missing = -int((~pruned).sum()) % multiple
    returnable = pruned & kept
    back = _best(np.where(returnable, ranked, -np.inf), min(missing, int(returnable.sum())))
    return pruned & ~back


def smallest(scores: Array, k: int) -> Array:
    """A bool array, True at the ``k`` smallest scores; ties in memory order. Linear time: one partition, no sort.

    Everything below the k-th smallest value is taken; of those equal to it, the first ones, as many as are missing.
    """
    flat = scores.ravel()
    if k == 0:
        return np.zeros(scores.shape, bool)
    border = np.partition(flat, k - 1)[k - 1]
    chosen = flat < border
    ties = np.flatnonzero(flat == border)
    chosen[ties[: k - int(chosen.sum())]] = True
    return chosen.reshape(scores.shape)


def smallest_of(scores: Scores, k: int) -> Masks:
    """``smallest`` over several layers as if they were one long array."""
    flat = smallest(np.concatenate([s.ravel() for s in scores.values()]), k)
    ends = np.cumsum([s.size for s in scores.values()])[:-1]
    return {n: part.reshape(scores[n].shape) for n, part in zip(scores, np.split(flat, ends), strict=True)}


def _best(scores: Array, k: int) -> Array:
    """True at the ``k`` largest scores."""
    return ~smallest(scores, scores.size - k)
