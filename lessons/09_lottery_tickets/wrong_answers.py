"""Mistakes that people make in lesson 09; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("rewind", "the wrong way round")
def rewinds_what_was_cut(initial, masks):
    return {name: np.where(masks[name], 0, array) if name in masks else array.copy() for name, array in initial.items()}


@wrong("rewind", "lacks fc.bias")
def forgets_the_biases(initial, masks):
    return {name: initial[name] * mask for name, mask in masks.items()}


@wrong("rewind", "nothing is cut")
def rewinds_without_the_mask(initial, masks):
    return {name: array.copy() for name, array in initial.items()}


@wrong("rewind", "not a copy")
def hands_out_the_initial_arrays(initial, masks):
    return {name: array * masks[name] if name in masks else array for name, array in initial.items()}


@wrong("rewind", "it holds the same arrays")
def rewinds_in_place(initial, masks):
    result = initial.copy()
    for name, mask in masks.items():
        result[name] *= mask
    return result


@wrong("rewind", "should stay float32")
def becomes_float64(initial, masks):
    return {name: array * masks.get(name, np.ones(array.shape)).astype(float) for name, array in initial.items()}


@wrong("early_stop", "the test images have chosen")
def chooses_by_test_accuracy(steps, val_losses, test_accuracies):
    best = int(np.argmax(test_accuracies))
    return steps[best], test_accuracies[best]


@wrong("early_stop", "the end of the run")
def takes_the_last_step(steps, val_losses, test_accuracies):
    return steps[-1], test_accuracies[-1]


@wrong("early_stop", "not its maximum")
def takes_the_largest_loss(steps, val_losses, test_accuracies):
    best = int(np.argmax(val_losses))
    return steps[best], test_accuracies[best]


@wrong("early_stop", "not its position in the list")
def returns_the_position(steps, val_losses, test_accuracies):
    best = int(np.argmin(val_losses))
    return best, test_accuracies[best]


@wrong("early_stop", "take the first")
def takes_the_last_of_ties(steps, val_losses, test_accuracies):
    best = max(i for i, loss in enumerate(val_losses) if loss == min(val_losses))
    return steps[best], test_accuracies[best]


@wrong("early_stop", "whatever the test images say")
def lets_the_test_images_break_ties(steps, val_losses, test_accuracies):
    best = min(range(len(steps)), key=lambda i: (val_losses[i], -test_accuracies[i]))
    return steps[best], test_accuracies[best]


@wrong("early_stop", "the accuracy is the best of the run")
def takes_the_best_accuracy(steps, val_losses, test_accuracies):
    return steps[int(np.argmin(val_losses))], max(test_accuracies)


@wrong("early_stop", "the accuracy is that of the end")
def takes_the_last_accuracy(steps, val_losses, test_accuracies):
    return steps[int(np.argmin(val_losses))], test_accuracies[-1]


@wrong("early_stop", "stops at the first rise")
def stops_at_the_first_rise(steps, val_losses, test_accuracies):
    best = 0
    while best + 1 < len(steps) and val_losses[best + 1] < val_losses[best]:
        best += 1
    return steps[best], test_accuracies[best]


@wrong("early_stop", "two values")
def returns_the_step_alone(steps, val_losses, test_accuracies):
    return steps[int(np.argmin(val_losses))]


@wrong("shuffle_masks", "whole rows")
def shuffles_rows(masks, rng):
    return {name: rng.permutation(mask) for name, mask in masks.items()}


@wrong("shuffle_masks", "within each column")
def shuffles_within_columns(masks, rng):
    return {name: rng.permuted(mask, axis=0) for name, mask in masks.items()}


@wrong("shuffle_masks", "have six arrangements")
def shuffles_columns_then_rows(masks, rng):
    return {name: rng.permuted(rng.permuted(mask, axis=0), axis=-1) for name, mask in masks.items()}


@wrong("shuffle_masks", "Only the places may change")
def draws_with_the_same_chance(masks, rng):
    return {name: rng.random(mask.shape) < mask.mean() for name, mask in masks.items()}


@wrong("shuffle_masks", "wandered from layer to layer")
def shuffles_across_layers(masks, rng):
    flat = rng.permutation(np.concatenate([mask.ravel() for mask in masks.values()]))
    parts = np.split(flat, np.cumsum([mask.size for mask in masks.values()])[:-1])
    return {name: part.reshape(masks[name].shape) for name, part in zip(masks, parts)}


@wrong("shuffle_masks", "use what it returns")
def throws_the_shuffle_away(masks, rng):
    result = {}
    for name, mask in masks.items():
        rng.permutation(mask.ravel())
        result[name] = mask.copy()
    return result


@wrong("shuffle_masks", "a generator of your own")
def shuffles_with_its_own_generator(masks, rng):
    return {name: np.random.default_rng().permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}


@wrong("shuffle_masks", "a generator made inside")
def shuffles_always_alike(masks, rng):
    rng = np.random.default_rng(7)
    return {name: rng.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}


def _fresh(array, rng, scale):
    if array.ndim == 1:
        return np.zeros_like(array)
    return (rng.standard_normal(array.shape) * scale(array.shape)).astype(np.float32)


def _signed(fresh, array, keep_signs):
    return np.abs(fresh) * np.sign(array) if keep_signs else fresh


@wrong("reinitialise", "That is the variance")
def scales_with_the_variance(initial, rng, keep_signs):
    return {n: _signed(_fresh(a, rng, lambda s: 2 / np.prod(s[1:])), a, keep_signs) for n, a in initial.items()}


@wrong("reinitialise", "the number of outputs")
def takes_the_fan_out(initial, rng, keep_signs):
    return {n: _signed(_fresh(a, rng, lambda s: np.sqrt(2 / s[0])), a, keep_signs) for n, a in initial.items()}


@wrong("reinitialise", "counts its kernel")
def forgets_the_kernel(initial, rng, keep_signs):
    return {n: _signed(_fresh(a, rng, lambda s: np.sqrt(2 / s[1])), a, keep_signs) for n, a in initial.items()}


@wrong("reinitialise", "take np.abs(fresh) first")
def multiplies_the_signs(initial, rng, keep_signs):
    fresh = {n: _fresh(a, rng, lambda s: np.sqrt(2 / np.prod(s[1:]))) for n, a in initial.items()}
    return {n: fresh[n] * np.sign(a) if keep_signs else fresh[n] for n, a in initial.items()}


@wrong("reinitialise", "The switch keep_signs changes nothing")
def ignores_the_switch(initial, rng, keep_signs):
    return {n: _fresh(a, rng, lambda s: np.sqrt(2 / np.prod(s[1:]))) for n, a in initial.items()}


@wrong("reinitialise", "not rng.uniform")
def draws_uniformly(initial, rng, keep_signs):
    result = {}
    for name, array in initial.items():
        edge = np.sqrt(6 / np.prod(array.shape[1:]))
        fresh = rng.uniform(-edge, edge, array.shape) if array.ndim > 1 else np.zeros(array.shape)
        result[name] = _signed(fresh, array, keep_signs)
    return result


@wrong("reinitialise", "Draw for every array anew")
def draws_the_same_for_every_array(initial, rng, keep_signs):
    seed = int(rng.integers(2**31))
    return {
        n: _signed(_fresh(a, np.random.default_rng(seed), lambda s: np.sqrt(2 / np.prod(s[1:]))), a, keep_signs) for n, a in initial.items()
    }


@wrong("reinitialise", "Half of the weights are negative")
def draws_sizes_only(initial, rng, keep_signs):
    return {
        n: np.abs(_fresh(a, rng, lambda s: np.sqrt(2 / np.prod(s[1:])))) * (np.sign(a) if keep_signs else 1) for n, a in initial.items()
    }


@wrong("reinitialise", "scaled like the values of `initial`")
def shuffles_the_old_weights(initial, rng, keep_signs):
    return {
        n: _signed(rng.permutation(a.ravel()).reshape(a.shape), a, keep_signs) if a.ndim > 1 else np.zeros_like(a)
        for n, a in initial.items()
    }


@wrong("reinitialise", "only if keep_signs is True")
def always_keeps_the_signs(initial, rng, keep_signs):
    return {n: _signed(_fresh(a, rng, lambda s: np.sqrt(2 / np.prod(s[1:]))), a, True) for n, a in initial.items()}


@wrong("reinitialise", "should be zeros")
def draws_biases_too(initial, rng, keep_signs):
    return {n: _signed(rng.standard_normal(a.shape) * np.sqrt(2 / np.prod(a.shape[1:])), a, keep_signs) for n, a in initial.items()}


@wrong("reinitialise", "Draw from the `rng` that is given")
def draws_without_the_generator(initial, rng, keep_signs):
    own = np.random.default_rng(11)
    return {n: _signed(_fresh(a, own, lambda s: np.sqrt(2 / np.prod(s[1:]))), a, keep_signs) for n, a in initial.items()}


@wrong("masks_overlap", "Count what both *keep*")
def counts_agreement(first, second):
    size, kept = sum(m.size for m in first.values()), sum(m.sum() for m in first.values())
    lucky = sum(first[n].sum() * second[n].sum() / first[n].size for n in first)
    return sum((first[n] == second[n]).sum() for n in first) / size, lucky / kept


@wrong("masks_overlap", "divided by all places")
def divides_by_all_places(first, second):
    size = sum(m.size for m in first.values())
    lucky = sum(first[n].sum() * second[n].sum() / first[n].size for n in first)
    return sum((first[n] & second[n]).sum() for n in first) / size, lucky / size


@wrong("masks_overlap", "at least one of the two keeps")
def divides_by_the_union(first, second):
    union = sum((first[n] | second[n]).sum() for n in first)
    lucky = sum(first[n].sum() * second[n].sum() / first[n].size for n in first)
    return sum((first[n] & second[n]).sum() for n in first) / union, lucky / union


@wrong("masks_overlap", "what `second` keeps")
def divides_by_the_second(first, second):
    kept = sum(m.sum() for m in second.values())
    lucky = sum(first[n].sum() * second[n].sum() / first[n].size for n in first)
    return sum((first[n] & second[n]).sum() for n in first) / kept, lucky / kept


@wrong("masks_overlap", "No lots: add up")
def draws_lots(first, second):
    rng, kept = np.random.default_rng(0), sum(m.sum() for m in first.values())
    hits = [sum((first[n].ravel() & rng.permutation(second[n].ravel())).sum() for n in first) for _ in range(100)]
    return sum((first[n] & second[n]).sum() for n in first) / kept, np.mean(hits) / kept


@wrong("masks_overlap", "mean of the layers' shares")
def averages_the_layers(first, second):
    shares = [(first[n] & second[n]).sum() / first[n].sum() for n in first]
    return np.mean(shares), np.mean([second[n].mean() for n in first])


@wrong("masks_overlap", "Chance is taken over the whole network")
def takes_chance_over_the_whole(first, second):
    kept, size = sum(m.sum() for m in first.values()), sum(m.size for m in first.values())
    return sum((first[n] & second[n]).sum() for n in first) / kept, sum(m.sum() for m in second.values()) / size


@wrong("masks_overlap", "These are counts")
def returns_counts(first, second):
    lucky = sum(first[n].sum() * second[n].sum() / first[n].size for n in first)
    return sum((first[n] & second[n]).sum() for n in first), lucky
