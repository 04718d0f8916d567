"""Lesson 05, Fine-tuning: the reference solution. Generated from lesson.py by `make lessons`."""

import math

import numpy as np


def masked_step(weights, grad, mask, lr):
    """Return the weights after one step of gradient descent, w - lr · grad, with the mask held: entries whose mask is
    False are exactly zero afterwards, whatever they were before.

    Args:
        weights: array of floats, of any shape.
        grad: the gradient of the loss, of the same shape.
        mask: array of bools of the same shape, True where a weight stays.
        lr: the learning rate, a float.

    Returns:
        a new array of the same shape and dtype; the arguments stay as they are.
    """
    return np.where(mask, weights - lr * grad, 0)


def recovery_epochs(accuracies, dense_accuracy, tolerance):
    """Return after how many epochs the network was back for the first time: accuracy at least
    `dense_accuracy - tolerance`. If it never was, return infinity, `np.inf`.

    Args:
        accuracies: list of accuracies; the first is of the moment after the cut, before any epoch, the next after one epoch, …
        dense_accuracy: the accuracy before the cut.
        tolerance: how far below it is still good enough, such as 0.01.

    Returns:
        an int from 0 to len(accuracies) - 1, or np.inf.
    """
    for epoch, value in enumerate(accuracies):
        if value >= dense_accuracy - tolerance:
            return epoch
    return np.inf


def pick_learning_rate(rates, accuracies):
    """Return the learning rate with the highest mean accuracy over the seeds; of equally good ones the smallest. A run
    that diverged has the accuracy nan, and a rate with such a run is never chosen.

    Args:
        rates: list of learning rates, in any order.
        accuracies: array of validation accuracies, of shape (len(rates), seeds). At least one rate has no nan.

    Returns:
        one of the rates, a float.
    """
    means = np.mean(accuracies, axis=1)
    means = np.where(np.isnan(means), -np.inf, means)
    return min(rate for rate, mean in zip(rates, means) if mean == means.max())


def cosine_learning_rate(step, total, peak, warmup):
    """Return the learning rate of a step: first a linear warm-up, peak · (step + 1) / warmup, then half a cosine from
    `peak` towards 0 over the remaining total - warmup steps.

    Args:
        step: the number of the step, an int from 0 to total - 1.
        total: how many steps there are, warm-up included.
        peak: the largest learning rate, a float.
        warmup: how many steps warm up, an int from 0 to total - 1.

    Returns:
        the learning rate, a float.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (total - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def best_epoch(accuracies, patience):
    """Return the position of the best epoch that early stopping finds: go through the list from the front, and stop
    as soon as `patience` epochs in a row were not higher than the best so far.

    Args:
        accuracies: list of validation accuracies, one per epoch, at least one.
        patience: an int of at least 1.

    Returns:
        the position (from 0) of the highest accuracy up to there, of equal ones the earliest; an int.
    """
    best = 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best
