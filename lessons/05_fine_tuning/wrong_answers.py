"""Mistakes that people make in lesson 05; each must be caught, and told what it is."""

import math

import numpy as np

from minprune.course import wrong


@wrong("masked_step", "The mask was not used")
def steps_without_the_mask(weights, grad, mask, lr):
    return weights - lr * grad


@wrong("masked_step", "the step moved the cut weights away")
def masks_before_the_step_only(weights, grad, mask, lr):
    return weights * mask - lr * grad


@wrong("masked_step", "Only the gradient was masked")
def masks_only_the_gradient(weights, grad, mask, lr):
    return weights - lr * (grad * mask)


@wrong("masked_step", "the wrong way round")
def reads_true_as_cut(weights, grad, mask, lr):
    return np.where(mask, 0, weights - lr * grad)


@wrong("masked_step", "uphill")
def climbs_the_gradient(weights, grad, mask, lr):
    return (weights + lr * grad) * mask


@wrong("masked_step", "changes it in place")
def steps_in_place(weights, grad, mask, lr):
    weights -= lr * grad
    weights *= mask
    return weights


@wrong("masked_step", "float32 weights should stay float32")
def fills_an_array_of_float64(weights, grad, mask, lr):
    result = np.zeros(weights.shape)
    result[mask] = weights[mask] - lr * grad[mask]
    return result


@wrong("recovery_epochs", "That is one too many")
def counts_from_one(accuracies, dense_accuracy, tolerance):
    return next((i for i, a in enumerate(accuracies, start=1) if a >= dense_accuracy - tolerance), np.inf)


@wrong("recovery_epochs", "The border belongs to it")
def excludes_the_border_of_recovery(accuracies, dense_accuracy, tolerance):
    return next((i for i, a in enumerate(accuracies) if a > dense_accuracy - tolerance), np.inf)


@wrong("recovery_epochs", "That is the best epoch")
def returns_the_best_epoch(accuracies, dense_accuracy, tolerance):
    return int(np.argmax(accuracies)) if max(accuracies) >= dense_accuracy - tolerance else np.inf


@wrong("recovery_epochs", "do not take the absolute value")
def takes_better_for_too_far_away(accuracies, dense_accuracy, tolerance):
    return next((i for i, a in enumerate(accuracies) if abs(a - dense_accuracy) <= tolerance), np.inf)


@wrong("recovery_epochs", "It never recovers")
def calls_the_last_epoch_recovered(accuracies, dense_accuracy, tolerance):
    return next((i for i, a in enumerate(accuracies) if a >= dense_accuracy - tolerance), len(accuracies) - 1)


@wrong("pick_learning_rate", "its position in the list")
def returns_the_position(rates, accuracies):
    return int(np.argmax(np.mean(accuracies, axis=1)))


@wrong("pick_learning_rate", "One lucky seed decided")
def takes_the_best_single_run(rates, accuracies):
    return rates[int(np.argmax(np.max(accuracies, axis=1)))]


@wrong("pick_learning_rate", "the median does not see")
def takes_the_median(rates, accuracies):
    return rates[int(np.argmax(np.median(accuracies, axis=1)))]


@wrong("pick_learning_rate", "the smaller one is asked for")
def takes_the_first_of_equals(rates, accuracies):
    means = np.nan_to_num(np.mean(accuracies, axis=1), nan=-1)
    return rates[int(np.argmax(means))]


@wrong("pick_learning_rate", "must not win")
def lets_nan_win(rates, accuracies):
    order = np.argsort(rates)
    return rates[order[int(np.argmax(np.mean(accuracies, axis=1)[order]))]]


@wrong("cosine_learning_rate", "1 + cos(…) runs from 2 to 0")
def forgets_the_half(step, total, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@wrong("cosine_learning_rate", "The warm-up starts at 0")
def starts_the_warmup_at_zero(step, total, peak, warmup):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


@wrong("cosine_learning_rate", "begin anew at its top")
def does_not_count_from_the_end_of_the_warmup(step, total, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * step / total)) / 2


@wrong("cosine_learning_rate", "it has total - warmup steps")
def ends_the_cosine_too_late(step, total, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / total)) / 2


@wrong("cosine_learning_rate", "That is a quarter of a turn")
def uses_a_quarter_of_a_turn(step, total, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * math.cos(math.pi / 2 * (step - warmup) / (total - warmup))


@wrong("best_epoch", "It looks at the whole curve")
def looks_into_the_future(accuracies, patience):
    return int(np.argmax(accuracies))


@wrong("best_epoch", "It waits one epoch too long")
def waits_one_epoch_too_long(accuracies, patience):
    best = 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch - best > patience:
            break
    return best


@wrong("best_epoch", "That is where training stopped")
def returns_the_last_epoch(accuracies, patience):
    best = epoch = 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return epoch


@wrong("best_epoch", "a new best starts the count again")
def never_resets_the_count(accuracies, patience):
    best, bad = 0, 0
    for epoch, value in enumerate(accuracies[1:], start=1):
        if value > accuracies[best]:
            best = epoch
        else:
            bad += 1
            if bad >= patience:
                break
    return best


@wrong("best_epoch", "Equally good is not better")
def takes_the_later_of_equals(accuracies, patience):
    best = 0
    for epoch, value in enumerate(accuracies):
        if value >= accuracies[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best
