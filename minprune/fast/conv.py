"""Convolution on kernels. Same functions as ``plain.conv``, over (C, H, W, width) lanes."""

from __future__ import annotations

import numpy as np

from minprune.fast import lanes, sparsity, tables
from minprune.fast.lanes import view
from minprune.fast.memory import floats
from minprune.filters import Filters
from minprune.geometry import Geometry
from minprune.kernels import elementwise, lean, products
from minprune.parallel import parts

Array = np.ndarray
lay = lanes.as_lanes
MOST_WASTE = 1.3  # how much larger than dy the image may be for its gradient to be taken by convolution

__all__ = ["bias_grad", "forward", "input_grad", "lay", "pad", "sparse_pays", "view", "weight_grad"]


def pad(x: Array, padding: tuple[int, int]) -> Array:
    """(N, C, H, W) -> lanes (C, H + 2·py, W + 2·px, width), zero around the image."""
    return _pad(lanes.as_lanes(x), padding)


def _pad(images: Array, padding: tuple[int, int]) -> Array:
    """Zeros around images (C, H, W, width)."""
    if not any(padding):
        return images
    (py, px), (c, h, w, width) = padding, images.shape
    padded = lanes.empty((c, h + 2 * py, w + 2 * px), width)
    elementwise.pad(images.reshape(-1), padded.reshape(-1), c, (h, w), padding, width)
    return padded


def _crop(images: Array, padding: tuple[int, int]) -> Array:
    """The opposite of ``_pad``."""
    if not any(padding):
        return images
    (py, px), (c, h, w, width) = padding, images.shape
    middle = lanes.empty((c, h - 2 * py, w - 2 * px), width)
    elementwise.crop(images.reshape(-1), middle.reshape(-1), c, (h - 2 * py, w - 2 * px), padding, width)
    return middle


def forward(padded: Array, filters: Filters, geometry: Geometry, out_size: tuple[int, int]) -> Array:
    """y (O, Y, X, width) of padded images (C, H, W, width)."""
    if sparsity.lean(filters.mask, sparsity.FORWARD) is not None:
        return sparse_forward(padded, filters, geometry, out_size)
    (c, h, w, width), o = padded.shape, filters.weight.shape[0]
    out = lanes.empty((o, *out_size), width)
    taps, planes = tables.taps(c, geometry.kernel, h, w), tables.planes(o, out_size[0] * out_size[1])
    x, y, image = padded.reshape(-1), out.reshape(-1), _image(geometry, out_size, w)
    products.forward(x, taps, flat(filters.weight), bias_of(filters), y, planes, image, width, parts())
    return out


def sparse_forward(padded: Array, filters: Filters, geometry: Geometry, out_size: tuple[int, int]) -> Array:
    """The same, visiting only the weights that the mask keeps, whatever their density."""
    assert filters.mask is not None, "the sparse way needs a mask"
    (c, h, w, width), o = padded.shape, filters.weight.shape[0]
    out = lanes.empty((o, *out_size), width)
    rows = sparsity.pattern_of(filters.mask).rows
    offsets, image = rows.positions(tables.taps(c, geometry.kernel, h, w)), _image(geometry, out_size, w)
    lean.forward(
        padded.reshape(-1), offsets, values_of(filters, rows), rows.starts, bias_of(filters), out.reshape(-1), image, width, parts()
    )
    return out


def values_of(filters: Filters, lines: sparsity.Lines) -> Array:
    """The kept weights, line after line."""
    values = floats(lines.index.size)
    lean.gather(flat(filters.weight), lines.index, values, parts(), work=values.size * 1.0)
    return values


def sparse_pays(mask: Array) -> bool:
    """Whether all three products with a weight pruned by ``mask`` are quicker for leaving its zeros out."""
    return sparsity.lean(mask, min(sparsity.FORWARD, sparsity.INPUT_GRAD, sparsity.WEIGHT_GRAD)) is not None


def bias_of(filters: Filters) -> Array:
    return tables.zeros(len(filters.weight)) if filters.bias is None else np.ascontiguousarray(filters.bias)


def input_grad(filters: Filters, grad: Array, padded_shape: tuple[int, ...], geometry: Geometry) -> Array:
    """The gradient of the images (C, H, W, width), without their padding, from dy (O, Y, X, width)."""
    (c, h, w, width), (py, px) = padded_shape, geometry.padding
    o, *out_size, _ = grad.shape
    pattern = sparsity.lean(filters.mask, sparsity.INPUT_GRAD)
    fits = geometry.stride == (1, 1) != geometry.kernel and py < geometry.kernel[0] and px < geometry.kernel[1]
    if pattern is None and fits and (h - 2 * py) * (w - 2 * px) <= MOST_WASTE * out_size[0] * out_size[1]:
        return _input_grad_by_convolution(filters, grad, (h - 2 * py, w - 2 * px), geometry)
    out = lanes.empty((c, h, w), width)
    image = _image(geometry, out_size, w)
    taps, planes = tables.taps(c, geometry.kernel, h, w), tables.planes(o, out_size[0] * out_size[1])
    dy, dx = grad.reshape(-1), out.reshape(-1)
    if pattern is None:
        products.input_grad(dy, planes, flat(filters.weight), dx, taps, taps.size // c, h * w, image, width, parts())
    else:
        columns = pattern.columns
        offsets, values = columns.positions(planes), values_of(filters, columns)
        lean.input_grad(dy, offsets, values, columns.starts, dx, taps, taps.size // c, h * w, image, width, parts())
    return _crop(out, geometry.padding)


def _input_grad_by_convolution(filters: Filters, grad: Array, size: tuple[int, int], geometry: Geometry) -> Array:
    """The same as a convolution of dy, padded, with the filters turned by 180° and their channels in and out exchanged.

    It keeps its sums in registers where the other way adds to memory, but also multiplies the zeros of dy's padding, so it is for
    convolutions that leave an image as large as it was. The padding must be smaller than the kernel, else dy would have to be cropped.
    """
    (r, s), (py, px) = geometry.kernel, geometry.padding
    turned = filters.weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    margin = r - 1 - py, s - 1 - px
    return forward(_pad(grad, margin), Filters(turned), Geometry((r, s), (1, 1), margin), size)


def weight_grad(padded: Array, grad: Array, filters: Filters, geometry: Geometry) -> Array:
    """dw (O, C, R, S) from the padded images (C, H, W, width) and dy (O, Y, X, width)."""
    c, h, w, width = padded.shape
    dw = floats(filters.weight.size).reshape(filters.weight.shape)
    image = _image(geometry, grad.shape[1:3], w)
    taps, x, dy = tables.taps(c, geometry.kernel, h, w), padded.reshape(-1), grad.reshape(-1)
    pattern = sparsity.lean(filters.mask, sparsity.WEIGHT_GRAD)
    if pattern is None:
        products.weight_grad(x, taps, dy, dw.reshape(-1), image, width, parts())
    else:
        rows = pattern.rows
        grads = floats(rows.index.size)
        lean.weight_grad(x, rows.positions(taps), rows.index, rows.starts, dy, grads, dw.reshape(-1), image, width, parts())
        assert filters.mask is not None, "a pattern comes from a mask"
        lanes.note_mask(dw, filters.mask)
    return dw


def bias_grad(grad: Array) -> Array:
    """db (O,): the sum of dy (O, ..., width) over positions and images."""
    db = np.empty(grad.shape[0], np.float32)
    elementwise.row_sums(grad.reshape(-1), db, work=grad.size * 0.1)
    return db


def flat(weight: Array) -> Array:
    """The weight's numbers in order, one after another."""
    return np.ascontiguousarray(weight).reshape(-1)


def _image(geometry: Geometry, out_size: tuple[int, ...] | list[int], width: int) -> tuple[int, int, int, int]:
    """(Y, X, how far apart in the padded image two rows and two columns of places are)."""
    return out_size[0], out_size[1], width * geometry.stride[0], geometry.stride[1]
