"""An optimizer's step on kernels: one pass over memory. Same functions as ``plain.steps``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minprune.kernels import steps
from minprune.plain import steps as plain

Array = np.ndarray
F = np.float32
NONE, ALL = np.empty(0, np.float32), np.empty(0, bool)


def sgd(p: Any, grad: Array, velocity: Array | None, rates: tuple[float, float, float], *, nesterov: bool, first: bool) -> None:
    """g ← ∇L + λ w; v ← μ v + g (v ← g at first); w ← w − lr · (v, or g + μ v with Nesterov). ``rates`` is (lr, μ, λ)."""
    if not _all_flat(p.data, *([] if velocity is None else [velocity])):
        plain.sgd(p, grad, velocity, rates, nesterov=nesterov, first=first)
        return
    lr, momentum, decay = rates
    v = NONE if velocity is None else velocity.reshape(-1)
    steps.sgd(p.data.reshape(-1), _flat(grad), v, _keep(p), (F(lr), F(momentum), F(decay)), nesterov, first, work=_work(p))


def adam(
    p: Any, grad: Array, moments: tuple[Array, Array], rates: tuple[float, float, float, float], decay: tuple[float, float], age: int
) -> None:
    """m ← β₁ m + (1−β₁) g; s ← β₂ s + (1−β₂) g²; w ← w − lr · m̂ / (√ŝ + ε); see ``plain.steps.adam``."""
    if not _all_flat(p.data, *moments):
        plain.adam(p, grad, moments, rates, decay, age)
        return
    lr, b1, b2, eps = rates
    (mean, square), (added, decoupled) = moments, decay
    step = F(lr / (1 - b1**age)), F(math.sqrt(1 - b2**age)), F(eps)
    betas, decays = (F(1 - b1), F(b2), F(1 - b2)), (F(added), F(1 - lr * decoupled))
    steps.adam(p.data.reshape(-1), _flat(grad), mean.reshape(-1), square.reshape(-1), _keep(p), step, betas, decays, work=_work(p))


def _all_flat(*arrays: Array) -> bool:
    """Whether what is changed in place lies in order, so that it can be changed through a flat view."""
    return all(array.flags.c_contiguous for array in arrays)


def _flat(grad: Array) -> Array:
    return np.ascontiguousarray(grad, np.float32).reshape(-1)


def _keep(p: Any) -> Array:
    return ALL if p.mask is None else p.mask.reshape(-1)


def _work(p: Any) -> float:
    return p.size * 0.4  # nanoseconds, roughly
