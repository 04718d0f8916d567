"""Mistakes that people make in lesson 00; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("keep_count", "how many are removed")
def counts_what_goes(total, sparsity):
    return round(sparsity * total)


@wrong("keep_count", "int() cuts off the fraction")
def cuts_off_the_fraction(total, sparsity):
    return total - int(sparsity * total)


@wrong("keep_count", "rounds what remains")
def rounds_what_remains(total, sparsity):
    return round((1 - sparsity) * total)


@wrong("keep_count", "cuts the fraction off what remains")
def cuts_off_what_remains(total, sparsity):
    return int(total - sparsity * total)


@wrong("keep_count", "Round with round")
def does_not_round(total, sparsity):
    return total * (1 - sparsity)


@wrong("cut_smallest", "Sort by absolute value")
def no_absolute_value(weights, keep):
    result = weights.copy()
    result.flat[np.argsort(weights, axis=None)[: weights.size - keep]] = 0
    return result


@wrong("cut_smallest", "the other way round")
def cuts_the_largest(weights, keep):
    result = weights.copy()
    result.flat[np.argsort(-np.abs(weights), axis=None)[: weights.size - keep]] = 0
    return result


@wrong("cut_smallest", "keeps or cuts all ties")
def threshold_takes_all_ties(weights, keep):
    threshold = np.sort(np.abs(weights), axis=None)[::-1][keep - 1] if keep else np.inf
    return np.where(np.abs(weights) >= threshold, weights, np.zeros((), weights.dtype))


@wrong("cut_smallest", "all but `keep`")
def cuts_keep_weights(weights, keep):
    result = weights.copy()
    result.flat[np.argsort(np.abs(weights), axis=None)[:keep]] = 0
    return result


@wrong("cut_smallest", "sorts each row by itself")
def sorts_within_rows(weights, keep):
    result = weights.copy()
    result[np.argsort(np.abs(weights))[:-keep]] = 0
    return result


@wrong("cut_smallest", "The signs were lost")
def returns_absolute_values(weights, keep):
    result = np.abs(weights)
    result.flat[np.argsort(result, axis=None)[: weights.size - keep]] = 0
    return result


@wrong("cut_smallest", "Flattened, and not folded back")
def returns_a_flat_array(weights, keep):
    result = weights.flatten()
    result[np.argsort(np.abs(result))[: weights.size - keep]] = 0
    return result


@wrong("cut_smallest", "changes it in place")
def cuts_in_place(weights, keep):
    weights.flat[np.argsort(np.abs(weights), axis=None)[: weights.size - keep]] = 0
    return weights


@wrong("smallest_good_enough", "That is the largest share")
def takes_the_largest(remaining, accuracy, dense_accuracy, max_drop):
    return max(s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop)


@wrong("smallest_good_enough", "further down may be good enough again")
def stops_at_the_first_failure(remaining, accuracy, dense_accuracy, max_drop):
    best = None
    for share, value in zip(remaining, accuracy):
        if value < dense_accuracy - max_drop:
            break
        best = share
    return best


@wrong("smallest_good_enough", "the border itself is good enough")
def excludes_the_border(remaining, accuracy, dense_accuracy, max_drop):
    if max_drop == 0:
        return min((s for s, a in zip(remaining, accuracy) if a >= dense_accuracy), default=None)
    return min((s for s, a in zip(remaining, accuracy) if a > dense_accuracy - max_drop), default=None)


@wrong("smallest_good_enough", "take the minimum")
def takes_the_last_in_the_list(remaining, accuracy, dense_accuracy, max_drop):
    good = [s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop]
    return good[-1] if good else None


@wrong("smallest_good_enough", "nothing to return but None")
def returns_one_where_nothing_is_good_enough(remaining, accuracy, dense_accuracy, max_drop):
    return min((s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop), default=1.0)


@wrong("smallest_good_enough", "raised ValueError")
def forgets_that_nothing_may_be_good_enough(remaining, accuracy, dense_accuracy, max_drop):
    return min(s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop)


@wrong("smallest_good_enough", "as a share of the dense accuracy")
def takes_the_drop_as_a_factor(remaining, accuracy, dense_accuracy, max_drop):
    return min((s for s, a in zip(remaining, accuracy) if a >= dense_accuracy * (1 - max_drop)), default=None)


@wrong("smallest_good_enough", "A gain is no drop")
def refuses_a_gain(remaining, accuracy, dense_accuracy, max_drop):
    return min((s for s, a in zip(remaining, accuracy) if abs(a - dense_accuracy) <= max_drop), default=None)


@wrong("smallest_good_enough", "sorts the caller's own list")
def sorts_the_given_list(remaining, accuracy, dense_accuracy, max_drop):
    remaining.sort()
    return min((s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop), default=None)


@wrong("smallest_good_enough", "sorts the list itself and returns None")
def returns_what_sort_returns(remaining, accuracy, dense_accuracy, max_drop):
    good = [s for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop]
    return good.sort()


@wrong("smallest_good_enough", "must not be forgotten")
def forgets_the_drop(remaining, accuracy, dense_accuracy, max_drop):
    return min((s for s, a in zip(remaining, accuracy) if a >= dense_accuracy), default=None)


@wrong("smallest_good_enough", "That is an accuracy")
def returns_the_accuracy(remaining, accuracy, dense_accuracy, max_drop):
    return min((a for s, a in zip(remaining, accuracy) if a >= dense_accuracy - max_drop), default=None)
