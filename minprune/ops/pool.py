"""Pooling: summarise each window of an image by its maximum or its mean.

    max:      y[n, c, y, x] = max_{r,s} x[n, c, y·stride + r, x·stride + s]
    average:  the same with the mean

Both walk over the R·S elements of the window, not over the windows: each step is one elementwise operation between the result
and a strided view of the image, which NumPy does at memory speed.
"""

from __future__ import annotations

import numpy as np

from minprune.errors import ShapeError
from minprune.ops.conv import ConvGeometry, as_pair
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


def _windows(op: str, x: Tensor, kernel: int | tuple[int, int], stride: int | tuple[int, int] | None) -> tuple[ConvGeometry, list[Array]]:
    """The geometry, and for each element of the window the (C, Y, X, N) view of x that it meets."""
    if x.ndim != 4:
        raise ShapeError(f"{op} expected an input of shape (N, C, H, W), got {x.shape}")
    pair = as_pair("kernel_size", kernel, 1)
    geometry = ConvGeometry(pair, pair if stride is None else as_pair("stride", stride, 1), (0, 0))
    if min(geometry.output_size(*x.shape[2:])) < 1:
        raise ShapeError(f"{op} expected an image of at least {pair[0]}x{pair[1]}, got {x.shape}")
    return geometry, _taps(x.data, geometry)


def _taps(x: Array, geometry: ConvGeometry) -> list[Array]:
    """The views of x (N, C, H, W) that each element of the window meets, flattened to a list of (C, Y, X, N)."""
    taps = geometry.taps(x.transpose(1, 2, 3, 0), geometry.output_size(*x.shape[2:]))
    return [view for row in taps for view in row]


def max_pool2d(x: TensorLike, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """The maximum of each window; ``stride`` defaults to ``kernel_size``. (N, C, H, W) -> (N, C, Y, X).

    Of equal maxima the first in reading order receives the gradient, as in PyTorch.

    Raises:
        ShapeError: not four axes, or the window is larger than the image.
    """
    x = as_tensor(x)
    geometry, views = _windows("max_pool2d", x, kernel_size, stride)
    out = views[0].copy()
    for view in views[1:]:
        np.maximum(out, view, out=out)

    def vjp(g: Array) -> tuple[Array]:
        grad = np.zeros_like(x.data)
        flowing = g.transpose(1, 2, 3, 0)  # (C, Y, X, N)
        disjoint = geometry.stride[0] >= geometry.kernel[0] and geometry.stride[1] >= geometry.kernel[1]
        waiting = np.ones(out.shape, bool)  # windows whose maximum was not met yet
        for source, target in zip(views, _taps(grad, geometry), strict=True):
            hit = source == out
            hit &= waiting
            waiting ^= hit
            if disjoint:  # each input is in one window only: nothing to add to
                np.multiply(flowing, hit, out=target)
            else:
                target += flowing * hit
        return (grad,)

    return record("max_pool2d", out.transpose(3, 0, 1, 2), (x,), vjp, geometry=geometry)


def avg_pool2d(x: TensorLike, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """The mean of each window; ``stride`` defaults to ``kernel_size``. (N, C, H, W) -> (N, C, Y, X).

    Raises:
        ShapeError: not four axes, or the window is larger than the image.
    """
    x = as_tensor(x)
    geometry, views = _windows("avg_pool2d", x, kernel_size, stride)
    out = views[0].copy()
    for view in views[1:]:
        out += view
    out /= len(views)

    def vjp(g: Array) -> tuple[Array]:
        grad = np.zeros_like(x.data)
        share = g.transpose(1, 2, 3, 0) / len(views)
        for target in _taps(grad, geometry):
            target += share
        return (grad,)

    return record("avg_pool2d", out.transpose(3, 0, 1, 2), (x,), vjp, geometry=geometry)


def global_avg_pool2d(x: TensorLike) -> Tensor:
    """The mean of each channel's image: (N, C, H, W) -> (N, C).

    Raises:
        ShapeError: not four axes.
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ShapeError(f"global_avg_pool2d expected an input of shape (N, C, H, W), got {x.shape}")
    area = x.shape[2] * x.shape[3]
    return record(
        "global_avg_pool2d",
        x.data.mean(axis=(2, 3)),
        (x,),
        lambda g: (np.broadcast_to((g / area)[:, :, None, None], x.shape),),
    )
