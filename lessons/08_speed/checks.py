"""Checks of lesson 08."""

import tracemalloc

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal
from minprune.sparse import CSR


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "first[warmup:] is the list without its first entries. Cut both lists.",
        "np.median takes a list of any length, and the mean of the middle two where the length is even.",
        "np.median(first[warmup:]) divided by the same of second: a long first time means that second is many times as fast.",
    ),
    changes=("first", "second"),  # not meant to: the check below looks, and knows what .sort() does
)
def median_ratio(answer, reference):
    """Two calls compared fairly."""
    first, second = [50.0, 60.0, 5.0, 2.0, 3.0, 100.0], [8.0, 9.0, 1.0, 1.0, 2.0, 5.0]
    late, later = np.array(first[2:]), np.array(second[2:])
    mistakes = {
        "It takes means: one interrupted call (here 100.0) spoils them. Take medians.": late.mean() / later.mean(),
        "Sorted before the cut, so that the quickest were cut off instead of the first. Cut first; np.median needs no sorting.": (
            np.median(sorted(first)[2:]) / np.median(sorted(second)[2:])
        ),
        "It takes the smallest of each; asked for are medians.": 2.0,
        "The warm-up still counts: leave out the first entries of both lists.": np.median(first) / np.median(second),
        "It is the wrong way round: above 1 should mean that the second is faster.": 1.5 / 4,
        "It takes the median of the ratios; asked for is the ratio of the medians.": np.median(late / later),
        "Of an even number of times the median is the mean of the middle two; yours takes the upper one.": 5 / 2,
        "The warm-up was cut off at the end of the lists; it is at their beginning.": np.median(first[:-2]) / np.median(second[:-2]),
    }
    what = f"median_ratio({first}, {second}, warmup=2)"
    given = list(first), list(second)
    got = answer(*given, 2)
    expect(
        given == (first, second),
        f"{what} should leave its lists as they were; yours changes them.",
        "list.sort() sorts the caller's own list, and the warm-up is no longer in front. np.median needs no sorting.",
    )
    expect_close(got, 4 / 1.5, what, mistakes=mistakes)
    got = answer([3.0, 1.0, 2.0], [4.0, 8.0, 6.0], 0)
    expect_close(got, 2 / 6, "median_ratio([3.0, 1.0, 2.0], [4.0, 8.0, 6.0], warmup=0)", cause="With no warm-up everything counts.")
    rng = np.random.default_rng(0)
    first, second = rng.exponential(size=11).tolist(), rng.exponential(size=11).tolist()
    expect_close(answer(first, second, 4), reference(first, second, 4), "the ratio of two lists of 11 random times with warmup=4")


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "There are len(pointers) - 1 rows. Begin with zeros of shape (rows, x.shape[1]) and the dtype of x.",
        "The kept weights of a row are those at j in range(pointers[row], pointers[row + 1]); an empty row has none, and stays zero.",
        "In the innermost loop, over n: result[row, n] += values[j] * x[columns[j], n]. Look values[j] and columns[j] up before it.",
    ),
    forbids=(CSR.to_dense,),
)
def sparse_product(answer, reference):
    """Rows of kept weights times a batch."""
    values, columns = np.array([5, 6, 7, 8], np.float32), np.array([1, 3, 0, 2], np.int32)
    pointers, x = np.array([0, 2, 2, 4], np.int32), np.arange(1, 9, dtype=np.float32).reshape(4, 2)
    given = f"values {values.tolist()}, columns {columns.tolist()}, pointers {pointers.tolist()}, x {x.tolist()}"
    got = _on_used_memory(answer, 1e3, values, columns, pointers, x)
    _check_shape(got)
    expect(
        np.array_equal(got, _on_used_memory(answer, -1e3, values, columns, pointers, x), equal_nan=True),
        "two calls with the same arguments should give the same product; yours gives another one each time.",
        "np.empty holds whatever the memory held before, and += adds to it. Begin with np.zeros.",
    )
    mistakes = {
        "Only the last weight of each row counts: add to what is there, +=, where yours writes over it.": [[42, 48], [0, 0], [40, 48]],
        "It pairs weight j with row j of x; the row of x is columns[j].": [[23, 34], [0, 0], [91, 106]],
        "It counts columns from the beginning of each row of weights; the row of x is columns[j].": [[23, 34], [0, 0], [31, 46]],
        "An empty row took the first weight of the next one, as np.add.reduceat does. Its sum is 0.": [[57, 68], [7, 14], [47, 62]],
        "The weights are missing: that is the sum of the inputs.": [[10, 12], [0, 0], [6, 8]],
    }
    expect_close(got, [[57, 68], [0, 0], [47, 62]], f"for {given} the product", mistakes=mistakes)
    expect(
        got.dtype == np.float32,
        f"for x of float32 the product should be float32; yours is {got.dtype}.",
        "np.zeros makes float64 unless told otherwise: np.zeros(shape, x.dtype).",
    )
    rng = np.random.default_rng(0)
    for rows, inputs, batch in ((5, 7, 3), (6, 4, 1), (1, 9, 4)):
        dense = np.where(rng.random((rows, inputs)) < 0.4, rng.standard_normal((rows, inputs)), 0)
        dense[-1] = 0  # the last row is empty
        csr, x = CSR.from_dense(dense, dense != 0), rng.standard_normal((inputs, batch))
        got = answer(csr.values, csr.offsets, csr.start, x)
        what = f"the product of a random matrix ({rows}, {inputs}), its last row empty, with x of shape {x.shape}"
        expect_array(got, (rows, batch), float, what)
        expect_close(got, dense @ x, what, cause="Which weights belong to a row is said by pointers alone.")
    _check_memory(answer)


def _on_used_memory(answer, left, *arguments):
    """The answer's result where the memory that np.empty will get is full of the number `left`."""
    for dtype in (np.float32, np.float64):
        used = [np.full((3, 2), left, dtype) for _ in range(20)]
        del used
    return answer(*arguments)


def _check_shape(got):
    """(3, 2), with a cause for the usual other shapes."""
    causes = {
        (2, 3): "It is transposed: a row for each row of the matrix, a column for each input of the batch.",
        (4, 2): "There are len(pointers) - 1 rows: the last pointer is where the last row ends.",
        (2, 2): "A row is missing: three rows have four pointers.",
    }
    shape = getattr(got, "shape", None)
    expect(shape not in causes, f"pointers of length 4 and x of shape (4, 2) should give (3, 2); yours is {shape}.", causes.get(shape, ""))
    expect_array(got, (3, 2), float, "the product")


def _check_memory(answer):
    """No dense matrix is made on the way."""
    n, kept = 2000, 20
    values, columns = np.ones(kept, np.float32), np.arange(kept, dtype=np.int32)
    pointers, x = np.minimum(np.arange(n + 1), kept).astype(np.int32), np.ones((n, 1), np.float32)
    tracemalloc.start()
    got = answer(values, columns, pointers, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expect(
        peak < 4e6,
        f"for a matrix of 2000 x 2000 with 20 kept weights it should need next to no memory; yours took {peak / 1e6:.0f} MB.",
        "It seems to fill a dense matrix, and then multiplies all the zeros again. Visit the kept weights only.",
    )
    expect_close(got.sum(), kept, "the sum of the product of 20 ones with ones")


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Make a list of gains, dense - sparse, and find the *last* one that is negative. What comes after it, stays ahead.",
        "No negative gain: the first sparsity. A negative gain at the very end: None.",
        "Between i (gain below 0) and i + 1 the straight line is zero after the share -gain[i] / (gain[i + 1] - gain[i]) of the way.",
    ),
    returns_none=True,
)
def break_even(answer, reference):
    """From where on sparse stays ahead."""
    cases = (
        ([0.0, 0.5, 0.9], [4.0, 4.0, 4.0], [8.0, 5.0, 2.0], 0.5 + 0.4 / 3),
        ([0.0, 0.2, 0.4, 0.6, 0.8], [10.0] * 5, [14.0, 9.0, 12.0, 8.0, 4.0], 0.5),
        ([0.0, 0.5, 1.0], [4.0, 4.0, 6.0], [9.0, 6.0, 5.0], 0.5 + 0.5 * 2 / 3),
    )
    for sparsities, dense, sparse, expected in cases:
        speedups = [d / s for d, s in zip(dense, sparse, strict=True)]
        gains = [d - s for d, s in zip(dense, sparse, strict=True)]
        last = max(i for i, gain in enumerate(gains) if gain < 0)
        step = sparsities[last + 1] - sparsities[last]
        mistakes = {
            "That is the first crossing; after it sparse falls behind once more. One lucky point must not count.": _first_crossing(
                sparsities, gains
            ),
            "That is a measured sparsity, the first at which sparse has won; the crossing lies before it.": sparsities[last + 1],
            "That is a measured sparsity, the last at which sparse has lost; the crossing lies after it.": sparsities[last],
            "That is the middle between two points; the straight line hits zero nearer to the smaller difference.": sparsities[last]
            + step / 2,
            "It interpolates the ratio of the times; the straight line is to go through the differences, dense - sparse.": sparsities[last]
            + step * (1 - speedups[last]) / (speedups[last + 1] - speedups[last]),
        }
        mistakes = {cause: value for cause, value in mistakes.items() if abs(value - expected) > 1e-9}
        what = f"for sparsities {sparsities}, dense {dense}, sparse {sparse} the break-even"
        got = answer(sparsities, dense, sparse)
        expect(
            got is not None,
            f"{what} should be {expected:.4f}; yours is None.",
            "None is for a sparse product that is slower at the last sparsity. Are dense and sparse swapped, or is a return missing?",
        )
        expect_close(got, expected, what, mistakes=mistakes)
    _check_ends_of_break_even(answer)
    rng = np.random.default_rng(0)
    for _ in range(5):
        sparsities = np.linspace(0.1, 0.9, 6).tolist()
        dense, sparse = rng.uniform(3, 4, 6).tolist(), [*rng.uniform(3, 4, 5).tolist(), 1.0]
        what = (
            f"for sparsities {np.round(sparsities, 2).tolist()}, dense {np.round(dense, 2).tolist()}, sparse {np.round(sparse, 2).tolist()}"
        )
        expect_close(answer(sparsities, dense, sparse), reference(sparsities, dense, sparse), what + " the break-even")


def _first_crossing(sparsities, gains):
    i = next(i for i in range(len(gains) - 1) if gains[i] < 0 <= gains[i + 1])
    return sparsities[i] + (sparsities[i + 1] - sparsities[i]) * -gains[i] / (gains[i + 1] - gains[i])


def _check_ends_of_break_even(answer):
    for sparse in ([4.0, 2.0], [0.5, 2.0]):
        got = answer([0.0, 0.5], [1.0, 1.0], sparse)
        expect(
            got is None,
            f"for sparsities [0.0, 0.5], dense [1.0, 1.0], sparse {sparse} sparse is slower at the end: None expected; yours is {got!r}.",
            "What lies beyond the last measurement nobody knows: do not guess a crossing there.",
        )
    got = answer([0.1, 0.5], [3.0, 3.0], [2.0, 1.0])
    expect_equal(
        got,
        0.1,
        "where sparse always wins, sparsities [0.1, 0.5], dense [3.0, 3.0], sparse [2.0, 1.0], the break-even",
        cause="Nothing is slower, so it is the first of the sparsities.",
    )
    what = "for sparsities [0.5, 0.9], dense [2.0, 2.0], sparse [3.0, 2.0] the break-even"
    got = answer([0.5, 0.9], [2.0, 2.0], [3.0, 2.0])
    expect(got is not None, f"{what} should be 0.9; yours is None.", "At least as fast: a tie at the end counts as won.")
    expect_close(got, 0.9, what, cause="The straight line reaches zero just at the end.")


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "Every image multiplies with every weight that is visited once. Inputs are batch * inputs numbers, outputs batch * outputs.",
        "Bytes, dense: 4 * (outputs * inputs + batch * inputs + batch * outputs).",
        "Bytes, sparse: 8 * kept + 4 * (outputs + 1) take the place of 4 * outputs * inputs. Ask `kept is None`: kept may be 0.",
    ),
)
def layer_work(answer, reference):
    """MACs and bytes of a layer."""
    dense = {
        "MACs are also counted for every image: times batch.": (6, 124),
        "One MAC is a multiplication and an addition together; yours counts two.": (60, 124),
        "The inputs and outputs of every image are moved: times batch.": (30, 44),
        "The outputs have to be written, too.": (30, 84),
        "The inputs have to be read, too.": (30, 64),
        "The weights are fetched once for the whole batch, not once for each image.": (30, 220),
        "Those are numbers, not bytes: a float32 has four.": (30, 31),
    }
    _compare_work(answer(2, 3, 5), (30, 124), "layer_work(outputs=2, inputs=3, batch=5)", dense)
    sparse = {
        "Only kept weights are multiplied: kept * batch MACs.": (30, 144),
        "A kept weight takes 8 bytes: its value and its column.": (20, 128),
        "The pointers are missing: 4 * (outputs + 1) bytes.": (20, 132),
        "There is one pointer more than rows.": (20, 140),
        "There is a pointer per row, outputs + 1 of them, not one per input.": (20, 148),
        "The bytes are those of the dense product: zeros are not stored in CSR.": (20, 124),
    }
    _compare_work(answer(2, 3, 5, 4), (20, 144), "layer_work(outputs=2, inputs=3, batch=5, kept=4)", sparse)
    empty = {"kept=0 was taken for None: 0 counts as false, so ask `kept is None`.": (30, 124)}
    _compare_work(answer(2, 3, 5, 0), (0, 112), "layer_work(outputs=2, inputs=3, batch=5, kept=0)", empty)
    for case in ((300, 784, 64, None), (300, 784, 1, 23_520), (7, 1, 2, None)):
        _compare_work(answer(*case), reference(*case), f"layer_work{case}", {})


def _compare_work(got, expected, what, mistakes):
    is_pair = isinstance(got, tuple) and len(got) == 2 and all(isinstance(n, (int, float, np.number)) for n in got)
    expect(is_pair, f"{what} should be a pair of numbers, (MACs, bytes); yours is {got!r}.", "Return both: return macs, nbytes.")
    expect_equal(got, expected, what, mistakes=mistakes)


@exercise(
    minutes=5,
    difficulty=1,
    hints=(
        "Work divided by rate is time: MACs by MACs per second, bytes by bytes per second. That gives two times.",
        "They pass at once, so the longer of the two is the least that it takes: max.",
    ),
)
def roofline_seconds(answer, reference):
    """The longer of two times."""
    got = [answer(100.0, 30.0, 50.0, 10.0), answer(210.0, 30.0, 50.0, 10.0)]
    mistakes = {
        "Those are both times one after the other; they pass at once.": [5.0, 7.2],
        "That is the shorter of the two times; the slower work decides.": [2.0, 3.0],
        "It looks at computing only.": [2.0, 4.2],
        "It looks at moving bytes only.": [3.0, 3.0],
        "The rates are swapped: MACs go with the peak, bytes with the bandwidth.": [10.0, 21.0],
        "It is upside down: time is work divided by rate.": [0.5, 1 / 3],
        "That is a rate, not a time.": [100 / 3, 50.0],
    }
    what = "at 50 MACs and 10 bytes a second, the least times of 100 MACs with 30 bytes and of 210 MACs with 30 bytes"
    expect_close(got, [3.0, 4.2], what, mistakes=mistakes)
    got = answer(15_052_800, 1_218_368, 6e10, 5e10)
    expect_close(got * 1e6, 250.88, "the microseconds of a real layer, 15,052,800 MACs at 60 GMAC/s and 1,218,368 bytes at 50 GB/s")
    got = answer(0.0, 30.0, 50.0, 10.0)
    expect_close(got, reference(0.0, 30.0, 50.0, 10.0), "the least time of 0 MACs with 30 bytes at 10 bytes a second")


POWER = "In Python ^ is no power, it compares bits (exclusive or): write 2 ** (bits - 1) - 1."


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "The largest whole number is L = 2 ** (bits - 1) - 1: 127 for 8 bits. The largest |weight| is to become exactly L.",
        "scale = np.abs(weights).max() / L, and q = np.round(weights / scale).astype(np.int8). Rounding comes before astype.",
        "All weights zero would divide by zero: take the scale 1 then. Return q, scale, in this order.",
    ),
)
def quantize(answer, reference):
    """Symmetric rounding, one scale for all."""
    weights = np.array([[-1.0, -0.2, 0.0], [0.3, 0.6, 0.05]], np.float32)
    right = np.array([[-3, -1, 0], [1, 2, 0]], np.int8)
    what = f"quantize({[[-1.0, -0.2, 0.0], [0.3, 0.6, 0.05]]}, bits=3)"
    q, scale = _pair(answer(weights, 3), weights, what)
    low = (weights - weights.min()) / ((weights.max() - weights.min()) / 7)
    mistakes = {
        "astype cuts the fraction off: round first.": np.trunc(weights * 3),
        "np.floor goes down, always; round to the nearest.": np.floor(weights * 3),
        "L is too large by one: with 3 bits it is 2 ** 2 - 1 = 3, so that -L and L both fit.": np.round(weights * 4),
        "One bit holds the sign: L is 2 ** (bits - 1) - 1, not 2 ** bits - 1.": np.round(weights * 7),
        "The scale is that of the largest weight; take the largest *absolute* value.": np.round(weights / (np.float32(0.6) / 3)),
        "It counts from the smallest weight, so that zero is not zero any more: rounding is to be symmetric.": np.round(low),
        "The same, moved: zero must become exactly 0.": np.round(low) - 4,
        "All became 0, so the scale is far too large: it is max |weights| / L, not its inverse (and a power is **, not ^).": 0 * weights,
        POWER: np.round(weights / -1),
    }
    expect_close(q, right, f"the whole numbers of {what}", mistakes=mistakes)
    upside = {"The scale is upside down: it is the step between neighbours, max |weights| / L.": 3.0}
    expect_close(scale, 1 / 3, f"the scale of {what}", mistakes=upside)
    rng = np.random.default_rng(0)
    for bits, shape in ((8, (20, 30)), (2, (50,)), (5, (4, 3, 2, 2))):
        weights = np.where(rng.random(shape) < 0.5, 0, rng.standard_normal(shape)).astype(np.float32)
        what = f"quantize of random weights {shape}, half of them zero, bits={bits}"
        q, scale = _pair(answer(weights, bits), weights, what)
        expected, right_scale = reference(weights, bits)
        power = {POWER: np.abs(weights).max() / (2 ^ (bits - 2))}  # how Python reads 2 ^ (bits - 1) - 1
        expect_close(scale, right_scale, f"the scale of {what}", mistakes=power, cause=f"L is {2 ** (bits - 1) - 1} here.")
        expect_equal(q, expected, f"the whole numbers of {what}", cause=f"They go from {1 - 2 ** (bits - 1)} to {2 ** (bits - 1) - 1}.")
    zeros = np.zeros((2, 2), np.float32)
    q, scale = _pair(answer(zeros, 4), zeros, "quantize of weights that are all zero")
    expect_close(scale, 1.0, "the scale where all weights are zero", cause="Their largest absolute value is 0: do not divide by it.")
    expect_close(q, zeros, "the whole numbers where all weights are zero")


def _pair(got, weights, what):
    """(q, scale) of the right kinds."""
    expect(
        isinstance(got, tuple) and len(got) == 2,
        f"{what} should return a pair, (q, scale); yours returns {type(got).__name__}.",
        "return q, scale",
    )
    q, scale = got
    expect(np.ndim(q) > 0, f"{what} should return the array first and the scale second.", "Swap them: return q, scale.")
    expect(
        not np.issubdtype(getattr(q, "dtype", np.int8), np.floating),
        f"q of {what} should hold whole numbers, int8; yours holds {getattr(q, 'dtype', '')}.",
        "Return the whole numbers themselves, .astype(np.int8), and not q * scale: that comes later.",
    )
    expect_array(q, weights.shape, np.int8, f"q of {what}")
    expect(
        np.ndim(scale) == 0,
        f"the scale of {what} should be one number; yours has the shape {np.shape(scale)}.",
        "Take the largest over the whole array, without axis=…: one scale for all.",
    )
    return q, scale
