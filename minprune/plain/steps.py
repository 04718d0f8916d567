"""An optimizer's step on one parameter, in place. ``p`` is a Parameter: its weights, and the mask that holds them and all state at zero."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray


def sgd(p: Any, grad: Array, velocity: Array | None, rates: tuple[float, float, float], *, nesterov: bool, first: bool) -> None:
    """g ← ∇L + λ w; v ← μ v + g (v ← g at first); w ← w − lr · (v, or g + μ v with Nesterov). ``rates`` is (lr, μ, λ)."""
    lr, momentum, decay = rates
    if decay:
        grad = grad + decay * p.data
    if velocity is not None:
        if first:
            velocity[...] = grad
        else:
            velocity *= momentum
            velocity += grad
        grad = grad + momentum * velocity if nesterov else velocity
    p.data -= lr * grad
    _hold(p, *([] if velocity is None else [velocity]))


def adam(
    p: Any, grad: Array, moments: tuple[Array, Array], rates: tuple[float, float, float, float], decay: tuple[float, float], age: int
) -> None:
    """m ← β₁ m + (1−β₁) g; s ← β₂ s + (1−β₂) g²; w ← w − lr · m̂ / (√ŝ + ε).

    ``rates`` is (lr, β₁, β₂, ε), ``moments`` (m, s), ``decay`` (λ added to the gradient, λ that shrinks the weights); ``age`` counts steps
    from 1.
    """
    (lr, b1, b2, eps), (mean, square), (added, decoupled) = rates, moments, decay
    if decoupled:
        p.data *= 1 - lr * decoupled
    if added:
        grad = grad + added * p.data
    mean += (1 - b1) * (grad - mean)
    square *= b2
    square += (1 - b2) * (grad * grad)
    denominator = np.sqrt(square)
    denominator /= math.sqrt(1 - b2**age)
    denominator += eps
    p.data -= (lr / (1 - b1**age)) * (mean / denominator)
    _hold(p, mean, square)


def _hold(p: Any, *state: Array) -> None:
    """Zeros where the mask prunes, in the weights and in what is remembered of them."""
    if p.mask is not None:
        for array in (p.data, *state):
            p.masked(array, out=array)
