"""Convolution as matrix products: lay every patch of the image out as a column, then multiply.

Notation: N batch, C in-channels, O out-channels, H W image, R S kernel, Y X output positions.

``im2col`` copies patches into a matrix of C·R·S rows (one per weight of a filter) and one column per place where the filter is laid.
Then y is ``w @ columns``, the weight gradient is ``dy @ columnsᵀ``, and the input gradient is ``col2im(wᵀ @ dy)``, which adds each patch
back to where it came from.

Two choices make this fast. Tensors are *shaped* (N, C, H, W) for the reader, but in memory the batch is innermost, (C, H, W, N): each row
of the column matrix is then copied in runs of X·N neighbours instead of X, and everything elementwise that follows keeps that order for
free; only the first layer pays for a conversion. And the columns are never all there at once: a block of output rows at a time is laid
out, used while it is in the cache, and thrown away. The backward pass lays them out again, which costs less than keeping them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minprune.filters import Filters
from minprune.geometry import Geometry

Array = np.ndarray
BLOCK_BYTES = 1 << 21  # of columns laid out at once: fits the second-level cache of a laptop


def lay(batch: Array) -> Array:
    """(N, C, H, W) in any memory order -> contiguous (C, H, W, N)."""
    return np.ascontiguousarray(batch.transpose(1, 2, 3, 0))


def view(images: Array, n: int) -> Array:
    """(C, H, W, N) -> (N, C, H, W), a view."""
    return images[..., :n].transpose(3, 0, 1, 2)


def pad(x: Array, padding: tuple[int, int]) -> Array:
    """(N, C, H, W) in any memory order -> contiguous (C, H + 2·py, W + 2·px, N), zero around the image."""
    py, px = padding
    batch_inner = x.transpose(1, 2, 3, 0)  # (C, H, W, N)
    if not (py or px):
        return np.ascontiguousarray(batch_inner)
    c, h, w, n = batch_inner.shape
    padded = np.zeros((c, h + 2 * py, w + 2 * px, n), x.dtype)
    padded[:, py : py + h, px : px + w] = batch_inner
    return padded


def im2col(padded: Array, geometry: Geometry) -> Array:
    """Patches as columns: padded (C, H, W, N) -> (C·R·S, Y·X·N)."""
    (r, s), (sy, sx) = geometry.kernel, geometry.stride
    windows = sliding_window_view(padded, (r, s), axis=(1, 2))[:, ::sy, ::sx]  # (C, Y, X, N, R, S)
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(padded.shape[0] * r * s, -1)


def col2im(columns: Array, padded: Array, geometry: Geometry, out_size: tuple[int, int]) -> None:
    """The transpose of ``im2col``: add each column (C·R·S, Y·X·N) to its patch of ``padded`` (C, H, W, N), in place."""
    pieces = columns.reshape(padded.shape[0], *geometry.kernel, *out_size, -1)  # (C, R, S, Y, X, N)
    for i, row in enumerate(geometry.taps(padded, out_size)):
        for j, place in enumerate(row):
            place += pieces[:, i, j]


def blocks_of_rows(y: int, row_bytes: int) -> Iterator[slice]:
    """The ``y`` output rows in blocks whose columns take about BLOCK_BYTES, at least one row each."""
    height = max(BLOCK_BYTES // max(row_bytes, 1), 1)
    for start in range(0, y, height):
        yield slice(start, min(start + height, y))


def column_blocks(padded: Array, geometry: Geometry, out_size: tuple[int, int]) -> Iterator[tuple[slice, Array]]:
    """(output rows, their columns (C·R·S, rows·X·N)), block after block."""
    c, _, _, n = padded.shape
    row_bytes = c * geometry.kernel[0] * geometry.kernel[1] * out_size[1] * n * padded.itemsize
    for rows in blocks_of_rows(out_size[0], row_bytes):
        yield rows, im2col(padded[:, geometry.input_rows(rows)], geometry)


def forward(padded: Array, filters: Filters, geometry: Geometry, out_size: tuple[int, int]) -> Array:
    """y (O, Y, X, N) of a padded image (C, H, W, N)."""
    o = filters.weight.shape[0]
    out = np.empty((o, *out_size, padded.shape[3]), np.result_type(padded, filters.weight))
    for rows, columns in column_blocks(padded, geometry, out_size):
        block = out[:, rows].reshape(o, -1)  # (O, rows·X·N), a view
        np.matmul(filters.weight.reshape(o, -1), columns, out=block)
        if filters.bias is not None:
            block += filters.bias[:, None]
    return out


def weight_grad(padded: Array, grad: Array, filters: Filters, geometry: Geometry) -> Array:
    """dw (O, C, R, S) from the padded image (C, H, W, N) and dy (O, Y, X, N): Σ over blocks of dy @ columnsᵀ."""
    o, y, x, _ = grad.shape
    total = np.zeros((filters.weight.size // o, o), grad.dtype)
    for rows, columns in column_blocks(padded, geometry, (y, x)):
        total += columns @ grad[:, rows].reshape(o, -1).T
    return np.ascontiguousarray(total.T).reshape(filters.weight.shape)


def input_grad(filters: Filters, grad: Array, padded_shape: tuple[int, ...], geometry: Geometry) -> Array:
    """The gradient of the images (C, H, W, N), without their padding, from dy (O, Y, X, N): col2im(wᵀ @ dy), block by block of rows."""
    o, y, x, n = grad.shape
    out = np.zeros(padded_shape, grad.dtype)
    flat = filters.weight.reshape(o, -1).T  # (C·R·S, O)
    for rows in blocks_of_rows(y, flat.shape[0] * x * n * grad.itemsize):
        columns = flat @ grad[:, rows].reshape(o, -1)
        col2im(columns, out[:, geometry.input_rows(rows)], geometry, (rows.stop - rows.start, x))
    (py, px), (_, h, w, _) = geometry.padding, padded_shape
    return out[:, py : h - py, px : w - px]


def sparse_pays(mask: Array) -> bool:  # noqa: ARG001
    """Never: NumPy multiplies the zeros."""
    return False


def bias_grad(grad: Array) -> Array:
    """db (O,): the sum of dy (O, Y, X, N) over positions and images."""
    return grad.reshape(grad.shape[0], -1).sum(axis=1)
