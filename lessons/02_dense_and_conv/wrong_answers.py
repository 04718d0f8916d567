"""Mistakes that people make in lesson 02; each must be caught, and told what it is."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minprune.course import wrong


def _windows(x, kernel):
    return sliding_window_view(x, kernel, axis=(2, 3))  # (N, C, Y, X, R, S)


@wrong("im2col", "The patches lie in the rows")
def patches_in_rows(x, kernel):
    n = len(x)
    windows = _windows(x, kernel).transpose(0, 2, 3, 1, 4, 5)
    return windows.reshape(n, windows.shape[1] * windows.shape[2], -1)


@wrong("im2col", "a reshape does not move axes")
def reshapes_without_transposing(x, kernel):
    windows = _windows(x, kernel)
    n, c, _, _, r, s = windows.shape
    return windows.reshape(n, c * r * s, -1)


@wrong("im2col", "It jumps by a whole patch")
def patches_do_not_overlap(x, kernel):
    n, c = x.shape[:2]
    windows = _windows(x, kernel)[:, :, :: kernel[0], :: kernel[1]]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kernel[0] * kernel[1], -1)


@wrong("im2col", "not H - R")
def misses_the_last_place(x, kernel):
    n, c = x.shape[:2]
    windows = _windows(x, kernel)[:, :, :-1, :-1]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kernel[0] * kernel[1], -1)


@wrong("im2col", "The channels come last")
def channels_last_in_a_column(x, kernel):
    n, c = x.shape[:2]
    return _windows(x, kernel).transpose(0, 4, 5, 1, 2, 3).reshape(n, c * kernel[0] * kernel[1], -1)


@wrong("im2col", "with x.dtype")
def makes_float64_columns(x, kernel):
    (r, s), (n, c, h, w) = kernel, x.shape
    result = np.empty((n, c, r, s, h - r + 1, w - s + 1))
    for i in range(r):
        for j in range(s):
            result[:, :, i, j] = x[:, :, i : i + h - r + 1, j : j + w - s + 1]
    return result.reshape(n, c * r * s, -1)


@wrong("conv2d_forward", "The bias is missing")
def forgets_the_bias(columns, weight, bias):
    return weight.reshape(len(weight), -1) @ columns


@wrong("conv2d_forward", "added along the places")
def adds_the_bias_along_the_places(columns, weight, bias):
    return weight.reshape(len(weight), -1) @ columns + bias


@wrong("conv2d_forward", "The filter is flipped")
def flips_the_filter(columns, weight, bias):
    return weight[:, :, ::-1, ::-1].reshape(len(weight), -1) @ columns + bias[:, None]


@wrong("conv2d_forward", "mixes weights of several filters")
def scrambles_the_filters(columns, weight, bias):
    return weight.reshape(-1, len(weight)).T @ columns + bias[:, None]


@wrong("conv2d_backward", "It averages over the images")
def averages_over_the_images(grad, columns, weight):
    dw = (grad @ columns.swapaxes(1, 2)).mean(axis=0).reshape(weight.shape)
    return dw, grad.sum(axis=(0, 2)), weight.reshape(len(weight), -1).T @ grad


@wrong("conv2d_backward", "gradients are not summed")
def keeps_the_images_apart(grad, columns, weight):
    return grad @ columns.swapaxes(1, 2), grad.sum(axis=(0, 2)), weight.reshape(len(weight), -1).T @ grad


@wrong("conv2d_backward", "It sums over the images only")
def bias_sums_over_images_only(grad, columns, weight):
    dw = (grad @ columns.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape)
    return dw, grad.sum(axis=0), weight.reshape(len(weight), -1).T @ grad


@wrong("conv2d_backward", "The flat weights are not transposed")
def forgets_to_transpose_the_weights(grad, columns, weight):
    dw = (grad @ columns.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape)
    return dw, grad.sum(axis=(0, 2)), weight.reshape(len(weight), -1) @ grad


@wrong("conv2d_backward", "reshape it to weight.shape")
def leaves_the_weights_flat(grad, columns, weight):
    dw = (grad @ columns.swapaxes(1, 2)).sum(axis=0)
    return dw, grad.sum(axis=(0, 2)), weight.reshape(len(weight), -1).T @ grad


def _put_back(pieces, shape, add):
    result = np.zeros(shape, pieces.dtype)
    _, _, r, s, y, x = pieces.shape
    for i in range(r):
        for j in range(s):
            place = result[:, :, i : i + y, j : j + x]
            place[...] = place * add + pieces[:, :, i, j]
    return result


def _sizes(shape, kernel):
    return *shape[:2], *kernel, shape[2] - kernel[0] + 1, shape[3] - kernel[1] + 1


@wrong("col2im", "overwrite each other")
def overlapping_patches_overwrite(columns, shape, kernel):
    return _put_back(columns.reshape(_sizes(shape, kernel)), shape, add=0)


@wrong("col2im", "not averaged")
def averages_the_patches(columns, shape, kernel):
    return _put_back(columns.reshape(_sizes(shape, kernel)), shape, add=1) / (kernel[0] * kernel[1])


@wrong("col2im", "put back transposed")
def swaps_rows_and_columns_of_a_patch(columns, shape, kernel):
    n, c, r, s, y, x = _sizes(shape, kernel)
    return _put_back(columns.reshape(n, c, s, r, y, x).swapaxes(2, 3), shape, add=1)


@wrong("col2im", "takes the channel as the last")
def takes_the_channel_last(columns, shape, kernel):
    n, c, r, s, y, x = _sizes(shape, kernel)
    return _put_back(np.moveaxis(columns.reshape(n, r, s, c, y, x), 3, 1), shape, add=1)


@wrong("cross_entropy", "It sums over the batch")
def sums_instead_of_the_mean(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).sum())


@wrong("cross_entropy", "exp(1000) is infinite")
def does_not_subtract_the_maximum(logits, labels):
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())


@wrong("cross_entropy", "Never take the log of a softmax")
def takes_the_log_of_the_softmax(logits, labels):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    return float(-np.log(p[np.arange(len(labels)), labels] + 1e-12).mean())


@wrong("cross_entropy", "each row needs its own maximum")
def subtracts_one_maximum_for_all(logits, labels):
    shifted = logits - logits.max()
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())


@wrong("cross_entropy", "takes all labels for each row")
def picks_whole_columns(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[:, labels].mean())


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@wrong("cross_entropy_gradient", "not divided by N")
def forgets_to_divide_by_the_batch(logits, labels):
    p = _softmax(logits)
    p[np.arange(len(labels)), labels] -= 1
    return p


@wrong("cross_entropy_gradient", "The sign is reversed")
def truth_minus_probabilities(logits, labels):
    return (np.eye(logits.shape[1])[labels] - _softmax(logits)) / len(labels)


@wrong("cross_entropy_gradient", "changes whole columns")
def subtracts_from_whole_columns(logits, labels):
    p = _softmax(logits)
    p[:, labels] -= 1
    return p / len(labels)


@wrong("cross_entropy_gradient", "exp overflows or vanishes")
def softmax_overflows(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


@wrong("cross_entropy_gradient", "All logits take part")
def only_the_label_gets_a_gradient(logits, labels):
    p = _softmax(logits)
    rows = np.arange(len(labels))
    result = np.zeros_like(p)
    result[rows, labels] = (p[rows, labels] - 1) / len(labels)
    return result
