"""What a network does, read off the tape of one forward pass: a list of layers, in the order in which they run.

What depends on parameters alone is a constant. BatchNorm is folded into the convolution or Dense layer before it, and ReLU and
non-overlapping max pooling are noted on the layer that they follow, so that they are done on the way. An operation that is not known here
is an error that names it.
"""

from __future__ import annotations

from collections import Counter
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.geometry import Geometry
from minprune.nn import Module
from minprune.tape import tape
from minprune.tensor import Array, Tensor

Shape = tuple[int, int, int]  # (C, H, W); a vector of C features is (C, 1, 1)
POINT = Geometry((1, 1), (1, 1), (0, 0))


@dataclass(frozen=True)
class Layer:
    """One step of the network. ``inputs`` and ``output`` are numbers of values; what a kind does not need stays as it is.

    ``kind`` is "conv", "linear", "max_pool", "mean_pool", "scale" (``weight`` and ``bias`` per channel, or None for a mere ReLU), "add",
    "mul" (whose second factor may be one number per channel), "exp", "inverse" (``weight`` per channel / x), "concat", "split" or
    "flatten". ``window`` is that of the max pooling done on the way, (1, 1) for none.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    output: int
    shapes: tuple[Shape, ...]  # of the inputs
    shape: Shape  # of the output, after pooling
    weight: Array | None = None
    mask: Array | None = None
    bias: Array | None = None
    geometry: Geometry = POINT
    relu: bool = False
    window: tuple[int, int] = (1, 1)
    first: int = 0  # of a split: the first channel of the piece


@dataclass(frozen=True)
class Trace:
    """A network: its layers, the number of its input, and its results as (number of the value, shape that the model gives it)."""

    layers: list[Layer]
    input: int
    input_shape: tuple[int, ...]
    outputs: list[tuple[int, tuple[int, ...]]]
    single: bool = field(default=True)  # the model returns one tensor, not a sequence


@np.errstate(all="ignore")  # numbers that are none go where they go in the model
def trace(model: Module, input_shape: tuple[int, ...]) -> Trace:
    """The layers that ``model``, in evaluation mode, puts an input of ``input_shape`` (C, H, W) or (C,) through.

    Raises:
        ShapeError: the model does not take that shape.
        NotImplementedError: an operation that is not known here; names it.
    """
    start = Tensor(np.zeros((1, *input_shape), np.float32), requires_grad=True)
    returned = _forward(model, start)
    single, results = isinstance(returned, Tensor), _as_list(returned)
    names = {id(p): name for name, p in model.named_parameters()}
    nodes = _in_order(results)
    number = {id(start): 0}
    layers = []
    for node in nodes:
        if not any(id(p) in number for p in node.parents):
            continue  # a parameter, or made of parameters alone
        number[id(node)] = len(number)
        layers.append(_layer(node, number, names))
    if any(id(r) not in number for r in results):
        raise ValueError("sparse.compile expected every output of the model to depend on its input, on the tape; got one that does not")
    found = [(number[id(r)], r.shape[1:]) for r in results]
    return Trace(_merged(layers, Counter(n for n, _ in found)), 0, input_shape, found, single)


def outputs(model: Module, x: Tensor) -> list[Tensor]:
    """What ``model`` returns for x in evaluation mode, a single Tensor as a list of one."""
    return _as_list(_forward(model, x))


def _forward(model: Module, x: Tensor) -> Any:
    """In evaluation mode and by NumPy, since for an image or two no kernels need be compiled."""

    def run() -> Any:
        with backend.using("numpy"), model.evaluating(), np.errstate(all="ignore"):
            return model(x)

    return Context().run(run)  # a context of its own leaves a tape even inside no_grad()


def _as_list(returned: Any) -> list[Tensor]:
    results = [returned] if isinstance(returned, Tensor) else returned
    if not isinstance(results, tuple | list) or not results or not all(isinstance(r, Tensor) for r in results):
        found = f"({', '.join(type(r).__name__ for r in results)})" if isinstance(results, tuple | list) else type(results).__name__
        raise TypeError(f"sparse.compile expected the model to return a Tensor or a tuple of them, got {found}")
    return list(results)


def _in_order(results: list[Tensor]) -> list[Tensor]:
    """Every node behind the results, once, parents first."""
    seen: dict[int, Tensor] = {}
    for result in results:
        for node in tape(result):
            seen.setdefault(id(node), node)
    return list(seen.values())


def _layer(node: Tensor, number: dict[int, int], names: dict[int, str]) -> Layer:
    """The layer that a node of the tape stands for."""
    fed = [p for p in node.parents if id(p) in number]
    weights = [p for p in node.parents if id(p) not in number]
    name = names.get(id(weights[0]), node.op) if weights else node.op
    shapes = tuple(_shape(p) for p in fed)
    if node.ndim not in (2, 4):
        raise _unknown(node)
    layer = Layer("", name, tuple(number[id(p)] for p in fed), number[id(node)], shapes, _shape(node))
    if node.op in ("conv2d", "linear") and len(fed) == 1 and fed[0] is node.parents[0]:
        weight, bias = weights[0], weights[1].data if len(weights) > 1 else None
        geometry = node.attributes.get("geometry", POINT)
        kind = "conv" if node.op == "conv2d" else "linear"
        return replace(layer, kind=kind, weight=weight.data, mask=_mask_of(weight, name), bias=bias, geometry=geometry)
    if node.op == "matmul" and len(fed) == 1 and fed[0] is node.parents[0] and weights[0].ndim == 2:
        return replace(layer, kind="linear", weight=np.ascontiguousarray(weights[0].data.T))
    if node.op == "grouped_conv2d" and len(fed) == 1 and fed[0] is node.parents[0]:
        return _ungrouped(layer, node, weights[0], weights[1].data if len(weights) > 1 else None)
    if node.op == "split" and node.attributes["axis"] == 1:
        return replace(layer, kind="split", first=node.attributes["start"])
    if node.op == "batch_norm" and len(fed) == 1:
        return replace(layer, kind="scale", weight=node.attributes["scale"], bias=node.attributes["shift"])
    if node.op == "relu":
        return replace(layer, kind="scale", relu=True)
    if node.op in ("max_pool2d", "avg_pool2d", "global_avg_pool2d"):
        return replace(layer, kind="max_pool" if node.op == "max_pool2d" else "mean_pool", geometry=node.attributes["geometry"])
    if node.op == "mean" and node.parents[0].ndim == 4 and {a % 4 for a in np.atleast_1d(node.attributes["axis"] or ())} == {2, 3}:
        return replace(layer, kind="mean_pool", geometry=Geometry(layer.shapes[0][1:], layer.shapes[0][1:], (0, 0)))
    if node.op == "concat" and node.attributes["axis"] == 1 and len(fed) == len(node.parents):
        return replace(layer, kind="concat")
    if node.op in ("flatten", "reshape") and node.shape[0] == 1 and (node.ndim == 2 or layer.shape == layer.shapes[0]):
        return replace(layer, kind="flatten")
    found = _arithmetic(layer, node, fed)
    if found is None:
        raise _unknown(node)
    return found


def _arithmetic(layer: Layer, node: Tensor, fed: list[Tensor]) -> Layer | None:
    """Sums and products of two values; exp; and a value with a constant per channel, which is a factor and a shift, or an inverse."""
    if node.op == "exp":
        return replace(layer, kind="exp")
    if node.op not in ("add", "sub", "mul", "div"):
        return None
    if len(fed) == 2:
        if layer.shapes == (layer.shape, layer.shape) and node.op in ("add", "mul"):
            return replace(layer, kind=node.op)
        small = (layer.shape[0], 1, 1)
        if node.op == "mul" and set(layer.shapes) == {layer.shape, small}:
            turn = -1 if layer.shapes[0] == small else 1
            return replace(layer, kind="mul", inputs=layer.inputs[::turn], shapes=layer.shapes[::turn])
        return None
    first, second = node.parents
    constant = np.broadcast_to((second if fed[0] is first else first).data, node.shape)[0].reshape(node.shape[1], -1)
    if layer.shapes[0] != layer.shape or not np.array_equal(constant, np.broadcast_to(constant[:, :1], constant.shape), equal_nan=True):
        return None
    c, shiftless = constant[:, 0].astype(np.float32), np.zeros(len(constant), np.float32)
    if node.op == "mul":
        return replace(layer, kind="scale", weight=c, bias=shiftless)
    if node.op == "div" and fed[0] is first:
        return replace(layer, kind="scale", weight=1 / c, bias=shiftless)
    if node.op == "div":
        return replace(layer, kind="inverse", weight=c)
    sign = np.float32(-1 if node.op == "sub" else 1)  # of the second
    factor, shift = (np.float32(1), sign * c) if fed[0] is first else (sign, c)
    return replace(layer, kind="scale", weight=np.full_like(c, factor), bias=shift)


def _unknown(node: Tensor) -> NotImplementedError:
    return NotImplementedError(
        f"sparse.compile does not know the operation {node.op!r} on shapes {[p.shape for p in node.parents]}; it knows conv2d, "
        "grouped_conv2d, linear, matmul with a constant, batch_norm, relu, max_pool2d, avg_pool2d, global_avg_pool2d, mean over an image, "
        "add and mul (of equal shapes, mul also by a number per channel), arithmetic with a constant per channel, exp, concat and split "
        "(of channels) and flatten"
    )


def _mask_of(weight: Tensor, name: str) -> Array | None:
    """The mask of a weight, if it is a Parameter that has one. What it prunes must be zero, as ``set_mask`` and optimizers leave it."""
    mask: Array | None = getattr(weight, "mask", None)
    if mask is not None and weight.data[~mask].any():
        raise ValueError(f"{name} is not zero where its mask prunes; set_mask(mask) makes it so")
    return mask


def _ungrouped(layer: Layer, node: Tensor, weight: Tensor, bias: Array | None) -> Layer:
    """A grouped convolution as an ordinary one, whose filters are pruned where they would read another group's channels."""
    groups = node.attributes["groups"]
    (o, per_group, r, s), mask = weight.shape, _mask_of(weight, layer.name)
    whole = np.zeros((groups, o // groups, groups, per_group, r, s), np.float32)
    kept = np.zeros(whole.shape, bool)
    for g in range(groups):
        part = slice(g * o // groups, (g + 1) * o // groups)
        whole[g, :, g] = weight.data[part]
        kept[g, :, g] = True if mask is None else mask[part]
    shape = o, groups * per_group, r, s
    return replace(
        layer, kind="conv", weight=whole.reshape(shape), mask=kept.reshape(shape), bias=bias, geometry=node.attributes["geometry"]
    )


def _shape(node: Tensor) -> Shape:
    """(C, H, W) of one image of a node."""
    if node.ndim == 4:
        return node.shape[1], node.shape[2], node.shape[3]
    if node.ndim == 2:
        return node.shape[1], 1, 1
    raise ShapeError(f"sparse.compile expected batches of shape (N, C, H, W) or (N, C), got {node.shape} from {node.op!r}")


def _merged(layers: list[Layer], outputs: Counter[int]) -> list[Layer]:
    """The layers with BatchNorm, ReLU and pooling merged into the layer whose result nobody else reads."""
    readers = outputs + Counter(n for layer in layers for n in layer.inputs)
    merged: list[Layer] = []
    maker: dict[int, int] = {}  # value -> index of the layer that makes it
    for layer in layers:
        index = maker.get(layer.inputs[0], -1)
        if index >= 0 and len(layer.inputs) == 1 and readers[layer.inputs[0]] == 1:
            both = _merge(merged[index], layer)
            if both is not None:
                merged[index] = both
                maker[layer.output] = index
                continue
        maker[layer.output] = len(merged)
        merged.append(layer)
    return merged


def _merge(first: Layer, then: Layer) -> Layer | None:
    """Both as one layer, or None where that is not the same."""
    if then.kind == "scale" and then.weight is None and first.kind not in ("concat", "split", "flatten"):
        return replace(first, relu=True, output=then.output)
    plain = not first.relu and first.window == (1, 1)
    if then.kind == "scale" and then.weight is not None and plain and first.kind in ("conv", "linear") and first.weight is not None:
        factor, shift = then.weight, then.bias
        weight = first.weight * factor.reshape(-1, *[1] * (first.weight.ndim - 1))
        bias = shift if first.bias is None else first.bias * factor + shift
        return replace(first, weight=weight, bias=bias, output=then.output)
    whole = then.geometry.kernel == then.geometry.stride
    if then.kind == "max_pool" and first.kind == "conv" and first.window == (1, 1) and whole:
        return replace(first, window=then.geometry.kernel, shape=then.shape, output=then.output)
    return None


def conv_places(layer: Layer) -> tuple[int, int]:
    """(Y, X) of a convolution, before pooling."""
    return layer.geometry.output_size(*layer.shapes[0][1:])


def weighted(trace: Trace) -> list[Layer]:
    """Its convolutions and Dense layers."""
    return [layer for layer in trace.layers if layer.kind in ("conv", "linear")]


def kept(layer: Layer) -> Any:
    """Bool, of the weight's shape: which weights the engine has to look at. Without a mask, those that are not zero."""
    assert layer.weight is not None, "only layers with weights are asked"
    return layer.weight != 0 if layer.mask is None else layer.mask
