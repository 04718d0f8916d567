"""Lesson 10, An honest pruning curve: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def flip_share(first, second):
    """Return the share of all pairs (one run of `first`, one run of `second`) that rank the two methods the other way
    round than their means do. A pair of equal accuracies counts as half a flip.

    Args:
        first: accuracies of one method, an array of shape (seeds,).
        second: accuracies of another, of shape (seeds of the other,). The two means differ.

    Returns:
        a float from 0 to 1.
    """
    d = np.subtract.outer(first, second) * np.sign(first.mean() - second.mean())
    return np.mean((d < 0) + 0.5 * (d == 0))


def mean_and_std(accuracies):
    """Return (mean, std) over the seeds: the mean and the sample standard deviation (divided by n - 1) at each density.

    Args:
        accuracies: array of shape (seeds, densities), two seeds at least.

    Returns:
        a tuple of two arrays of shape (densities,).
    """
    return accuracies.mean(axis=0), accuracies.std(axis=0, ddof=1)


def verdict(first, second, t):
    """Return "first" if the first method is better, "second" if the second is, and "cannot tell" if the mean of the
    paired differences is not larger, in absolute value, than t standard errors.

    Args:
        first: accuracies of one method, an array of shape (seeds,), two seeds at least.
        second: accuracies of the other in the same seeds, in the same order.
        t: how many standard errors the mean difference must exceed, a float.

    Returns:
        one of the three strings.
    """
    d = first - second
    if abs(d.mean()) <= t * d.std(ddof=1) / np.sqrt(len(d)):
        return "cannot tell"
    return "first" if d.mean() > 0 else "second"


def choose_on_validation(val, test):
    """Return for every seed the test accuracy at the epoch whose validation accuracy is highest; of equally good epochs
    the first counts.

    Args:
        val: validation accuracies, an array of shape (epochs, seeds).
        test: test accuracies, of the same shape.

    Returns:
        array of shape (seeds,).
    """
    return test[val.argmax(axis=0), np.arange(val.shape[1])]


def budget_epochs(total, rounds):
    """Return how many epochs follow each of `rounds` cuts, so that they add up to exactly `total`. All rounds get equally many;
    what does not divide evenly goes to the last rounds, one epoch each.

    Args:
        total: epochs altogether, an int.
        rounds: how many cuts, an int of at least 1.

    Returns:
        a list of `rounds` ints.
    """
    base, extra = divmod(total, rounds)
    return [base] * (rounds - extra) + [base + 1] * extra


def my_criterion(weight, gradient):
    """Return a score of your own for every weight: finite, at least 0, the same for the same input, and lowest for a weight that is
    zero. It must not rank the weights as |w| (magnitude) or |w · g| (Taylor) do, since these are in the race already.

    Args:
        weight: the weights of one layer, an array of floats of any shape; those already cut are zero.
        gradient: the mean gradient of the loss with respect to them, of the same shape; it may be zero everywhere.

    Returns:
        array of floats of the same shape, higher means keep.
    """
    pull = np.abs(gradient)
    return np.abs(weight) * (1 + pull / (pull.mean() + 1e-12))
