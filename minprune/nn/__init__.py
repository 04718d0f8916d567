"""Layers and the module tree that holds them."""

from minprune.nn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, build, describe
from minprune.nn.module import Module, Parameter

__all__ = [
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "build",
    "describe",
]
