"""Grouped convolution: channels are divided into groups, and each output sees the inputs of its own group only.

    groups = 1   an ordinary convolution
    groups = C   depthwise: each output sees one input; followed by a 1x1 convolution, it is a depthwise-separable one

It is written as what it means: one ordinary convolution per group, one after another. That is short, not fast.
"""

from __future__ import annotations

import numpy as np

from minprune.errors import ShapeError
from minprune.ops.conv import conv2d
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


def grouped_conv2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """Convolution in groups; how many there are follows from the shapes: groups = C / C'.

    Args:
        x: (N, C, H, W).
        weight: (O, C', R, S), C' the channels of one group; outputs 0 … O/groups − 1 belong to the first group, and so on.
        bias: (O,) or None.
        stride, padding: as in ``conv2d``.

    Returns:
        (N, O, Y, X).

    Raises:
        ShapeError: C' does not divide C, the groups do not divide O, or a shape that ``conv2d`` refuses.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 4 or x.ndim != 4:
        raise ShapeError(f"grouped_conv2d expected x (N, C, H, W) and weight (O, C', R, S), got {x.shape} and {weight.shape}")
    groups, rest = divmod(x.shape[1], weight.shape[1])
    if rest or not groups or weight.shape[0] % groups:
        raise ShapeError(
            f"grouped_conv2d expected groups of {weight.shape[1]} channels that divide the input's and the {weight.shape[0]} outputs, "
            f"got an input of shape {x.shape}"
        )
    parents = [x, weight] if bias is None else [x, weight, as_tensor(bias)]
    if bias is not None and parents[2].shape != weight.shape[:1]:
        raise ShapeError(f"grouped_conv2d expected a bias of shape {weight.shape[:1]}, got {parents[2].shape}")
    axes = (1, 0, 0)[: len(parents)]  # along which x, weight and bias are divided
    pieces = [np.split(parent.data, groups, axis) for parent, axis in zip(parents, axes, strict=True)]
    wanted = [parent.requires_grad for parent in parents]
    inputs = [[Tensor(piece, want) for piece, want in zip(group, wanted, strict=True)] for group in zip(*pieces, strict=True)]
    parts = [conv2d(xs[0], xs[1], xs[2] if len(xs) > 2 else None, stride, padding) for xs in inputs]

    def vjp(g: Array) -> tuple[Array | None, ...]:
        grads = [part.vjp(piece) for part, piece in zip(parts, np.split(g, groups, axis=1), strict=True) if part.vjp is not None]
        columns = zip(zip(*grads, strict=True), axes, wanted, strict=True)
        return tuple(np.concatenate(column, axis) if want else None for column, axis, want in columns)

    out = np.concatenate([part.data for part in parts], axis=1)
    return record("grouped_conv2d", out, parents, vjp, geometry=parts[0].attributes.get("geometry"), groups=groups)
