"""Mistakes that people make in lesson 03; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("magnitude_scores", "take the absolute value")
def keeps_the_sign(weights):
    return {name: w.copy() for name, w in weights.items() if w.ndim > 1}


@wrong("magnitude_scores", "Biases are not pruned")
def scores_the_biases(weights):
    return {name: np.abs(w) for name, w in weights.items()}


@wrong("magnitude_scores", "Go by w.ndim")
def goes_by_the_name(weights):
    return {name: np.abs(w) for name, w in weights.items() if name.endswith("weight")}


@wrong("magnitude_scores", "Those are the squares")
def squares_the_weights(weights):
    return {name: w**2 for name, w in weights.items() if w.ndim > 1}


@wrong("magnitude_scores", "four axes")
def forgets_convolutions(weights):
    return {name: np.abs(w) for name, w in weights.items() if w.ndim == 2}


@wrong("taylor_scores", "The mean was taken before the absolute value")
def averages_before_the_absolute_value(weights, gradients):
    return {name: np.abs(w * np.mean([g[name] for g in gradients], axis=0)) for name, w in weights.items()}


@wrong("taylor_scores", "no absolute value")
def forgets_the_absolute_value(weights, gradients):
    return {name: np.mean([w * g[name] for g in gradients], axis=0) for name, w in weights.items()}


@wrong("taylor_scores", "asked for is the mean")
def sums_over_batches(weights, gradients):
    return {name: sum(np.abs(w * g[name]) for g in gradients) for name, w in weights.items()}


@wrong("taylor_scores", "size of the gradient alone")
def forgets_the_weight(weights, gradients):
    return {name: np.mean([np.abs(g[name]) for g in gradients], axis=0) for name in weights}


@wrong("taylor_scores", "Only the last batch")
def overwrites_with_each_batch(weights, gradients):
    scores = {}
    for batch in gradients:
        for name, w in weights.items():
            scores[name] = np.abs(w * batch[name])
    return scores


def _lowest(s, k):
    mask = np.ones(s.shape, bool)
    mask.flat[np.argsort(s, axis=None, kind="stable")[:k]] = False
    return mask


def _split(flat, scores):
    ends = np.cumsum([s.size for s in scores.values()])[:-1]
    return {name: part.reshape(s.shape) for (name, s), part in zip(scores.items(), np.split(flat, ends))}


@wrong("layer_masks", "True should mean")
def marks_what_goes_in_each_layer(scores, sparsity):
    return {name: ~_lowest(s, round(sparsity * s.size)) for name, s in scores.items()}


@wrong("layer_masks", "sparsity` is the share that goes")
def keeps_the_share(scores, sparsity):
    return {name: _lowest(s, round((1 - sparsity) * s.size)) for name, s in scores.items()}


@wrong("layer_masks", "All layers were ranked together")
def ranks_all_layers_together(scores, sparsity):
    flat = np.concatenate([s.ravel() for s in scores.values()])
    return _split(_lowest(flat, round(sparsity * flat.size)), scores)


@wrong("layer_masks", "takes all equal scores or none")
def threshold_per_layer(scores, sparsity):
    masks = {}
    for name, s in scores.items():
        k = round(sparsity * s.size)
        masks[name] = s > np.sort(s, axis=None)[k - 1] if k else np.ones(s.shape, bool)
    return masks


@wrong("layer_masks", "int() rounds down")
def rounds_down(scores, sparsity):
    return {name: _lowest(s, int(sparsity * s.size)) for name, s in scores.items()}


@wrong("layer_masks", "The highest scores went")
def removes_the_highest(scores, sparsity):
    return {name: _lowest(-s, round(sparsity * s.size)) for name, s in scores.items()}


@wrong("global_masks", "Each layer lost its own share")
def ranks_each_layer_alone(scores, sparsity):
    return {name: _lowest(s, round(sparsity * s.size)) for name, s in scores.items()}


@wrong("global_masks", "another order than they were joined in")
def hands_pieces_back_in_another_order(scores, sparsity):
    flat = np.concatenate([scores[name].ravel() for name in sorted(scores)])
    return _split(_lowest(flat, round(sparsity * flat.size)), scores)


@wrong("global_masks", "takes all equal scores or none")
def threshold_for_all(scores, sparsity):
    flat = np.sort(np.concatenate([s.ravel() for s in scores.values()]))
    k = round(sparsity * flat.size)
    return {name: s > (flat[k - 1] if k else -np.inf) for name, s in scores.items()}


@wrong("global_masks", "not relative to their layer")
def divides_by_the_layers_mean(scores, sparsity):
    flat = np.concatenate([(s / s.mean()).ravel() for s in scores.values()])
    return _split(_lowest(flat, round(sparsity * flat.size)), scores)


@wrong("global_masks", "True should mean")
def marks_what_goes(scores, sparsity):
    flat = np.concatenate([s.ravel() for s in scores.values()])
    return _split(~_lowest(flat, round(sparsity * flat.size)), scores)


@wrong("sensitivity_scan", "All layers were cut together")
def cuts_all_layers(scores, sparsities, cut, evaluate):
    return {name: [evaluate(cut(scores, s)) for s in sparsities] for name in scores}


@wrong("sensitivity_scan", "starts from the whole network")
def leaves_earlier_layers_cut(scores, sparsities, cut, evaluate):
    masks, found = {}, {}
    for name, s in scores.items():
        found[name] = []
        for sparsity in sparsities:
            masks |= cut({name: s}, sparsity)
            found[name].append(evaluate(masks))
    return found


@wrong("sensitivity_scan", "The list runs the other way")
def cuts_what_should_stay(scores, sparsities, cut, evaluate):
    return {name: [evaluate(cut({name: s}, 1 - sparsity)) for sparsity in sparsities] for name, s in scores.items()}


@wrong("sensitivity_scan", "append to it")
def keeps_only_the_last_accuracy(scores, sparsities, cut, evaluate):
    found = {}
    for name, s in scores.items():
        for sparsity in sparsities:
            found[name] = evaluate(cut({name: s}, sparsity))
    return found


@wrong("sensitivity_scan", "let `cut` make them")
def evaluates_scores(scores, sparsities, cut, evaluate):
    return {name: [evaluate({name: s}) for sparsity in sparsities] for name, s in scores.items()}
