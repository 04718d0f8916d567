"""What each operation ties together. For every tensor on the tape: which unit stands at which index of which axis.

A tensor's labels are, per axis, an array with one unit per index, or None where the axis has none (the batch, positions of an image).
A rule takes the labels of an operation's parents and returns those of its result; on the way it unites units that must go together (a
channel and the column of the weight that reads it) and pins units that must stay. An operation without a rule is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minprune.nn import Parameter
from minprune.prune.units import Units
from minprune.tensor import Array, Tensor

Labels = tuple[Array | None, ...]
READERS = ("linear", "conv2d", "grouped_conv2d", "matmul")  # operations that multiply an input by a weight and sum


class Labeller:
    """Walks a tape, parents before children, and gathers labels.

    ``buffers`` are the model's, which surgery can change: the sizes of an ``nn.Split`` among them. ``made`` and ``read`` collect the
    units of axes along which a weight makes its outputs and reads its inputs.
    """

    def __init__(self, inputs: list[Tensor], buffers: list[Array]) -> None:
        self.units = Units()
        self.buffers = {id(b) for b in buffers}
        self.labels: dict[int, Labels] = {}
        self.varying = {id(x) for x in inputs}  # tensors that depend on the input, by id
        self.made: list[Array] = []
        self.read: list[Array] = []

    def of(self, node: Tensor) -> Labels:
        """The labels of ``node``; leaves get theirs when they are first met."""
        if id(node) not in self.labels:
            self.labels[id(node)] = self._leaf(node) if node.op == "leaf" else self._result(node)
        return self.labels[id(node)]

    def _leaf(self, node: Tensor) -> Labels:
        if isinstance(node, Parameter):
            return tuple(self.units.fresh(n) for n in node.shape)
        batched = id(node) in self.varying
        labels = tuple(None if batched and axis != 1 else self.units.fresh(n) for axis, n in enumerate(node.shape))
        for ids in labels:
            self.units.pin(ids, "the network's input" if batched else "a constant of the forward pass")
        return labels

    def _result(self, node: Tensor) -> Labels:
        if node.op not in RULES:
            raise NotImplementedError(
                f"the dependency graph does not know the operation {node.op!r}: give it a rule in minprune.prune.labels.RULES "
                f"(it knows {', '.join(sorted(RULES))})"
            )
        labels = [self.of(parent) for parent in node.parents]
        if any(id(parent) in self.varying for parent in node.parents):
            self.varying.add(id(node))
        return RULES[node.op](self, node, labels)

    def tie(self, a: Array | None, b: Array | None, op: str) -> Array | None:
        """The labels of an axis where a and b meet index by index; an unlabelled side pins the other."""
        if a is None or b is None:
            self.units.pin(a if b is None else b, f"{op} meets positions, not channels")
            return None
        self.units.unite(a, b)
        return a

    def weigh(self, made: Array | None, read: Array | None) -> None:
        """Remember the axes along which a weight makes and reads."""
        self.made += [] if made is None else [made]
        self.read += [] if read is None else [read]

    def carry(self, labels: Labels, shape: tuple[int, ...], move: Callable[[Array], Array]) -> list[Array | None]:
        """Labels after a movement of elements (reshape, indexing): found by moving the labels themselves.

        An axis' units are followed where they still depend on one axis alone; otherwise they are pinned.
        """
        moved: list[Array | None] = [None] * np.ndim(move(np.empty(shape, np.int8)))
        for axis, ids in enumerate(labels):
            if ids is None:
                continue
            spread = move(np.broadcast_to(ids.reshape(-1, *[1] * (len(shape) - axis - 1)), shape))
            target = _only_axis(spread)
            if target is None or moved[target] is not None:
                self.units.pin(ids, "the forward pass reshapes or picks it by number")
                continue
            moved[target] = np.moveaxis(spread, target, 0).reshape(spread.shape[target], -1)[:, 0]
        return moved


def _only_axis(array: Array) -> int | None:
    """The one axis along which ``array`` changes, or None."""
    changing = [k for k, n in enumerate(array.shape) if n > 1 and (array != array.take([0], axis=k)).any()]
    return changing[0] if len(changing) == 1 else None


def _same(_: Labeller, __: Tensor, labels: list[Labels]) -> Labels:
    return labels[0]


def _weighted(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    """linear and conv2d: x axis 1 meets the weight's axis 1; the weight's axis 0 makes the outputs."""
    x, weight = labels[:2]
    made, read = weight[:2]
    labeller.tie(x[1], read, node.op)
    labeller.weigh(made, read)
    if len(labels) > 2:
        labeller.tie(made, labels[2][0], node.op)
    return (None, made, *[None] * (node.ndim - 2))


def _grouped(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    """Depthwise: an input and its outputs go together. Otherwise every group loses the same positions, so that groups stay equal."""
    x, weight = labels[:2]
    made, read = weight[:2]
    groups: int = node.attributes["groups"]
    if made is not None and read is not None and x[1] is not None:
        if read.size == 1:
            labeller.units.pin(read, "the only input of a depthwise convolution")
            labeller.units.unite(np.repeat(x[1], made.size // groups), made)
        else:
            labeller.units.unite(x[1], np.tile(read, groups))
            labeller.units.unite(made, np.tile(made[: made.size // groups], groups))
            labeller.read.append(read)
        labeller.made.append(made)
    else:
        for ids in (x[1], made, read):
            labeller.units.pin(ids, "grouped_conv2d meets positions, not channels")
    if len(labels) > 2:
        labeller.tie(made, labels[2][0], node.op)
    return (None, made, None, None)


def _matmul(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    (a, b), (left, right) = node.parents, labels
    if a.ndim < 2 or b.ndim < 2:
        for ids in (*left, *right):
            labeller.units.pin(ids, "matmul with a vector")
        return (None,) * node.ndim
    labeller.tie(left[-1], right[-2], "matmul")
    if id(b) not in labeller.varying:
        labeller.weigh(right[-1], right[-2])
    elif id(a) not in labeller.varying:
        labeller.weigh(left[-2], left[-1])
    else:
        labeller.units.pin(left[-1], "matmul sums over it without a weight")
    leading = _broadcast(labeller, "matmul", node.ndim - 2, [left[:-2], right[:-2]], [a.shape[:-2], b.shape[:-2]])
    return (*leading, left[-2], right[-1])


def _elementwise(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    return _broadcast(labeller, node.op, node.ndim, labels, [parent.shape for parent in node.parents])


def _broadcast(labeller: Labeller, op: str, ndim: int, labels: list[Labels], shapes: list[tuple[int, ...]]) -> Labels:
    """The labels of axes that NumPy aligns from the right; an axis of length 1 is stretched and says nothing."""
    result: list[Array | None] = []
    for back in range(ndim, 0, -1):
        present = [(ids[-back], shape[-back]) for ids, shape in zip(labels, shapes, strict=True) if len(shape) >= back]
        longest = max(n for _, n in present)
        axis = [ids for ids, n in present if n == longest]
        result.append(axis[0] if len(axis) == 1 else labeller.tie(axis[0], axis[1], op))
    return tuple(result)


def _batch_norm(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    x, weight, bias = labels
    labeller.tie(labeller.tie(x[1], weight[0], node.op), bias[0], node.op)
    return x


def _pool(_: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    return labels[0][: node.ndim]


def _reduce(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    axis, ndim = node.attributes["axis"], node.parents[0].ndim
    gone = {k % ndim for k in (range(ndim) if axis is None else np.atleast_1d(axis).tolist())}
    for k in gone:
        labeller.units.pin(labels[0][k], f"{node.op} runs over it")
    if node.ndim == ndim:  # keepdims
        return tuple(None if k in gone else ids for k, ids in enumerate(labels[0]))
    return tuple(ids for k, ids in enumerate(labels[0]) if k not in gone)


def _reshape(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    return tuple(labeller.carry(labels[0], node.parents[0].shape, lambda a: a.reshape(node.shape)))


def _transpose(_: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    return tuple(labels[0][axis] for axis in node.attributes["axes"])


def _getitem(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    """A number in ``forward`` cannot change, so units of an axis that it narrows are pinned."""
    after = labeller.carry(labels[0], node.parents[0].shape, lambda a: np.asarray(a[node.attributes["index"]]))
    whole = [ids for ids in labels[0] if ids is not None and any(ids is b or np.array_equal(ids, b) for b in after if b is not None)]
    for ids in labels[0]:
        if ids is not None and not any(ids is w for w in whole):
            labeller.units.pin(ids, "an index in the forward pass counts on it; nn.Split can change")
    return tuple(after)


def _split(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    axis, start, stop, sizes = (node.attributes[k] for k in ("axis", "start", "stop", "sizes"))
    if id(sizes) not in labeller.buffers:
        labeller.units.pin(labels[0][axis], "sizes in the forward pass count on it; those of nn.Split can change")
    return tuple(ids[start:stop] if k == axis and ids is not None else ids for k, ids in enumerate(labels[0]))


def _concat(labeller: Labeller, node: Tensor, labels: list[Labels]) -> Labels:
    axis = node.attributes["axis"]
    result: list[Array | None] = []
    for k in range(node.ndim):
        parts = [label[k] for label in labels]
        if k == axis and any(ids is not None for ids in parts):
            sizes = [parent.shape[k] for parent in node.parents]
            result.append(np.concatenate([_positions(labeller, n) if i is None else i for i, n in zip(parts, sizes, strict=True)]))
            continue
        joint = parts[0]
        for ids in parts[1:]:
            joint = labeller.tie(joint, ids, node.op) if joint is not None or ids is not None else None
        result.append(joint)
    return tuple(result)


def _positions(labeller: Labeller, count: int) -> Array:
    """Pinned units for an unlabelled part of a concatenation."""
    ids = labeller.units.fresh(count)
    labeller.units.pin(ids, "concat joins it as positions")
    return ids


Rule = Callable[[Labeller, Tensor, list[Labels]], Labels]
RULES: dict[str, Rule] = {
    **dict.fromkeys(("relu", "dropout", "exp", "log", "pow"), _same),
    **dict.fromkeys(("add", "sub", "mul", "div"), _elementwise),
    **dict.fromkeys(("linear", "conv2d"), _weighted),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "global_avg_pool2d"), _pool),
    **dict.fromkeys(("sum", "mean", "max"), _reduce),
    **dict.fromkeys(("reshape", "flatten"), _reshape),
    "batch_norm": _batch_norm,
    "concat": _concat,
    "getitem": _getitem,
    "grouped_conv2d": _grouped,
    "matmul": _matmul,
    "split": _split,
    "transpose": _transpose,
}
