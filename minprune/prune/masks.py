"""Masks: which weights stay. Scores in, exactly as many pruned as asked, bool arrays out; then put on a model and held.

A mask has its parameter's shape; True keeps the weight. What is one unit of the choice is the granularity's matter, which units go is
that of ``choice``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minprune.errors import ShapeError, check_name
from minprune.nn import Module
from minprune.prune import granularity as granularities
from minprune.prune.amounts import Amount
from minprune.prune.choice import Masks, Request, Scope, Scores, choose
from minprune.prune.evidence import check_finite
from minprune.prune.granularity import NM, POOLS, Granularity, Weight


def make_masks(
    scores: Scores,
    sparsity: Amount | None = None,
    scope: Scope = "global",
    granularity: str | Granularity = "weight",
    *,
    amount: Amount | None = None,
    previous: Masks | None = None,
    min_per_layer: int = 1,
    round_to: int = 1,
    pool: str = "rms",
) -> Masks:
    """Masks that prune the lowest scores: exactly as many units as asked.

    Args:
        scores: {name: array}, higher means keep.
        sparsity: how much *of the whole* shall be pruned in the end, earlier cuts included, in units of the granularity. A float is a
            fraction, an int a count (with scope "layer", of each layer).
        amount: instead of ``sparsity``: how much *of what remains* shall be pruned now (PyTorch's meaning when pruning again).
        scope: "global" ranks all layers together; "layer" takes the same share of each; "erk" and "lamp" give each layer a budget
            that adds up to the whole (where earlier cuts took more than that, other layers lose less); a dict {name: sparsity of that
            layer} says it all (then give neither of the above, and layers that are not named are left alone).
        granularity: "weight", "kernel", "row", "column", a block "rxc", or "n:m" (which says itself how much goes).
        previous: masks of earlier cuts; what they prune stays pruned. A unit counts as pruned where none of its weights is left.
        min_per_layer: units that every layer keeps; where this guard acts, a GuardWarning says so. With scope "global" other
            layers make up for it where they can. 0 turns it off.
        round_to: the kept units of each layer are rounded up to a multiple of this.
        pool: how the scores of a unit's weights become one, a name in ``granularity.POOLS``.

    Returns:
        {name: bool array}, True where the weight stays, for every name in ``scores``.

    Raises:
        TypeError, ValueError: an amount out of range or of the wrong type (or a sparsity below what is pruned already), an unknown
            scope, granularity, pool or layer name, or a parameter that cannot have the granularity.
        ShapeError: previous masks that do not fit the scores.
        NonFiniteError: NaN or infinite scores.
    """
    if not scores:
        raise ValueError("expected the scores of at least one parameter, got none")
    check_finite("scores", scores)
    pattern = granularities.get(granularity)
    for name, s in scores.items():
        granularities.check_fits(pattern, name, s.shape)
    before = {name: np.ones(s.shape, bool) for name, s in scores.items()}
    before |= checked(previous or {}, {name: s.shape for name, s in scores.items()})
    request = Request(sparsity, scope, amount, min_per_layer, round_to)
    if isinstance(pattern, NM):
        _check_nm(pattern, request)
        return {name: pattern.mask(np.where(before[name], s, -np.inf)) & before[name] for name, s in scores.items()}
    if isinstance(pattern, Weight):
        return {name: ~gone for name, gone in choose(scores, before, request).items()}
    pooled = POOLS[check_name("pool", pool, POOLS)]
    pieces = {name: pattern.pieces(s.shape) for name, s in scores.items()}
    units = {name: pooled(s, pieces[name]) for name, s in scores.items()}
    kept = {name: np.bincount(pieces[name].ravel(), before[name].ravel()) > 0 for name in scores}
    return {name: ~gone[pieces[name]] & before[name] for name, gone in choose(units, kept, request).items()}


def _check_nm(pattern: NM, request: Request) -> None:
    """A pattern n:m says how much goes; a sparsity beside it must say the same."""
    said = request.sparsity
    agrees = said is None or (isinstance(said, float) and abs(said - pattern.sparsity) < 1e-9)
    if not agrees or request.amount is not None or request.scope not in ("global", "layer"):
        raise ValueError(
            f"{pattern} prunes {pattern.sparsity:.4g} of every layer: leave sparsity, amount and scope out, "
            f"got sparsity={said!r}, amount={request.amount!r}, scope={request.scope!r}"
        )


def checked(masks: Masks, shapes: Mapping[str, tuple[int, ...]]) -> Masks:
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
    parameters = dict(model.named_parameters())
    for name, mask in checked(masks, {name: p.shape for name, p in parameters.items()}).items():
        p = parameters[name]
        p.set_mask(mask if p.mask is None else mask & p.mask)


def current_masks(model: Module) -> Masks:
    """{name: mask} of the parameters that have one."""
    return {name: p.mask for name, p in model.named_parameters() if p.mask is not None}


def remove_masks(model: Module) -> None:
    """Make pruning permanent: the zeros stay, the masks go, and further training may fill them again."""
    for p in model.parameters():
        p.set_mask(None)
