"""Grouped convolution: channels are divided into groups, and each output sees the inputs of its own group only.

    groups = 1   an ordinary convolution
    groups = C   depthwise: each output sees one input; followed by a 1x1 convolution, it is a depthwise-separable one

It is one of two things, by which is the quicker. For few groups it is what it means: an ordinary convolution per group, one after another.
For many, or a pruned weight, it is a single convolution whose filters are pruned wherever they would read another group's channels, so
that the kernels for pruned weights leave those out.
"""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.ops.conv import conv2d
from minprune.tape import Vjp
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record

Shape = tuple[int, ...]
_known: dict[int, tuple[weakref.ref, Array, list[Array]]] = {}  # of each mask: itself, that of the single convolution, those of the groups


def grouped_conv2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """Convolution in groups; how many there are follows from the shapes: groups = C / C'.

    Args:
        x: (N, C, H, W).
        weight: (O, C', R, S), C' the channels of one group; outputs 0 … O/groups − 1 belong to the first group, and so on.
        bias: (O,) or None.
        stride, padding: as in ``conv2d``.

    Returns:
        (N, O, Y, X).

    Raises:
        ShapeError: C' does not divide C, the groups do not divide O, or a shape that ``conv2d`` refuses.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 4 or x.ndim != 4:
        raise ShapeError(f"grouped_conv2d expected x (N, C, H, W) and weight (O, C', R, S), got {x.shape} and {weight.shape}")
    groups, rest = divmod(x.shape[1], weight.shape[1])
    if rest or not groups or weight.shape[0] % groups:
        raise ShapeError(
            f"grouped_conv2d expected groups of {weight.shape[1]} channels that divide the input's and the {weight.shape[0]} outputs, "
            f"got an input of shape {x.shape}"
        )
    parents = [x, weight] if bias is None else [x, weight, as_tensor(bias)]
    if bias is not None and parents[2].shape != weight.shape[:1]:
        raise ShapeError(f"grouped_conv2d expected a bias of shape {weight.shape[:1]}, got {parents[2].shape}")
    mask = getattr(weight, "mask", None)
    whole, masks = (_own_groups(groups, weight.shape), [None] * groups) if mask is None else _masks(mask, groups)
    work = backend.implementation("conv", np.result_type(*(p.data for p in parents)))
    place = {"stride": stride, "padding": padding}
    if groups > 1 and work.sparse_pays(whole):
        result, vjp = _as_one(parents, groups, whole, place)
    else:
        result, vjp = _one_by_one(parents, groups, masks, place)
    return record("grouped_conv2d", result.data, parents, vjp, geometry=result.attributes.get("geometry"), groups=groups)


class _Piece(Tensor):
    """A weight made from parts of another, with its mask."""

    def __init__(self, data: Array, requires_grad: bool, mask: Array | None) -> None:
        super().__init__(data, requires_grad)
        self.mask = mask


def _one_by_one(parents: list[Tensor], groups: int, masks: list[Any], place: dict[str, Any]) -> tuple[Tensor, Vjp]:
    """A convolution per group; (the result, its derivative)."""
    axes = (1, 0, 0)[: len(parents)]  # along which x, weight and bias are divided
    pieces = [np.split(parent.data, groups, axis) for parent, axis in zip(parents, axes, strict=True)]
    wanted = [parent.requires_grad for parent in parents]
    parts = []
    for mask, x, w, *b in zip(masks, *pieces, strict=True):
        bias = Tensor(b[0], wanted[2]) if b else None
        parts.append(conv2d(Tensor(x, wanted[0]), _Piece(w, wanted[1], mask), bias, **place))

    def vjp(g: Array) -> tuple[Array | None, ...]:
        grads = [part.vjp(piece) for part, piece in zip(parts, np.split(g, groups, axis=1), strict=True) if part.vjp is not None]
        columns = zip(zip(*grads, strict=True), axes, wanted, strict=True)
        return tuple(np.concatenate(column, axis) if want else None for column, axis, want in columns)

    result = Tensor(np.concatenate([part.data for part in parts], axis=1))
    result.attributes = parts[0].attributes
    return result, vjp


def _as_one(parents: list[Tensor], groups: int, mask: Array, place: dict[str, Any]) -> tuple[Tensor, Vjp]:
    """A single convolution with the weight (O, C, R, S) that is zero outside its groups; (the result, its derivative)."""
    x, weight, *bias = parents
    whole = np.zeros(mask.shape, weight.data.dtype)
    for part, own in zip(_blocks(whole, groups), np.split(weight.data, groups), strict=True):
        part[...] = own
    shift = Tensor(bias[0].data, bias[0].requires_grad) if bias else None
    result = conv2d(Tensor(x.data, x.requires_grad), _Piece(whole, weight.requires_grad, mask), shift, **place)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        assert result.vjp is not None, "asked only where something needs a gradient"
        dx, dw, *db = result.vjp(g)
        return dx, None if dw is None else np.concatenate(_blocks(dw, groups)), *db

    return result, vjp


def _blocks(whole: Array, groups: int) -> list[Array]:
    """Of a weight (O, C, R, S) the views (O / groups, C / groups, R, S) in which the outputs of a group read its own channels."""
    return [np.split(rows, groups, axis=1)[g] for g, rows in enumerate(np.split(whole, groups))]


@cache
def _own_groups(groups: int, shape: Shape) -> Array:
    """The mask (O, C, R, S) of the single convolution: True within the groups."""
    o, per_group, r, s = shape
    whole = np.zeros((o, groups * per_group, r, s), bool)
    for block in _blocks(whole, groups):
        block[...] = True
    return whole


def _masks(mask: Array, groups: int) -> tuple[Array, list[Array]]:
    """(the mask of the single convolution, those of the groups) for a pruned weight, the same as long as its mask lives: the kernels
    remember what they worked out for a mask."""
    found = _known.get(id(mask))
    if found is None or found[0]() is not mask:
        whole = np.zeros((len(mask), groups * mask.shape[1], *mask.shape[2:]), bool)
        for block, own in zip(_blocks(whole, groups), np.split(mask, groups), strict=True):
            block[...] = own
        key, forget = id(mask), _known.pop  # looked up now: when the interpreter ends, masks may outlive this module's names
        found = weakref.ref(mask, lambda _: forget(key, None)), whole, np.split(mask, groups)
        _known[key] = found
    return found[1], found[2]
