"""Lesson 05, Fine-tuning: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 05           # all exercises of this lesson
    minprune check 05 --hint    # the next hint
    minprune check 05 --reset   # start again; your file is kept beside
"""

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
    raise NotImplementedError("write masked_step here")


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
    raise NotImplementedError("write recovery_epochs here")


def pick_learning_rate(rates, accuracies):
    """Return the learning rate with the highest mean accuracy over the seeds; of equally good ones the smallest. A run
    that diverged has the accuracy nan, and a rate with such a run is never chosen.

    Args:
        rates: list of learning rates, in any order.
        accuracies: array of validation accuracies, of shape (len(rates), seeds). At least one rate has no nan.

    Returns:
        one of the rates, a float.
    """
    raise NotImplementedError("write pick_learning_rate here")


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
    raise NotImplementedError("write cosine_learning_rate here")


def best_epoch(accuracies, patience):
    """Return the position of the best epoch that early stopping finds: go through the list from the front, and stop
    as soon as `patience` epochs in a row were not higher than the best so far.

    Args:
        accuracies: list of validation accuracies, one per epoch, at least one.
        patience: an int of at least 1.

    Returns:
        the position (from 0) of the highest accuracy up to there, of equal ones the earliest; an int.
    """
    raise NotImplementedError("write best_epoch here")
