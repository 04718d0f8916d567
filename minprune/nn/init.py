"""Random starting weights; each function returns a float32 array and takes the generator it draws from."""

from __future__ import annotations

import math

import numpy as np

from minprune.tensor import Array


def fan_in(shape: tuple[int, ...]) -> int:
    """How many inputs one output unit of a weight (O, C) or (O, C, R, S) reads."""
    return math.prod(shape[1:])


def kaiming_normal(shape: tuple[int, ...], *, rng: np.random.Generator) -> Array:
    """N(0, 2 / fan-in): keeps the variance through layers with ReLU. Source: He et al. 2015, equation 10."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(2 / fan_in(shape)))


def xavier_normal(shape: tuple[int, ...], *, rng: np.random.Generator) -> Array:
    """N(0, 2 / (fan-in + fan-out)): for layers without ReLU. Source: Glorot and Bengio 2010, equation 12."""
    fan_out = shape[0] * math.prod(shape[2:])
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(2 / (fan_in(shape) + fan_out)))
