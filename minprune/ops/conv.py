"""Two-dimensional convolution as one matrix product: lay every patch of the image out as a column, then multiply.

Notation: N batch, C in-channels, O out-channels, H W image, R S kernel, Y X output positions.

    y[n, o, y, x] = b[o] + Σ_{c,r,s} w[o, c, r, s] · x[n, c, y·stride + r, x·stride + s]

``im2col`` copies the patches into a matrix of C·R·S rows (one per weight of a filter) and Y·X·N columns (one per place
where the filter is laid). Then y is ``w @ columns``, the weight gradient is ``dy @ columnsᵀ``, and the input gradient is
``col2im(wᵀ @ dy)``, which adds each patch back to where it came from.

Tensors are *shaped* (N, C, H, W) for the reader. In memory the batch is innermost, (C, H, W, N): then each row of the column
matrix is copied in runs of X·N neighbours instead of X, and everything elementwise that follows keeps that order for free.
Only the first layer pays for a conversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


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


def im2col(x: Array, geometry: ConvGeometry) -> Array:
    """Patches as columns: (N, C, H, W) -> (C·R·S, Y·X·N)."""
    (r, s), (sy, sx), (py, px) = geometry.kernel, geometry.stride, geometry.padding
    batch_inner = x.transpose(1, 2, 3, 0)  # (C, H, W, N)
    c, h, w, n = batch_inner.shape
    if py or px:
        padded = np.zeros((c, h + 2 * py, w + 2 * px, n), x.dtype)
        padded[:, py : py + h, px : px + w] = batch_inner
    else:
        padded = np.ascontiguousarray(batch_inner)
    windows = sliding_window_view(padded, (r, s), axis=(1, 2))[:, ::sy, ::sx]  # (C, Y, X, N, R, S)
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(c * r * s, -1)


def col2im(columns: Array, shape: tuple[int, int, int, int], geometry: ConvGeometry) -> Array:
    """The transpose of ``im2col``: add each column back to its patch. (C·R·S, Y·X·N) -> (N, C, H, W)."""
    n, c, h, w = shape
    (r, s), (py, px) = geometry.kernel, geometry.padding
    y, x = geometry.output_size(h, w)
    patches = columns.reshape(c, r, s, y, x, n)
    padded = np.zeros((c, h + 2 * py, w + 2 * px, n), columns.dtype)
    for i, row in enumerate(geometry.taps(padded, (y, x))):
        for j, place in enumerate(row):
            place += patches[:, i, j]
    return padded[:, py : py + h, px : px + w].transpose(3, 0, 1, 2)


def conv2d_forward(x: Array, weight: Array, bias: Array | None, geometry: ConvGeometry) -> tuple[Array, Array]:
    """Returns y (N, O, Y, X) and the columns (C·R·S, Y·X·N) that the weight gradient needs."""
    n, _, h, w = x.shape
    o = weight.shape[0]
    columns = im2col(x, geometry)
    out = weight.reshape(o, -1) @ columns  # (O, Y·X·N)
    if bias is not None:
        out += bias[:, None]
    return out.reshape(o, *geometry.output_size(h, w), n).transpose(3, 0, 1, 2), columns


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
    out, columns = conv2d_forward(x.data, weight.data, None if bias is None else bias.data, geometry)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        rows = batch_inner_rows(g)  # (O, Y·X·N)
        dx = col2im(weight.data.reshape(o, -1).T @ rows, x.shape, geometry) if x.requires_grad else None
        dw = (rows @ columns.T).reshape(weight.shape) if weight.requires_grad else None
        return (dx, dw) if bias is None else (dx, dw, rows.sum(axis=1))

    return record("conv2d", out, parents, vjp, geometry=geometry)


def as_pair(what: str, value: int | tuple[int, int], at_least: int) -> tuple[int, int]:
    """``value`` as (vertical, horizontal); a ValueError where it is not one or two whole numbers >= ``at_least``."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int | np.integer) and v >= at_least for v in pair):
        raise ValueError(f"{what} expected a whole number >= {at_least} or a pair of them, got {value!r}")
    return int(pair[0]), int(pair[1])
