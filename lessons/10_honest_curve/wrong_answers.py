"""Mistakes that people make in lesson 10; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("mean_and_std", "ddof=1")
def divides_by_n(accuracies):
    return accuracies.mean(axis=0), accuracies.std(axis=0)


@wrong("mean_and_std", "along the densities")
def averages_along_the_wrong_axis(accuracies):
    return accuracies.mean(axis=1), accuracies.std(axis=1, ddof=1)


@wrong("mean_and_std", "standard error")
def gives_the_standard_error(accuracies):
    return accuracies.mean(axis=0), accuracies.std(axis=0, ddof=1) / np.sqrt(len(accuracies))


@wrong("mean_and_std", "variance")
def gives_the_variance(accuracies):
    return accuracies.mean(axis=0), accuracies.var(axis=0, ddof=1)


@wrong("mean_and_std", "two arrays")
def gives_the_mean_alone(accuracies):
    return accuracies.mean(axis=0)


@wrong("flip_share", "compare all pairs")
def compares_equal_seeds_only(first, second):
    d = (first - second) * np.sign(first.mean() - second.mean())
    return np.mean((d < 0) + 0.5 * (d == 0))


@wrong("flip_share", "look at the means")
def takes_the_first_for_better(first, second):
    d = np.subtract.outer(first, second)
    return np.mean((d < 0) + 0.5 * (d == 0))


@wrong("flip_share", "not counted at all")
def ignores_ties(first, second):
    return np.mean(np.subtract.outer(first, second) * np.sign(first.mean() - second.mean()) < 0)


@wrong("flip_share", "counted as a whole flip")
def counts_ties_whole(first, second):
    return np.mean(np.subtract.outer(first, second) * np.sign(first.mean() - second.mean()) <= 0)


@wrong("flip_share", "not their share")
def counts_the_flips(first, second):
    d = np.subtract.outer(first, second) * np.sign(first.mean() - second.mean())
    return np.sum((d < 0) + 0.5 * (d == 0))


def _words(mean, margin):
    return "cannot tell" if abs(mean) <= margin else "first" if mean > 0 else "second"


@wrong("verdict", "Compare within each seed")
def does_not_pair(first, second, t):
    error = np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return _words(first.mean() - second.mean(), t * error)


@wrong("verdict", "The mean alone decides nothing")
def looks_at_the_mean_alone(first, second, t):
    return _words(first.mean() - second.mean(), 0)


@wrong("verdict", "Use the t that is given")
def takes_two_standard_errors(first, second, t):
    d = first - second
    return _words(d.mean(), 2 * d.std(ddof=1) / np.sqrt(len(d)))


@wrong("verdict", "the sample std has ddof=1")
def divides_the_variance_by_n(first, second, t):
    d = first - second
    return _words(d.mean(), t * d.std() / np.sqrt(len(d)))


@wrong("verdict", "divide the std by √n")
def takes_the_std_for_the_error(first, second, t):
    d = first - second
    return _words(d.mean(), t * d.std(ddof=1))


@wrong("verdict", "compare with >")
def calls_equal_runs_better(first, second, t):
    d = first - second
    margin = t * d.std(ddof=1) / np.sqrt(len(d))
    return "first" if d.mean() >= margin else "second" if -d.mean() >= margin else "cannot tell"


@wrong("verdict", "turned around")
def takes_low_for_good(first, second, t):
    d = second - first
    return _words(d.mean(), t * d.std(ddof=1) / np.sqrt(len(d)))


@wrong("choose_on_validation", "the test images have chosen")
def lets_the_test_choose(val, test):
    return test.max(axis=0)


@wrong("choose_on_validation", "report the test accuracy there")
def reports_validation(val, test):
    return val.max(axis=0)


@wrong("choose_on_validation", "That is the last epoch")
def reports_the_last_epoch(val, test):
    return test[-1]


@wrong("choose_on_validation", "chooses for itself")
def chooses_one_epoch_for_all(val, test):
    return test[val.mean(axis=1).argmax()]


@wrong("choose_on_validation", "take the first")
def chooses_the_last_of_ties(val, test):
    return test[len(val) - 1 - val[::-1].argmax(axis=0), np.arange(val.shape[1])]


@wrong("budget_epochs", "the unfair comparison")
def gives_every_round_all(total, rounds):
    return [total] * rounds


@wrong("budget_epochs", "the remainder of the division is lost")
def loses_the_remainder(total, rounds):
    return [total // rounds] * rounds


@wrong("budget_epochs", "should be the last ones")
def puts_longer_rounds_first(total, rounds):
    base, extra = divmod(total, rounds)
    return [base + 1] * extra + [base] * (rounds - extra)


@wrong("budget_epochs", "spread it")
def gives_the_rest_to_one(total, rounds):
    base, extra = divmod(total, rounds)
    return [base] * (rounds - 1) + [base + extra]


@wrong("budget_epochs", "no parts of epochs")
def gives_fractions(total, rounds):
    return [total / rounds] * rounds


@wrong("my_criterion", "exactly as magnitude does")
def squares_the_weight(weight, gradient):
    return weight**2


@wrong("my_criterion", "exactly as taylor does")
def is_taylor(weight, gradient):
    return np.abs(weight * gradient)


@wrong("my_criterion", "Take absolute values")
def keeps_the_sign(weight, gradient):
    return weight * gradient


@wrong("my_criterion", "should have the shape")
def sums_it_all_up(weight, gradient):
    return np.abs(weight * gradient).sum(keepdims=True)


@wrong("my_criterion", "NaN or infinite")
def divides_by_the_gradient(weight, gradient):
    return np.abs(weight) / np.abs(gradient)


@wrong("my_criterion", "different values")
def is_constant(weight, gradient):
    return np.ones_like(weight)


@wrong("my_criterion", "Random numbers are the baseline")
def adds_noise(weight, gradient):
    return np.abs(weight) + np.random.default_rng().random(weight.shape, dtype=np.float32)


@wrong("my_criterion", "can go for free")
def forgets_the_weight(weight, gradient):
    return np.abs(gradient)
