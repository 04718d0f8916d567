"""What depends on the input at all? For every tensor on the tape, a bool per element: True where it varies with the input.

An element that does not vary is a constant of the network (in evaluation mode), and the tape holds its value. Weights that are zero are
what stops variation: a filter of zeros makes a channel that is its bias everywhere; a BatchNorm scale of zero makes one that is its shift.
Zero is judged by value, masked or not. No rule ever calls a varying element constant; some call a constant varying, which is safe.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minprune import ops
from minprune.tensor import Array, Tensor

Rule = Callable[[Tensor, list[Array]], Array]


def varying(tape: list[Tensor], inputs: list[Tensor]) -> dict[int, Array]:
    """{id of a tensor: bool array of its shape}, for every tensor on the tape (parents before children) and every leaf that it met."""
    found = {id(x): np.ones(x.shape, bool) for x in inputs}
    for node in tape:
        for parent in node.parents:
            found.setdefault(id(parent), np.zeros(parent.shape, bool))
        if node.op != "leaf":
            found[id(node)] = RULES[node.op](node, [found[id(parent)] for parent in node.parents])
    return found


def _any_part(_: Tensor, vary: list[Array]) -> Array:
    """A sum, elementwise with broadcasting: varies where a part does."""
    return np.logical_or.reduce(np.broadcast_arrays(*vary))


def _product(node: Tensor, vary: list[Array]) -> Array:
    """A product is the constant 0 where a factor is."""
    a, b = node.parents
    return (vary[0] & (vary[1] | (b.data != 0))) | (vary[1] & (vary[0] | (a.data != 0)))


def _quotient(node: Tensor, vary: list[Array]) -> Array:
    """A quotient is the constant 0 where its numerator is."""
    return vary[0] | (vary[1] & (node.parents[0].data != 0))


def _weighted(node: Tensor, vary: list[Array]) -> Array:
    """Run the same operation on 1 where something varies and a weight is not zero: what comes out above 0 varies."""
    x, weight = vary[0], (node.parents[1].data != 0) | vary[1]
    if node.op == "linear":
        out = x @ weight.T  # of bools: any(and)
    else:
        geometry = node.attributes["geometry"]
        convolve = ops.conv2d if node.op == "conv2d" else ops.grouped_conv2d
        out = convolve(x.astype(np.float32), weight.astype(np.float32), None, geometry.stride, geometry.padding).data > 0
    return out | any(v.any() for v in vary[1:])


def _matmul(node: Tensor, vary: list[Array]) -> Array:
    a, b = node.parents
    return vary[0] @ (vary[1] | (b.data != 0)) | (vary[0] | (a.data != 0)) @ vary[1]


def _batch_norm(node: Tensor, vary: list[Array]) -> Array:
    return vary[0] & (node.parents[1].data != 0)[:, None, None]


def _max_pool(node: Tensor, vary: list[Array]) -> Array:
    geometry = node.attributes["geometry"]
    return ops.max_pool2d(vary[0].astype(np.float32), geometry.kernel, geometry.stride).data > 0


def _global_pool(_: Tensor, vary: list[Array]) -> Array:
    return np.logical_or.reduce(vary[0], axis=(2, 3))


def _reduce(node: Tensor, vary: list[Array]) -> Array:
    return np.logical_or.reduce(vary[0], axis=node.attributes["axis"]).reshape(node.shape)


def _split(node: Tensor, vary: list[Array]) -> Array:
    return vary[0].take(range(node.attributes["start"], node.attributes["stop"]), axis=node.attributes["axis"])


RULES: dict[str, Rule] = {
    **dict.fromkeys(("relu", "dropout", "exp", "log", "pow"), lambda _, vary: vary[0]),
    **dict.fromkeys(("add", "sub"), _any_part),
    **dict.fromkeys(("linear", "conv2d", "grouped_conv2d"), _weighted),
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), _max_pool),
    **dict.fromkeys(("sum", "mean", "max"), _reduce),
    **dict.fromkeys(("reshape", "flatten"), lambda node, vary: vary[0].reshape(node.shape)),
    "batch_norm": _batch_norm,
    "concat": lambda node, vary: np.concatenate(vary, axis=node.attributes["axis"]),
    "div": _quotient,
    "getitem": lambda node, vary: np.asarray(vary[0][node.attributes["index"]]),
    "global_avg_pool2d": _global_pool,
    "matmul": _matmul,
    "mul": _product,
    "split": _split,
    "transpose": lambda node, vary: vary[0].transpose(node.attributes["axes"]),
}
