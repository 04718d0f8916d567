"""Batch normalisation in lockstep; x comes flat, (C, plane, width), of which the first ``n`` lanes are images.

While training, three passes over a channel that stays in the cache: mean, variance, result. Sums go through float64 once per position.
"""

from __future__ import annotations

import numpy as np

from minprune.kernels.crew import share, summing_kernel


@summing_kernel
def statistics(turn, x, mean, var, plane, n, width):
    """Mean and (biased) variance of each channel over positions and images."""
    for c in share(turn, mean.size):
        total = 0.0
        for p in range(plane):
            at = (c * plane + p) * width
            here, part = x[at : at + n], np.float32(0)
            for i in range(n):
                part += here[i]
            total += part
        m = np.float32(total / (plane * n))
        total = 0.0
        for p in range(plane):
            at = (c * plane + p) * width
            here, part = x[at : at + n], np.float32(0)
            for i in range(n):
                part += (here[i] - m) * (here[i] - m)
            total += part
        mean[c], var[c] = m, total / (plane * n)


@summing_kernel
def normalise(turn, x, out, scale, shift, plane, n, width):
    """out = scale · x + shift per channel; zero in the padding lanes."""
    for c in share(turn, scale.size):
        a, b = scale[c], shift[c]
        for p in range(plane):
            at = (c * plane + p) * width
            here, there = x[at : at + width], out[at : at + width]
            for i in range(n):
                there[i] = a * here[i] + b
            for i in range(n, width):
                there[i] = 0


@summing_kernel
def sums(turn, grad, x, mean, inv_std, dweight, dbias, plane, n, width):
    """dγ = Σ dy · x̂ and dβ = Σ dy of each channel, with x̂ = (x − mean) · inv_std."""
    for c in share(turn, mean.size):
        m, with_x, alone = mean[c], 0.0, 0.0
        for p in range(plane):
            at = (c * plane + p) * width
            dy, here = grad[at : at + n], x[at : at + n]
            part, part_x = np.float32(0), np.float32(0)
            for i in range(n):
                part += dy[i]
                part_x += dy[i] * (here[i] - m)
            alone += part
            with_x += part_x
        dweight[c], dbias[c] = with_x * inv_std[c], alone


@summing_kernel
def input_grad(turn, grad, x, dx, factor, slope, offset, plane, n, width):
    """dx = factor · dy + slope · x + offset per channel; zero in the padding lanes."""
    for c in share(turn, factor.size):
        f, s, o = factor[c], slope[c], offset[c]
        for p in range(plane):
            at = (c * plane + p) * width
            dy, here, there = grad[at : at + width], x[at : at + width], dx[at : at + width]
            for i in range(n):
                there[i] = f * dy[i] + s * here[i] + o
            for i in range(n, width):
                there[i] = 0
