"""What can go: which units of a network contribute nothing but a constant, and where that constant can go instead.

In: a model with zeros (masked or not) and its dependency graph. Out: a plan for ``surgery``. A unit can go if it is not pinned and,
wherever a weight reads it, one of these holds in evaluation mode:

    the weights that read it are zero          nothing is lost
    it is zero for every input                 nothing is lost
    it is another constant for every input     the reader's bias (or the mean of the BatchNorm after it) takes what it contributed

The last is exact for a Linear layer and for a convolution without padding. With padding it is not: at the border the filter sees zeros
instead of the constant, so such a unit stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from minprune import ops
from minprune.nn import Module, Parameter
from minprune.prune.constancy import varying
from minprune.prune.graph import Graph
from minprune.prune.labels import READERS
from minprune.tensor import Array, Tensor


@dataclass(frozen=True)
class Site:
    """Where a constant goes: the ``bias`` of the module at ``path`` (made if it has none), or the ``running_mean`` of a BatchNorm there."""

    path: str
    attribute: str


@dataclass(frozen=True)
class Reader:
    """An operation that multiplies channels by weights.

    ``rows`` (O,) and ``columns`` (C,) are the units that it makes and reads, ``weighs`` (O, C) is True where a weight between them is not
    zero. Per column: ``varies`` with the input, is ``zero`` always, or can be ``folded``: its constant goes to ``site``.
    """

    node: Tensor
    rows: Array
    columns: Array
    weighs: Array
    varies: Array
    zero: Array
    folded: Array
    site: Site | None

    def blocks(self, gone: Array) -> Array:
        """The units that this reader needs, when those ``gone`` (a sorted array) are gone."""
        used = self.weighs[~np.isin(self.rows, gone)].any(axis=0)
        return self.columns[used & (self.varies | ~(self.zero | self.folded))]

    def contribution(self, gone: Array) -> Array:
        """What the constant columns among ``gone`` add to each output (O,)."""
        x, weight = self.node.parents[:2]
        constant = np.isin(self.columns, gone) & ~self.varies & ~self.zero
        if not constant.any():
            return np.zeros(self.rows.size, x.dtype)
        values = np.where(constant.reshape(-1, *[1] * (x.ndim - 2)), x.data, 0)
        if self.node.op == "linear":
            return (values @ weight.data.T)[0]
        geometry = self.node.attributes["geometry"]
        convolve = ops.conv2d if self.node.op == "conv2d" else ops.grouped_conv2d
        return convolve(values, weight.data, None, geometry.stride, geometry.padding).data[0, :, 0, 0]


@dataclass(frozen=True)
class Plan:
    """What surgery will do; prints as text.

    ``kept`` gives, for each parameter that stays, the indices that stay along each axis. ``gone`` are units. ``folds`` are values (O,) for
    sites. ``dropped`` are the paths of modules that lose their branch. ``stuck`` counts constant units that no bias can take in.
    ``still_masked`` of ``masked`` weights lie in rows and columns that stay: only a sparse format can make use of them.
    """

    shapes: dict[str, tuple[int, ...]]
    kept: dict[str, tuple[Array, ...]]
    gone: Array
    folds: tuple[tuple[Site, Array], ...]
    dropped: tuple[str, ...]
    stuck: int
    masked: int
    still_masked: int
    readers: tuple[Reader, ...] = field(repr=False)

    def __str__(self) -> str:
        def size(shape: tuple[int, ...]) -> str:
            return "x".join(map(str, shape))

        before = sum(int(np.prod(shape)) for shape in self.shapes.values())
        after = sum(int(np.prod([i.size for i in indices])) for indices in self.kept.values())
        taken = sum(bool(values.any()) for _, values in self.folds)
        lines = [f"{before:,} -> {after:,} parameters; {self.gone.size} units go, and {taken} layers take over what constants contributed"]
        for name, shape in self.shapes.items():
            new = tuple(i.size for i in self.kept[name]) if name in self.kept else None
            if new != shape:
                lines.append(f"  {name}: {size(shape)} -> {'gone' if new is None else size(new)}")
        lines += [f"  {path}: only its shortcut stays" for path in self.dropped]
        if self.stuck:
            lines.append(f"  {self.stuck} constant units stay: a padded convolution, or one without a bias to fold into, reads them")
        if self.still_masked:
            lines.append(f"  {self.still_masked:,} of {self.masked:,} masked weights stay, scattered among others")
        return "\n".join(lines)


def make_plan(model: Module, network: Graph) -> Plan:
    """What can go from ``model``, whose dependency graph is ``network``. At least one unit stays along every axis."""
    vary = varying(network.tape, network.inputs)
    dropped = dict(_droppable(model, network, vary))
    lost = {name for names in dropped.values() for name in names}
    weights = {id(p): name for name, p in model.named_parameters()}
    readers = tuple(r for r in _readers(model, network, vary) if not any(weights.get(id(p)) in lost for p in r.node.parents))
    pinned = set(network.pinned)
    while True:
        gone = _removable(network, readers, pinned)
        empty = [axis for name, axes in network.axes.items() if name not in lost for axis in axes if np.isin(axis, gone).all()]
        if not empty:
            break
        pinned |= {int(axis[0]) for axis in empty}
    parameters = dict(model.named_parameters())
    kept = {name: tuple(np.arange(n) for n in p.shape) for name, p in parameters.items() if name not in lost}
    kept |= {n: tuple(np.flatnonzero(~np.isin(a, gone)) for a in axes) for n, axes in network.axes.items() if n not in lost}
    masked = {name: ~p.mask for name, p in parameters.items() if p.mask is not None}
    still = sum(int(m[np.ix_(*kept[name])].sum()) for name, m in masked.items() if name in kept)
    folds = tuple((r.site, r.contribution(gone)) for r in readers if r.site is not None)
    constant = {u for r in readers for u in r.columns[~r.varies & ~r.zero & ~r.folded & r.weighs.any(axis=0)].tolist()}
    return Plan(
        shapes={name: p.shape for name, p in parameters.items()},
        kept=kept,
        gone=gone,
        folds=folds,
        dropped=tuple(dropped),
        stuck=len(constant - set(network.pinned)),
        masked=sum(int(m.sum()) for m in masked.values()),
        still_masked=still,
        readers=readers,
    )


def _removable(network: Graph, readers: tuple[Reader, ...], pinned: set[int]) -> Array:
    """The largest set of units that can go together: all, less those that a row which stays needs, until nothing changes."""
    made = np.unique(np.concatenate([axis for axes in network.axes.values() for axis in axes]))
    candidates = made[~np.isin(made, list(pinned))]
    candidates = candidates[np.isin(candidates, np.concatenate([r.columns for r in readers]))]
    while True:
        needed = np.concatenate([r.blocks(candidates) for r in readers])
        fewer = candidates[~np.isin(candidates, needed)]
        if fewer.size == candidates.size:
            return candidates
        candidates = fewer


def _readers(model: Module, network: Graph, vary: dict[int, Array]) -> Iterator[Reader]:
    uses: dict[int, list[Tensor]] = {}
    for node in network.tape:
        for parent in node.parents:
            uses.setdefault(id(parent), []).append(node)
    for node in network.tape:
        if node.op not in READERS:
            continue
        i = int(node.op == "matmul" and not vary[id(node.parents[0])].any())  # which parent is the input; the other is the weight
        x, weight = node.parents[i], node.parents[1 - i]
        rows, columns, weighs = _matrix(network, node, weight, flipped=node.op == "matmul" and i == 0)
        if rows is None or columns is None:
            continue
        axis = 1 if node.op != "matmul" else x.ndim - 1 - i
        others = tuple(k for k in range(x.ndim) if k != axis)
        varies: Array = np.array(vary[id(x)].any(axis=others))
        zero: Array = np.array((x.data == 0).all(axis=others)) & ~varies
        site = _site(model, node, uses)
        yield Reader(node, rows, columns, weighs, varies, zero, _uniform(node, x) & ~varies & (site is not None), site)


def _matrix(network: Graph, node: Tensor, weight: Tensor, flipped: bool) -> tuple[Array | None, Array | None, Array]:
    """(units of the rows, units of the columns, where a weight between them is not zero)."""
    labels, nonzero = network.labels[id(weight)], weight.data != 0
    if node.op == "grouped_conv2d":
        groups = node.attributes["groups"]
        inside = nonzero.any(axis=(2, 3))  # (O, C / groups)
        same = np.kron(np.eye(groups, dtype=bool), np.ones((inside.shape[0] // groups, inside.shape[1]), bool))
        return labels[0], network.labels[id(node.parents[0])][1], np.tile(inside, groups) & same
    if node.op == "matmul":
        nonzero = nonzero.any(axis=tuple(range(weight.ndim - 2)))
        return (labels[-1], labels[-2], nonzero.T) if flipped else (labels[-2], labels[-1], nonzero)
    return labels[0], labels[1], nonzero.any(axis=tuple(range(2, weight.ndim)))


def _uniform(node: Tensor, x: Tensor) -> Array:
    """Per channel: whether a constant in it adds the same to an output wherever the output is."""
    if node.op == "linear":
        return np.ones(x.shape[1], bool)
    if node.op == "matmul" or node.attributes["geometry"].padding != (0, 0):
        return np.zeros(x.shape[1], bool)
    return (x.data == x.data[:, :, :1, :1]).all(axis=(0, 2, 3))


def _site(model: Module, node: Tensor, uses: dict[int, list[Tensor]]) -> Site | None:
    """Where constants that ``node`` reads can go; None if the weight or that place serves other operations too."""
    weight = node.parents[1]
    if node.op == "matmul" or not isinstance(weight, Parameter) or len(uses[id(weight)]) > 1:
        return None
    readers = uses.get(id(node), [])
    if len(node.parents) == 2 and len(readers) == 1 and readers[0].op == "batch_norm":
        scale = readers[0].parents[1]
        owner = next((path for path, m in model.named_modules() if vars(m).get("weight") is scale and "running_mean" in vars(m)), None)
        return Site(owner, "running_mean") if owner is not None and len(uses[id(scale)]) == 1 else None
    owner = next((path for path, m in model.named_modules() if vars(m).get("weight") is weight and "bias" in vars(m)), None)
    if owner is None or (len(node.parents) > 2 and len(uses[id(node.parents[2])]) > 1):
        return None
    return Site(owner, "bias")


def _droppable(model: Module, network: Graph, vary: dict[int, Array]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(path, parameters) of each module with a ``drop_branch`` whose branch is zero for every input."""
    modules = dict(model.named_modules())
    for branch in network.branches:
        if vary[id(branch.output)].any() or branch.output.data.any():
            continue
        path = branch.name
        while path and not hasattr(modules.get(path), "drop_branch"):
            path = path.rpartition(".")[0]
        if path:
            yield path, branch.parameters
