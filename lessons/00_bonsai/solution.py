"""Lesson 00, The bonsai: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def keep_count(total, sparsity):
    """Return how many of `total` weights remain when the share `sparsity` is removed.

    The number removed is `sparsity * total`, rounded to the nearest whole number (Python's `round`).

    Args:
        total: how many weights there are, an int.
        sparsity: the share to remove, from 0 to 1.

    Returns:
        the number of weights that remain, an int.
    """
    return total - round(sparsity * total)


def cut_smallest(weights, keep):
    """Return a copy of `weights` in which all but the `keep` weights of largest absolute value are zero.

    Args:
        weights: array of floats, of any shape.
        keep: how many weights remain, an int from 0 to weights.size.

    Returns:
        array of the same shape and dtype.
    """
    order = np.argsort(np.abs(weights), axis=None, kind="stable")  # positions from the smallest to the largest
    result = weights.copy()
    result.flat[order[: weights.size - keep]] = 0
    return result


def smallest_good_enough(remaining, accuracy, dense_accuracy, max_drop):
    """Return the smallest share of weights remaining whose accuracy is at most `max_drop` below the dense network's.

    Args:
        remaining: list of shares of the weights, such as [1.0, 0.5, 0.2].
        accuracy: list of the accuracies that belong to them.
        dense_accuracy: the accuracy of the dense network.
        max_drop: what may be lost, such as 0.01 for one point.

    Returns:
        one of the shares in `remaining`, or None if no accuracy is good enough.
    """
    good = [share for share, value in zip(remaining, accuracy) if value >= dense_accuracy - max_drop]
    return min(good, default=None)
