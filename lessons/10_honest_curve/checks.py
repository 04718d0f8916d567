"""Checks of lesson 10."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.prune import score


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "All pairs: np.subtract.outer(first, second) has the difference of every run of the first to every run of the second.",
        "Which sign should a difference have? That of first.mean() - second.mean(). The other sign is a flip; a zero is half of one.",
        "d = np.subtract.outer(first, second) * np.sign(first.mean() - second.mean()); then the mean of (d < 0) + 0.5 * (d == 0).",
    ),
)
def flip_share(answer, reference):
    """How often two single runs say the opposite of the means."""

    def ask(first, second, by_hand, mistakes):
        first, second = np.array(first), np.array(second)
        got = answer(first, second)
        what = f"first {first.tolist()}, second {second.tolist()}: the share of flips"
        expect(np.ndim(got) == 0, f"{what} should be one number; yours is {got!r}.")
        expect_close(float(got), by_hand, what, mistakes=mistakes)
        expect_close(float(got), float(reference(first, second)), what)

    same = "Only runs of the same position are compared; but two colleagues may pick any seeds: compare all pairs."
    counts = "That is how many pairs flip, not their share: divide by the number of pairs."
    ask([0.5, 0.8, 0.9], [0.4, 0.6, 0.7], 2 / 9, {same: 0.0, counts: 2, "Those are the pairs that agree with the means.": 7 / 9})
    other = "It takes the first method to be the better one; look at the means. Here the second is."
    ask([0.4, 0.6, 0.7], [0.5, 0.8, 0.9], 2 / 9, {other: 7 / 9, same: 0.0, counts: 2})
    ties = {
        "A tie is not counted at all; it should count as half a flip.": 0.0,
        "A tie is counted as a whole flip; it should count half.": 0.25,
    }
    ask([0.75, 0.875], [0.75, 0.5], 0.125, ties)
    ask([0.5, 0.9], [0.1, 0.2, 0.3, 0.6], 1 / 8, {})
    ask([0.9, 0.8], [0.1, 0.2], 0.0, {})


@exercise(
    minutes=6,
    difficulty=1,
    hints=(
        "Each row is a seed; the mean goes over the seeds, so it leaves one value for each column: axis=0.",
        "accuracies.mean(axis=0) and accuracies.std(axis=0, ddof=1). NumPy's std divides by n unless told otherwise.",
    ),
)
def mean_and_std(answer, reference):
    """The middle and the band."""
    small = np.array([[0.9, 0.5], [0.8, 0.7], [0.7, 0.9]])
    rng = np.random.default_rng(0)
    for accuracies, by_hand in (
        (small, ([0.8, 0.7], [0.1, 0.2])),
        (rng.random((5, 7)), None),
        (rng.random((4, 1)), None),
    ):
        got = answer(accuracies)
        what = f"accuracies {accuracies.tolist()}" if accuracies.size < 8 else f"accuracies of shape {accuracies.shape}"
        expect(
            isinstance(got, (tuple, list)) and len(got) == 2,
            f"for {what} the answer should be two arrays, (mean, std); yours is of type {type(got).__name__}.",
            "Write return mean, std.",
        )
        mean, std = reference(accuracies)
        n, across = len(accuracies), "That is taken along the densities; the seeds are the rows, so use axis=0."
        expect_close(
            got[0],
            mean,
            f"the mean for {what}",
            mistakes={across: accuracies.mean(axis=1), "That is the median.": np.median(accuracies, 0)},
        )
        mistakes = {
            across: accuracies.std(axis=1, ddof=1),
            f"It divides by n = {n}; the sample standard deviation divides by n - 1: ddof=1.": accuracies.std(axis=0),
            "That is the variance; take its square root.": accuracies.var(axis=0, ddof=1),
            "That is the standard error of the mean, std / √n. The band shows how far single seeds scatter: the std.": std / np.sqrt(n),
            "That is half of the range from the lowest to the highest.": np.ptp(accuracies, axis=0) / 2,
        }
        expect_close(got[1], std, f"the std for {what}", mistakes=mistakes)
        if by_hand:
            expect_close(np.asarray(got), by_hand, f"(mean, std) for {what}")


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Run i of the first and run i of the second share their seed: take the differences d = first - second, and forget the rest.",
        "The standard error of their mean is d.std(ddof=1) / √n. The margin is t times that.",
        "If abs(d.mean()) > margin, the sign of the mean says which is better; otherwise nobody can tell.",
    ),
)
def verdict(answer, reference):
    """Better, worse, or cannot tell."""

    def ask(d, t, right, cause):
        base = np.array([0.62, 0.75, 0.90, 0.68, 0.81])[: len(d)]
        first, second = base + np.array(d), base
        for one, two, expected in ((first, second, right), (second, first, {"first": "second", "second": "first"}.get(right, right))):
            got = answer(one, two, t)
            what = f"first {one.round(3).tolist()}, second {two.tolist()}, t = {t}: the verdict"
            expect_type(got, str, "the verdict")
            known = ("first", "second", "cannot tell")
            expect(got in known, f'{what} should be "first", "second" or "cannot tell"; yours is {got!r}.', "Copy the words from the task.")
            turned = {"first": "second", "second": "first"}.get(expected)
            mistakes = {"It is turned around: higher accuracy is better.": turned} if turned else {}
            expect_equal(got, expected, what, mistakes=mistakes, cause=cause)

    paired = "The seeds scatter far more than the differences do. Compare within each seed: take the std of first - second."
    ask([0.010, 0.011, 0.012], 4.30, "first", paired)
    ask([0.03, -0.01, 0.01], 4.30, "cannot tell", "The mean alone decides nothing: it must be larger than t standard errors.")
    ask([0.006, 0.016, 0.026], 4.30, "cannot tell", "Use the t that is given, not 1 or 2: with three seeds one has to be stricter.")
    ask([0.012, 0.022, 0.032], 4.30, "cannot tell", "With so few seeds it matters what one divides by: the sample std has ddof=1.")
    ask([0.003, 0.006, 0.008, 0.013, 0.015], 2.78, "first", "The *mean* of n differences is surer than one of them: divide the std by √n.")
    ask([0.0, 0.0, 0.0], 4.30, "cannot tell", "Equal runs: no difference is not larger than no margin; compare with >.")
    first, second, certain = (
        np.array([0.75, 0.5]),
        np.array([0.625, 0.375]),
        "Equal differences in all seeds leave a margin of zero, and that is fine.",
    )
    expect_equal(answer(first, second, 12.7), "first", f"first {first.tolist()}, second {second.tolist()}: the verdict", cause=certain)
    rng = np.random.default_rng(0)
    for n, t in ((3, 4.30), (5, 2.78), (10, 2.26)):
        for _ in range(30):
            first = rng.normal(0.9, 0.01, n)
            second = first + rng.normal(0.005, 0.008, n)
            expect_equal(answer(first, second, t), reference(first, second, t), f"the verdict on {n} random pairs with t = {t}")


@exercise(
    minutes=10,
    difficulty=2,
    hints=(
        "For every seed (column) find the epoch (row) with the best *validation* accuracy: val.argmax(axis=0).",
        "Then take the test accuracy of that epoch in that seed: test[rows, np.arange(number of seeds)].",
    ),
)
def choose_on_validation(answer, reference):
    """Validation chooses, test reports."""
    val = np.array([[0.70, 0.60], [0.90, 0.80], [0.80, 0.95], [0.85, 0.90]])
    test = np.array([[0.71, 0.66], [0.86, 0.93], [0.91, 0.88], [0.83, 0.90]])

    def ask(val, test, by_hand, extra):
        got = answer(val, test)
        what = (
            f"the reported accuracies for val {val.tolist()} and test {test.tolist()}" if val.size < 9 else f"those for shape {val.shape}"
        )
        expect_array(got, (val.shape[1],), float, "the result")
        columns = np.arange(val.shape[1])
        mistakes = {
            "That is the best *test* accuracy: the test images have chosen, and what they choose, they flatter.": test.max(axis=0),
            "That is the validation accuracy of the chosen epoch; report the test accuracy there.": val.max(axis=0),
            "That is the last epoch; take the one with the best validation accuracy.": test[-1],
            "One epoch is chosen for all seeds together; each seed is a run of its own, and chooses for itself.": test[
                val.mean(axis=1).argmax()
            ],
            "The last of equally good epochs is taken; take the first.": test[len(val) - 1 - val[::-1].argmax(axis=0), columns],
        }
        expect_close(got, by_hand, what, mistakes=extra | mistakes)
        expect_close(got, reference(val, test), what)

    ask(val, test, [0.86, 0.88], {})
    ties_val = np.array([[0.5, 0.9], [0.75, 0.6], [0.75, 0.8], [0.6, 0.9]])
    ties_test = np.array([[0.4, 0.8], [0.7, 0.5], [0.6, 0.7], [0.3, 0.2]])
    ask(ties_val, ties_test, [0.7, 0.8], {})
    rng = np.random.default_rng(0)
    val, test = rng.integers(0, 20, (6, 9)) / 20, rng.integers(0, 20, (6, 9)) / 20
    ask(val, test, reference(val, test), {})


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "divmod(total, rounds) gives how many epochs every round gets for sure, and how many are left over.",
        "The left-over epochs go one each to the *last* rounds, after the deepest cuts: [base] * (rounds - extra) + [base + 1] * extra.",
    ),
)
def budget_epochs(answer, reference):
    """The same total, however many rounds."""
    for total, rounds, by_hand in ((8, 4, [2, 2, 2, 2]), (10, 4, [2, 2, 3, 3]), (7, 1, [7]), (11, 3, [3, 4, 4]), (2, 3, [0, 1, 1])):
        got = answer(total, rounds)
        what = f"budget_epochs({total}, {rounds})"
        expect_type(got, list, what)
        whole = all(isinstance(n, (int, np.integer)) for n in got)
        expect(whole, f"{what} should hold whole numbers; yours is {got}.", "There are no parts of epochs: use // or divmod.")
        base, extra = divmod(total, rounds)
        mistakes = {
            "Every round gets the whole budget: with more rounds, more training. That is the unfair comparison.": [total] * rounds,
            f"The sum is {base * rounds}, not {total}: the remainder of the division is lost.": [base] * rounds,
            "The longer rounds should be the last ones, after the deepest cuts.": [base + 1] * extra + [base] * (rounds - extra),
            "All that is left over goes to one round; spread it, at most one epoch each.": [base] * (rounds - 1) + [base + extra],
        }
        expect_equal([int(n) for n in got], by_hand, what, mistakes=mistakes)
    for total in range(0, 30, 3):
        for rounds in range(1, 7):
            expect_equal([int(n) for n in answer(total, rounds)], reference(total, rounds), f"budget_epochs({total}, {rounds})")


@exercise(
    minutes=20,
    difficulty=3,
    hints=(
        "Start from |w| and let the gradient change it: what should a large gradient say about a weight? Or a small one?",
        "Ideas: |w| · (1 + |g| / mean |g|), w² · |g|, √(|w| · |w·g|), |w| divided by the mean |w| of its row. Never divide by 0.",
        "pull = np.abs(gradient); return np.abs(weight) * (1 + pull / (pull.mean() + 1e-12))",
    ),
    forbids=(score,),
)
def my_criterion(answer, reference):
    """Any score that could serve as a criterion, and that is not in the race yet."""
    rng = np.random.default_rng(0)
    shapes = ((6, 8), (4, 3, 3, 3), (1, 5))
    scales = (0.1, 0.5, 1.0)
    weights = [(rng.standard_normal(s) * k).astype(np.float32) for s, k in zip(shapes, scales, strict=True)]
    gradients = [(rng.standard_normal(s) * 0.01).astype(np.float32) for s in shapes]
    scores = []
    for weight, gradient in zip(weights, gradients, strict=True):
        got = answer(weight, gradient)
        expect_array(got, weight.shape, float, f"the scores of weights of shape {weight.shape}")
        _expect_scores(got, f"weights of shape {weight.shape}")
        again = answer(weight, gradient)
        expect(
            np.array_equal(got, again),
            "twice the same weights and gradients should give the same scores; yours differ.",
            "Random numbers are the baseline that a criterion must beat, so leave them out.",
        )
        scores.append(got)
    flat = np.concatenate([s.ravel() for s in scores])
    distinct = len(np.unique(flat))
    expect(distinct > flat.size // 3, f"your {flat.size} weights have only {distinct} different values as scores.", "Then ties choose.")
    for weight, gradient, what in (
        (weights[0], np.zeros_like(weights[0]), "a gradient of zeros"),
        (np.zeros_like(weights[0]), gradients[0], "weights that are all zero"),
    ):
        _expect_scores(answer(weight, gradient), what)
    holed = weights[1].copy()
    holed[::2] = 0
    got = answer(holed, gradients[1])
    _expect_scores(got, "weights of which half are zero")
    highest, lowest = float(got[holed == 0].max()), float(got[holed != 0].min())
    expect(
        highest <= lowest,
        f"a weight that is zero can go for free, yet you give one the score {highest:.3g}, and one that is not zero {lowest:.3g}.",
        "Multiply with something of the weight, such as np.abs(weight).",
    )
    rivals = {
        "magnitude": [np.abs(w) for w in weights],
        "taylor": [np.abs(w * g) for w, g in zip(weights, gradients, strict=True)],
    }
    order = np.argsort(flat, kind="stable")
    for name, values in rivals.items():
        theirs = np.argsort(np.concatenate([v.ravel() for v in values]), kind="stable")
        expect(
            not np.array_equal(order, theirs),
            f"your scores rank the weights exactly as {name} does, which is in the race already.",
            "A square, a root or a factor changes no ranking. Let something else have a say.",
        )


def _expect_scores(got, what):
    bad = int(got.size - np.isfinite(got).sum())
    expect(
        bad == 0,
        f"for {what} {bad} of your {got.size} scores are NaN or infinite.",
        "A division by zero? Add something small, such as 1e-12, below.",
    )
    lowest = float(got.min())
    expect(lowest >= 0, f"for {what} your lowest score is {lowest:.3g}; a score should be at least 0.", "Take absolute values: np.abs.")
