"""Pooling: summarise each window of an image by its maximum or its mean.

max:      y[n, c, y, x] = max_{r,s} x[n, c, y·stride + r, x·stride + s]
average:  the same with the mean
"""

from __future__ import annotations

from minprune import backend
from minprune.errors import ShapeError
from minprune.geometry import Geometry, as_pair
from minprune.tensor import Tensor, TensorLike, as_tensor, record, reshape


def _window(op: str, x: Tensor, kernel: int | tuple[int, int], stride: int | tuple[int, int] | None) -> Geometry:
    """The window's geometry, checked against the image."""
    if x.ndim != 4:
        raise ShapeError(f"{op} expected an input of shape (N, C, H, W), got {x.shape}")
    pair = as_pair("kernel_size", kernel, 1)
    geometry = Geometry(pair, pair if stride is None else as_pair("stride", stride, 1), (0, 0))
    if min(geometry.output_size(*x.shape[2:])) < 1:
        raise ShapeError(f"{op} expected an image of at least {pair[0]}x{pair[1]}, got {x.shape}")
    return geometry


def max_pool2d(x: TensorLike, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """The maximum of each window; ``stride`` defaults to ``kernel_size``. (N, C, H, W) -> (N, C, Y, X).

    Of equal maxima the first in reading order receives the gradient, as in PyTorch.

    Raises:
        ShapeError: not four axes, or the window is larger than the image.
    """
    x = as_tensor(x)
    geometry = _window("max_pool2d", x, kernel_size, stride)
    work = backend.implementation("pool", x.dtype)
    out, memory = work.max_pool(x.data, geometry)
    return record("max_pool2d", out, (x,), lambda g: (work.max_pool_grad(g, x.data, memory, geometry),), geometry=geometry)


def avg_pool2d(x: TensorLike, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """The mean of each window; ``stride`` defaults to ``kernel_size``. (N, C, H, W) -> (N, C, Y, X).

    Raises:
        ShapeError: not four axes, or the window is larger than the image.
    """
    x = as_tensor(x)
    return _mean("avg_pool2d", x, _window("avg_pool2d", x, kernel_size, stride))


def _mean(op: str, x: Tensor, geometry: Geometry) -> Tensor:
    work, shape = backend.implementation("pool", x.dtype), x.shape
    out = work.mean_pool(x.data, geometry)
    return record(op, out, (x,), lambda g: (work.mean_pool_grad(g, shape, geometry),), geometry=geometry)


def global_avg_pool2d(x: TensorLike) -> Tensor:
    """The mean of each channel's image: (N, C, H, W) -> (N, C).

    Raises:
        ShapeError: not four axes.
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ShapeError(f"global_avg_pool2d expected an input of shape (N, C, H, W), got {x.shape}")
    n, c, *image = x.shape
    return reshape(_mean("global_avg_pool2d", x, _window("global_avg_pool2d", x, tuple(image), 1)), (n, c))
