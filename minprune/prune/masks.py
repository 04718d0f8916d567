"""Masks: which weights stay. Scores in, exactly as many pruned as asked, bool arrays out; then put on a model and held.

A mask has its parameter's shape; True keeps the weight. Between weights of equal score the one that comes first in memory order
(and, across layers, in the model's order) goes first: a threshold would take all of them, and prune more than was asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from minprune.data import Split
from minprune.errors import ShapeError, check_name
from minprune.nn import Module
from minprune.prune import granularity as granularities
from minprune.prune.amounts import BUDGETS, Amount, beyond, count_of
from minprune.prune.criteria import Scores, score
from minprune.prune.evidence import Batches, check_finite, prunable_parameters
from minprune.tensor import Array

Masks = dict[str, Array]
SCOPES = ("global", "layer", *BUDGETS)
Scope = str | Mapping[str, Amount]


class GuardWarning(UserWarning):
    """The guard kept a layer from being pruned away entirely."""


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


def make_masks(
    scores: Scores,
    sparsity: Amount | None = None,
    scope: Scope = "global",
    granularity: str = "weight",
    *,
    amount: Amount | None = None,
    previous: Masks | None = None,
    min_per_layer: int = 1,
) -> Masks:
    """Masks that prune the lowest scores: exactly as many as asked.

    Args:
        scores: {name: array}, higher means keep.
        sparsity: how much *of the whole* shall be pruned in the end, earlier cuts included. A float is a fraction, an int a count
            (with scope "layer", of each layer).
        amount: instead of ``sparsity``: how much *of what remains* shall be pruned now (PyTorch's meaning when pruning again).
        scope: "global" ranks all layers together; "layer" takes the same share of each; "erk" and "lamp" give each layer a budget
            that adds up to the whole (where earlier cuts took more than that, other layers lose less); a dict {name: sparsity of that
            layer} says it all (then give neither of the above, and layers that are not named are left alone).
        granularity: "weight".
        previous: masks of earlier cuts; what they prune stays pruned.
        min_per_layer: units that every layer keeps; where this guard acts, a GuardWarning says so. With scope "global" other
            layers make up for it where they can. 0 turns it off.

    Returns:
        {name: bool array}, True where the weight stays, for every name in ``scores``.

    Raises:
        TypeError, ValueError: an amount out of range or of the wrong type (or a sparsity below what is pruned already), an unknown
            scope, granularity or layer name.
        ShapeError: previous masks that do not fit the scores.
        NonFiniteError: NaN or infinite scores.
    """
    if not scores:
        raise ValueError("expected the scores of at least one parameter, got none")
    check_finite("scores", scores)
    pieces = granularities.get(granularity)
    before = _checked(previous or {}, {name: s.shape for name, s in scores.items()})
    kept = {name: pieces.pool(before.get(name, np.ones(s.shape, bool))) for name, s in scores.items()}
    units = {name: np.where(kept[name], pieces.pool(s), 0) for name, s in scores.items()}
    pruned = _choose(units, kept, _targets(units, kept, scope, sparsity, amount), min_per_layer)
    return {name: pieces.spread(~pruned[name], s.shape) for name, s in scores.items()}


def _targets(units: Scores, kept: Masks, scope: Scope, sparsity: Amount | None, amount: Amount | None) -> int | dict[str, int]:
    """How many units shall be pruned in the end: one number for all layers together, or one for each."""
    sizes = {name: u.size for name, u in units.items()}
    gone = {name: int(u.size - kept[name].sum()) for name, u in units.items()}
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


def _choose(units: Scores, kept: Masks, targets: int | dict[str, int], min_per_layer: int) -> Masks:
    """The units to prune, True where pruned: those pruned before, then the lowest scores, but never the last of a layer."""
    ranked = {name: np.where(kept[name], u, -np.inf) for name, u in units.items()}
    groups = [(list(units), targets)] if isinstance(targets, int) else [([name], k) for name, k in targets.items()]
    pruned: Masks = {}
    for names, k in groups:
        chosen = _smallest_of(ranked, names, k)
        short = [n for n in names if units[n].size - int(chosen[n].sum()) < min(min_per_layer, int(kept[n].sum()))]
        if short:
            safe = {n: np.where(_best(ranked[n], min(min_per_layer, int(kept[n].sum()))), np.inf, ranked[n]) for n in names}
            room = sum(int((safe[n] < np.inf).sum()) for n in names)
            chosen = _smallest_of(safe, names, min(k, room))
            warnings.warn(
                f"{', '.join(short)} would have kept fewer than {min_per_layer}, the least that every layer keeps"
                + (f", so {k - room} fewer than asked are pruned" if room < k else ""),
                GuardWarning,
                stacklevel=4,
            )
        pruned |= chosen
    return pruned


def _smallest_of(scores: Scores, names: list[str], k: int) -> Masks:
    """``smallest`` over several layers as if they were one long array."""
    flat = smallest(np.concatenate([scores[n].ravel() for n in names]), k)
    ends = np.cumsum([scores[n].size for n in names])[:-1]
    return {n: part.reshape(scores[n].shape) for n, part in zip(names, np.split(flat, ends), strict=True)}


def _best(scores: Array, k: int) -> Array:
    """True at the ``k`` largest scores."""
    return ~smallest(scores, scores.size - k)


def _checked(masks: Masks, shapes: Mapping[str, tuple[int, ...]]) -> Masks:
    """``masks`` if each is a bool array of the shape of a known parameter, else an error that names the first that is not."""
    for name, mask in masks.items():
        check_name("parameter in masks", name, shapes)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool:
            raise TypeError(f"mask of {name} expected an array of bool, got {getattr(mask, 'dtype', type(mask).__name__)}")
        if mask.shape != shapes[name]:
            raise ShapeError(f"mask of {name} expected shape {shapes[name]}, got {mask.shape}")
    return masks


def apply_masks(model: Module, masks: Masks) -> None:
    """Put ``masks`` on the model's parameters and set the masked weights to zero. Earlier masks stay in force beside the new ones.

    Raises:
        ValueError, TypeError, ShapeError: an unknown parameter, a mask that is not of bools or has another shape. Then the model is
            left as it was.
    """
    parameters = prunable_parameters(model)
    for name, mask in _checked(masks, {name: p.shape for name, p in parameters.items()}).items():
        p = parameters[name]
        p.set_mask(mask if p.mask is None else mask & p.mask)


def current_masks(model: Module) -> Masks:
    """{name: mask} of the parameters that have one."""
    return {name: p.mask for name, p in model.named_parameters() if p.mask is not None}


def remove_masks(model: Module) -> None:
    """Make pruning permanent: the zeros stay, the masks go, and further training may fill them again."""
    for p in model.parameters():
        p.set_mask(None)


def cut(
    model: Module,
    sparsity: Amount | None = None,
    *,
    criterion: str = "magnitude",
    scope: Scope = "global",
    granularity: str = "weight",
    amount: Amount | None = None,
    data: Split | Batches | None = None,
    rng: np.random.Generator | None = None,
    min_per_layer: int = 1,
) -> Masks:
    """Score, choose and mask in one: prune ``model`` in place and return all its masks.

    The arguments are those of ``score`` and ``make_masks``; the model's present masks are the previous ones. If anything is wrong
    the model is left as it was.
    """
    scores = score(model, criterion, data=data, rng=rng)
    previous = {name: mask for name, mask in current_masks(model).items() if name in scores}  # a bias may have one too
    masks = make_masks(scores, sparsity, scope, granularity, amount=amount, previous=previous, min_per_layer=min_per_layer)
    apply_masks(model, masks)
    return masks
