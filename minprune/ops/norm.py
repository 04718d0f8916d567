"""Batch normalisation: give each channel mean 0 and variance 1 over the batch, then a learnt scale and shift.

    x̂ = (x − μ) / √(σ² + ε),   y = γ x̂ + β

While training, μ and σ² are those of the batch; afterwards the running averages collected meanwhile are used, and the layer
is a fixed scale and shift per channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


@dataclass(frozen=True)
class RunningStats:
    """The arrays (C,) that batch_norm updates in place while training and reads afterwards."""

    mean: Array
    var: Array
    momentum: float = 0.1


def batch_norm(x: TensorLike, weight: TensorLike, bias: TensorLike, running: RunningStats, *, training: bool, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of x over batch and positions.

    Args:
        x: (N, C, H, W).
        weight, bias: γ and β, (C,).
        running: updated as (1 − momentum)·old + momentum·batch, with the unbiased variance, as in PyTorch.
        training: use the batch's statistics (True) or the running ones (False).
        eps: added to the variance, dimensionless.

    Raises:
        ShapeError: the shapes do not fit, or a channel has a single value while training (its variance is undefined).
    Source: Ioffe and Szegedy 2015, algorithms 1 and 2.
    """
    x, weight, bias = as_tensor(x), as_tensor(weight), as_tensor(bias)
    if x.ndim != 4 or x.shape[1:2] != weight.shape or weight.shape != bias.shape:
        raise ShapeError(
            f"batch_norm expected an input (N, C, H, W) with weight and bias (C,), got {x.shape}, {weight.shape}, {bias.shape}"
        )
    n, _, h, w = x.shape
    count = n * h * w  # values of a channel
    work = backend.implementation("norm", x.dtype)
    if training:
        if count < 2:
            raise ShapeError(f"batch_norm expected more than one value per channel while training, got an input of shape {x.shape}")
        mean, var = work.statistics(x.data)
        running.mean[...] = (1 - running.momentum) * running.mean + running.momentum * mean
        running.var[...] = (1 - running.momentum) * running.var + running.momentum * var * (count / (count - 1))
    else:
        mean, var = running.mean.astype(x.dtype), running.var.astype(x.dtype)
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    scale = weight.data * inv_std
    shift = bias.data - scale * mean
    out = work.scale_and_shift(x.data, scale, shift)

    def vjp(g: Array) -> tuple[Array, Array, Array]:
        dweight, dbias = work.sums(g, x.data, mean, inv_std)
        slope, offset = np.zeros_like(mean), np.zeros_like(mean)
        if training:  # the batch's mean and variance move with x: remove what they absorb, dx -= γ/σ · (dβ + x̂ · dγ) / M
            slope = -scale * inv_std * dweight / count
            offset = -slope * mean - scale * dbias / count
        return work.input_grad(g, x.data, scale, slope, offset), dweight, dbias

    return record("batch_norm", out, (x, weight, bias), vjp, scale=scale, shift=shift)
