"""How much work is one image? Multiply-accumulates (MACs), counted on the tape of one forward pass.

1 MAC = one multiplication and one addition = 2 FLOPs. Only products with weights count: Linear, Conv2d and matmul. ``sparse`` counts the
weights that the masks keep; zeros in the activations are never counted as saved.
"""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass

import numpy as np

from minprune.nn import Module, Parameter
from minprune.tape import tape
from minprune.tensor import Tensor


@dataclass(frozen=True)
class LayerMacs:
    """MACs per image of one use of a weight."""

    name: str
    dense: int
    sparse: int


def macs(model: Module, input_shape: tuple[int, ...]) -> tuple[LayerMacs, ...]:
    """MACs per image of each layer, in the order in which they run. ``input_shape`` is (C, H, W), or (C,) for vectors.

    Raises:
        ShapeError: the model does not take images of that shape.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    image = Tensor(np.zeros((1, *input_shape), np.float32), requires_grad=True)  # so that weights that are not trained count too
    with model.evaluating():
        result = Context().run(model, image)  # a context of its own, which leaves a tape even inside no_grad()
    return tuple(_count(node, names) for node in tape(result) if node.op in ("linear", "conv2d", "grouped_conv2d", "matmul"))


def _count(node: Tensor, names: dict[int, str]) -> LayerMacs:
    """Each output element is a sum over one row of the weight, so MACs = output positions x weights."""
    weight = next((p for p in node.parents if isinstance(p, Parameter)), node.parents[1])
    per_output = node.parents[0].shape[-1] if node.op == "matmul" else weight.size // weight.shape[0]
    dense = node.size * per_output
    mask = getattr(weight, "mask", None)
    kept = weight.size if mask is None else int(mask.sum())
    return LayerMacs(names.get(id(weight), node.op), dense, dense // weight.size * kept)
