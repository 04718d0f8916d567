"""Checks of lesson 05."""

import math

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "First the ordinary step, weights - lr * grad. Then think of what the mask has to do with its result.",
        "Applying the mask before the step is not enough: the step itself moves the entry away from zero again.",
        "np.where(mask, stepped, 0) keeps what the mask keeps, and is exactly zero elsewhere.",
    ),
)
def masked_step(answer, reference):
    """A step that respects the mask."""
    weights = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]])
    grad = np.array([[2.0, -4.0, 1.0], [6.0, 2.0, -8.0]])
    mask = np.array([[True, True, False], [False, False, True]])
    expected = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    mistakes = {
        "The mask was not used: weights that were cut move away from zero again.": weights - 0.5 * grad,
        "The mask came before the step only, and the step moved the cut weights away from zero again.": weights * mask - 0.5 * grad,
        "Only the gradient was masked. A weight that is cut but not zero yet stays: zero the weights, too.": weights - 0.5 * grad * mask,
        "The step goes uphill: subtract the gradient.": np.where(mask, weights + 0.5 * grad, 0),
        "The mask was taken the wrong way round: True is a weight that stays.": np.where(mask, 0, weights - 0.5 * grad),
        "The learning rate is missing.": np.where(mask, weights - grad, 0),
    }
    got = answer(weights, grad, mask, 0.5)
    expect_array(got, (2, 3), float, "the result")
    what = f"weights {weights.tolist()}, grad {grad.tolist()}, mask {mask.astype(int).tolist()}, lr 0.5: the result"
    expect_close(got, expected, what, mistakes=mistakes)
    rng = np.random.default_rng(0)
    kernel, slope = rng.normal(size=(2, 4, 3, 2, 2))  # a convolution's shape: (O, C, R, S)
    kept = rng.random(kernel.shape) < 0.4
    got = answer(kernel, slope, kept, 0.1)
    expect_close(got, reference(kernel, slope, kept, 0.1), "for a convolution's weights of shape (4, 3, 2, 2) the result")
    expect(
        np.all(got[~kept] == 0),
        "Where the mask is False the result should be exactly 0; yours is only nearly so.",
        "Set the entries instead of computing them.",
    )
    everything = np.ones_like(kept)
    expect_close(answer(kernel, slope, everything, 0.1), kernel - 0.1 * slope, "with a mask that keeps everything the result")
    expect_close(answer(kernel, slope, ~everything, 0.1), np.zeros_like(kernel), "with a mask that keeps nothing the result")
    small = answer(weights.astype(np.float32), grad.astype(np.float32), mask, 0.5)
    expect(
        small.dtype == np.float32,
        f"float32 weights should stay float32; yours are {small.dtype}.",
        "Where does the other dtype come from? np.zeros(shape) and lr * mask are float64, np.zeros_like(weights) is not.",
    )


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "Go through the list with enumerate and return the first position that is good enough.",
        "Good enough is value >= dense_accuracy - tolerance. After the loop nothing was: return np.inf.",
    ),
)
def recovery_epochs(answer, reference):
    """When the tree is green again."""
    accuracies = [0.25, 0.5, 0.9375, 0.875, 0.9375, 1.0, 0.9375]
    for tolerance, expected in ((0.1, 2), (0.0625, 2), (0.0, 5), (0.5, 1), (0.75, 0)):
        mistakes = {
            "That is one too many: the first entry was measured before any epoch, so it counts as 0.": expected + 1,
            "The border belongs to it: exactly `tolerance` below dense is good enough (>=).": _strictly(accuracies, 1.0, tolerance),
            "That is when it was back for good; asked for is the first time.": _for_good(accuracies, tolerance),
            "That is the best epoch; asked for is the first that is good enough.": 5,
        }
        got = answer(accuracies, 1.0, tolerance)
        what = f"for accuracies={accuracies}, dense_accuracy=1.0, tolerance={tolerance} the answer"
        expect_equal(got, expected, what, mistakes=mistakes)
    expect_equal(
        answer([0.25, 0.875], 0.5, 0.125),
        1,
        "for accuracies=[0.25, 0.875], dense_accuracy=0.5, tolerance=0.125 the answer",
        cause="Better than dense is good enough, too: do not take the absolute value of the difference.",
    )
    for never in ([0.25, 0.5], [0.875, 0.5, 0.5]):
        expect_equal(
            answer(never, 1.0, 0.0625),
            math.inf,
            f"for accuracies={never}, dense_accuracy=1.0, tolerance=0.0625 the answer",
            cause="It never recovers: that takes infinitely long, np.inf. Any number would look like a recovery in a table.",
        )


def _strictly(accuracies, dense, tolerance):
    return next((i for i, a in enumerate(accuracies) if a > dense - tolerance), math.inf)


def _for_good(accuracies, tolerance):
    return 1 + max((i for i, a in enumerate(accuracies) if a < 1.0 - tolerance), default=-1)


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Make one number per rate first: the mean over its seeds. Which axis holds the seeds?",
        "A mean that contains nan is nan, which is what we want; then make it -np.inf, so that it can never be the best.",
        "candidates = [rate for rate, mean in zip(rates, means) if mean == best]; then min(candidates).",
    ),
)
def pick_learning_rate(answer, reference):
    """A choice by the mean over seeds."""
    rates = [0.01, 0.1, 0.05, 0.5]
    accuracies = np.array([[0.5, 0.75], [0.875, 0.875], [0.25, 1.0], [0.5, 0.25]])
    mistakes = {
        "That is its position in the list; asked for is the rate itself.": 1,
        "One lucky seed decided. Compare means over the seeds, not the best single run.": 0.05,
        "It has the lowest mean; asked for is the highest.": 0.5,
        "That is the accuracy; asked for is the rate.": 0.875,
    }
    what = f"for rates={rates}, accuracies={accuracies.tolist()} the answer"
    expect_equal(answer(rates, accuracies), 0.1, what, mistakes=mistakes)
    skewed = np.array([[0.75, 0.75, 0.0, 0.75], [0.625, 0.625, 0.625, 0.625]])
    expect_equal(
        answer([0.1, 0.2], skewed),
        0.2,
        f"for rates=[0.1, 0.2], accuracies={skewed.tolist()} the answer",
        cause="Compare means (here 0.5625 and 0.625); the median does not see that one run in four failed.",
    )
    ties = np.array([[0.75, 0.5], [0.5, 0.75], [0.25, 0.5]])
    expect_equal(
        answer([0.2, 0.1, 0.05], ties),
        0.1,
        f"for rates=[0.2, 0.1, 0.05], accuracies={ties.tolist()} the answer",
        cause="Two rates are equally good; then the smaller one is asked for, wherever it stands in the list.",
    )
    diverged = np.array([[0.5, 0.5], [0.75, 0.5], [np.nan, 1.0]])
    expect_equal(
        answer([0.1, 0.2, 0.4], diverged),
        0.2,
        f"for rates=[0.1, 0.2, 0.4], accuracies={diverged.tolist()} the answer",
        mistakes={
            "A rate whose training diverged must not win: np.argmax takes nan for the largest, np.nanmean forgets it.": 0.4,
            "The run that diverged costs only its own rate; the others are compared as usual.": 0.1,
        },
    )
    rng = np.random.default_rng(0)
    many, noise = np.geomspace(0.001, 1, 6).tolist(), rng.random((6, 5))
    expect_equal(answer(many, noise), reference(many, noise), "for six rates and five seeds the answer")


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Two cases: step < warmup, and everything after it.",
        "After the warm-up, progress = (step - warmup) / (total - warmup) runs from 0 towards 1.",
        "Warm-up: peak * (step + 1) / warmup. After it: peak * (1 + math.cos(math.pi * progress)) / 2.",
    ),
)
def cosine_learning_rate(answer, reference):
    """Up a ramp and down half a cosine."""
    plain = [0.4, 0.3414, 0.2, 0.0586]
    expect_close(
        [answer(step, 4, 0.4, 0) for step in range(4)],
        plain,
        "for total=4, peak=0.4, warmup=0 the learning rates of steps 0 to 3",
        mistakes={
            "Half of it is missing: 1 + cos(…) runs from 2 to 0.": [0.8, 0.6828, 0.4, 0.1172],
            "That is a quarter of a turn. Half a cosine goes from cos 0 to cos π.": [
                0.4,
                0.3696,
                0.2828,
                0.1531,
            ],
            "It rises: the cosine should be added, not subtracted.": [0.0, 0.0586, 0.2, 0.3414],
            "math.cos takes radians: half a turn is math.pi.": [0.2 * (1 + math.cos(180 * step / 4)) for step in range(4)],
            "`peak` is missing: yours runs from 1 to 0, the learning rate from peak to 0.": [1.0, 0.8536, 0.5, 0.1464],
            "That is a straight line.": [0.4, 0.3, 0.2, 0.1],
        },
        atol=1e-4,
    )
    warm = [0.2, 0.4, 0.4, 0.3414, 0.2, 0.0586]
    late = [0.2 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    shifted = [0.2 * (1 + math.cos(math.pi * (step - 2) / 6)) for step in range(6)]
    expect_close(
        [answer(step, 6, 0.4, 2) for step in range(6)],
        warm,
        "for total=6, peak=0.4, warmup=2 the learning rates of steps 0 to 5",
        mistakes={
            "The warm-up starts at 0, so that the first step does nothing: it should be (step + 1) / warmup.": [0.0, 0.2, *warm[2:]],
            "After the warm-up the cosine should begin anew at its top: count steps from the end of the warm-up.": [
                *warm[:2],
                *late[2:],
            ],
            "The cosine should end at `total`: it has total - warmup steps, not total.": [*warm[:2], *shifted[2:]],
            "The warm-up is missing.": late,
            "The two were multiplied; the cosine begins only when the warm-up is over.": [late[0] / 2, *late[1:]],
        },
        atol=1e-4,
    )
    for total, warmup in ((1, 0), (50, 49), (30, 7)):
        expect_close(
            [answer(step, total, 0.1, warmup) for step in range(total)],
            [reference(step, total, 0.1, warmup) for step in range(total)],
            f"for total={total}, peak=0.1, warmup={warmup} the learning rates of all steps",
            cause="Look at the first step after the warm-up, and at the last one.",
            picture=True,
        )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Keep the position of the best so far, and go through the list from the front as training does.",
        "If an entry is higher than the best so far, it becomes the best. If not, ask how long ago the best was.",
        "Stop when epoch - best >= patience: so many epochs in a row have brought nothing new.",
    ),
)
def best_epoch(answer, reference):
    """Early stopping with patience."""
    rise = [0.25, 0.5, 0.75, 0.875]
    expect_equal(
        answer(rise, 1),
        3,
        f"for accuracies={rise}, patience=1 the answer",
        mistakes={"That is the accuracy; asked for is its position in the list.": 0.875, "Positions count from 0.": 4},
    )
    cases = (
        ([0.5, 0.75, 0.625, 0.6875, 0.875, 0.8125, 0.8125, 0.8125, 0.9375], 2, 1),
        ([0.5, 0.625, 0.5625, 0.75, 0.6875, 0.875, 0.75, 0.75, 0.9375], 2, 5),
        ([0.5, 0.875, 0.625, 0.6875, 0.75, 0.9375, 0.5, 0.5, 1.0], 2, 1),
    )
    for accuracies, patience, expected in cases:
        mistakes = {
            "It looks at the whole curve. Training had stopped before that epoch: nobody has seen it.": _whole(accuracies),
            "It waits one epoch too long: after exactly `patience` epochs without a new best it stops.": _run(accuracies, patience + 1),
            "That is where training stopped; asked for is the best epoch up to there.": expected + patience,
            "Bad epochs were counted altogether; a new best starts the count again.": _never_reset(accuracies, patience),
            "Each epoch is compared with the one before it; compare with the best so far.": _with_previous(accuracies, patience),
            "It stops at once when an epoch is not better; it should wait `patience` epochs.": _run(accuracies, 1),
        }
        mistakes = {cause: value for cause, value in mistakes.items() if value != expected}
        what = f"for accuracies={accuracies}, patience={patience} the answer"
        expect_equal(answer(accuracies, patience), expected, what, mistakes=mistakes)
    ties = [0.5, 0.75, 0.75, 0.75, 0.875]
    for patience, expected in ((3, 4), (2, 1), (9, 4)):
        expect_equal(
            answer(ties, patience),
            expected,
            f"for accuracies={ties}, patience={patience} the answer",
            cause="Equally good is not better: the earlier epoch stays the best, and the waiting goes on.",
        )
    rng = np.random.default_rng(0)
    for patience in (1, 3, 5):
        noisy = (rng.integers(0, 8, size=12) / 8).tolist()
        expect_equal(answer(noisy, patience), reference(noisy, patience), f"for accuracies={noisy}, patience={patience} the answer")
    expect_equal(answer([0.5], 1), 0, "for accuracies=[0.5], patience=1 the answer", cause="A list of one entry has its best at 0.")


def _whole(accuracies):
    return int(np.argmax(accuracies))


def _run(accuracies, patience):
    best = 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def _never_reset(accuracies, patience):
    best, bad = 0, 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch:
            bad += 1
            if bad >= patience:
                break
    return best


def _with_previous(accuracies, patience):
    best, bad = 0, 0
    for epoch in range(1, len(accuracies)):
        if accuracies[epoch] > accuracies[best]:
            best = epoch
        bad = 0 if accuracies[epoch] > accuracies[epoch - 1] else bad + 1
        if bad >= patience:
            break
    return best
