"""ReLU on kernels; what does not lie in lanes is left to ``plain``."""

from __future__ import annotations

import numpy as np

from minprune.fast import lanes
from minprune.kernels import elementwise
from minprune.plain import activation as plain

Array = np.ndarray


def relu(x: Array) -> Array:
    """max(x, 0)."""
    inputs = lanes.memory_of(x)
    if inputs is None:
        return plain.relu(x)
    out = lanes.empty(inputs.shape[:-1], inputs.shape[-1])
    elementwise.relu(inputs.reshape(-1), out.reshape(-1), work=inputs.size * 0.1)
    return lanes.view(out, len(x))


def relu_grad(grad: Array, out: Array) -> Array:
    """The gradient where ReLU's output is above zero, or NaN."""
    outputs = lanes.memory_of(out)
    if outputs is None:
        return plain.relu_grad(grad, out)
    dx = lanes.empty(outputs.shape[:-1], outputs.shape[-1])
    elementwise.relu_grad(lanes.as_lanes(grad).reshape(-1), outputs.reshape(-1), dx.reshape(-1), work=dx.size * 0.1)
    return lanes.view(dx, len(grad))
