"""Lesson 09, Lottery tickets: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def rewind(initial, masks):
    """Return the state in which a ticket starts: for every name in `initial` a new array with the initial values,
    and with zeros where the mask of that name is False. Arrays without a mask (biases) return to their initial values whole.

    Args:
        initial: {name: array}, the weights and biases before training.
        masks: {name: array of bools of the same shape}, True where a weight stays; not every name has one.

    Returns:
        {name: array of the same shape and dtype}, with all names of `initial`; no array is shared with `initial`.
    """
    return {name: np.where(masks[name], array, np.zeros_like(array)) if name in masks else array.copy() for name, array in initial.items()}


def early_stop(steps, val_losses, test_accuracies):
    """Return (step, accuracy): the step at which the validation loss is lowest, and the test accuracy at that step.
    Of several equally low losses the first counts.

    Args:
        steps: list of the training steps at which was measured, ascending.
        val_losses: list of the validation losses at these steps.
        test_accuracies: list of the test accuracies at these steps.

    Returns:
        a tuple (step, accuracy).
    """
    best = int(np.argmin(val_losses))
    return steps[best], test_accuracies[best]


def shuffle_masks(masks, rng):
    """Return masks that keep just as many weights in each layer, but in random places: every arrangement of a layer's
    entries is equally likely.

    Args:
        masks: {name: array of bools of any shape}.
        rng: a numpy.random.Generator, the only source of randomness.

    Returns:
        {name: array of bools of the same shape}, new arrays.
    """
    return {name: rng.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}


def reinitialise(initial, rng, keep_signs):
    """Return a new draw of initial weights: arrays of two axes or more are normal with mean 0 and standard deviation
    sqrt(2 / fan-in), arrays of one axis (biases) are zeros. With `keep_signs` each weight gets the sign that it has in `initial`.

    Args:
        initial: {name: array}; the fan-in of an array is the product of all its axes but the first.
        rng: a numpy.random.Generator, the only source of randomness.
        keep_signs: True or False.

    Returns:
        {name: array of floats of the same shape}, with all names of `initial`.
    """
    result = {}
    for name, array in initial.items():
        if array.ndim == 1:
            result[name] = np.zeros_like(array)
            continue
        fresh = rng.standard_normal(array.shape, dtype=np.float32) * np.sqrt(2 / np.prod(array.shape[1:]))
        result[name] = np.abs(fresh) * np.sign(array) if keep_signs else fresh
    return result


def masks_overlap(first, second):
    """Return (overlap, chance): the share of the weights kept by `first` that `second` keeps as well, over all layers
    together; and the share to be expected if the masks of `second` were shuffled within each layer.

    Args:
        first: {name: array of bools}, True where a weight stays; at least one stays.
        second: {name: array of bools}, the same names and shapes.

    Returns:
        a tuple of two floats.
    """
    kept = sum(mask.sum() for mask in first.values())
    both = sum((mask & second[name]).sum() for name, mask in first.items())
    lucky = sum(mask.sum() * second[name].sum() / mask.size for name, mask in first.items())
    return both / kept, lucky / kept
