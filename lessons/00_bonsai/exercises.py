"""Lesson 00, The bonsai: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 00           # all exercises of this lesson
    minprune check 00 --hint    # the next hint
    minprune check 00 --reset   # start again; your file is kept beside
"""

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
    raise NotImplementedError("write keep_count here")


def cut_smallest(weights, keep):
    """Return a copy of `weights` in which all but the `keep` weights of largest absolute value are zero.

    Args:
        weights: array of floats, of any shape.
        keep: how many weights remain, an int from 0 to weights.size.

    Returns:
        array of the same shape and dtype.
    """
    raise NotImplementedError("write cut_smallest here")


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
    raise NotImplementedError("write smallest_good_enough here")
