"""Lesson 04, Masks: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def exact_k(scores, k):
    """Return a mask that keeps exactly the k highest scores; of equal scores the earlier position (in memory order) is cut.

    Args:
        scores: array of any shape, higher means keep; may hold equal values, and -inf for what was cut before.
        k: how many stay, an int from 0 to scores.size.

    Returns:
        bool array of the shape of `scores`, True where a weight stays.
    """
    order = np.argsort(scores, axis=None, kind="stable")  # equal scores keep the order of their positions
    mask = np.ones(scores.shape, bool)
    mask.flat[order[: scores.size - k]] = False
    return mask


def masked_sgd_step(weights, velocity, gradient, mask, lr, momentum, decay):
    """Do one step of SGD in place, v = momentum * v + g + decay * w, then w = w - lr * v; and where the mask is False, set w and v to 0.

    Args:
        weights: array w, changed in place.
        velocity: array v, changed in place. Before the step it may be anything at masked weights.
        gradient: array g; at masked weights it may be anything.
        mask: bool array, True where a weight stays.
        lr: learning rate.
        momentum: the factor of the old velocity.
        decay: weight decay.

    Returns:
        nothing; `weights` and `velocity` hold the result.
    """
    velocity[...] = momentum * velocity + gradient + decay * weights
    weights -= lr * velocity
    weights[~mask] = 0
    velocity[~mask] = 0


def to_csr(weights, mask):
    """Return (values, columns, starts) of the kept weights: values row by row, their columns as uint16, and as int32 where each row starts.
    What is kept is what the mask says: a kept weight that happens to be 0.0 is stored.

    Args:
        weights: array (O, K).
        mask: bool array (O, K), True where a weight stays.

    Returns:
        values: the kept weights, row by row and from left to right, of the weights' dtype.
        columns: the column of each value, uint16.
        starts: int32 (O + 1,); row o owns values[starts[o]:starts[o + 1]], so starts[0] is 0 and the last is the number of values.
    """
    columns = np.nonzero(mask)[1].astype(np.uint16)
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int32)
    return weights[mask], columns, starts


def csr_matvec(values, columns, starts, x):
    """Return the product W @ x of a matrix W in CSR form with a vector; a row without values gives 0.

    Args:
        values: (n,) the kept weights.
        columns: (n,) the column of each.
        starts: (O + 1,) row o owns values[starts[o]:starts[o + 1]].
        x: (K,) the vector.

    Returns:
        array (O,) of floats.
    """
    y = np.zeros(len(starts) - 1)
    for row in range(len(y)):
        part = slice(starts[row], starts[row + 1])
        y[row] = (values[part] * x[columns[part]]).sum()
    return y


def storage_bytes(mask):
    """Return {"dense": ..., "csr": ..., "bitmask": ...}, the bytes that a matrix takes in each form. A stored value takes 4 bytes; dense
    stores all weights, the others only the kept ones. CSR adds 2 bytes for each column and 4 for each of the O + 1 starts; the bitmask adds
    one bit for every weight, kept or not, in whole bytes.

    Args:
        mask: bool array (O, K), True where a weight stays.

    Returns:
        dictionary of three ints.
    """
    kept = int(mask.sum())
    csr = (4 + 2) * kept + 4 * (len(mask) + 1)
    bitmask = 4 * kept + (mask.size + 7) // 8
    return {"dense": 4 * mask.size, "csr": csr, "bitmask": bitmask}
