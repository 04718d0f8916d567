"""An optimizer's step on one parameter, in one pass over memory. Arrays come flat; ``keep`` is the mask, or empty where there is none.

A masked weight and everything remembered of it are set to zero, whatever they were.
"""

from __future__ import annotations

import numpy as np
from numba import types

from minprune.kernels.compile import MASK, F, X, apart, inline
from minprune.kernels.crew import ceil_div, kernel, share

CHUNK = 1 << 12  # weights of a task: few enough that a second pass over them finds them in the cache


@inline
def clear_pruned(a, keep):
    """Zeros where ``keep`` is False."""
    for i in range(keep.size):
        a[i] = a[i] if keep[i] else 0


@kernel
def sgd(turn, p, grad, velocity, keep, rates, nesterov, first):
    """g ← grad + λ w; v ← μ v + g (v ← g in the first step); w ← w − lr · (v, or g + μ v with Nesterov).

    ``rates`` is (lr, μ, λ); ``velocity`` is empty where μ is 0.
    """
    for task in share(turn, ceil_div(p.size, CHUNK)):
        part = slice(task * CHUNK, min((task + 1) * CHUNK, p.size))
        sgd_part(p[part], grad[part], velocity[part], keep[part], rates, nesterov, first)


@apart((F, F, F, MASK, types.UniTuple(X, 3), types.boolean, types.boolean))
def sgd_part(p, grad, velocity, keep, rates, nesterov, first):
    """The step on one chunk."""
    lr, momentum, decay = rates
    if velocity.size == 0:
        for i in range(p.size):
            p[i] -= lr * (grad[i] + decay * p[i])
    else:
        remembered = np.float32(0) if first else momentum
        direct = np.float32(1) if nesterov else np.float32(0)
        through = momentum if nesterov else np.float32(1)
        for i in range(p.size):
            g = grad[i] + decay * p[i]
            v = remembered * velocity[i] + g
            velocity[i] = v
            p[i] -= lr * (direct * g + through * v)
        clear_pruned(velocity, keep)
    clear_pruned(p, keep)


@kernel
def adam(turn, p, grad, mean, square, keep, step, betas, decays):
    """m ← m + (1−β₁)(g − m); s ← β₂ s + (1−β₂) g²; w ← w − step · m / (√s / √(1−β₂ᵗ) + ε).

    ``step`` is (lr / (1−β₁ᵗ), √(1−β₂ᵗ), ε), ``betas`` is (1−β₁, β₂, 1−β₂), and ``decays`` what is added to the gradient per weight, and
    what the weights are multiplied with first.
    """
    for task in share(turn, ceil_div(p.size, CHUNK)):
        part = slice(task * CHUNK, min((task + 1) * CHUNK, p.size))
        adam_part(p[part], grad[part], mean[part], square[part], keep[part], step, betas, decays)


@apart((F, F, F, F, MASK, types.UniTuple(X, 3), types.UniTuple(X, 3), types.UniTuple(X, 2)))
def adam_part(p, grad, mean, square, keep, step, betas, decays):
    """The step on one chunk."""
    (length, correction, eps), (rest1, b2, rest2), (added, shrink) = step, betas, decays
    for i in range(p.size):
        w = p[i] * shrink
        g = grad[i] + added * w
        m = mean[i] + rest1 * (g - mean[i])
        s = b2 * square[i] + rest2 * (g * g)
        mean[i] = m
        square[i] = s
        p[i] = w - length * (m / (np.sqrt(s) / correction + eps))
    clear_pruned(p, keep)
    clear_pruned(mean, keep)
    clear_pruned(square, keep)
