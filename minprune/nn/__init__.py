"""Layers and the module tree that holds them."""

from minprune.nn.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupedConv2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Split,
    build,
    describe,
)
from minprune.nn.module import Module, Parameter

__all__ = [
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GroupedConv2d",
    "Linear",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Split",
    "build",
    "describe",
]
