"""Slow twins: the same mathematics as the package's fast paths, written as the loops of the textbook. Oracles for the tests."""

from __future__ import annotations

import numpy as np


def conv2d(x, w, b, stride, padding):
    """y[n, o, i, j] = b[o] + Σ w[o] · the patch at (i·stride, j·stride), zero-padded."""
    (sy, sx), (py, px) = stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    n, _, h, width = x.shape
    o, _, r, s = w.shape
    y = np.empty((n, o, (h - r) // sy + 1, (width - s) // sx + 1), x.dtype)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            patch = x[:, :, i * sy : i * sy + r, j * sx : j * sx + s]
            y[:, :, i, j] = np.einsum("ncrs,ocrs->no", patch, w) + b
    return y


def pool2d(x, kernel, stride, reduce):
    """``reduce`` (np.max or np.mean) over each window."""
    (r, s), (sy, sx) = kernel, stride
    y = np.empty((*x.shape[:2], (x.shape[2] - r) // sy + 1, (x.shape[3] - s) // sx + 1), x.dtype)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            y[:, :, i, j] = reduce(x[:, :, i * sy : i * sy + r, j * sx : j * sx + s], axis=(2, 3))
    return y


def smallest(scores, k):
    """True at the k smallest, ties in memory order: what a stable sort says."""
    chosen = np.zeros(scores.size, bool)
    chosen[np.argsort(scores.ravel(), kind="stable")[:k]] = True
    return chosen.reshape(scores.shape)


def lamp_scores(scores):
    """score² / Σ of squares of all scores of the layer at least as large (the first of equals counts all of them)."""
    flat = scores.ravel().astype(np.float64)
    order = np.argsort(flat, kind="stable")
    out = np.empty(flat.size)
    for position, index in enumerate(order):
        out[index] = flat[index] ** 2 / max(sum(flat[j] ** 2 for j in order[position:]), 1e-300)
    return out.reshape(scores.shape)
