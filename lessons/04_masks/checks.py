"""Checks of lesson 04."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.prune.choice import smallest
from minprune.prune.masks import make_masks
from minprune.sparse.formats import CSR


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Forget thresholds: np.argsort(scores, axis=None) gives positions from the lowest to the highest score. How many go?",
        'Only a stable sort takes equal scores in the order of their positions: kind="stable". The first scores.size - k positions go.',
        "mask = np.ones(scores.shape, bool); then mask.flat[order[: scores.size - k]] = False.",
    ),
    forbids=(smallest, make_masks),
)
def exact_k(answer, reference):
    """Exactly k stay; of equal scores the earlier ones are cut."""
    scores = np.array([[0.3, 0.1], [0.2, 0.4]])
    for k, right in ((3, [[True, False], [True, True]]), (1, [[False, False], [False, True]])):
        got = answer(scores, k)
        expect_array(got, (2, 2), bool, "the mask")
        expected = np.array(right)
        mistakes = {
            "True should mean that a weight stays; here True marks what goes.": ~expected,
            "The lowest scores stayed; it should be the highest.": reference(-scores, k),
            "k weights went; k is how many stay.": reference(scores, 4 - k),
        }
        expect_equal(got, expected, f"the mask for the scores {scores.tolist()} with k={k}", mistakes=mistakes, picture=True)
    ties = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    got = answer(ties, 3)
    expect_array(got, (5,), bool, "the mask")
    expect(
        int(got.sum()) == 3,
        f"of the scores {ties.tolist()} exactly k=3 should stay; with yours {int(got.sum())} stay.",
        "A threshold keeps all that are equal to it (>=) or none of them (>). Choose positions instead.",
    )
    mistakes = {
        "The count is right, but of equal scores the later ones were cut. It should be the earlier ones: "
        "sort upwards, and cut from the front.": np.array([True, True, True, False, False])
    }
    expect_equal(got, np.array([True, False, True, True, False]), f"the mask for {ties.tolist()} with k=3", mistakes=mistakes)
    for k in (0, 4):
        expect_equal(
            answer(scores, k),
            np.full((2, 2), bool(k)),
            f"the mask for four scores with k={k}",
            cause="An end of the range: there is no k-th score to compare with, and a slice such as [-0:] is the whole array.",
        )
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 3, size=(4, 3, 5, 5)).astype(float)  # 300 scores, three different values
    for k in (40, 150, 260):
        got = answer(levels, k)
        expect_array(got, levels.shape, bool, "the mask of a convolution")
        expect(
            int(got.sum()) == k, f"of 300 scores with many ties k={k} should stay; with yours {int(got.sum())} stay.", "Count positions."
        )
        expect_equal(
            got,
            reference(levels, k),
            f"the mask for 300 scores of three different values with k={k}",
            cause='Equal scores are in no certain order: the usual sort and argpartition shuffle them. Sort with kind="stable".',
        )
    cut_before = np.array([-np.inf, 0.5, -np.inf, 0.25, 0.75])
    expect_equal(
        answer(cut_before, 2),
        np.array([False, True, False, False, True]),
        "the mask for [-inf, 0.5, -inf, 0.25, 0.75] with k=2 (-inf marks what an earlier cut took)",
    )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Three lines of SGD, then two that hold the mask. All five write into the arrays that were given.",
        "`weights = weights - ...` makes a new array that nobody sees; `weights -= ...` or `weights[...] = ...` writes into the old one.",
        "velocity[...] = momentum * velocity + gradient + decay * weights; weights -= lr * velocity; then both: array[~mask] = 0.",
    ),
    changes=("weights", "velocity"),
    returns_none=True,
)
def masked_sgd_step(answer, reference):
    """A step of SGD after which the mask still holds, for the weights and for the velocity."""
    weights, velocity = np.array([1.0, 0.0]), np.array([1.0, 2.0])
    before = weights.copy(), velocity.copy()
    gradient, mask = np.array([1.0, 3.0]), np.array([True, False])
    answer(weights, velocity, gradient, mask, 0.1, 0.9, 0.1)
    expect(
        not (np.array_equal(weights, before[0]) and np.array_equal(velocity, before[1])),
        "after the step, weights and velocity hold the same numbers as before.",
        "`weights = …` gives the name to a new array. Write into the one that was given: `weights -= …` or `weights[...] = …`.",
    )
    what = "with weights [1, 0], velocity [1, 2], gradient [1, 3], mask [True, False], lr=0.1, momentum=0.9, decay=0.1 the"
    expect(
        not (abs(weights[1] + 0.18) < 1e-6),
        f"{what} masked weight should stay 0; yours became {weights[1]:.4g}.",
        "The gradient was masked, but the old velocity still moves the weight. Mask weights and velocity, at the end of the step.",
    )
    mistakes = {
        "The masked weight came back to life: set it to zero after the step.": np.array([0.8, -0.48]),
        "The weight decay is missing: decay * w is added to the gradient.": np.array([0.81, 0.0]),
        "The momentum is missing: v is momentum * v + g.": np.array([0.89, 0.0]),
        "The step went uphill: w - lr * v.": np.array([1.2, 0.0]),
        "The weights moved by the old velocity: first the new v, then the step.": np.array([0.9, 0.0]),
        "The new gradient was damped by (1 - momentum). Here v = momentum * v + g.": np.array([0.899, 0.0]),
        "The weights moved by the gradient, not by the velocity.": np.array([0.89, 0.0]),
    }
    expect_close(weights, [0.8, 0.0], f"{what} weights", mistakes=mistakes)
    mistakes = {
        "The weights are masked, but the velocity goes on remembering the masked weight.": np.array([2.0, 4.8]),
        "The decay must be of the weights before the step.": np.array([1.98, 0.0]),
    }
    expect_close(velocity, [2.0, 0.0], f"{what} velocity", mistakes=mistakes)
    rng = np.random.default_rng(1)
    for decay in (0.0, 0.05):
        mask = rng.random((3, 4)) < 0.5
        weights, velocity = rng.normal(size=(3, 4)) * mask, rng.normal(size=(3, 4))
        alone, its_velocity = weights[mask].copy(), velocity[mask].copy()
        for step in range(1, 5):
            gradient = rng.normal(size=(3, 4))
            answer(weights, velocity, gradient, mask, 0.1, 0.5, decay)
            back = int(np.count_nonzero(weights[~mask]))
            expect(back == 0, f"after step {step} {back} of {int((~mask).sum())} masked weights are not zero.", "Momentum revives them.")
            its_velocity = 0.5 * its_velocity + gradient[mask] + decay * alone
            alone = alone - 0.1 * its_velocity
            what = f"after step {step} (lr=0.1, momentum=0.5, decay={decay}) the"
            expect_close(weights[mask], alone, f"{what} kept weights", cause="Kept weights should move as in SGD without a mask.")
            expect_close(velocity[~mask], 0 * velocity[~mask], f"{what} velocities of masked weights", cause="Mask the velocity, too.")


SMALL = np.array([[0.0, 5.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 3.0]], np.float32)


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "np.nonzero(mask) gives the rows and the columns of everything that is kept, row by row; weights[mask] gives the values.",
        "The number kept in each row is mask.sum(axis=1). `starts` is their running total, np.cumsum, with a 0 in front.",
        "Convert at the end: columns.astype(np.uint16), and np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int32).",
    ),
    forbids=(CSR.from_dense,),
)
def to_csr(answer, reference):
    """Values, columns and row starts."""

    def three(got):
        expect(
            isinstance(got, (tuple, list)) and len(got) == 3 and all(isinstance(a, np.ndarray) for a in got),
            "the result should be three arrays: values, columns, starts.",
        )
        return got

    values, columns, starts = three(answer(SMALL, SMALL != 0))
    what = f"for the weights {SMALL.astype(int).tolist()} the"
    by_column = {"These go down the columns (that is CSC); CSR goes along the rows.": np.array([2.0, 5.0, 1.0, 3.0])}
    expect_close(values, np.array([5.0, 1.0, 2.0, 3.0]), f"{what} values", mistakes=by_column)
    mistakes = {
        "Those are the rows. np.nonzero gives rows first, then columns.": np.array([0, 0, 2, 2]),
        "Those are positions in the flattened matrix; a column starts anew at 0 in each row.": np.array([1, 3, 8, 11]),
        "They are counted from 1; columns count from 0.": np.array([2, 4, 1, 4]),
    }
    expect_close(columns, np.array([1, 3, 0, 3]), f"{what} columns", mistakes=mistakes)
    mistakes = {
        "The 0 in front is missing: row 0 starts at 0, so there is one start more than there are rows.": np.array([2, 2, 4]),
        "Those are the counts of each row; `starts` is their running total, beginning with 0.": np.array([2, 0, 2]),
        "The empty row was left out. It has a start, too, the same as the row after it.": np.array([0, 2, 4]),
        "The end is missing: the last entry says where the last row ends.": np.array([0, 2, 2]),
        "That is the row of each value; `starts` says where in `values` each row begins.": np.array([0, 0, 2, 2]),
    }
    expect_close(starts, np.array([0, 2, 2, 4]), f"{what} starts", mistakes=mistakes)
    mask = np.array([[True, True, False, False], [False, False, True, False], [False, False, False, True]])
    values, columns, starts = three(answer(SMALL, mask))
    expect_close(
        values,
        np.array([0.0, 5.0, 0.0, 3.0]),
        f"with a mask that keeps two weights which happen to be 0.0 (and cuts two that are not) {what} values",
        cause="The mask decides, not the value: a kept weight may be 0.0 today and something else tomorrow.",
    )
    expect_close(columns, np.array([0, 1, 2, 3]), "with that mask the columns")
    expect_close(starts, np.array([0, 2, 3, 4]), "with that mask the starts")
    for name, array, dtype in (("values", values, np.float32), ("columns", columns, np.uint16), ("starts", starts, np.int32)):
        expect(
            array.dtype == dtype,
            f"{name} should be of {np.dtype(dtype)}; yours is of {array.dtype}.",
            "NumPy counts in int64, eight bytes. An index that is larger than its weight is no way to save memory: .astype(…)."
            if name != "values"
            else "The values keep the dtype of the weights.",
        )
    empty = three(answer(SMALL, np.zeros((3, 4), bool)))
    expect_equal([a.tolist() for a in empty], [[], [], [0, 0, 0, 0]], "for a mask that keeps nothing the three arrays")
    rng = np.random.default_rng(2)
    weights, mask = rng.normal(size=(20, 300)), rng.random((20, 300)) < 0.2
    for name, got, right in zip(("values", "columns", "starts"), three(answer(weights, mask)), reference(weights, mask)):
        expect_close(got, right, f"for a matrix of 20 rows and 300 columns the {name}")


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Row `row` owns the places from starts[row] to starts[row + 1], in values and in columns alike.",
        "A loop over the rows: part = slice(starts[row], starts[row + 1]); y[row] = (values[part] * x[columns[part]]).sum().",
    ),
)
def csr_matvec(answer, reference):
    """W @ x without touching a zero."""
    values, columns = np.array([5.0, 1.0, 2.0, 3.0], np.float32), np.array([1, 3, 0, 3], np.uint16)
    starts, x = np.array([0, 2, 2, 4], np.int32), np.array([1.0, 10.0, 100.0, 1000.0])
    got = _on_used_memory(answer, 1e3, values, columns, starts, x)
    again = _on_used_memory(answer, -1e3, values, columns, starts, x)
    expect(
        np.array_equal(got, again, equal_nan=True),
        "two calls with the same arguments should give the same product; yours gives another one each time.",
        "np.empty holds whatever the memory held before, and += adds to it. Begin with np.zeros.",
    )
    what = "for values [5, 1, 2, 3], columns [1, 3, 0, 3], starts [0, 2, 2, 4] and x [1, 10, 100, 1000] the product"
    mistakes = {
        "x was taken in its own order; each value meets the entry of x at its column: x[columns].": np.array([15.0, 0.0, 3200.0]),
        "An empty row got the value of its neighbour: np.add.reduceat does that where two starts are equal.": np.array([1050, 2, 3002.0]),
        "The empty row is missing: y has len(starts) - 1 entries, and an empty row gives 0.": np.array([1050.0, 3002.0]),
        "Each row's sum goes on from the row before: begin at starts[row], not at 0.": np.array([1050.0, 1050.0, 4052.0]),
        "The columns say which entries of x count, but the values were left out.": np.array([1010.0, 0.0, 1001.0]),
        "The rows are off by one: row `row` ends at starts[row + 1].": np.array([0.0, 1050.0, 0.0]),
    }
    expect_type(got, np.ndarray, "the product")
    expect_close(got, np.array([1050.0, 0.0, 3002.0]), what, mistakes=mistakes)
    rng = np.random.default_rng(3)
    for rows, width, density in ((7, 40, 0.3), (50, 9, 0.05), (1, 5, 1.0)):
        mask = rng.random((rows, width)) < density
        mask[-1] = density == 1.0  # otherwise an empty last row
        dense, x = rng.normal(size=(rows, width)) * mask, rng.normal(size=width)
        parts = dense[mask], np.nonzero(mask)[1].astype(np.uint16), np.append(0, np.cumsum(mask.sum(axis=1))).astype(np.int32)
        what = f"the product of a matrix of {rows} rows and {width} columns, {int(mask.sum())} of them kept,"
        expect_close(answer(*parts, x), dense @ x, what, cause="Keep the fractions: y should be an array of floats.")
    nothing = np.zeros(0), np.zeros(0, np.uint16), np.zeros(4, np.int32)
    expect_close(answer(*nothing, np.ones(6)), np.zeros(3), "the product of a matrix of 3 rows that keeps nothing")


def _on_used_memory(answer, left, *arguments):
    """The answer's result where the memory that np.empty will get for three rows is full of the number `left`."""
    for dtype in (np.float32, np.float64):
        used = [np.full(3, left, dtype) for _ in range(20)]
        del used
    return answer(*arguments)


@exercise(
    minutes=10,
    difficulty=1,
    hints=(
        "Only three numbers matter: how many weights there are (mask.size), how many are kept (mask.sum()), how many rows (len(mask)).",
        "CSR: 4 + 2 bytes for each that is kept, and 4 for each start, of which there is one more than rows.",
        "A bit per weight is (mask.size + 7) // 8 bytes: a byte that is begun counts as a whole one.",
    ),
)
def storage_bytes(answer, reference):
    """What each format costs, indices included."""
    small = np.pad(SMALL != 0, ((0, 0), (0, 3)))  # 3 x 7, so that bits of all and bits of the kept fill different bytes
    cases = ((small, (84, 40, 19)), (np.ones((3, 5), bool), (60, 106, 62)), (np.zeros((2, 8), bool), (64, 12, 2)))
    for mask, right in cases:
        got = answer(mask)
        expect_type(got, dict, "the result")
        expect(set(got) == {"dense", "csr", "bitmask"}, f"the result should have the names dense, csr and bitmask; yours has {list(got)}.")
        size, kept, rows = mask.size, int(mask.sum()), len(mask)
        what = f"for {rows} rows of {mask.shape[1]} weights, {kept} of them kept, the bytes of"
        mistakes = {
            "dense": {
                "A dense matrix stores its zeros, too: every weight counts, kept or not.": 4 * kept,
                "A float32 takes four bytes.": 8 * size,
                "That is the number of weights; each takes 4 bytes.": size,
            },
            "csr": {
                "The row starts are missing: 4 bytes for each, one more than there are rows.": 6 * kept,
                "There is one row start more than there are rows: the last row has an end.": 6 * kept + 4 * rows,
                "A column takes 2 bytes here (uint16), not 4.": 8 * kept + 4 * (rows + 1),
                "The columns are missing: 2 bytes for each that is kept.": 4 * kept + 4 * (rows + 1),
                "That is the values alone. Someone has to know where they belong: the indices are missing.": 4 * kept,
            },
            "bitmask": {
                "A whole byte for every weight; eight bits share one.": 4 * kept + size,
                "The bits are missing: one for every weight, kept or not.": 4 * kept,
                "The last byte is only partly used, but it is stored: round up.": 4 * kept + size // 8,
                "A weight that goes has its bit, too: how else would one know that it went?": 4 * kept + -(-kept // 8),
                "That counts a bit as a byte's worth for each that is kept; the bits count all weights.": 5 * kept,
            },
        }
        for name, expected in zip(("dense", "csr", "bitmask"), right):
            value = got[name]
            expect(
                isinstance(value, (int, np.integer)) or float(value).is_integer(),
                f"{what} {name} should be a whole number; yours is {value!r}.",
                "There is no half byte: a byte that is begun counts as a whole one.",
            )
            expect_close(value, expected, f"{what} {name}", mistakes=mistakes[name], rtol=0, atol=0)
