"""The dependency graph: which slices of which parameters must be cut together, read off the tape of one example.

In: a model and the shape of one input. Out: groups. A group is a set of units that share their fate for the same reason, such as the 16
channels of a residual stream: each unit is one index along an axis of the stem's weight, of the last weight of each branch, of the
BatchNorms on the way, and of every weight that reads the stream. Nothing is guessed: what the tape does is followed by one rule per
operation (``labels``), and what cannot be changed (inputs, outputs, numbers written into ``forward``) is pinned, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minprune.nn import Module
from minprune.prune.example import InputShape, example, run
from minprune.prune.labels import READERS, Labeller, Labels
from minprune.tape import tape
from minprune.tensor import Array, Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAKES, READS, FOLLOWS = "makes", "reads", "follows"


@dataclass(frozen=True)
class Member:
    """An axis of a parameter that carries a group's units.

    ``role``: "makes" where a weight makes them, "reads" where one reads them, "follows" for biases and BatchNorm. A weight that is used
    transposed does both: it "makes" and ``also_reads``.
    """

    parameter: str
    axis: int
    role: str
    also_reads: bool = False

    def __str__(self) -> str:
        return f"{self.parameter}[{'axis ' if self.axis > 1 else ''}{self.axis}]"


@dataclass(frozen=True)
class Group:
    """Units that are tied to the same axes. ``units`` are their numbers (n,); ``pinned`` says why they are never cut, or is None."""

    name: str
    members: tuple[Member, ...]
    units: Array
    pinned: str | None

    @property
    def size(self) -> int:
        return self.units.size

    def of_role(self, role: str) -> list[Member]:
        """The members of one role."""
        return [m for m in self.members if m.role == role or (role == READS and m.also_reads)]


@dataclass(frozen=True)
class Branch:
    """What a residual sum adds to its shortcut: ``output`` is the tensor, ``parameters`` are used nowhere else."""

    name: str
    parameters: tuple[str, ...]
    output: Tensor


@dataclass(frozen=True)
class Graph:
    """A network's dependency graph; prints as text, and ``draw`` draws it.

    ``groups`` are those that some weight makes, in the model's order. ``branches`` can be cut as layers. ``unused`` parameters do not
    contribute to the output. ``axes`` gives each used parameter's unit per index and axis; ``labels`` and ``tape`` are what surgery reads.
    """

    model_name: str
    groups: tuple[Group, ...]
    branches: tuple[Branch, ...]
    unused: tuple[str, ...]
    axes: dict[str, tuple[Array, ...]]
    pinned: dict[int, str]
    labels: dict[int, Labels]
    tape: list[Tensor]
    inputs: list[Tensor]

    @property
    def cuttable(self) -> tuple[Group, ...]:
        """The groups whose units may be cut."""
        return tuple(g for g in self.groups if g.pinned is None)

    def __str__(self) -> str:
        cuttable, units = self.cuttable, sum(g.size for g in self.groups)
        lines = [f"{self.model_name}: {len(self.groups)} groups, {sum(g.size for g in cuttable)} of {units} units can be cut"]
        for g in self.groups:
            lines.append(f"  {g.name}: {g.size} units" + (f", never cut: {g.pinned}" if g.pinned else ""))
            lines += [f"      {role:8}" + ", ".join(map(str, g.of_role(role))) for role in (MAKES, FOLLOWS, READS) if g.of_role(role)]
        lines += [f"  branch {b.name}: can be cut as a layer, {len(b.parameters)} parameters" for b in self.branches]
        return "\n".join([*lines, *([f"  unused: {', '.join(self.unused)}"] if self.unused else [])])

    __repr__ = __str__

    def draw(self) -> Figure:
        """A matplotlib figure: a column per group, a row per parameter, a mark where the parameter carries the group's units."""
        from minprune.prune.drawing import draw_groups

        return draw_groups(self.model_name, self.groups, list(self.axes))


def graph(model: Module, input_shape: InputShape | None = None) -> Graph:
    """The dependency graph of ``model``.

    Args:
        input_shape: (C, H, W) of one input, or (C,) for vectors; a list of shapes for a model with several inputs. The networks of
            ``minprune.models`` know theirs.

    Raises:
        ShapeError: the model does not take such an input, or no shape is known.
        NotImplementedError: the model uses an operation that the graph does not know; the message names it.
        TypeError: the model returns something else than tensors.
    """
    inputs = example(model, input_shape)
    outputs = run(model, inputs)
    order: dict[int, Tensor] = {}
    for out in outputs:
        order |= {id(node): node for node in tape(out) if id(node) not in order}
    nodes = list(order.values())
    labeller = Labeller(inputs, [b for _, b in model.named_buffers()])
    for node in nodes:
        labeller.of(node)
    for out in outputs:
        for ids in labeller.of(out):
            labeller.units.pin(ids, "the network's output")
    names = {id(p): name for name, p in model.named_parameters()}
    own = {name: [i for i in labeller.labels[key] if i is not None] for key, name in names.items() if key in labeller.labels}
    axes = {name: tuple(labeller.units.find(ids) for ids in labels) for name, labels in own.items()}
    return Graph(
        type(model).__name__,
        _groups(labeller, own, axes),
        tuple(_branches(nodes, names, labeller.varying)),
        tuple(name for name in names.values() if name not in axes),
        axes,
        labeller.units.reasons(),
        {key: tuple(None if ids is None else labeller.units.find(ids) for ids in labels) for key, labels in labeller.labels.items()},
        nodes,
        inputs,
    )


def _groups(labeller: Labeller, own: dict[str, list[Array]], axes: dict[str, tuple[Array, ...]]) -> tuple[Group, ...]:
    """Units with the same members and the same reason to stay, in the order of the parameters that make them.

    ``own`` are a parameter's units per axis before any were united, ``axes`` after.
    """
    made, read = _flags(labeller, labeller.made), _flags(labeller, labeller.read)
    reasons = labeller.units.reasons()
    members: dict[int, list[Member]] = {}
    for name, roots in axes.items():
        for axis, units in enumerate(roots):
            makes, reads = made[own[name][axis]].any(), read[own[name][axis]].any()
            member = Member(name, axis, MAKES if makes else READS if reads else FOLLOWS, also_reads=bool(makes and reads))
            for unit in dict.fromkeys(units.tolist()):
                members.setdefault(unit, []).append(member)
    alike: dict[tuple[tuple[Member, ...], str | None], list[int]] = {}
    for unit, found in members.items():
        if any(m.role == MAKES for m in found):
            alike.setdefault((tuple(found), reasons.get(unit)), []).append(unit)
    groups: dict[str, Group] = {}
    for (carried, pinned), alike_units in alike.items():
        first = min((m for m in carried if m.role == MAKES), key=lambda m: m.axis)
        place = np.flatnonzero(np.isin(axes[first.parameter][first.axis], alike_units))
        whole = place.size == axes[first.parameter][first.axis].size
        name = first.parameter + (f" axis {first.axis}" if first.axis else "") + ("" if whole else f"[{place[0]}:{place[-1] + 1}]")
        while name in groups:
            name += "'"
        groups[name] = Group(name, carried, np.array(alike_units), pinned)
    return tuple(groups.values())


def _flags(labeller: Labeller, parts: list[Array]) -> Array:
    """A bool per unit: whether it is in one of ``parts``."""
    flags = np.zeros(len(labeller.units), bool)
    for ids in parts:
        flags[ids] = True
    return flags


def _branches(nodes: list[Tensor], names: dict[int, str], varying: set[int]) -> Iterator[Branch]:
    """Each sum of two tensors with a common origin, of which one side (the branch) has more weights on its way than the other."""
    above: dict[int, dict[int, Tensor]] = {}
    readers: dict[int, list[int]] = {}
    for node in nodes:
        above[id(node)] = {id(node): node}
        for parent in node.parents:
            above[id(node)] |= above.get(id(parent), {id(parent): parent})
            readers.setdefault(id(parent), []).append(id(node))
    for node in nodes:
        if node.op != "add" or not all(id(parent) in varying for parent in node.parents):
            continue
        sides = [above.get(id(parent), {}) for parent in node.parents]
        own = [{k: v for k, v in sides[i].items() if k not in sides[1 - i]} for i in (0, 1)]
        work = [sum(v.op in READERS for v in side.values()) for side in own]
        if work[0] == work[1] or not any(k in varying for k in sides[0].keys() & sides[1].keys()):
            continue
        i = int(work[1] > work[0])
        leaves_elsewhere = any(reader not in own[i] and reader != id(node) for k in own[i] for reader in readers[k])
        if not leaves_elsewhere:
            parameters = tuple(names[k] for k in own[i] if k in names)
            yield Branch(_common_path(parameters), parameters, node.parents[i])


def _common_path(names: tuple[str, ...]) -> str:
    """The longest path that all names share; the first name if there is none."""
    paths = [name.split(".") for name in names]
    shared = 0
    while all(len(path) > shared and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    return ".".join(paths[0][:shared]) or names[0]
