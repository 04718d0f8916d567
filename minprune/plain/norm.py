"""Batch normalisation over the rows of a matrix: all values of a channel are one row."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def statistics(x: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance (C,) of each channel of x (N, C, H, W)."""
    rows = _rows(x)
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    return mean, np.einsum("cm,cm->c", centred, centred) / rows.shape[1]


def scale_and_shift(x: Array, scale: Array, shift: Array) -> Array:
    """scale · x + shift, per channel."""
    return _unrow(_rows(x) * scale[:, None] + shift[:, None], x.shape)


def sums(grad: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    """(Σ dy · x̂, Σ dy), each (C,), over batch and positions, with x̂ = (x − mean) · inv_std."""
    dy, rows = _rows(grad), _rows(x)
    return np.einsum("cm,cm->c", dy, (rows - mean[:, None]) * inv_std[:, None]), dy.sum(axis=1)


def input_grad(grad: Array, x: Array, factor: Array, slope: Array, offset: Array) -> Array:
    """factor · dy + slope · x + offset, per channel."""
    return _unrow(_rows(grad) * factor[:, None] + _rows(x) * slope[:, None] + offset[:, None], x.shape)


def _rows(x: Array) -> Array:
    """(N, C, H, W) -> (C, H·W·N), a view where the memory is batch-innermost, else a copy."""
    return x.transpose(1, 2, 3, 0).reshape(x.shape[1], -1)


def _unrow(rows: Array, shape: tuple[int, ...]) -> Array:
    """The opposite of ``_rows``."""
    n, c, h, w = shape
    return rows.reshape(c, h, w, n).transpose(3, 0, 1, 2)
