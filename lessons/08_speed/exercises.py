"""Lesson 08, Does it get faster?: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 08           # all exercises of this lesson
    minprune check 08 --hint    # the next hint
    minprune check 08 --reset   # start again; your file is kept beside
"""

import numpy as np


def median_ratio(first, second, warmup):
    """Return how many times as fast the second of two calls is as the first: the median of `first` divided by the
    median of `second`, without the `warmup` first entries of either list.

    Args:
        first: list of seconds, the times of the first call in the order in which they were taken.
        second: list of seconds of the second call, taken in turns with the first.
        warmup: how many entries at the beginning of each list do not count, an int from 0 to len(first) - 1.

    Returns:
        the ratio, a float: above 1 if the second call is the faster one.
    """
    raise NotImplementedError("write median_ratio here")


def sparse_product(values, columns, pointers, x):
    """Return the product of a sparse matrix in CSR form with the dense `x`, visiting kept weights only: row o is the
    sum of `values[j] * x[columns[j]]` over all j from `pointers[o]` up to, not including, `pointers[o + 1]`.

    Args:
        values: float array (kept,), the weights that are kept, row after row.
        columns: int array (kept,), the column of each.
        pointers: int array (rows + 1,), where each row begins; a row may be empty.
        x: float array (columns of the matrix, batch).

    Returns:
        array (rows, batch) of the dtype of x.
    """
    raise NotImplementedError("write sparse_product here")


def break_even(sparsities, dense_seconds, sparse_seconds):
    """Return the sparsity from which on, to the end of the list, the sparse product is at least as fast as the dense
    one; between two measured points take the difference `dense - sparse` as a straight line. None if the last is slower.

    Args:
        sparsities: list of the measured sparsities, ascending.
        dense_seconds: list of the dense product's time at each.
        sparse_seconds: list of the sparse product's time at each.

    Returns:
        a float; the first of `sparsities` if sparse is nowhere slower, None if it is slower at the last.
    """
    raise NotImplementedError("write break_even here")


def layer_work(outputs, inputs, batch, kept=None):
    """Return (MACs, bytes) of a Dense layer's product in float32. One MAC per weight and image. Bytes count weights,
    inputs and outputs once each. Dense (`kept` is None): 4 per weight. CSR: 8 per kept weight (value and int32 column)
    and 4 for each of the `outputs + 1` pointers.

    Args:
        outputs: rows of the weight matrix.
        inputs: its columns.
        batch: how many images.
        kept: how many weights are kept and visited, or None for a dense product.

    Returns:
        a tuple of two ints.
    """
    raise NotImplementedError("write layer_work here")


def roofline_seconds(macs, bytes_moved, peak_macs, bandwidth):
    """Return the least time, in seconds, in which a machine can do `macs` multiply-accumulates and move `bytes_moved`
    bytes. Computing and moving go on at the same time, so the slower of the two decides.

    Args:
        macs: number of multiply-accumulates.
        bytes_moved: number of bytes.
        peak_macs: the most multiply-accumulates per second.
        bandwidth: the most bytes per second.

    Returns:
        a float.
    """
    raise NotImplementedError("write roofline_seconds here")


def quantize(weights, bits):
    """Return `weights` rounded to whole numbers of `bits` bits, and the scale: (q, scale) with scale = max |weights| / L,
    L = 2 ** (bits - 1) - 1, and q = weights / scale, rounded to the nearest. If all weights are zero, the scale is 1.

    Args:
        weights: float array of any shape.
        bits: an int from 2 to 8.

    Returns:
        a tuple: q, an int8 array of the same shape with values from -L to L; and the scale, a float.
    """
    raise NotImplementedError("write quantize here")
