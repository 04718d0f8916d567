"""Lesson 08, Does it get faster?: the reference solution. Generated from lesson.py by `make lessons`."""

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
    return np.median(first[warmup:]) / np.median(second[warmup:])


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
    result = np.zeros((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            value, column = values[j], columns[j]
            for n in range(x.shape[1]):
                result[row, n] += value * x[column, n]
    return result


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
    gains = [dense - sparse for dense, sparse in zip(dense_seconds, sparse_seconds)]
    slower = [i for i, gain in enumerate(gains) if gain < 0]
    if not slower:
        return sparsities[0]
    last = slower[-1]
    if last == len(gains) - 1:
        return None
    share = -gains[last] / (gains[last + 1] - gains[last])
    return sparsities[last] + share * (sparsities[last + 1] - sparsities[last])


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
    activations = 4 * batch * (inputs + outputs)
    if kept is None:
        return outputs * inputs * batch, 4 * outputs * inputs + activations
    return kept * batch, 8 * kept + 4 * (outputs + 1) + activations


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
    return max(macs / peak_macs, bytes_moved / bandwidth)


def quantize(weights, bits):
    """Return `weights` rounded to whole numbers of `bits` bits, and the scale: (q, scale) with scale = max |weights| / L,
    L = 2 ** (bits - 1) - 1, and q = weights / scale, rounded to the nearest. If all weights are zero, the scale is 1.

    Args:
        weights: float array of any shape.
        bits: an int from 2 to 8.

    Returns:
        a tuple: q, an int8 array of the same shape with values from -L to L; and the scale, a float.
    """
    largest = np.abs(weights).max()
    scale = largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), float(scale)
