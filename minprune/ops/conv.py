"""Two-dimensional convolution.

Notation: N batch, C in-channels, O out-channels, H W image, R S kernel, Y X output positions.

    y[n, o, y, x]  = b[o] + Σ_{c,r,s} w[o, c, r, s] · x[n, c, y·stride + r, x·stride + s]
    dw[o, c, r, s] = Σ_{n,y,x} dy[n, o, y, x] · x[n, c, y·stride + r, x·stride + s]
    dx             = each dy[n, o, y, x] · w[o] added to the patch of x that made it

How the sums are taken is the business of ``plain.conv`` (NumPy) or ``fast.conv`` (kernels), which take turns here.
"""

from __future__ import annotations

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.filters import Filters
from minprune.geometry import Geometry, as_pair
from minprune.tensor import Array, Tensor, TensorLike, as_tensor, record


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
    geometry = Geometry((r, s), as_pair("stride", stride, 1), as_pair("padding", padding, 0))
    if min(geometry.output_size(*x.shape[2:])) < 1:
        raise ShapeError(f"conv2d expected an image of at least {r}x{s} with its padding of {geometry.padding}, got {x.shape}")
    parents = [x, weight]
    if bias is not None:
        bias = as_tensor(bias)
        if bias.shape != (o,):
            raise ShapeError(f"conv2d expected a bias of shape {(o,)}, got {bias.shape}")
        parents.append(bias)
    out_size = geometry.output_size(*x.shape[2:])
    work = backend.implementation("conv", np.result_type(*(p.data for p in parents)))
    filters = Filters(weight.data, None if bias is None else bias.data, getattr(weight, "mask", None))
    padded = work.pad(x.data, geometry.padding)
    out = work.forward(padded, filters, geometry, out_size)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        grad = work.lay(g)  # (O, Y, X, N)
        dx = dw = None
        if x.requires_grad:
            dx = work.view(work.input_grad(filters, grad, padded.shape, geometry), x.shape[0])
        if weight.requires_grad:
            dw = work.weight_grad(padded, grad, filters, geometry)
        return (dx, dw) if bias is None else (dx, dw, work.bias_grad(grad))

    return record("conv2d", work.view(out, x.shape[0]), parents, vjp, geometry=geometry)
