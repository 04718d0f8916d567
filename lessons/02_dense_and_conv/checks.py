"""Checks of lesson 02."""

import numpy as np

from minprune import ops
from minprune.course import exercise, expect, expect_array, expect_close
from minprune.plain import conv, loss


def _slope(function, x, step=1e-6):
    """d function / dx by central differences, for an array x and a function that returns a number."""
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        poke = np.zeros(x.shape)
        poke[place] = step
        result[place] = (function(x + poke) - function(x - poke)) / (2 * step)
    return result


def _patches(x, kernel):
    """(N, C, R, S, Y, X), by plain loops."""
    (r, s), (n, c, h, w) = kernel, x.shape
    result = np.zeros((n, c, r, s, h - r + 1, w - s + 1), x.dtype)
    for i in range(r):
        for j in range(s):
            result[:, :, i, j] = x[:, :, i : i + h - r + 1, j : j + w - s + 1]
    return result


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Row (c, i, j) of the result is a shifted view of the image: x[:, c, i : i + Y, j : j + X], with Y = H - R + 1 and X = W - S + 1.",
        "Make result = np.empty((N, C, R, S, Y, X), x.dtype), fill result[:, :, i, j] for each i and j, and reshape it at the end.",
        "result[:, :, i, j] = x[:, :, i : i + Y, j : j + X], and then result.reshape(N, C * R * S, Y * X).",
    ),
    forbids=(conv.im2col,),
)
def im2col(answer, reference):
    """Patches as columns."""
    x = np.arange(1.0, 13).reshape(1, 1, 3, 4)
    by_hand = np.array([[1, 2, 3, 5, 6, 7], [2, 3, 4, 6, 7, 8], [5, 6, 7, 9, 10, 11], [6, 7, 8, 10, 11, 12]], float)[None]
    mistakes = {
        "The patches lie in the rows. Each patch should be a column: (N, C·R·S, Y·X).": by_hand.swapaxes(1, 2),
        "The patches are right, but the places are walked column by column; walk each row of the image from left to right.": by_hand[
            :, :, [0, 3, 1, 4, 2, 5]
        ],
        "Within a patch, the pixels are read column by column; read them row by row, like a filter's weights.": by_hand[:, [0, 2, 1, 3]],
        "It jumps by a whole patch. The patch moves on by one pixel at a time, and patches overlap.": by_hand[:, :, [0, 2]],
        "The shape is right, but the patches' pixels are scrambled: a reshape does not move axes. Use transpose first.": by_hand.swapaxes(
            1, 2
        ).reshape(1, 4, 6),
        "The last row or column of places is missing: there are H - R + 1 of them, not H - R.": by_hand[:, :, [0, 1]],
    }
    what = "im2col of the 3x4 image 1 … 12 with a 2x2 kernel"
    expect_close(answer(x, (2, 2)), by_hand, what, mistakes=mistakes, cause="Its first column should be the patch 1, 2, 5, 6.")
    rng = np.random.default_rng(1)
    for shape, kernel in (((2, 3, 4, 5), (2, 3)), ((1, 2, 3, 3), (3, 3)), ((3, 2, 4, 3), (1, 1)), ((2, 1, 5, 2), (3, 1))):
        x = rng.standard_normal(shape)
        patches = _patches(x, kernel)
        n, c = shape[:2]
        mistakes = {
            "The channels come last in a column; the order is C, R, S, so that w.reshape(O, -1) fits.": patches.transpose(0, 2, 3, 1, 4, 5),
            "R and S are in the wrong order.": patches.transpose(0, 1, 3, 2, 4, 5),
        }
        mistakes = {cause: value.reshape(n, c * kernel[0] * kernel[1], -1) for cause, value in mistakes.items()}
        got = answer(x, kernel)
        what = f"im2col of images of shape {shape} with kernel {kernel}"
        expect_close(got, reference(x, kernel), what, mistakes=mistakes, cause="Kernels need not be square, nor images.")
        expect_close(got, patches.reshape(reference(x, kernel).shape), what)
    got = answer(x.astype(np.float32), (1, 1))
    expect(got.dtype == np.float32, f"float32 images should give float32 columns; yours are {got.dtype}.", "Make the result with x.dtype.")


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "Lay each filter flat: weight.reshape(O, -1) is (O, C·R·S). What product with columns (N, C·R·S, P) gives (N, O, P)?",
        "NumPy's @ multiplies the last two axes and repeats over the batch: weight.reshape(O, -1) @ columns. Then add bias[:, None].",
    ),
)
def conv2d_forward(answer, reference):
    """One product for all places."""
    columns = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [0.0, 1.0]]])  # one image, a 2x2 kernel, two places
    weight = np.array([[[[1.0, 0.0], [2.0, -1.0]]], [[[0.0, 1.0], [1.0, 3.0]]]])
    bias = np.array([10.0, 20.0])
    by_hand = np.array([[[21.0, 23.0], [28.0, 33.0]]])
    flat = weight.reshape(2, 4)
    mistakes = {
        "The bias is missing.": by_hand - bias[:, None],
        "The bias is added along the places. It belongs to the out-channels: bias[:, None].": by_hand - bias[:, None] + bias,
        "The filter is flipped. That is the mathematicians' convolution; a network's does not flip.": flat[:, ::-1] @ columns
        + bias[:, None],
        "The filters are scrambled: reshape(-1, O) mixes weights of several filters. Use reshape(O, -1).": weight.reshape(4, 2).T @ columns
        + bias[:, None],
        "The weights within a filter are read column by column; im2col reads row by row.": flat[:, [0, 2, 1, 3]] @ columns + bias[:, None],
        "A mean instead of a sum: each output is the sum over C·R·S products.": flat @ columns / 4 + bias[:, None],
    }
    what = "the output for the columns [1, 3, 5, 0] and [2, 4, 6, 1] with filters [1, 0, 2, -1] and [0, 1, 1, 3], biases 10 and 20"
    expect_close(
        answer(columns, weight, bias), by_hand, what, mistakes=mistakes, cause="By hand: 1·1 + 0·3 + 2·5 - 1·0 + 10 = 21 comes first."
    )
    rng = np.random.default_rng(2)
    for n, o, c, r, s, p in ((2, 3, 2, 3, 1, 4), (3, 1, 4, 1, 1, 2), (1, 5, 1, 2, 3, 1)):
        columns, weight, bias = rng.standard_normal((n, c * r * s, p)), rng.standard_normal((o, c, r, s)), rng.standard_normal(o)
        what = f"the output for columns {columns.shape} and weights {weight.shape}"
        expect_close(answer(columns, weight, bias), reference(columns, weight, bias), what, cause="(O, C·R·S) @ (N, C·R·S, P) = (N, O, P).")
    images, padded_size = rng.standard_normal((2, 3, 5, 6)), (4, 4)
    weight, bias = rng.standard_normal((4, 3, 2, 3)), rng.standard_normal(4)
    columns = _patches(images, (2, 3)).reshape(2, 18, -1)
    right = ops.conv2d(images, weight, bias).data.reshape(2, 4, padded_size[0] * padded_size[1])
    expect_close(answer(columns, weight, bias), right, "the output for two images, compared with the library's conv2d,")


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "It is a matrix product as in lesson 01: y = W @ columns. There, dW = dy @ columnsᵀ and dcolumns = Wᵀ @ dy.",
        "The weights serve every image, so dW sums over the batch; the bias serves every image and place, so db = grad.sum(axis=(0, 2)).",
        "(grad @ columns.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape), and weight.reshape(O, -1).T @ grad.",
    ),
)
def conv2d_backward(answer, reference):
    """Three gradients of one product."""
    columns = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]])  # two images, kernel 1x2, two places
    weight = np.array([[[[1.0, -1.0]]], [[[2.0, 3.0]]]])
    grad = np.array([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [3.0, 0.0]]])
    dw, db, dcolumns = _three(answer(grad, columns, weight))
    each = grad @ columns.swapaxes(1, 2)
    data = "for two images with columns [[1, 2], [3, 4]] and [[0, 1], [1, 0]], gradients [[1, 0], [0, 2]] and [[1, 1], [3, 0]]"
    mistakes = {
        "It averages over the images. The loss has divided by N already: sum.": each.mean(axis=0).reshape(weight.shape),
        "Only the first image counts; the weights serve all of them, so their gradients are summed.": each[0].reshape(weight.shape),
        "The images' gradients are not summed: the weights serve every image of the batch.": each,
        "It has the shape of the flat weights; reshape it to weight.shape.": each.sum(axis=0),
        "It is transposed, (C·R·S, O), and then reshaped, which scrambles it.": each.sum(axis=0).T.reshape(weight.shape),
        "The columns are not transposed; it needs dy @ columnsᵀ.": (grad @ columns).sum(axis=0).reshape(weight.shape),
    }
    expect_close(dw, [[[[2.0, 4.0]]], [[[4.0, 11.0]]]], f"dweight {data}", mistakes=mistakes, cause="Sum over images of dy @ columnsᵀ.")
    mistakes = {
        "It sums over the images only; the bias is used at every place as well.": grad.sum(axis=0),
        "It sums over the places only; the bias is used for every image as well.": grad.sum(axis=2),
        "A mean: each use sends its gradient back, so they are summed.": grad.mean(axis=(0, 2)),
        "It sums over the out-channels; those are the biases themselves.": grad.sum(axis=(0, 1)),
    }
    expect_close(db, [3.0, 5.0], f"dbias {data}", mistakes=mistakes, cause="Sum dy over images and places.")
    flat = weight.reshape(2, 2)
    mistakes = {"The flat weights are not transposed; it needs Wᵀ @ dy.": flat @ grad}
    by_hand = [[[1.0, 4.0], [-1.0, 6.0]], [[7.0, 1.0], [8.0, -1.0]]]
    what = f"dcolumns {data}, filters [1, -1] and [2, 3]"
    expect_close(dcolumns, by_hand, what, mistakes=mistakes, cause="Wᵀ (C·R·S, O) @ dy (N, O, P).")
    rng = np.random.default_rng(3)
    for n, o, c, r, s, p in ((2, 3, 2, 2, 1, 4), (1, 1, 1, 1, 1, 1), (3, 4, 1, 1, 2, 2)):
        grad, columns, weight = (rng.standard_normal(z) for z in ((n, o, p), (n, c * r * s, p), (o, c, r, s)))
        got = _three(answer(grad, columns, weight))
        shapes = f"for columns {columns.shape} and weights {weight.shape}"
        for name, mine, right in zip(("dweight", "dbias", "dcolumns"), got, reference(grad, columns, weight), strict=True):
            expect_close(mine, right, f"{name} {shapes}", cause="A gradient has the shape of what it belongs to.")
        slope = _slope(lambda w, g=grad, x=columns: float((g * (w.reshape(len(w), -1) @ x)).sum()), weight)
        expect_close(got[0], slope, f"dweight {shapes}, against the slope by poking,", rtol=1e-4, atol=1e-5)


def _three(got):
    fine = isinstance(got, (tuple, list)) and len(got) == 3
    expect(fine, f"conv2d_backward should return three arrays; yours returns a {type(got).__name__}.", "return dweight, dbias, dcolumns")
    return got


@exercise(
    minutes=15,
    difficulty=3,
    hints=(
        "It is im2col run backwards: result[:, :, i : i + Y, j : j + X] received what lies in row (i, j) of the columns. Begin with zeros.",
        "A pixel lies in several patches, so add: result[:, :, i : i + Y, j : j + X] += pieces[:, :, i, j].",
        "pieces = columns.reshape(N, C, R, S, Y, X) with Y = H - R + 1 and X = W - S + 1.",
    ),
    forbids=(conv.col2im,),
)
def col2im(answer, reference):
    """Every patch back to where it came from."""
    got = answer(np.ones((1, 4, 4)), (1, 1, 3, 3), (2, 2))
    by_hand = np.array([[[[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]]])
    mistakes = {
        "Overlapping patches overwrite each other. The middle pixel lies in four patches and receives four gradients: use +=.": np.ones(
            (1, 1, 3, 3)
        ),
        "It divides by the number of patches. Each of them really used the pixel: the gradients are summed, not averaged.": by_hand / 4,
    }
    what = "col2im of columns full of ones, for a 3x3 image and a 2x2 kernel,"
    expect_close(got, by_hand, what, mistakes=mistakes, cause="Each pixel should count the patches that it lies in.")
    rng = np.random.default_rng(4)
    for shape, kernel in (((1, 1, 3, 4), (2, 2)), ((2, 3, 4, 5), (2, 3)), ((3, 2, 3, 3), (3, 3)), ((1, 2, 5, 2), (3, 1))):
        n, c, h, w = shape
        (r, s), y, x = kernel, h - kernel[0] + 1, w - kernel[1] + 1
        columns = rng.standard_normal((n, c * r * s, y * x))
        right = reference(columns, shape, kernel)
        mistakes = {
            "The pixels of a patch are put back transposed: the rows of the columns run over C, then R, then S.": _add_back(
                columns.reshape(n, c, s, r, y, x).swapaxes(2, 3), shape
            ),
            "The places are put back in the wrong order: they run along each row of the image.": _add_back(
                columns.reshape(n, c, r, s, x, y).swapaxes(4, 5), shape
            ),
            "The rows of the columns run over C, then R, then S; yours takes the channel as the last.": _add_back(
                np.moveaxis(columns.reshape(n, r, s, c, y, x), 3, 1), shape
            ),
        }
        what = f"col2im of columns {columns.shape} for images {shape} and kernel {kernel}"
        got = answer(columns, shape, kernel)
        expect_close(got, right, what, mistakes=mistakes, cause="Every column is one patch: add it where im2col took it from.")
        images = rng.standard_normal(shape)
        forward, back = float((_patches(images, kernel).ravel() * columns.ravel()).sum()), float((images * got).sum())
        what = f"sum(images * col2im(columns)), compared with sum(im2col(images) * columns), for images {shape} and kernel {kernel},"
        expect_close(back, forward, what, cause="col2im is the transpose of im2col.")
    got = answer(np.ones((1, 4, 4), np.float32), (1, 1, 3, 3), (2, 2))
    expect(got.dtype == np.float32, f"float32 columns should give a float32 image; yours is {got.dtype}.", "np.zeros(shape, columns.dtype)")


def _add_back(pieces, shape):
    result = np.zeros(shape)
    _, _, r, s, y, x = pieces.shape
    for i in range(r):
        for j in range(s):
            result[:, :, i : i + y, j : j + x] += pieces[:, :, i, j]
    return result


def _log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "The loss of a row is log(Σ exp(z)) - z[label]. Subtracting the row's maximum from z changes neither part's difference.",
        "shifted = logits - logits.max(axis=1, keepdims=True). Then no exp is above 1, and the sum is at least 1: its log is harmless.",
        "logits[np.arange(N), labels] picks each row's own label. Return the mean over the rows.",
    ),
    forbids=(ops.cross_entropy, loss.cross_entropy),
)
def cross_entropy(answer, reference):
    """The loss that classifiers are trained with."""
    logits, labels = np.array([[0.0, 0.0, 0.0], [np.log(2.0), 0.0, 0.0]]), np.array([1, 0])
    right = (np.log(3) + np.log(2)) / 2
    log_p = _log_softmax(logits)
    mistakes = {
        "It sums over the batch; the mean is asked for, so that the loss does not depend on N.": 2 * right,
        "The sign is reversed: a likely label should cost little.": -right,
        "The logarithm is missing: that is the mean of the probabilities.": np.exp(log_p)[[0, 1], labels].mean(),
        "The logarithm is missing: that is 1 minus the mean of the probabilities.": 1 - np.exp(log_p)[[0, 1], labels].mean(),
        "The mean runs over all N·K entries; only each row's own label counts.": -log_p.mean(),
        "It divides by N·K; the mean is over the N images.": right / 3,
        "logits[:, labels] takes all labels for each row. Pick one per row: logits[np.arange(N), labels].": -log_p[:, labels].mean(),
        "The softmax runs over the images. Each row is one image: axis=1.": -_log_softmax(logits.T).T[[0, 1], labels].mean(),
        "A logarithm to another base; the natural one, np.log, is meant.": right / np.log(2),
    }
    what = "the loss of logits [[0, 0, 0], [log 2, 0, 0]] with labels [1, 0], which is (log 3 + log 2) / 2,"
    expect_close(answer(logits, labels), right, what, mistakes=mistakes, cause="softmax: [1/3, 1/3, 1/3] and [1/2, 1/4, 1/4].")
    big = np.array([[1000.0, 999.0], [-1000.0, -1000.0]])
    small_cause = "exp(1000) is infinite, and the log of exp(-1000) is that of 0. Subtract each row's maximum first."
    value = (np.log1p(np.exp(-1)) + np.log(2)) / 2
    expect_close(
        answer(big, np.array([0, 1])),
        value,
        "the loss of logits [[1000, 999], [-1000, -1000]] with labels [0, 1]",
        mistakes={"The largest of *all* logits is subtracted; each row needs its own maximum: axis=1.": -np.inf},
        cause=small_cause,
    )
    unlikely = answer(np.array([[0.0, 1000.0]]), np.array([0]))
    expect_close(
        unlikely,
        1000.0,
        "the loss of logits [[0, 1000]] with label 0, which is log(e⁰ + e¹⁰⁰⁰) - 0,",
        cause="The probability is 0 in floating point, and its log is lost (or cut off by a small constant). "
        "Never take the log of a softmax: use log Σ exp(z) - z[label].",
    )
    rng = np.random.default_rng(5)
    for n, k in ((1, 10), (7, 3), (4, 1)):
        logits, labels = 5 * rng.standard_normal((n, k)), rng.integers(k, size=n)
        what = f"the loss of {n} x {k} random logits"
        expect_close(answer(logits, labels), reference(logits, labels), what)
        expect_close(answer(logits + 37, labels), reference(logits, labels), f"{what}, 37 added to all of them,")


@exercise(
    minutes=10,
    difficulty=2,
    hints=(
        "For each row it is (softmax - onehot) / N: the probabilities, with 1 taken away at the label, divided by the number of rows.",
        "p[np.arange(N), labels] -= 1 takes 1 away once per row. Compute the softmax with the maximum subtracted, as for the loss.",
    ),
    forbids=(loss.cross_entropy_grad,),
)
def cross_entropy_gradient(answer, reference):
    """Probabilities minus truth."""
    logits, labels = np.array([[0.0, 0.0], [np.log(3.0), 0.0]]), np.array([1, 0])
    by_hand = np.array([[0.25, -0.25], [-0.125, 0.125]])
    p = np.exp(_log_softmax(logits))
    everywhere = p.copy()
    everywhere[:, labels] -= 1
    mistakes = {
        "It is not divided by N: the loss is a mean over the rows.": 2 * by_hand,
        "The sign is reversed: softmax minus onehot.": -by_hand,
        "The label is not taken away: softmax minus onehot.": p / 2,
        "p[:, labels] -= 1 changes whole columns. One entry per row: p[np.arange(N), labels].": everywhere / 2,
        "It divides by N·K; the mean is over the N rows.": by_hand / 2,
        "Only the label's entry is left. All logits take part in the sum of the softmax.": np.where(np.eye(2)[labels] == 1, by_hand, 0),
    }
    what = "the gradient for logits [[0, 0], [log 3, 0]] with labels [1, 0], where softmax is [[1/2, 1/2], [3/4, 1/4]],"
    got = answer(logits, labels)
    expect_array(got, (2, 2), float, "the gradient")
    expect_close(got, by_hand, what, mistakes=mistakes, cause="(softmax - onehot) / N.")
    big = np.array([[1000.0, 0.0], [-1000.0, -1000.0], [0.0, 500.0]])
    got = answer(big, np.array([1, 0, 1]))
    expect_close(
        got,
        np.array([[1, -1], [-0.5, 0.5], [0, 0]]) / 3,
        "the gradient for logits [[1000, 0], [-1000, -1000], [0, 500]] with labels [1, 0, 1]",
        cause="exp overflows or vanishes: subtract each row's own maximum first.",
    )
    rng = np.random.default_rng(6)
    for n, k in ((1, 5), (6, 3), (3, 10)):
        logits, labels = 3 * rng.standard_normal((n, k)), rng.integers(k, size=n)
        got = answer(logits, labels)
        expect_close(got, reference(logits, labels), f"the gradient for {n} x {k} random logits")
        expect_close(got.sum(axis=1), np.zeros(n), "the sum over each row of the gradient", cause="Probabilities sum to 1; so does onehot.")
        slope = _slope(lambda z, labels=labels: -float(_log_softmax(z)[np.arange(len(z)), labels].mean()), logits)
        expect_close(got, slope, f"the gradient for {n} x {k} logits, against the slope by poking,", rtol=1e-4, atol=1e-5)
