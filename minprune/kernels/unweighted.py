"""A program's steps that have no products: pooling, scaling, sums, products of two values, exp, inverses and copies. See ``engine``."""

from __future__ import annotations

import numpy as np

from minprune.kernels.compile import apart, inline
from minprune.kernels.fields import (
    ADD,
    BIAS_AT,
    CHANNELS,
    COPY,
    EXP,
    INVERSE,
    KIND,
    MEAN_POOL,
    OTHER,
    OTHER_PLANE,
    OTHER_ROW,
    RELU,
    SCALE,
    SOURCE,
    SOURCE_PLANE,
    SOURCE_ROW,
    SPREAD,
    STEP,
    STRIDE_X,
    STRIDE_Y,
    TARGET,
    TARGET_PLANE,
    TARGET_ROW,
    VALUES_AT,
    WINDOW_X,
    WINDOW_Y,
    X,
    Y,
)


@inline
def larger(target, values, first):
    """target = the larger of both, or the values at first; NaN wins."""
    if first:
        for i in range(target.size):
            target[i] = values[i]
    else:
        for i in range(target.size):
            target[i] = values[i] if values[i] > target[i] or values[i] != values[i] else target[i]


@apart(STEP)
def pool(step, work, arrays, width):
    """The maximum or the mean of each window; windows may overlap."""
    mean = step[KIND] == MEAN_POOL
    share = np.float32(1 / (step[WINDOW_Y] * step[WINDOW_X]))
    for c in range(step[CHANNELS]):
        for y in range(step[Y]):
            for p in range(step[X]):
                to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW] + p) * width
                target = work[to : to + width]
                corner = step[SOURCE] + c * step[SOURCE_PLANE] + y * step[STRIDE_Y] * step[SOURCE_ROW] + p * step[STRIDE_X]
                for number in range(step[WINDOW_Y] * step[WINDOW_X]):
                    at = (corner + number // step[WINDOW_X] * step[SOURCE_ROW] + number % step[WINDOW_X]) * width
                    here = work[at : at + width]
                    if mean and number > 0:
                        for i in range(width):
                            target[i] += here[i]
                    else:
                        larger(target, here, number == 0)
                if mean:
                    for i in range(width):
                        target[i] *= share
                if step[RELU]:
                    clamp(target)


@inline
def clamp(target):
    """max(x, 0); NaN stays NaN."""
    for i in range(target.size):
        target[i] = 0 if target[i] < 0 else target[i]


@apart(STEP)
def unary(step, work, arrays, width):
    """A factor and a shift per channel (a BatchNorm that no convolution could take in; none, with values_at below 0: a mere ReLU); exp; or
    a numerator per channel divided by what is there."""
    for c in range(step[CHANNELS]):
        factor, shift = np.float32(1), np.float32(0)
        if step[KIND] != EXP and step[VALUES_AT] >= 0:
            factor = arrays.dense[step[VALUES_AT] + c]
        if step[KIND] == SCALE and step[VALUES_AT] >= 0:
            shift = arrays.biases[step[BIAS_AT] + c]
        for y in range(step[Y]):
            source = (step[SOURCE] + c * step[SOURCE_PLANE] + y * step[SOURCE_ROW]) * width
            to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
            here, target = work[source : source + step[X] * width], work[to : to + step[X] * width]
            if step[KIND] == EXP:
                for i in range(target.size):
                    target[i] = np.exp(here[i])
            elif step[KIND] == INVERSE:
                for i in range(target.size):
                    target[i] = factor / here[i]
            else:
                for i in range(target.size):
                    target[i] = factor * here[i] + shift
            if step[RELU]:
                clamp(target)


@apart(STEP)
def combine(step, work, arrays, width):
    """A sum or a product of two regions, or a copy of one."""
    for c in range(step[CHANNELS]):
        for y in range(step[Y]):
            source = (step[SOURCE] + c * step[SOURCE_PLANE] + y * step[SOURCE_ROW]) * width
            to = (step[TARGET] + c * step[TARGET_PLANE] + y * step[TARGET_ROW]) * width
            here, target = work[source : source + step[X] * width], work[to : to + step[X] * width]
            for i in range(target.size):
                target[i] = here[i]
            if step[KIND] != COPY:
                other = (step[OTHER] + c * step[OTHER_PLANE] + (0 if step[SPREAD] else y * step[OTHER_ROW])) * width
                there = work[other : other + (width if step[SPREAD] else target.size)]
                if step[KIND] == ADD:
                    for i in range(target.size):
                        target[i] += there[i]
                elif step[SPREAD]:
                    for p in range(step[X]):
                        for i in range(width):
                            target[p * width + i] *= there[i]
                else:
                    for i in range(target.size):
                        target[i] *= there[i]
            if step[RELU]:
                clamp(target)
