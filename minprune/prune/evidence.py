"""What a criterion may know about a network: its weights and, from calibration data, gradients and activations.

Evidence is gathered from the tape: an ordinary forward and backward pass is run, and the tape tells which input each weight met.
Nothing is hooked into the model, and the model is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from minprune import ops
from minprune.data import Split, batches
from minprune.errors import NonFiniteError
from minprune.nn import Module, Parameter
from minprune.plain.conv import im2col, pad
from minprune.prune.example import InputShape, example, run
from minprune.tape import tape
from minprune.tensor import Array, Tensor

Batches = Iterable[tuple[Array, Array]]  # (images (N, C, H, W), labels (N,))
CALIBRATION_IMAGES = 512  # of a Split, when no batches are given


@dataclass(frozen=True)
class Evidence:
    """Arrays by parameter name, each of the parameter's shape; what no criterion asked for is empty.

    ``weights`` w. ``gradients`` the mean over batches of dL/dw. ``saliencies`` the mean over batches of |w · dL/dw|.
    ``input_norms`` ‖x‖₂ over batch and positions of the input that each weight multiplies.
    ``scales`` γ (O,) of the BatchNorm that reads a layer's output. ``rng`` for criteria that draw lots.
    Gradients are taken through the mask: those of masked weights are zero.
    """

    weights: dict[str, Array]
    gradients: dict[str, Array] = field(default_factory=dict)
    saliencies: dict[str, Array] = field(default_factory=dict)
    input_norms: dict[str, Array] = field(default_factory=dict)
    scales: dict[str, Array] = field(default_factory=dict)
    rng: np.random.Generator | None = None


def prunable_parameters(model: Module) -> dict[str, Parameter]:
    """The weights of Linear and Conv2d layers by name: every parameter with two axes or more. Biases and BatchNorm stay.

    Raises:
        ValueError: the model has none.
    """
    found = {name: p for name, p in model.named_parameters() if p.ndim >= 2}
    if not found:
        raise ValueError(f"{type(model).__name__} has nothing to prune: expected a parameter with two axes or more")
    return found


def check_finite(what: str, arrays: dict[str, Array]) -> None:
    """A NonFiniteError that names the first array with NaN or infinity and how many there are."""
    for name, array in arrays.items():
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise NonFiniteError(f"{what} of {name} expected finite numbers, got {bad} NaN or infinite values of {array.size}")


def gather(model: Module, data: Split | Batches | None = None, *, rng: np.random.Generator | None = None) -> Evidence:
    """Evidence on every prunable parameter: weights alone, or with ``data`` gradients and activations too.

    The model runs in evaluation mode, so that no running statistic moves and dropout is off; mode and gradients are restored.

    Args:
        rng: handed on to the criterion.
        data: a Split (its first 512 images are used, in batches of 64), an iterable of (images, labels), or None.

    Raises:
        NonFiniteError: a weight or a gradient is NaN or infinite; names the parameter.
        ValueError: ``data`` holds no batch, or is a single (images, labels) pair.
    """
    parameters = prunable_parameters(model)
    weights = {name: p.data for name, p in parameters.items()}
    check_finite("weights", weights)
    if data is None:
        return Evidence(weights, rng=rng)

    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    saliencies = {name: np.zeros_like(w) for name, w in weights.items()}
    squares = {name: np.zeros(w.shape[1:], w.dtype) for name, w in weights.items()}
    count = 0
    held = {name: p.grad for name, p in model.named_parameters()}
    try:
        with model.evaluating():
            for images, labels in _as_batches(data):
                model.zero_grad()
                loss = ops.cross_entropy(model(images), labels)
                _add_input_squares(squares, parameters, loss)
                loss.backward()
                for name, p in parameters.items():
                    if p.grad is not None:  # a parameter that the loss does not depend on has no saliency
                        gradients[name] += p.grad
                        saliencies[name] += np.abs(p.data * p.grad)
                count += 1
    finally:
        for name, p in model.named_parameters():
            p.grad = held[name]
    if count == 0:
        raise ValueError("calibration data expected at least one batch, got none")
    check_finite("gradients", gradients)
    return Evidence(
        weights,
        gradients={name: g / count for name, g in gradients.items()},
        saliencies={name: s / count for name, s in saliencies.items()},
        input_norms={name: np.broadcast_to(np.sqrt(s), weights[name].shape) for name, s in squares.items()},
        rng=rng,
    )


def batch_norm_scales(model: Module, input_shape: InputShape | None) -> dict[str, Array]:
    """{name of a convolution's weight: γ (O,) of the BatchNorm that reads its output}, read off the tape of one example."""
    names = {id(p): name for name, p in model.named_parameters()}
    nodes = [node for result in run(model, example(model, input_shape)) for node in tape(result)]
    norms = [node for node in nodes if node.op == "batch_norm"]
    pairs = [(id(n.parents[0].parents[1]), n.parents[1].data) for n in norms if n.parents[0].op in ("conv2d", "grouped_conv2d")]
    return {names[weight]: scale for weight, scale in pairs if weight in names}


def _as_batches(data: Split | Batches) -> Batches:
    if isinstance(data, Split):
        first = Split(data.images[:CALIBRATION_IMAGES], data.labels[:CALIBRATION_IMAGES])
        return batches(first, 64)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], np.ndarray):
        raise ValueError(
            "calibration data expected a Split or an iterable of (images, labels) batches, got a single pair; wrap it in a list"
        )
    return data


def _add_input_squares(squares: dict[str, Array], parameters: dict[str, Parameter], result: Tensor) -> None:
    """Add Σ x² of the input that each weight multiplies, (C,) for Linear and (C, R, S) for Conv2d, read off the tape."""
    names = {id(p): name for name, p in parameters.items()}
    for node in tape(result):
        if node.op in ("linear", "conv2d", "grouped_conv2d") and id(node.parents[1]) in names:
            x, name = node.parents[0].data, names[id(node.parents[1])]
            if node.op != "linear":
                geometry = node.attributes["geometry"]
                x = im2col(pad(x, geometry.padding), geometry).T  # (Y·X·N, C·R·S)
            met = np.einsum("nc,nc->c", x, x)
            squares[name] += met.reshape(-1, *squares[name].shape).sum(axis=0)  # over the groups, of which there is mostly one
