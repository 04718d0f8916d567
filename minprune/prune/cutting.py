"""The cut: score, choose and mask in one. Single parameters are cut by their own pieces; channels and layers by the dependency graph."""

from __future__ import annotations

import numpy as np

from minprune.data import Split
from minprune.errors import check_name
from minprune.nn import Module
from minprune.prune import granularity as granularities
from minprune.prune.amounts import Amount
from minprune.prune.choice import Masks, Request, Scope, Scores
from minprune.prune.coupled import coupled_masks, kept_units
from minprune.prune.criteria import CRITERIA, score
from minprune.prune.evidence import Batches, prunable_parameters
from minprune.prune.example import InputShape
from minprune.prune.granularity import NM, Channel, Coupled, Granularity, Weight
from minprune.prune.graph import graph
from minprune.prune.masks import apply_masks, current_masks, make_masks


def cut(
    model: Module,
    sparsity: Amount | None = None,
    *,
    criterion: str = "magnitude",
    scope: Scope = "global",
    granularity: str | Granularity = "weight",
    amount: Amount | None = None,
    data: Split | Batches | None = None,
    rng: np.random.Generator | None = None,
    min_per_layer: int = 1,
    round_to: int = 1,
    input_shape: InputShape | None = None,
    scores: Scores | None = None,
) -> Masks:
    """Score, choose and mask in one: prune ``model`` in place and return all its masks.

    The arguments are those of ``score`` and ``make_masks``; the model's present masks are the previous ones. Amounts count units of the
    granularity. Parameters that cannot have it (a Linear weight has no kernels) are left alone, unless ``scope`` names them.

    With "channel" the layers of ``scope`` are the groups of ``prune.graph`` (by name, such as "conv1.weight"), and a channel's score is
    pooled from all weights that make it, in every coupled layer (and, for a criterion that is ``relative``, divided by the mean of what
    is left of its group, so that groups can be ranked together); biases, BatchNorm scales and the weights that read it are masked with it.
    With "layer" the units are the branches of residual sums, ranked together. The network's own outputs are never cut.

    Args:
        input_shape: (C, H, W) of one input, or a list of shapes; needed for "channel" and "layer" and for "bn_scale", unless the model has
            an ``input_shape``.
        scores: scores of your own, as ``score`` returns them; ``criterion`` then only says how they are pooled, and ``data`` is not used.

    Raises:
        ValueError: nothing in the model can have this granularity, or what ``score`` and ``make_masks`` raise; the model is then left
            as it was.
    """
    pattern = granularities.get(granularity)
    chosen = CRITERIA[check_name("criterion", criterion, CRITERIA)]
    request = Request(sparsity, scope, amount, min_per_layer, round_to)
    if scores is None:
        scores = score(model, criterion, data=data, rng=rng, input_shape=input_shape)
    if isinstance(pattern, Coupled):
        masks = coupled_masks(model, graph(model, input_shape), pattern, scores, chosen, request)
    else:
        named = set() if isinstance(scope, str) else set(scope)
        able = {n: s for n, s in scores.items() if n in named or pattern.why_not(s.shape) is None}
        if not able:
            reasons = {pattern.why_not(s.shape) for s in scores.values()}
            raise ValueError(
                f"no parameter of {type(model).__name__} can have granularity {str(pattern)!r}: {'; '.join(map(str, reasons))}"
            )
        previous = {name: mask for name, mask in current_masks(model).items() if name in able}
        masks = make_masks(
            able,
            sparsity,
            scope,
            pattern,
            amount=amount,
            previous=previous,
            min_per_layer=min_per_layer,
            round_to=round_to,
            pool=chosen.pool,
        )
    apply_masks(model, masks)
    return masks


def scope_names(model: Module, granularity: str | Granularity = "weight", input_shape: InputShape | None = None) -> tuple[str, ...]:
    """The layers that a dict as ``scope`` may name for this granularity: parameters, or for "channel" groups of the dependency graph."""
    pattern = granularities.get(granularity)
    if isinstance(pattern, Channel):
        return tuple(g.name for g in graph(model, input_shape).cuttable)
    return tuple(name for name, p in prunable_parameters(model).items() if pattern.why_not(p.shape) is None)


def unit_sparsity(model: Module, granularity: str | Granularity = "weight", input_shape: InputShape | None = None) -> tuple[float, int]:
    """(the share of the units of ``granularity`` that are pruned, those of which no weight is left; how many units there are).

    A pattern n:m takes less where m does not divide an axis; a model that has lost all that the pattern takes counts as (m − n)/m pruned.
    """
    pattern = granularities.get(granularity)
    if isinstance(pattern, Coupled):
        kept = list(kept_units(model, graph(model, input_shape), pattern).values())
    else:
        able = [p for p in prunable_parameters(model).values() if pattern.why_not(p.shape) is None]
        masks = [np.ones(p.shape, bool) if p.mask is None else p.mask for p in able]
        if isinstance(pattern, NM):
            takes, gone = (sum(int((~m).sum()) for m in which) for which in ([pattern.mask(np.zeros(m.shape)) for m in masks], masks))
            return min(pattern.sparsity * gone / max(takes, 1), 1.0), sum(m.size for m in masks)
        kept = masks if isinstance(pattern, Weight) else [np.bincount(pattern.pieces(m.shape).ravel(), m.ravel()) > 0 for m in masks]
    units = sum(k.size for k in kept)
    return sum(k.size - int(k.sum()) for k in kept) / max(units, 1), units
