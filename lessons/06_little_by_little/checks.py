"""Checks of lesson 06."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.prune import make_masks


@exercise(
    minutes=10,
    difficulty=1,
    hints=(
        "Think in what remains: if every round keeps the same share q, then after `rounds` of them q ** rounds remains.",
        "q ** rounds = 1 - final, so q = (1 - final) ** (1 / rounds). After round i, q ** i remains, and 1 - q ** i is gone.",
    ),
)
def geometric_sparsities(answer, reference):
    """The same share of the remainder in every round."""
    for final, rounds, expected in ((0.75, 2, [0.5, 0.75]), (0.875, 3, [0.5, 0.75, 0.875]), (0.99, 2, [0.9, 0.99])):
        share = final / rounds
        mistakes = {
            "Those are equal shares of the whole (linear); asked for are equal shares of what remains.": [
                final * i / rounds for i in range(1, rounds + 1)
            ],
            "Those are the shares that remain; asked for are the shares that are gone.": [1 - s for s in expected],
            "It begins with 0, where nothing is cut: the first entry is the sparsity after the first round.": [0.0, *expected[:-1]],
            "final / rounds of the remainder is too little in every round: it never arrives at `final`.": [
                1 - (1 - share) ** i for i in range(1, rounds + 1)
            ],
            "Every round takes the share `final` of the remainder; that ends far beyond `final`.": [
                1 - (1 - final) ** i for i in range(1, rounds + 1)
            ],
        }
        got = answer(final, rounds)
        expect_type(got, (list, tuple, np.ndarray), "the result")
        expect(
            len(got) == rounds,
            f"for final={final}, rounds={rounds} the result should have {rounds} entries; yours has {len(got)}.",
            "One sparsity after each round; the beginning, 0, is not one of them.",
        )
        expect_close(got, expected, f"geometric_sparsities({final}, {rounds})", mistakes=mistakes)
    for final, rounds in ((0.9, 1), (0.0, 3), (0.995, 7)):
        got = answer(final, rounds)
        expect_close(
            got, reference(final, rounds), f"geometric_sparsities({final}, {rounds})", cause="Look at the first and at the last round."
        )


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "First the progress: (step - start) / (end - start), held between 0 and 1 with min and max.",
        "(1 - progress) ** 3 runs from 1 to 0. What has to stand beside it, so that the result runs from initial to final?",
        "final + (initial - final) * (1 - progress) ** 3",
    ),
)
def cubic_sparsity(answer, reference):
    """Fast at first, gentle at the end."""
    steps = [10, 15, 20, 25, 30]
    expected = [0.0, 0.4625, 0.7, 0.7875, 0.8]
    progress = np.array([0, 0.25, 0.5, 0.75, 1])
    mistakes = {
        "It is slow at first and fast at the end; the cube belongs to what is left of the way, 1 - progress.": 0.8 * progress**3,
        "That is a straight line: where is the cube?": 0.8 * progress,
        "That is what remains; asked for is the sparsity.": 1 - np.array(expected),
        "Count the progress from `start`: (step - start) / (end - start).": [
            0.8 * (1 - (1 - min(s / 20, 1)) ** 3) if s >= 10 else 0 for s in steps
        ],
        "`end` is the step of the last cut, not the number of steps: divide by end - start.": [
            0.8 * (1 - (1 - (s - 10) / 30) ** 3) for s in steps
        ],
        "At `start` the progress should be 0: subtract start from the step and from the end.": [
            0.8 * (1 - (1 - s / 30) ** 3) for s in steps
        ],
        "That is the square; Zhu and Gupta take the cube.": 0.8 * (1 - (1 - progress) ** 2),
    }
    what = "for start=10, end=30, initial=0, final=0.8 the sparsities at the steps 10, 15, 20, 25, 30"
    expect_close([answer(step, 10, 30, 0.0, 0.8) for step in steps], expected, what, mistakes=mistakes)
    outside = [answer(step, 10, 30, 0.0, 0.8) for step in (0, 9, 31, 50)]
    expect_close(
        outside,
        [0.0, 0.0, 0.8, 0.8],
        "for start=10, end=30, initial=0, final=0.8 the sparsities at the steps 0, 9, 31, 50",
        cause="Before `start` the sparsity is `initial`, after `end` it is `final`: hold the progress between 0 and 1.",
    )
    expect_close(
        [answer(step, 0, 4, 0.5, 0.9) for step in range(5)],
        [0.5, 0.73125, 0.85, 0.89375, 0.9],
        "for start=0, end=4, initial=0.5, final=0.9 the sparsities at the steps 0 to 4",
        mistakes={
            "`initial` is missing: it should begin there, not at 0.": [0.9 * (1 - (1 - s / 4) ** 3) for s in range(5)],
            "`initial` is added on top; the way to go is only from initial to final.": [
                0.5 + 0.9 * (1 - (1 - s / 4) ** 3) for s in range(5)
            ],
        },
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        start, length = (int(v) for v in rng.integers(1, 40, size=2))
        initial, final = sorted(rng.random(2).tolist())
        arguments = (start, start + length, initial, final)
        expect_close(
            [answer(step, *arguments) for step in range(90)],
            [reference(step, *arguments) for step in range(90)],
            f"for start={start}, end={start + length}, initial={initial:.2f}, final={final:.2f} the sparsities of the steps 0 to 89",
            picture=True,
        )


@exercise(
    minutes=15,
    difficulty=3,
    hints=(
        "How many shall be gone in the end, how many are gone already, and so how many are left to cut now?",
        "Those that are cut already must not take part in the ranking: give them the score np.inf in a copy, then sort.",
        "more = max(round(sparsity * mask.size) - gone, 0); the first `more` positions of np.argsort(…, kind='stable') become False.",
    ),
    forbids=(make_masks,),
)
def cut_remainder(answer, reference):
    """Exactly as many, and none comes back."""
    scores = np.array([[5.0, 1.0, 9.0, 3.0], [8.0, 2.0, 7.0, 4.0]])
    mask = np.array([[True, True, False, True], [False, True, True, True]])
    expected = np.array([[True, False, False, True], [False, False, True, True]])
    fresh = np.ones(8, bool)
    fresh[[1, 5, 3, 7]] = False
    cut_of_rest, extra, largest = mask.copy(), mask.copy(), mask.copy()
    cut_of_rest.flat[[1, 5, 3]] = False
    extra.flat[[1, 5, 3, 7]] = False
    largest.flat[[6, 0]] = False
    mistakes = {
        "All weights were ranked anew, and cut ones with a high score came back to life.": fresh.reshape(2, 4),
        "`sparsity` is a share of the whole, not of what remains.": cut_of_rest,
        "As many were cut as should be gone altogether; those that are gone already count, too.": extra,
        "The highest scores were cut; it should be the lowest.": largest,
        "That is True for the weights that go; it should be True for those that stay.": ~expected,
    }
    what = f"scores {scores.tolist()}, mask {mask.astype(int).tolist()}, sparsity 0.5: the new mask"
    got = answer(scores, mask, 0.5)
    expect_array(got, (2, 4), bool, "the new mask")
    expect_equal(got, expected, what, mistakes=mistakes, picture=True)
    signed = np.array([-3.0, 2.0, -1.0, 4.0])
    got = answer(signed, np.array([True, False, True, True]), 0.5)
    expect_equal(
        got,
        np.array([False, False, True, True]),
        "scores [-3, 2, -1, 4], mask [1, 0, 1, 1], sparsity 0.5: the new mask",
        cause="Scores may be negative, so a cut weight whose score is set to 0 is not the lowest. And a score counts with its sign.",
    )
    ties = np.ones(6)
    got = answer(ties, np.array([True, True, True, True, True, False]), 0.5)
    expect(
        int(got.sum()) == 3,
        f"of six weights with equal scores, one cut before, exactly 3 should stay at sparsity 0.5; yours keeps {int(got.sum())}.",
        "A threshold takes all ties or none. Count positions instead.",
    )
    for sparsity in (0.0, 0.2):
        got = answer(scores, mask, sparsity)
        expect_equal(
            got,
            mask,
            f"with two of eight gone already and sparsity {sparsity}, the new mask",
            cause="More is gone than asked for, so nothing is to be done: a negative number to cut is no cut, and nothing comes back.",
        )
    expect_equal(answer(scores, mask, 1.0), np.zeros((2, 4), bool), "with sparsity 1.0 the new mask")
    rng = np.random.default_rng(0)
    current, values = np.ones((5, 3, 2, 2), bool), rng.normal(size=(5, 3, 2, 2))
    for sparsity in (0.3, 0.55, 0.9):
        wanted = reference(values, current, sparsity)
        got = answer(values, current, sparsity)
        expect_equal(got, wanted, f"in a chain of cuts of random scores, shape (5, 3, 2, 2), at sparsity {sparsity} the new mask")
        current, values = wanted, rng.normal(size=values.shape)


@exercise(
    minutes=10,
    difficulty=1,
    hints=(
        "The floor comes first: is there a min_accuracy in limits, and is the row below it?",
        "limits.get('max_bytes', 0) gives the limit, or a value that no row can reach if there is none.",
        "One goal reached is enough: any((row['sparsity'] >= limits.get('target_sparsity', np.inf), …)).",
    ),
)
def next_move(answer, reference):
    """Floor first, then goals."""
    row = {"accuracy": 0.75, "sparsity": 0.5, "bytes": 4000, "ms": 0.25}
    every = {"min_accuracy": 0.5, "target_sparsity": 0.875, "max_bytes": 1000, "max_ms": 0.125}
    either = "One goal reached is enough to stop."
    cases = (
        (every, "go on", "No goal is reached yet: bytes and ms are reached when they are at most the limit, sparsity when it is at least."),
        ({**every, "min_accuracy": 0.875}, "roll back", "The accuracy is below the floor."),
        ({**every, "target_sparsity": 0.25}, "stop", either),
        ({**every, "max_bytes": 5000}, "stop", either),
        ({**every, "max_ms": 0.5}, "stop", either),
        (
            {**every, "min_accuracy": 0.875, "target_sparsity": 0.25},
            "roll back",
            "The floor comes first: a network that is small enough but too bad must not be handed out.",
        ),
        ({**every, "min_accuracy": 0.75}, "go on", "Exactly at the floor is not below it."),
        ({**every, "target_sparsity": 0.5}, "stop", "A goal that is met exactly is reached (>= for sparsity)."),
        ({**every, "max_bytes": 4000}, "stop", "A goal that is met exactly is reached (<= for bytes)."),
        ({**every, "max_ms": 0.25}, "stop", "A goal that is met exactly is reached (<= for milliseconds)."),
    )
    for limits, expected, cause in cases:
        expect_equal(answer(row, limits), expected, f"for row={row} and limits={limits} the move", cause=cause)
    for limits, expected in (
        ({}, "go on"),
        ({"min_accuracy": 0.5}, "go on"),
        ({"max_bytes": 5000}, "stop"),
        ({"min_accuracy": 0.9}, "roll back"),
    ):
        expect_equal(
            answer(row, limits),
            expected,
            f"for row={row} and limits={limits} the move",
            cause="A rule that is not in `limits` does not apply.",
        )
    rng = np.random.default_rng(0)
    for _ in range(40):
        names = [name for name in every if rng.random() < 0.6]
        random = {name: every[name] * float(rng.choice([0.5, 1, 2])) for name in names}
        expect_equal(answer(row, random), reference(row, random), f"for row={row} and limits={random} the move")


class _Tree:
    """Stands for a network in the check of prune_until: it only notes what was done to it."""

    def __init__(self, log=()):
        self.log = list(log)

    def copy(self):
        return _Tree(self.log)

    def state_dict(self):
        return {"number of things done": np.array(len(self.log))}


def _run(function, moves):
    """What `function` returns for one cut per move: (the log of the model handed out, the rows)."""
    script = iter(moves)
    sparsities = [0.5, 0.75, 0.875, 0.9375][: len(moves)]

    def cut(model, sparsity):
        model.log.append(f"cut {sparsity}")

    def fine_tune(model):
        model.log.append("fine-tune")

    def measure(model):
        return {"seen": len(model.log)}

    result = function(_Tree(["dense"]), sparsities, cut, fine_tune, measure, lambda row: next(script, "asked too often"))
    expect(
        isinstance(result, (tuple, list)) and len(result) == 2,
        "prune_until should return two things, (model, history).",
        "return good, history",
    )
    model, history = result
    expect(hasattr(model, "log"), f"the first thing returned should be a model; yours is of type {type(model).__name__}.")
    return list(model.log), history


@exercise(
    minutes=20,
    difficulty=3,
    hints=(
        "Two copies at the start: `work`, which is cut further and further, and `good`, the last one that kept the floor.",
        "In each round: cut(work, sparsity), fine_tune(work), row = measure(work), then ask decide(row).",
        "'roll back': leave the loop without touching good. Otherwise good = work.copy(); and for 'stop' leave the loop then.",
    ),
)
def prune_until(answer, reference):
    """The loop, with a way back."""
    rounds = [["cut 0.5", "fine-tune"], ["cut 0.75", "fine-tune"], ["cut 0.875", "fine-tune"], ["cut 0.9375", "fine-tune"]]

    def log(count):
        return ["dense", *(done for pair in rounds[:count] for done in pair)]

    uncut = "Each round goes on from the last one: make the working copy once, before the loop."
    got, history = _run(answer, ["go on", "go on", "go on", "go on"])
    mistakes = {
        "The order in a round is: cut, then fine-tune.": ["dense", *(d for pair in rounds for d in reversed(pair))],
        "Each round goes on from the last one; yours starts from the dense model every time.": ["dense", *rounds[3]],
        "The last good round is missing: keep a copy after every round that is not rolled back.": log(3),
        "The dense model is handed out; it should be the last good one.": log(0),
        "Recover after every cut: fine_tune(work).": ["dense", *(pair[0] for pair in rounds)],
    }
    told = "when every decision is 'go on', what was done to the model that is handed out"
    expect_equal(got, log(4), told, mistakes=mistakes, cause=uncut)
    rows = [{"seen": 3}, {"seen": 5}, {"seen": 7}, {"seen": 9}]
    expect_equal(
        list(history),
        rows,
        "the history (how many things had been done to the model at each measurement)",
        mistakes={"Measure after the fine-tuning, not before.": [{"seen": 2}, {"seen": 4}, {"seen": 6}, {"seen": 8}]},
        cause="One row per round, in order, as `measure` gives it.",
    )
    got, history = _run(answer, ["go on", "go on", "roll back", "asked too often"])
    expect_equal(
        got,
        log(2),
        "when the third decision is 'roll back', what was done to the model that is handed out",
        mistakes={
            "It hands out the bad one. Is `good` a copy? Two names for one model are cut together.": log(3),
            "'roll back' ends the loop; yours went on cutting.": log(4),
            "One round too far back: the last round that was good should be kept.": log(1),
        },
        cause="Hand out the last model that was not rolled back.",
    )
    expect_equal(
        list(history),
        rows[:3],
        "the history when the third decision is 'roll back'",
        mistakes={"The bad round belongs into the history, too: it is what one learns from.": rows[:2]},
    )
    got, history = _run(answer, ["go on", "stop", "asked too often", "asked too often"])
    expect_equal(
        got,
        log(2),
        "when the second decision is 'stop', what was done to the model that is handed out",
        mistakes={
            "'stop' says that a goal is reached: this round is good, and is the one to hand out.": log(1),
            "'stop' ends the loop; yours went on cutting.": log(4),
        },
    )
    expect_equal(list(history), rows[:2], "the history when the second decision is 'stop'")
    got, history = _run(answer, ["roll back", "asked too often"])
    expect_equal(got, log(0), "when the first decision is 'roll back', what was done to the model that is handed out")
    got, history = _run(answer, [])
    expect_equal((got, list(history)), (log(0), []), "without any sparsities, (what was done, the history)")
