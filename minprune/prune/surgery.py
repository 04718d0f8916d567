"""Surgery: a masked model in, a smaller ordinary model out, with the same outputs.

Channels that contribute nothing (or a constant, which a bias takes over) are physically gone: from the weights that make them, from those
that read them, from biases, BatchNorms and their running statistics. A residual block whose branch is zero keeps its shortcut alone. What
is decided where is ``plan``'s matter; here it is done, on a copy, and the copy's outputs are compared with the original's at the end.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minprune.errors import ShapeError
from minprune.models import ImageModel
from minprune.nn import Module, Parameter
from minprune.optim import Optimizer
from minprune.prune.example import InputShape, example, run
from minprune.prune.graph import Graph, graph
from minprune.prune.plan import Plan, make_plan
from minprune.tensor import Array

TOLERANCE = 1e-3  # of the largest output, by which float32 sums in another order may differ; a wrong channel differs by far more


class UnstructuredWarning(UserWarning):
    """Masked weights stay in a compacted model: they do not fill whole rows, columns or channels."""


def plan(model: Module, input_shape: InputShape | None = None) -> Plan:
    """What ``compact`` would do: print it to see the sizes before and after, and what cannot go.

    Raises:
        what ``graph`` raises.
    """
    return make_plan(model, graph(model, input_shape))


def compact(model: Module, input_shape: InputShape | None = None, *, optimizer: Optimizer | None = None) -> Module:
    """A smaller model with the same outputs in evaluation mode: whatever is zero in whole rows, columns and channels is gone.

    Zero is judged by value, masked or not. Masks come along for what stays. The model that comes in is not changed.

    Args:
        input_shape: (C, H, W) of one input, or a list of shapes; the networks of ``minprune.models`` know theirs.
        optimizer: the optimizer of ``model``; from now on it is that of the small model, and its state (momentum, moments, ages) that of
            the weights that stay.

    Returns:
        An ordinary model of the same class: it trains, saves, loads and can be compacted again.

    Warns:
        UnstructuredWarning: masked weights stay, scattered among others; says how many.

    Raises:
        ShapeError, NotImplementedError, TypeError: as ``graph``.
        ValueError: the optimizer is another model's, or the smaller model does not give the same outputs: its ``forward`` counts on
            numbers of channels that the graph cannot see. Nothing is changed.
    """
    if optimizer is not None and optimizer.model is not model:
        raise ValueError(f"compact expected the optimizer of this {type(model).__name__}, got one of another model")
    network = graph(model, input_shape)
    how = make_plan(model, network)
    small = model.copy()
    modules: dict[str, Any] = dict(small.named_modules())
    for path in how.dropped:
        modules[path].drop_branch()
    _fold(modules, how)
    _resize_modules(model, modules, network, how)
    parameters = dict(small.named_parameters())
    for name, p in parameters.items():
        _shrink(p, how.kept.get(name))
    if isinstance(small, ImageModel):
        small.resized |= bool(how.gone.size or how.dropped)
    _check_same(model, small, input_shape)
    if how.still_masked:
        warnings.warn(
            f"{how.still_masked:,} of {how.masked:,} masked weights stay in the compacted {type(model).__name__}, scattered among weights "
            f"that are kept; a sparse format can use them, a smaller dense network cannot",
            UnstructuredWarning,
            stacklevel=2,
        )
    if optimizer is not None:
        _move(optimizer, small, how)
    return small


def _fold(modules: dict[str, Any], how: Plan) -> None:
    """Give what removed constants contributed to biases and running means, before anything is shrunk."""
    for site, values in how.folds:
        if not values.any():
            continue
        owner = modules[site.path]
        if site.attribute == "running_mean":
            owner.running_mean = owner.running_mean - values.astype(owner.running_mean.dtype)
        elif owner.bias is None:
            owner.bias = Parameter(values)
        else:
            bias: Parameter = owner.bias
            mask = None if bias.mask is None else bias.mask | (values != 0)
            bias.set_mask(None)
            bias.data = bias.data + values
            bias.set_mask(mask)


def _resize_modules(model: Module, modules: dict[str, Any], network: Graph, how: Plan) -> None:
    """What modules hold beside parameters: running statistics, the sizes of splits, the number of groups."""
    names = {id(p): name for name, p in model.named_parameters()}
    splits = {(id(n.attributes["sizes"]), n.attributes["start"]): n for n in network.tape if n.op == "split"}
    grouped = {id(r.node.parents[1]): r for r in how.readers if r.node.op == "grouped_conv2d"}
    for path, module in model.named_modules():
        target = modules[path]
        weight = vars(module).get("weight")
        kept = how.kept.get(names.get(id(weight), ""), ())
        for buffer in module.buffer_names:
            array: Array = getattr(module, buffer)
            if weight is not None and kept and array.shape == weight.shape:
                setattr(target, buffer, getattr(target, buffer)[np.ix_(*kept)])
            starts = np.cumsum(array) - array if array.ndim == 1 and array.dtype.kind == "i" else ()
            if len(starts) and all((id(array), int(s)) in splits for s in starts):
                pieces = [network.labels[id(splits[id(array), int(s)])] for s in starts]
                axis = splits[id(array), 0].attributes["axis"]
                setattr(target, buffer, np.array([np.sum(~np.isin(labels[axis], how.gone)) for labels in pieces], array.dtype))
        if id(weight) in grouped and kept:
            channels = np.sum(~np.isin(grouped[id(weight)].columns, how.gone))
            target.groups = int(channels) // kept[1].size


def _shrink(p: Parameter, kept: tuple[Array, ...] | None) -> None:
    """Keep the given indices along each axis of the data and of the mask; None for a parameter that was made just now."""
    p.grad = None
    if kept is None:
        return
    place, mask = np.ix_(*kept), p.mask
    p.set_mask(None)
    p.data = np.ascontiguousarray(p.data[place])
    if mask is not None and not mask[place].all():
        p.set_mask(mask[place])


def _check_same(model: Module, small: Module, input_shape: InputShape | None) -> None:
    """A ValueError unless both models give the same outputs for an example."""
    inputs = example(model, input_shape)
    wanted = run(model, inputs)
    try:
        found = run(small, inputs)
        pairs = [(a.data, b.data) for a, b in zip(wanted, found, strict=True)]
        worst = max(float(np.abs(a - b).max()) / max(float(np.abs(a).max()), 1.0) for a, b in pairs)
        reason = "" if worst <= TOLERANCE else f"outputs differ by {worst:.2g} of the largest"
    except ShapeError as error:
        reason = str(error)
    if reason:
        raise ValueError(
            f"the compacted {type(model).__name__} does not compute the same ({reason}): its forward counts on a number of channels; "
            f"take it from the tensor's shape, or use nn.Split"
        )


def _move(optimizer: Optimizer, small: Module, how: Plan) -> None:
    """Make ``optimizer`` that of the small model: its state for what stays, none for what is gone."""
    optimizer.model = small
    stay = {name for name, _ in small.named_parameters()} & how.kept.keys()
    optimizer.state = {
        name: {what: np.ascontiguousarray(array[np.ix_(*how.kept[name])]) for what, array in state.items()}
        for name, state in optimizer.state.items()
        if name in stay
    }
    optimizer.ages = {name: age for name, age in optimizer.ages.items() if name in stay}
