"""Lesson 03, What matters? Scores: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 03           # all exercises of this lesson
    minprune check 03 --hint    # the next hint
    minprune check 03 --reset   # start again; your file is kept beside
"""

import numpy as np


def magnitude_scores(weights):
    """Return {name: |w|} for every array of `weights` with two axes or more; arrays with one axis (biases, BatchNorm) get no score.

    Args:
        weights: {parameter name: array}, such as {"conv.weight": (O, C, R, S), "conv.bias": (O,), "fc.weight": (O, C)}.

    Returns:
        a new dictionary {name: array of the weight's shape}.
    """
    raise NotImplementedError("write magnitude_scores here")


def taylor_scores(weights, gradients):
    """Return the first-order Taylor score of every weight: the mean over the batches of |w * g|, for every name in `weights`.

    Args:
        weights: {name: array}, the weights to score.
        gradients: a list with one dictionary per batch, {name: gradient of the loss, of the weight's shape}; they may hold more
            names than `weights` (biases), which get no score.

    Returns:
        {name: array of the weight's shape}.
    """
    raise NotImplementedError("write taylor_scores here")


def layer_masks(scores, sparsity):
    """Return a mask per layer, True where a weight stays: of each layer exactly round(sparsity * size) weights go, the lowest scores.

    Args:
        scores: {name: array}, higher means keep.
        sparsity: the share to remove from each layer, from 0 to 1.

    Returns:
        {name: bool array of the shape of the scores}. Which of several equal scores go does not matter here, only how many.
    """
    raise NotImplementedError("write layer_masks here")


def global_masks(scores, sparsity):
    """Return a mask per layer, True where a weight stays: of all layers together exactly round(sparsity * total size) go, the lowest.

    Args:
        scores: {name: array}, higher means keep. The shapes differ.
        sparsity: the share to remove from the whole network, from 0 to 1.

    Returns:
        {name: bool array of the shape of the scores}. Which of several equal scores go does not matter here, only how many.
    """
    raise NotImplementedError("write global_masks here")


def sensitivity_scan(scores, sparsities, cut, evaluate):
    """Return for each layer the accuracies when that layer alone is cut to each of the sparsities and all other layers stay whole.

    Args:
        scores: {name: array}, higher means keep.
        sparsities: a list of shares to remove, such as [0.5, 0.9].
        cut: a function such as `layer_masks`: cut({name: array}, sparsity) gives {name: mask} for the layers that it is given.
        evaluate: a function: evaluate({name: mask}) gives the accuracy; layers that have no mask in it stay whole.

    Returns:
        {name: list of accuracies, one for each of `sparsities`, in their order}.
    """
    raise NotImplementedError("write sensitivity_scan here")
