"""Mistakes that people make in lesson 04; each must be caught, and told what it is."""

from itertools import pairwise

import numpy as np

from minprune.course import wrong


def _lowest(scores, count, kind="stable"):
    gone = np.zeros(scores.shape, bool)
    gone.flat[np.argsort(scores, axis=None, kind=kind)[:count]] = True
    return gone


@wrong("exact_k", "A threshold keeps all that are equal")
def takes_all_ties(scores, k):
    if k == 0:
        return np.zeros(scores.shape, bool)
    return scores >= np.sort(scores, axis=None)[scores.size - k]


@wrong("exact_k", "here True marks what goes")
def marks_what_goes(scores, k):
    return _lowest(scores, scores.size - k)


@wrong("exact_k", "k is how many stay")
def prunes_k(scores, k):
    return ~_lowest(scores, k)


@wrong("exact_k", "of equal scores the later ones were cut")
def keeps_the_first_of_equals(scores, k):
    return _lowest(-scores, k)


@wrong("exact_k", 'Sort with kind="stable"')
def sorts_without_an_order_for_ties(scores, k):
    order = np.argpartition(scores.ravel(), scores.size - k) if 0 < k < scores.size and scores.size > 20 else np.argsort(scores, axis=None)
    gone = np.zeros(scores.size, bool)
    gone[order[: scores.size - k]] = True
    return ~gone.reshape(scores.shape)


@wrong("exact_k", "An end of the range")
def slices_from_the_end(scores, k):
    mask = np.zeros(scores.shape, bool)
    mask.flat[np.argsort(scores, axis=None, kind="stable")[-k:]] = True
    return mask


@wrong("masked_sgd_step", "came back to life")
def forgets_the_weights(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity[...] = momentum * velocity + gradient + decay * weights
    weights -= lr * velocity
    velocity[~mask] = 0


@wrong("masked_sgd_step", "the velocity goes on remembering")
def forgets_the_velocity(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity[...] = momentum * velocity + gradient + decay * weights
    weights -= lr * velocity
    weights[~mask] = 0


@wrong("masked_sgd_step", "the old velocity still moves the weight")
def masks_only_the_gradient(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity[...] = momentum * velocity + gradient * mask + decay * weights
    weights -= lr * velocity


@wrong("masked_sgd_step", "gives the name to a new array")
def makes_new_arrays(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity = (momentum * velocity + gradient + decay * weights) * mask
    weights = (weights - lr * velocity) * mask


@wrong("masked_sgd_step", "The weight decay is missing")
def forgets_the_decay(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity[...] = (momentum * velocity + gradient) * mask
    weights[...] = (weights - lr * velocity) * mask


@wrong("to_csr", "The 0 in front is missing")
def starts_without_zero(weights, mask):
    return weights[mask], np.nonzero(mask)[1].astype(np.uint16), np.cumsum(mask.sum(axis=1)).astype(np.int32)


def _starts(mask):
    return np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int32)


@wrong("to_csr", "Those are the counts of each row")
def counts_instead_of_starts(weights, mask):
    return weights[mask], np.nonzero(mask)[1].astype(np.uint16), mask.sum(axis=1).astype(np.int32)


@wrong("to_csr", "Those are the rows")
def rows_for_columns(weights, mask):
    return weights[mask], np.nonzero(mask)[0].astype(np.uint16), _starts(mask)


@wrong("to_csr", "The mask decides, not the value")
def goes_by_what_is_not_zero(weights, mask):
    mask = (weights * mask) != 0
    return weights[mask], np.nonzero(mask)[1].astype(np.uint16), _starts(mask)


@wrong("to_csr", "An index that is larger than its weight")
def leaves_int64(weights, mask):
    return weights[mask], np.nonzero(mask)[1], np.concatenate([[0], np.cumsum(mask.sum(axis=1))])


@wrong("csr_matvec", "each value meets the entry of x at its column")
def ignores_the_columns(values, columns, starts, x):
    return np.array([(values[a:b] * x[a:b]).sum() for a, b in pairwise(starts)])


@wrong("csr_matvec", "np.add.reduceat does that")
def adds_with_reduceat(values, columns, starts, x):
    return np.add.reduceat(values * x[columns], starts[:-1])


@wrong("csr_matvec", "The empty row is missing")
def leaves_out_empty_rows(values, columns, starts, x):
    return np.array([(values[a:b] * x[columns[a:b]]).sum() for a, b in pairwise(starts) if b > a])


@wrong("csr_matvec", "begin at starts[row], not at 0")
def adds_up_from_the_beginning(values, columns, starts, x):
    return np.array([(values[:b] * x[columns[:b]]).sum() for b in starts[1:]])


@wrong("storage_bytes", "A dense matrix stores its zeros")
def dense_of_the_kept_only(mask):
    kept = int(mask.sum())
    return {"dense": 4 * kept, "csr": 6 * kept + 4 * len(mask) + 4, "bitmask": 4 * kept + (mask.size + 7) // 8}


@wrong("storage_bytes", "The row starts are missing")
def forgets_the_row_starts(mask):
    kept = int(mask.sum())
    return {"dense": 4 * mask.size, "csr": 6 * kept, "bitmask": 4 * kept + (mask.size + 7) // 8}


@wrong("storage_bytes", "eight bits share one")
def a_byte_for_every_bit(mask):
    kept = int(mask.sum())
    return {"dense": 4 * mask.size, "csr": 6 * kept + 4 * len(mask) + 4, "bitmask": 4 * kept + mask.nbytes}


@wrong("storage_bytes", "but it is stored: round up")
def rounds_the_bits_down(mask):
    kept = int(mask.sum())
    return {"dense": 4 * mask.size, "csr": 6 * kept + 4 * len(mask) + 4, "bitmask": 4 * kept + mask.size // 8}


@wrong("storage_bytes", "the indices are missing")
def counts_the_values_alone(mask):
    kept = int(mask.sum())
    return {"dense": 4 * mask.size, "csr": 4 * kept, "bitmask": 4 * kept}


@wrong("csr_matvec", "np.empty holds whatever the memory held")
def begins_with_empty_memory(values, columns, starts, x):
    y = np.empty(len(starts) - 1)
    for row in range(len(y)):
        for i in range(starts[row], starts[row + 1]):
            y[row] += values[i] * x[columns[i]]
    return y


@wrong("storage_bytes", "A weight that goes has its bit, too")
def counts_bits_of_the_kept_only(mask):
    kept = int(mask.sum())
    return {"dense": 4 * mask.size, "csr": 6 * kept + 4 * (len(mask) + 1), "bitmask": 4 * kept + -(-kept // 8)}
