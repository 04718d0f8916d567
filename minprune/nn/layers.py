"""The layers: each holds its parameters and calls the operation of the same name in ``ops``.

Names, argument order and weight shapes are PyTorch's. Every layer that draws random numbers takes a keyword-only ``rng``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minprune import ops
from minprune.errors import check_name
from minprune.nn.init import kaiming_normal, xavier_normal
from minprune.nn.module import Module, Parameter
from minprune.tensor import Array, Tensor

INITIALISERS = {"kaiming": kaiming_normal, "xavier": xavier_normal}


def _weight(shape: tuple[int, ...], init: str, rng: np.random.Generator) -> Parameter:
    if min(shape) < 1:
        raise ValueError(f"a layer needs at least one input and one output, got a weight of shape {shape}")
    return Parameter(INITIALISERS[check_name("init", init, INITIALISERS)](shape, rng=rng))


class Linear(Module):
    """y = x Wᵀ + b for x (N, in_features); weight (out_features, in_features), bias (out_features,)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, init: str = "kaiming", *, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight = _weight((out_features, in_features), init, rng)
        self.bias = Parameter(np.zeros(out_features, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)

    def config(self) -> dict[str, Any]:
        out_features, in_features = self.weight.shape
        return {"in_features": in_features, "out_features": out_features, "bias": self.bias is not None}


class Conv2d(Module):
    """Convolution of x (N, in_channels, H, W); weight (out_channels, in_channels, R, S), bias (out_channels,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        init: str = "kaiming",
        *,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        kernel = ops.as_pair("kernel_size", kernel_size, 1)
        self.stride = ops.as_pair("stride", stride, 1)
        self.padding = ops.as_pair("padding", padding, 0)
        self.weight = _weight((out_channels, in_channels, *kernel), init, rng)
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def config(self) -> dict[str, Any]:
        o, c, r, s = self.weight.shape
        return {
            "in_channels": c,
            "out_channels": o,
            "kernel_size": [r, s],
            "stride": list(self.stride),
            "padding": list(self.padding),
            "bias": self.bias is not None,
        }


class GroupedConv2d(Module):
    """Convolution in ``groups`` (depthwise where groups = in_channels); weight (out_channels, in_channels / groups, R, S)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        groups: int,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"expected groups that divide in- and out-channels, got {groups} for {in_channels} and {out_channels}")
        kernel = ops.as_pair("kernel_size", kernel_size, 1)
        self.groups = groups
        self.stride = ops.as_pair("stride", stride, 1)
        self.padding = ops.as_pair("padding", padding, 0)
        self.weight = _weight((out_channels, in_channels // groups, *kernel), "kaiming", rng)
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.grouped_conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def config(self) -> dict[str, Any]:
        o, c, r, s = self.weight.shape
        return {
            "in_channels": c * self.groups,
            "out_channels": o,
            "kernel_size": [r, s],
            "groups": self.groups,
            "stride": list(self.stride),
            "padding": list(self.padding),
            "bias": self.bias is not None,
        }


class BatchNorm2d(Module):
    """Batch normalisation of x (N, num_features, H, W); weight γ, bias β and running statistics are (num_features,)."""

    buffer_names = ("running_mean", "running_var")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32))
        self.bias = Parameter(np.zeros(num_features, np.float32))
        self.running_mean: Array = np.zeros(num_features, np.float32)
        self.running_var: Array = np.ones(num_features, np.float32)

    def forward(self, x: Tensor) -> Tensor:
        running = ops.RunningStats(self.running_mean, self.running_var, self.momentum)
        return ops.batch_norm(x, self.weight, self.bias, running, training=self.training, eps=self.eps)

    def config(self) -> dict[str, Any]:
        return {"num_features": self.weight.size, "eps": self.eps, "momentum": self.momentum}


class ReLU(Module):
    """max(x, 0), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)

    def config(self) -> dict[str, Any]:
        return {}


class Dropout(Module):
    """While training, zero each element with probability ``p``; otherwise do nothing."""

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator) -> None:
        super().__init__()
        self.p, self.rng = p, rng

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.p, rng=self.rng) if self.training else x

    def config(self) -> dict[str, Any]:
        return {"p": self.p}


class MaxPool2d(Module):
    """The maximum of each window; ``stride`` defaults to ``kernel_size``."""

    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size = ops.as_pair("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else ops.as_pair("stride", stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride)

    def config(self) -> dict[str, Any]:
        return {"kernel_size": list(self.kernel_size), "stride": list(self.stride)}


class Flatten(Module):
    """(N, C, H, W) -> (N, C·H·W)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x)

    def config(self) -> dict[str, Any]:
        return {}


class Split(Module):
    """Channels divided into consecutive pieces, one tensor each.

    Its ``sizes`` are a buffer, so that they can change when channels are removed, and are saved with the model. A slice written into
    ``forward``, such as ``x[:, :8]``, cannot change; the channels it counts on are never removed.
    """

    buffer_names = ("sizes",)

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes: Array = np.array(sizes, np.int64)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]  # the one layer with several outputs
        return ops.split(x, self.sizes)


class Sequential(Module):
    """Layers one after another. Children are named "0", "1", … as in PyTorch, and reached by indexing."""

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential expected modules, got {type(layer).__name__} at position {i}")
            setattr(self, str(i), layer)

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __getitem__(self, index: int) -> Module:
        return [layer for _, layer in self.children()][index]

    def forward(self, x: Tensor) -> Tensor:
        for _, layer in self.children():
            x = layer(x)
        return x

    def config(self) -> dict[str, Any]:
        return {"layers": [describe(layer) for _, layer in self.children()]}


LAYERS: dict[str, type[Module]] = {
    cls.__name__: cls for cls in (Linear, Conv2d, GroupedConv2d, BatchNorm2d, ReLU, Dropout, MaxPool2d, Flatten, Sequential)
}
NEEDS_RNG = (Linear, Conv2d, GroupedConv2d, Dropout)


def describe(module: Module) -> dict[str, Any]:
    """A JSON-able description from which ``build`` makes a module of the same architecture: type and arguments."""
    return {"type": type(module).__name__, **module.config()}


def build(description: dict[str, Any], *, rng: np.random.Generator) -> Module:
    """The inverse of ``describe`` for layers, with fresh random weights.

    Raises:
        ValueError: a type that is not one of ``LAYERS``.
    """
    arguments = dict(description)
    kind = LAYERS[check_name("layer type", arguments.pop("type"), LAYERS)]
    if kind is Sequential:
        return Sequential(*(build(d, rng=rng) for d in arguments["layers"]))
    if issubclass(kind, NEEDS_RNG):
        arguments["rng"] = rng
    return kind(**arguments)
