"""Two-dimensional convolution as matrix products: lay every patch of the image out as a column, then multiply.

Notation: N batch, C in-channels, O out-channels, H W image, R S kernel, Y X output positions.

    y[n, o, y, x] = b[o] + Σ_{c,r,s} w[o, c, r, s] · x[n, c, y·stride + r, x·stride + s]

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
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record

BLOCK_BYTES = 1 << 21  # of columns laid out at once: fits the second-level cache of a laptop


@dataclass(frozen=True)
class ConvGeometry:
    """How a kernel walks over an image: all that im2col and col2im need to know, in elements."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(Y, X) for an image of (height, width): floor((H + 2·padding − R) / stride) + 1 along each axis."""
        (r, s), (sy, sx), (py, px) = self.kernel, self.stride, self.padding
        return (height + 2 * py - r) // sy + 1, (width + 2 * px - s) // sx + 1

    def taps(self, array: Array, out_size: tuple[int, int]) -> list[list[Array]]:
        """For each kernel element (r, s), the view of a padded (C, H, W, N) array that it meets: (C, Y, X, N)."""
        (r, s), (sy, sx), (y, x) = self.kernel, self.stride, out_size
        return [[array[:, i : i + sy * y : sy, j : j + sx * x : sx] for j in range(s)] for i in range(r)]

    def input_rows(self, rows: slice) -> slice:
        """The rows of the padded image under a block of output rows."""
        return slice(rows.start * self.stride[0], (rows.stop - 1) * self.stride[0] + self.kernel[0])


def pad_batch_inner(x: Array, padding: tuple[int, int]) -> Array:
    """(N, C, H, W) in any memory order -> contiguous (C, H + 2·py, W + 2·px, N), zero around the image."""
    py, px = padding
    batch_inner = x.transpose(1, 2, 3, 0)  # (C, H, W, N)
    if not (py or px):
        return np.ascontiguousarray(batch_inner)
    c, h, w, n = batch_inner.shape
    padded = np.zeros((c, h + 2 * py, w + 2 * px, n), x.dtype)
    padded[:, py : py + h, px : px + w] = batch_inner
    return padded


def im2col(padded: Array, geometry: ConvGeometry) -> Array:
    """Patches as columns: padded (C, H, W, N) -> (C·R·S, Y·X·N)."""
    (r, s), (sy, sx) = geometry.kernel, geometry.stride
    windows = sliding_window_view(padded, (r, s), axis=(1, 2))[:, ::sy, ::sx]  # (C, Y, X, N, R, S)
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(padded.shape[0] * r * s, -1)


def col2im(columns: Array, padded: Array, geometry: ConvGeometry, out_size: tuple[int, int]) -> None:
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


def column_blocks(padded: Array, geometry: ConvGeometry, out_size: tuple[int, int]) -> Iterator[tuple[slice, Array]]:
    """(output rows, their columns (C·R·S, rows·X·N)), block after block."""
    c, _, _, n = padded.shape
    row_bytes = c * geometry.kernel[0] * geometry.kernel[1] * out_size[1] * n * padded.itemsize
    for rows in blocks_of_rows(out_size[0], row_bytes):
        yield rows, im2col(padded[:, geometry.input_rows(rows)], geometry)


def conv2d_forward(padded: Array, weight: Array, bias: Array | None, geometry: ConvGeometry, out_size: tuple[int, int]) -> Array:
    """y (O, Y, X, N) of a padded image (C, H, W, N)."""
    o = weight.shape[0]
    out = np.empty((o, *out_size, padded.shape[3]), padded.dtype)
    for rows, columns in column_blocks(padded, geometry, out_size):
        block = out[:, rows].reshape(o, -1)  # (O, rows·X·N), a view
        np.matmul(weight.reshape(o, -1), columns, out=block)
        if bias is not None:
            block += bias[:, None]
    return out


def conv2d_weight_grad(padded: Array, grad: Array, kernel_shape: tuple[int, ...], geometry: ConvGeometry) -> Array:
    """dw (O, C, R, S) from the padded image (C, H, W, N) and dy (O, Y, X, N): Σ over blocks of dy @ columnsᵀ."""
    o, y, x, _ = grad.shape
    total = np.zeros((int(np.prod(kernel_shape)), o), grad.dtype)
    for rows, columns in column_blocks(padded, geometry, (y, x)):
        total += columns @ grad[:, rows].reshape(o, -1).T
    return np.ascontiguousarray(total.T).reshape(o, *kernel_shape)


def conv2d_input_grad(weight: Array, grad: Array, padded_shape: tuple[int, ...], geometry: ConvGeometry) -> Array:
    """The gradient of the padded image (C, H, W, N) from dy (O, Y, X, N): col2im(wᵀ @ dy), block by block of output rows."""
    o, y, x, n = grad.shape
    out = np.zeros(padded_shape, grad.dtype)
    flat = weight.reshape(o, -1).T  # (C·R·S, O)
    for rows in blocks_of_rows(y, flat.shape[0] * x * n * grad.itemsize):
        columns = flat @ grad[:, rows].reshape(o, -1)
        col2im(columns, out[:, geometry.input_rows(rows)], geometry, (rows.stop - rows.start, x))
    return out


def batch_inner_rows(array: Array) -> Array:
    """(N, C, H, W) -> (C, H·W·N), a view where the memory is batch-innermost, else a copy."""
    return array.transpose(1, 2, 3, 0).reshape(array.shape[1], -1)


def conv2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation, as in every framework).

    Args:
        x: (N, C, H, W).
        weight: (O, C, R, S).
        bias: (O,) or None.
        stride, padding: one number or (vertical, horizontal); padding is with zeros.

    Returns:
        (N, O, Y, X), Y = floor((H + 2·padding − R) / stride) + 1 and X likewise.

    Raises:
        ShapeError: the shapes do not fit, or the kernel is larger than the padded image.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 4:
        raise ShapeError(f"conv2d expected a weight of shape (O, C, R, S), got {weight.shape}")
    o, c, r, s = weight.shape
    if x.ndim != 4 or x.shape[1] != c:
        raise ShapeError(f"conv2d expected an input of shape (N, {c}, H, W), got {x.shape}")
    geometry = ConvGeometry((r, s), as_pair("stride", stride, 1), as_pair("padding", padding, 0))
    if min(geometry.output_size(*x.shape[2:])) < 1:
        raise ShapeError(f"conv2d expected an image of at least {r}x{s} with its padding of {geometry.padding}, got {x.shape}")
    parents = [x, weight]
    if bias is not None:
        bias = as_tensor(bias)
        if bias.shape != (o,):
            raise ShapeError(f"conv2d expected a bias of shape {(o,)}, got {bias.shape}")
        parents.append(bias)
    out_size = geometry.output_size(*x.shape[2:])
    padded = pad_batch_inner(x.data, geometry.padding)
    out = conv2d_forward(padded, weight.data, None if bias is None else bias.data, geometry, out_size)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        grad = np.ascontiguousarray(g.transpose(1, 2, 3, 0))  # (O, Y, X, N)
        dx = dw = None
        if x.requires_grad:
            (py, px), (h, w) = geometry.padding, x.shape[2:]
            dx = conv2d_input_grad(weight.data, grad, padded.shape, geometry)[:, py : py + h, px : px + w].transpose(3, 0, 1, 2)
        if weight.requires_grad:
            dw = conv2d_weight_grad(padded, grad, weight.shape[1:], geometry)
        return (dx, dw) if bias is None else (dx, dw, grad.reshape(o, -1).sum(axis=1))

    return record("conv2d", out.transpose(3, 0, 1, 2), parents, vjp, geometry=geometry)


def as_pair(what: str, value: int | tuple[int, int], at_least: int) -> tuple[int, int]:
    """``value`` as (vertical, horizontal); a ValueError where it is not one or two whole numbers >= ``at_least``."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int | np.integer) and v >= at_least for v in pair):
        raise ValueError(f"{what} expected a whole number >= {at_least} or a pair of them, got {value!r}")
    return int(pair[0]), int(pair[1])
