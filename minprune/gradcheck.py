"""Is a backward pass right? Compare it with the slope that the forward pass shows.

For a function f of some arrays, a random direction v in its inputs and a random weighting u of its outputs, the directional
derivative uᵀ J v is computed twice: by ``backward`` and by the central difference (f(x + εv) − f(x − εv)) / 2ε. One direction
checks every entry of the Jacobian at once, at the price of two forward passes instead of two per input element.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minprune.tensor import Array, Tensor


class GradientError(AssertionError):
    """Backward and the central difference disagree."""


def gradcheck(
    function: Callable[..., Tensor],
    *inputs: Array,
    rng: np.random.Generator,
    directions: int = 4,
    tolerance: float = 1e-6,
) -> float:
    """Check ``function``'s gradients at ``inputs`` in float64; return the largest relative error found.

    Args:
        function: takes as many Tensors as there are inputs, returns a Tensor; must be deterministic.
        inputs: arrays, converted to float64.
        directions: how many random directions to try.
        tolerance: largest relative error allowed, dimensionless.

    Raises:
        GradientError: a direction's relative error exceeds the tolerance.
    Source: the random-direction check of HIPS autograd (``autograd.test_util``).
    """
    epsilon = 1e-6
    points = [np.asarray(x, dtype=np.float64) for x in inputs]
    worst = 0.0
    for _ in range(directions):
        leaves = [Tensor(p, requires_grad=True) for p in points]
        out = function(*leaves)
        u = rng.standard_normal(out.shape)
        out.backward(u)
        along = [rng.standard_normal(p.shape) for p in points]
        analytic = sum(float(np.vdot(leaf.grad, v)) for leaf, v in zip(leaves, along, strict=True) if leaf.grad is not None)

        def probe(step: float, along: list[Array] = along, u: Array = u) -> float:
            moved = [Tensor(p + step * v) for p, v in zip(points, along, strict=True)]
            return float(np.vdot(u, function(*moved).data))

        numeric = (probe(epsilon) - probe(-epsilon)) / (2 * epsilon)
        error = abs(analytic - numeric) / max(1.0, abs(analytic), abs(numeric))
        worst = max(worst, error)
        if not error <= tolerance:
            raise GradientError(
                f"backward gives a slope of {analytic:.8g}, the central difference {numeric:.8g} (relative error {error:.2g})"
            )
    return worst
