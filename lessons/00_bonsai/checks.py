"""Checks of lesson 00."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal


@exercise(
    minutes=5,
    difficulty=1,
    hints=(
        "First count how many are removed; what remains is the rest of `total`.",
        "`round(sparsity * total)` weights go. Round what is removed, not what remains: at a half the two differ.",
    ),
)
def keep_count(answer, reference):
    """Counting what remains."""
    for total, sparsity in ((10, 0.9), (100, 0.25), (10, 0.37), (10, 0.33), (5, 0.1), (7, 0.0), (7, 1.0)):
        got = answer(total, sparsity)
        mistakes = {
            "That is how many are removed; asked for is how many remain.": round(sparsity * total),
            "int() cuts off the fraction; the number removed is to be rounded to the nearest.": total - int(sparsity * total),
            "It rounds what remains; round what is removed.": round((1 - sparsity) * total),
            "int() cuts the fraction off what remains; round what is removed, and subtract that.": int(total - sparsity * total),
        }
        what = f"keep_count({total}, {sparsity})"
        expect(isinstance(got, (int, np.integer)), f"{what} should be a whole number; yours is {got!r}.", "Round with round(…).")
        expect_equal(int(got), reference(total, sparsity), what, mistakes=mistakes)


@exercise(
    minutes=10,
    difficulty=1,
    hints=(
        "np.argsort(np.abs(weights), axis=None) gives the positions of all weights, from the smallest to the largest.",
        "Copy the weights first. The first weights.size - keep of those positions become zero: result.flat[positions] = 0.",
    ),
)
def cut_smallest(answer, reference):
    """Zeros in the right places, as many as asked for."""
    weights = np.array([[0.5, -2.0, 0.1], [1.0, -0.2, 0.05]])
    for keep in (2, 4):
        got = answer(weights, keep)
        expect(
            np.shape(got) != (6,),
            f"the result should have the shape of the weights, (2, 3); yours has {np.shape(got)}.",
            "Flattened, and not folded back: result.flat[positions] = 0 counts through an array of any shape.",
        )
        expect_array(got, (2, 3), float, "the result")
        top = np.sort(weights, axis=None)[::-1][keep - 1]
        mistakes = {
            "The largest were kept, with their signs: -2.0 matters, too. Sort by absolute value.": np.where(weights >= top, weights, 0),
            "The largest were cut and the smallest kept; it should be the other way round.": weights - reference(weights, 6 - keep),
            "`keep` weights were cut; it should be all but `keep`.": reference(weights, 6 - keep),
            "Nothing was cut. np.argsort sorts each row by itself; with axis=None it numbers all places in one go.": weights,
            "The signs were lost: sort by the absolute values, but keep the weights themselves.": np.abs(reference(weights, keep)),
        }
        expect_close(got, reference(weights, keep), f"weights {weights.tolist()} with keep={keep}", mistakes=mistakes, picture=True)
    ties = np.array([1.0, -1.0, 1.0, 1.0])
    got = answer(ties, 2)
    expect_array(got, (4,), float, "the result")
    expect(
        np.count_nonzero(got) == 2,
        f"of the four equally large weights {ties.tolist()} exactly keep=2 should remain; yours keeps {np.count_nonzero(got)}.",
        "A threshold (≥ or >) keeps or cuts all ties. Count positions instead.",
    )
    for keep in (0, 6):
        expect_close(
            answer(weights, keep),
            reference(weights, keep),
            f"the result with keep={keep}",
            cause="An end of the range: look at what a slice such as [-0:] is.",
        )
    expect(
        answer(weights.astype(np.float32), 3).dtype == np.float32,
        "float32 weights should stay float32.",
        "Work on weights.copy().",
    )


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "Collect those shares whose accuracy is at least dense_accuracy - max_drop, then take the smallest.",
        "zip(remaining, accuracy) gives the pairs; min(..., default=None) deals with an empty list.",
    ),
    changes=("remaining", "accuracy"),  # not meant to: the check below looks, and knows what .sort() does
    returns_none=True,
)
def smallest_good_enough(answer, reference):
    """The knee of a curve in a table."""
    _check_what_the_drop_is_of(answer)
    remaining, accuracy = [1.0, 0.5, 0.2, 0.1, 0.05], [0.97, 0.98, 0.965, 0.95, 0.96]
    for drop, best in ((0.015, 0.2), (0.0, 0.5), (0.04, 0.05)):
        refused = {"A gain is no drop: 0.98 is better than dense, and abs(…) makes it look worse.": 1.0} if drop == 0 else {}
        mistakes = refused | {
            "It stops at the first that is not good enough; a smaller one further down may be good enough again.": best,
        }
        got = answer(remaining, accuracy, 0.97, drop)
        what = f"for remaining={remaining}, accuracy={accuracy}, dense_accuracy=0.97, max_drop={drop} the answer"
        expect_equal(got, reference(remaining, accuracy, 0.97, drop), what, mistakes=mistakes)
    got = answer([0.5, 0.25], [0.75, 0.5], 0.75, 0.25)
    expect_equal(
        got,
        0.25,
        "with an accuracy exactly max_drop below dense the answer",
        cause="At most max_drop below: the border itself is good enough (>=).",
    )
    got = answer([0.1, 0.5], [0.9, 0.9], 0.9, 0.0)
    expect_equal(
        got, 0.1, "for shares in another order, [0.1, 0.5], the answer", cause="Do not rely on the order of the list: take the minimum."
    )
    got = answer([1.0, 0.5], [0.5, 0.4], 0.97, 0.01)
    cause = "Where no accuracy is good enough there is nothing to return but None."
    expect(got is None, f"where no accuracy is good enough the answer should be None; yours is {got!r}.", cause)


def _check_what_the_drop_is_of(answer):
    """A curve far below 100 %, where points and percent of the dense accuracy are far apart."""
    remaining, accuracy = [1.0, 0.5, 0.25, 0.1, 0.05], [0.5, 0.9, 0.45, 0.35, 0.2]
    given = list(remaining), list(accuracy)
    got = answer(*given, 0.5, 0.2)
    expect(
        given == (remaining, accuracy),
        "smallest_good_enough should leave its lists as they were; yours changes them.",
        "list.sort() sorts the caller's own list, and a share no longer stands beside its accuracy. sorted(…) makes a new list.",
    )
    what = f"for remaining={remaining}, accuracy={accuracy}, dense_accuracy=0.5, max_drop=0.2 the answer"
    expect(
        got is not None,
        f"{what} should be 0.1; yours is None.",
        "Does every way through the function end with return? And list.sort() sorts the list itself and returns None; sorted(…) or "
        "min(…) returns something.",
    )
    mistakes = {
        "That is the largest share; asked for is the smallest.": 1.0,
        "max_drop was taken as a share of the dense accuracy, dense_accuracy * (1 - max_drop); it is to be subtracted: "
        "dense_accuracy - max_drop.": 0.25,
        "0.5 - 0.2 = 0.3 is good enough: the drop is counted from dense_accuracy, not from 1, and must not be forgotten.": 0.5,
        "The smallest of all was taken; its accuracy is too low.": 0.05,
        "That is an accuracy; asked for is the share that belongs to it.": 0.35,
    }
    expect_equal(got, 0.1, what, mistakes=mistakes)
