"""Mistakes that people make in lesson 08; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("median_ratio", "It takes means")
def compares_means(first, second, warmup):
    return np.mean(first[warmup:]) / np.mean(second[warmup:])


@wrong("median_ratio", "It takes the smallest")
def compares_the_best(first, second, warmup):
    return min(first[warmup:]) / min(second[warmup:])


@wrong("median_ratio", "The warm-up still counts")
def counts_the_warm_up(first, second, warmup):
    return np.median(first) / np.median(second)


@wrong("median_ratio", "the wrong way round")
def divides_the_wrong_way(first, second, warmup):
    return np.median(second[warmup:]) / np.median(first[warmup:])


@wrong("median_ratio", "the median of the ratios")
def takes_the_median_of_ratios(first, second, warmup):
    return np.median(np.array(first[warmup:]) / np.array(second[warmup:]))


@wrong("median_ratio", "yours takes the upper one")
def takes_the_upper_middle(first, second, warmup):
    return sorted(first[warmup:])[len(first[warmup:]) // 2] / sorted(second[warmup:])[len(second[warmup:]) // 2]


@wrong("median_ratio", "Sorted before the cut")
def sorts_before_the_cut(first, second, warmup):
    return np.median(sorted(first)[warmup:]) / np.median(sorted(second)[warmup:])


@wrong("median_ratio", "sorts the caller's own list")
def sorts_the_given_lists(first, second, warmup):
    first.sort()
    second.sort()
    return np.median(first[warmup:]) / np.median(second[warmup:])


@wrong("median_ratio", "it is at their beginning")
def cuts_off_the_end(first, second, warmup):
    return np.median(first[: len(first) - warmup]) / np.median(second[: len(second) - warmup])


@wrong("sparse_product", "yours writes over it")
def keeps_the_last_weight_of_a_row(values, columns, pointers, x):
    result = np.zeros((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] = values[j] * x[columns[j]]
    return result


@wrong("sparse_product", "np.empty holds whatever the memory held")
def begins_with_empty_memory(values, columns, pointers, x):
    result = np.empty((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] += values[j] * x[columns[j]]
    return result


@wrong("sparse_product", "weight j with row j of x")
def ignores_the_columns(values, columns, pointers, x):
    result = np.zeros((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] += values[j] * x[j]
    return result


@wrong("sparse_product", "from the beginning of each row")
def counts_columns_within_the_row(values, columns, pointers, x):
    result = np.zeros((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] += values[j] * x[j - pointers[row]]
    return result


@wrong("sparse_product", "It is transposed")
def puts_the_batch_first(values, columns, pointers, x):
    result = np.zeros((x.shape[1], len(pointers) - 1), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[:, row] += values[j] * x[columns[j]]
    return result


@wrong("sparse_product", "An empty row took the first weight")
def sums_with_reduceat(values, columns, pointers, x):
    return np.add.reduceat(values[:, None] * x[columns], pointers[:-1], axis=0)


@wrong("sparse_product", "multiplies all the zeros again")
def fills_a_dense_matrix(values, columns, pointers, x):
    dense = np.zeros((len(pointers) - 1, len(x)), x.dtype)
    for row in range(len(pointers) - 1):
        dense[row, columns[pointers[row] : pointers[row + 1]]] = values[pointers[row] : pointers[row + 1]]
    return dense @ x


@wrong("sparse_product", "np.zeros makes float64")
def returns_float64(values, columns, pointers, x):
    result = np.zeros((len(pointers) - 1, x.shape[1]))
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] += values[j] * x[columns[j]]
    return result


@wrong("sparse_product", "where the last row ends")
def makes_a_row_for_every_pointer(values, columns, pointers, x):
    result = np.zeros((len(pointers), x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            result[row] += values[j] * x[columns[j]]
    return result


def _interpolate(sparsities, gains, i):
    return sparsities[i] + (sparsities[i + 1] - sparsities[i]) * -gains[i] / (gains[i + 1] - gains[i])


def _gains(dense, sparse):
    return [d - s for d, s in zip(dense, sparse, strict=True)]


@wrong("break_even", "One lucky point must not count")
def takes_the_first_crossing(sparsities, dense_seconds, sparse_seconds):
    gains = _gains(dense_seconds, sparse_seconds)
    for i in range(len(gains) - 1):
        if gains[i] < 0 <= gains[i + 1]:
            return _interpolate(sparsities, gains, i)
    return sparsities[0] if gains[0] >= 0 else None


@wrong("break_even", "the first at which sparse has won")
def returns_a_measured_sparsity(sparsities, dense_seconds, sparse_seconds):
    for sparsity, dense, sparse in zip(sparsities, dense_seconds, sparse_seconds, strict=True):
        if sparse <= dense:
            return sparsity
    return None


@wrong("break_even", "interpolates the ratio")
def interpolates_the_ratio(sparsities, dense_seconds, sparse_seconds):
    ratios = [d / s - 1 for d, s in zip(dense_seconds, sparse_seconds, strict=True)]
    slower = [i for i, ratio in enumerate(ratios) if ratio < 0]
    if not slower:
        return sparsities[0]
    return None if slower[-1] == len(ratios) - 1 else _interpolate(sparsities, ratios, slower[-1])


@wrong("break_even", "do not guess a crossing there")
def always_finds_one(sparsities, dense_seconds, sparse_seconds):
    gains = _gains(dense_seconds, sparse_seconds)
    slower = [i for i, gain in enumerate(gains) if gain < 0]
    if not slower:
        return sparsities[0]
    return 1.0 if slower[-1] == len(gains) - 1 else _interpolate(sparsities, gains, slower[-1])


@wrong("break_even", "Are dense and sparse swapped")
def swaps_dense_and_sparse(sparsities, dense_seconds, sparse_seconds):
    gains = _gains(sparse_seconds, dense_seconds)
    slower = [i for i, gain in enumerate(gains) if gain < 0]
    if not slower:
        return sparsities[0]
    return None if slower[-1] == len(gains) - 1 else _interpolate(sparsities, gains, slower[-1])


@wrong("break_even", "a tie at the end counts as won")
def does_not_count_a_tie(sparsities, dense_seconds, sparse_seconds):
    gains = _gains(dense_seconds, sparse_seconds)
    slower = [i for i, gain in enumerate(gains) if gain <= 0]
    if not slower:
        return sparsities[0]
    return None if slower[-1] == len(gains) - 1 else _interpolate(sparsities, gains, slower[-1])


@wrong("layer_work", "MACs are also counted for every image")
def forgets_the_batch_in_macs(outputs, inputs, batch, kept=None):
    nbytes = 4 * batch * (inputs + outputs)
    if kept is None:
        return outputs * inputs, 4 * outputs * inputs + nbytes
    return kept, 8 * kept + 4 * (outputs + 1) + nbytes


@wrong("layer_work", "The inputs and outputs of every image")
def moves_one_image_only(outputs, inputs, batch, kept=None):
    if kept is None:
        return outputs * inputs * batch, 4 * (outputs * inputs + inputs + outputs)
    return kept * batch, 8 * kept + 4 * (outputs + 1) + 4 * (inputs + outputs)


@wrong("layer_work", "The weights are fetched once")
def fetches_weights_for_each_image(outputs, inputs, batch, kept=None):
    nbytes = 4 * batch * (inputs + outputs)
    if kept is None:
        return outputs * inputs * batch, 4 * outputs * inputs * batch + nbytes
    return kept * batch, (8 * kept + 4 * (outputs + 1)) * batch + nbytes


@wrong("layer_work", "A kept weight takes 8 bytes")
def forgets_the_columns(outputs, inputs, batch, kept=None):
    nbytes = 4 * batch * (inputs + outputs)
    if kept is None:
        return outputs * inputs * batch, 4 * outputs * inputs + nbytes
    return kept * batch, 4 * kept + 4 * (outputs + 1) + nbytes


@wrong("layer_work", "kept=0 was taken for None")
def takes_nothing_kept_for_dense(outputs, inputs, batch, kept=None):
    nbytes = 4 * batch * (inputs + outputs)
    if not kept:
        return outputs * inputs * batch, 4 * outputs * inputs + nbytes
    return kept * batch, 8 * kept + 4 * (outputs + 1) + nbytes


@wrong("roofline_seconds", "one after the other")
def adds_both_times(macs, bytes_moved, peak_macs, bandwidth):
    return macs / peak_macs + bytes_moved / bandwidth


@wrong("roofline_seconds", "the shorter of the two")
def takes_the_shorter_time(macs, bytes_moved, peak_macs, bandwidth):
    return min(macs / peak_macs, bytes_moved / bandwidth)


@wrong("roofline_seconds", "The rates are swapped")
def swaps_the_rates(macs, bytes_moved, peak_macs, bandwidth):
    return max(macs / bandwidth, bytes_moved / peak_macs)


@wrong("roofline_seconds", "It looks at moving bytes only")
def looks_at_bytes_only(macs, bytes_moved, peak_macs, bandwidth):
    return bytes_moved / bandwidth


@wrong("roofline_seconds", "That is a rate")
def returns_the_roof_as_a_rate(macs, bytes_moved, peak_macs, bandwidth):
    return min(peak_macs, bandwidth * macs / bytes_moved)


@wrong("quantize", "astype cuts the fraction off")
def does_not_round_first(weights, bits):
    largest = np.abs(weights).max()
    scale = largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0
    return (weights / scale).astype(np.int8), scale


@wrong("quantize", "L is too large by one")
def takes_a_power_of_two_as_the_largest(weights, bits):
    largest = np.abs(weights).max()
    scale = largest / 2 ** (bits - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), scale


@wrong("quantize", "In Python ^ is no power")
def writes_a_caret_for_a_power(weights, bits):
    largest = np.abs(weights).max()
    scale = largest / (2 ^ (bits - 1) - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), scale


@wrong("quantize", "it compares bits")
def writes_a_caret_and_then_subtracts(weights, bits):
    largest = np.abs(weights).max()
    scale = largest / ((2 ^ (bits - 1)) - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), scale


@wrong("quantize", "One bit holds the sign")
def forgets_the_sign_bit(weights, bits):
    largest = np.abs(weights).max()
    scale = largest / (2**bits - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), scale


@wrong("quantize", "take the largest *absolute* value")
def scales_by_the_largest_positive(weights, bits):
    largest = weights.max()
    scale = largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), scale


@wrong("quantize", "zero is not zero any more")
def counts_from_the_smallest(weights, bits):
    scale = (weights.max() - weights.min()) / (2**bits - 1) or 1.0
    return np.round((weights - weights.min()) / scale).astype(np.int8), scale


@wrong("quantize", "do not divide by it")
def divides_by_zero(weights, bits):
    scale = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    return np.nan_to_num(np.round(weights / scale)).astype(np.int8), scale


@wrong("quantize", "one scale for all")
def takes_a_scale_per_row(weights, bits):
    scale = np.abs(weights).max(axis=-1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.round(weights / np.where(scale > 0, scale, 1)).astype(np.int8), scale


@wrong("quantize", "and not q * scale")
def returns_the_rounded_weights(weights, bits):
    scale = np.abs(weights).max() / (2 ** (bits - 1) - 1) or 1.0
    return np.round(weights / scale) * scale, scale
