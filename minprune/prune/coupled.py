"""Pieces that reach over several parameters: channels (with all that makes and reads them) and layers (branches of residual sums).

Scores of weights and the dependency graph in; scores of units, and masks of every parameter that is touched, out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minprune.nn import Module
from minprune.prune.choice import Masks, Request, Scores, choose
from minprune.prune.criteria import Criterion
from minprune.prune.granularity import POOLS, Channel, Coupled
from minprune.prune.graph import MAKES, Graph, Group
from minprune.prune.masks import current_masks
from minprune.tensor import Array

BRANCHES = "the residual branches"


def coupled_masks(model: Module, network: Graph, pattern: Coupled, scores: Scores, criterion: Criterion, request: Request) -> Masks:
    """Masks for every parameter that loses something or has lost something before.

    Raises:
        ValueError: there is nothing that could be cut, no score for it, or what ``choose`` raises.
    """
    masks = current_masks(model)
    kept = kept_units(model, network, pattern)
    if not kept:
        raise ValueError(f"{network.model_name} {_why_nothing(network, pattern)}")
    if isinstance(pattern, Channel):
        units = {g.name: _pooled(_making(scores, network, g), criterion.pool, g.name) for g in network.cuttable}
        if criterion.relative:
            units = {name: _beside_its_group(u, kept[name]) for name, u in units.items()}
        gone = choose(units, kept, request)
        pruned = np.concatenate([g.units[gone[g.name]] for g in network.cuttable])
        for name, mask in unit_masks(network, pruned).items():
            masks[name] = mask & masks.get(name, True)
        return masks
    if request.scope != "global":
        raise ValueError(f"layers are ranked together: expected scope 'global', got {request.scope!r}")
    weights = {b.name: [scores[n] for n in b.parameters if n in scores] for b in network.branches}
    values = [_pooled([(s, np.zeros(s.shape, int)) for s in arrays], criterion.pool, name) for name, arrays in weights.items()]
    gone = choose({BRANCHES: np.concatenate(values)}, kept, request)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    for branch, dead in zip(network.branches, gone[BRANCHES], strict=True):
        masks |= {name: np.zeros(shapes[name], bool) for name in branch.parameters if dead}
    return masks


def kept_units(model: Module, network: Graph, pattern: Coupled) -> Masks:
    """{group: bool per unit}, False where nothing is left of the weights that make a channel, or of a branch."""
    alive = {name: np.ones(p.shape, bool) if p.mask is None else p.mask for name, p in model.named_parameters()}
    if isinstance(pattern, Channel):
        return {g.name: POOLS["mean"](*_joined(_making(alive, network, g))) > 0 for g in network.cuttable}
    weights = [[alive[n] for n in b.parameters if alive[n].ndim >= 2] for b in network.branches]
    return {BRANCHES: np.array([any(a.any() for a in arrays) for arrays in weights])} if weights else {}


def unit_masks(network: Graph, pruned: Array) -> Masks:
    """{parameter: mask} that cuts the given units along every axis that carries them, for the parameters that have one."""
    masks = {}
    for name, axes in network.axes.items():
        stays = [~np.isin(units, pruned) for units in axes]
        if not all(s.all() for s in stays):
            mask = np.ones([s.size for s in stays], bool)
            for axis, s in enumerate(stays):
                mask &= s.reshape(-1, *[1] * (mask.ndim - axis - 1))
            masks[name] = mask
    return masks


def _making(arrays: dict[str, Array], network: Graph, group: Group) -> list[tuple[Array, Array]]:
    """(array, unit's position in the group per element) of each slice of ``arrays`` that makes units of the group."""
    position = {unit: i for i, unit in enumerate(group.units.tolist())}
    parts = []
    for member in group.of_role(MAKES):
        if member.parameter not in arrays:
            continue
        places = np.array([position.get(unit, -1) for unit in network.axes[member.parameter][member.axis].tolist()])
        slices = np.moveaxis(arrays[member.parameter], member.axis, 0)[places >= 0]
        parts.append((slices, np.broadcast_to(places[places >= 0].reshape(-1, *[1] * (slices.ndim - 1)), slices.shape)))
    return parts


def _joined(parts: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    values, pieces = zip(*parts, strict=True)
    return np.concatenate([v.ravel() for v in values]), np.concatenate([p.ravel() for p in pieces])


def _pooled(parts: list[tuple[Array, Array]], pool: str, name: str) -> Array:
    if not parts:
        raise ValueError(f"the criterion has no score for any weight that makes {name}; bn_scale needs a BatchNorm after it")
    return POOLS[pool](*_joined(parts))


def _beside_its_group(units: Array, kept: Array) -> Array:
    """Scores divided by the mean of those that are left in their group; a group of zeros stays one."""
    mean = float(units[kept].mean()) if kept.any() else 0.0
    return units / mean if mean > 0 else units


def _why_nothing(network: Graph, pattern: Coupled) -> str:
    if isinstance(pattern, Channel):
        return "has no channel that can be cut: " + "; ".join(f"{g.name} is pinned as {g.pinned}" for g in network.groups)
    return "has no residual sum, and a layer without a shortcut around it cannot be cut"
