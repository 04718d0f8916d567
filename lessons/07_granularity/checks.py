"""Checks of lesson 07."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.prune import compact, cut, graph, make_masks
from minprune.prune.granularity import NM, Kernel, mean, rms


def _best_of(scores, group_of, keep):
    """True at the `keep` highest scores among those with the same number in `group_of`."""
    mask = np.zeros(scores.shape, bool)
    for group in np.unique(group_of):
        places = np.flatnonzero(group_of == group)
        mask.flat[places[np.argsort(-scores.flat[places], kind="stable")[:keep]]] = True
    return mask


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "scores.reshape(len(scores), -1) gives the rows. rows[:, start : start + of] is one group of every row, the last perhaps shorter.",
        "np.argsort(-group, axis=1, kind='stable') has the places of each row's group from the best to the worst; the first `keep` stay.",
        "For start in range(0, rows.shape[1], of): np.put_along_axis(mask[:, start : start + of], order[:, :keep], True, axis=1). "
        "Reshape the mask at the end.",
    ),
    forbids=(NM.mask, make_masks),
)
def nm_mask(answer, reference):
    """n of each m neighbours."""
    scores = np.array([[9, 1, 2, 8, 3, 6, 5, 4], [1, 2, 3, 4, 8, 7, 6, 5]], float)
    rows, columns = np.indices(scores.shape)
    mistakes = {
        "The lowest scores were kept; higher means keep.": _best_of(-scores, rows * 2 + columns // 4, 1),
        "`keep` of each group were cut; `keep` should stay.": _best_of(scores, rows * 2 + columns // 4, 3),
        "The best of a whole row were kept; each group of `of` neighbours has its own share.": _best_of(scores, rows, 2),
        "The groups run down the output axis; they should run along the input axis, within a row.": _best_of(scores, columns, 1),
        "The groups are every so many columns apart; they should be neighbours.": _best_of(scores, rows * 2 + columns % 2, 1),
    }
    got = answer(scores, 1, 4)
    what = f"of scores {scores.astype(int).tolist()} with 1 of 4 kept, the mask"
    expect_array(got, scores.shape, bool, "the mask")
    right = np.array([[1, 0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0]], bool)
    expect_equal(got, right, what, mistakes=mistakes, picture=True)
    _check_conv(answer)
    short = np.array([[-4, -3, -2, -1, -6, -5], [-1, -2, -3, -4, -5, -6]], float)
    rows, columns = np.indices(short.shape)
    right = np.array([[0, 0, 0, 1, 0, 1], [1, 0, 0, 0, 1, 0]], bool)
    mistakes = {
        "Groups run on from one row into the next; each row begins anew, and its last group may be shorter.": _best_of(
            short, np.arange(12).reshape(2, 6) // 4, 1
        ),
        "The absolute value was taken; higher scores stay, and -1 is higher than -4.": _best_of(-short, rows * 2 + columns // 4, 1),
        "The shorter group lost all. Filled up with zeros, perhaps, which beat scores below zero? Fill with -inf.": right & (columns < 4),
        "The shorter group at the end was left as it is; it keeps min(keep, its length), too.": right | (columns >= 4),
    }
    got = answer(short, 1, 4)
    expect_array(got, short.shape, bool, "the mask of 6 columns with groups of 4")
    expect_equal(got, right, f"of scores {short.astype(int).tolist()} with 1 of 4 kept, the mask", mistakes=mistakes, picture=True)
    counts = answer(np.ones((2, 8)), 2, 4).reshape(2, 2, 4).sum(axis=2)
    cause = "A threshold (>= or >) keeps or cuts all that are equal; count places instead."
    expect_equal(counts, np.full((2, 2), 2), "of scores that are all equal, the number kept in each group of 4", cause=cause)
    scores = np.random.default_rng(0).standard_normal((3, 5, 3, 3))
    for keep, of in ((2, 4), (1, 1), (3, 50)):
        expect_equal(answer(scores, keep, of), reference(scores, keep, of), f"for random scores (3, 5, 3, 3) the mask {keep}:{of}")


def _check_conv(answer):
    """The row of a convolution is C, R, S in this order."""
    scores = np.array([1, 2, 8, 7, 3, 4, 5, 6], float).reshape(1, 4, 1, 2)
    got = answer(scores, 1, 2)
    expect_array(got, (1, 4, 1, 2), bool, "the mask of a convolution")
    mistakes = {
        "It groups along C for each place (r, s) of the kernel, as some libraries do; here it is the row as reshape gives it.": np.array(
            [0, 0, 1, 1, 0, 0, 1, 1], bool
        ).reshape(1, 4, 1, 2),
    }
    right = np.array([0, 1, 1, 0, 0, 1, 0, 1], bool).reshape(1, 4, 1, 2)
    expect_equal(got, right, "of scores (1, 4, 1, 2), in a row [1, 2, 8, 7, 3, 4, 5, 6], with 1 of 2 kept, the mask", mistakes=mistakes)


@exercise(
    minutes=10,
    difficulty=2,
    hints=(
        "The L2 norms of all kernels: np.sqrt((weight**2).sum(axis=(2, 3))), of shape (O, C).",
        "np.argsort(-norms, axis=None, kind='stable')[:keep] are the places of the kernels that stay, counted through all of (O, C).",
        "Make a bool array of O * C, set those places, reshape it to (O, C, 1, 1) and spread it: np.broadcast_to(…, weight.shape).copy().",
    ),
    forbids=(make_masks, Kernel.pieces, rms, mean),
)
def kernel_mask(answer, reference):
    """Whole kernels."""
    kernels = [[3, 4], [6, -6], [0, 5.4], [1, 1], [3.9, 3.9], [2, 0]]
    weight = np.array(kernels).reshape(2, 3, 1, 2)
    got = answer(weight, 3)
    shape = getattr(got, "shape", None)
    expect(
        shape not in ((2, 3), (2, 3, 1, 1)),
        f"for a weight (2, 3, 1, 2) the mask should have that shape, too; yours has {shape}.",
        "That is one value per kernel. Each of a kernel's weights needs it: np.broadcast_to.",
    )
    expect_array(got, (2, 3, 1, 2), bool, "the mask")
    got = _whole(got, "kernel")
    mistakes = {
        "Sums of signed weights: 6 and -6 cancel. Square first.": [1, 0, 1, 0, 1, 0],
        "That is the choice by L1 norm, sums of absolute values; asked for is L2.": [1, 1, 0, 0, 1, 0],
        "That is the choice by the largest weight of each kernel; asked for is the L2 norm.": [1, 1, 1, 0, 0, 0],
        "The smallest were kept; it should be the other way round.": [1, 0, 0, 1, 0, 1],
        "`keep` kernels in each filter stay; it should be `keep` in all.": [1, 1, 1, 1, 1, 1],
        "Whole filters were chosen; each pair of an output and an input has a kernel of its own.": [1, 1, 1, 0, 0, 0],
    }
    right = np.array([0, 1, 1, 0, 1, 0])
    expect_close(got, right, f"of the kernels {kernels} with keep=3, whether each stays", mistakes=mistakes)
    equal = answer(np.ones((2, 2, 3, 3)), 1)
    expect_array(equal, (2, 2, 3, 3), bool, "the mask")
    expect(
        equal.sum() == 9,
        f"of four equal kernels of 9 weights exactly keep=1 should stay, 9 weights; yours keeps {int(equal.sum())} weights.",
        "A threshold keeps or cuts all that are equal; count places instead.",
    )
    for keep in (0, 6):
        expect_equal(answer(weight, keep), reference(weight, keep), f"the mask with keep={keep}", cause="Look at what a slice [-0:] is.")
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 2)).astype(np.float32)
    expect_equal(answer(weight, 5), reference(weight, 5), "for a random weight (4, 3, 3, 2) with keep=5 the mask")


def _whole(mask, what):
    """One value per kernel of a mask (O, C, R, S) that holds whole kernels."""
    flat = mask.reshape(mask.shape[0] * mask.shape[1], -1)
    broken = flat.any(axis=1) != flat.all(axis=1)
    expect(
        not broken.any(),
        f"a {what} should stay or go as a whole; in yours {int(broken.sum())} of {len(flat)} have lost only some weights.",
        "Choose by one number per kernel, its norm, not by single weights.",
    )
    return flat.all(axis=1).astype(int)


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "weight.reshape(len(weight), -1) has one filter per row, for Conv2d and Linear alike. Take the norm of every row.",
        "gone = min(round(sparsity * O), O - 1), and the places of the `gone` smallest norms: np.argsort(norms, kind='stable')[:gone].",
    ),
    forbids=(make_masks, cut, rms, mean),
)
def channel_mask(answer, reference):
    """Whole channels."""
    filters = [[3, 4], [6, -6], [0, 5.4], [1, 1]]
    weight = np.array(filters).reshape(4, 2, 1, 1)
    got = answer(weight, 0.5)
    shape = getattr(got, "shape", None)
    expect(
        shape != (2,),
        "for a weight (4, 2, 1, 1) there are 4 output channels; yours gives 2 values.",
        "It looks along the input channels. Outputs are the first axis, O.",
    )
    expect(
        shape != (4, 2, 1, 1),
        "it should give one value per output channel, (4,); yours gives one per weight.",
        "A channel goes with much more than its filter; here only say which.",
    )
    expect_array(got, (4,), bool, "the mask of the channels of a weight (4, 2, 1, 1)")
    mistakes = {
        "Sums of signed weights: 6 and -6 cancel. Square first.": [1, 0, 1, 0],
        "That is the choice by L1 norm, sums of absolute values; asked for is L2.": [1, 1, 0, 0],
        "The smallest were kept; True means that a channel stays.": [1, 0, 0, 1],
    }
    right = np.array([0, 1, 1, 0], bool)
    expect_equal(got, right, f"of the filters {filters} with sparsity=0.5, whether each stays,", mistakes=mistakes)
    got = answer(weight, 1.0)
    expect_array(got, (4,), bool, "the mask")
    expect_equal(
        got,
        np.array([0, 1, 0, 0], bool),
        f"of the filters {filters} with sparsity=1.0, whether each stays,",
        cause="At least one channel must stay, the one with the largest norm: through a layer without channels nothing comes.",
    )
    got = answer(np.ones((5, 3)), 0.4)
    expect_array(got, (5,), bool, "the mask for a Linear weight (5, 3)")
    expect(
        got.sum() == 3,
        f"of five equal rows of a Linear weight, with sparsity=0.4, exactly 3 should stay; yours keeps {int(got.sum())}.",
        "A threshold (or a quantile) keeps or cuts all that are equal; count places instead.",
    )
    weight = np.random.default_rng(0).standard_normal((7, 3, 3, 3)).astype(np.float32)
    for sparsity in (0.0, 0.25, 0.4, 0.9):
        got = answer(weight, sparsity)
        expect_array(got, (7,), bool, "the mask")
        gone = int((~got).sum())
        what = f"of 7 channels with sparsity={sparsity} the number removed"
        cause = "round(sparsity * O) go; int() cuts off the fraction. And look at what a slice [-0:] is."
        expect_equal(gone, int((~reference(weight, sparsity)).sum()), what, cause=cause)
        expect_equal(got, reference(weight, sparsity), f"for a random weight (7, 3, 3, 3) with sparsity={sparsity} the mask")


ROLES = "Makers shrink along axis 0, readers along axis 1, and what follows along its only axis."


def _arrays():
    """A small chain: conv (3 channels) → BatchNorm → conv that reads them, and something that has no part in it."""
    return {
        "conv.weight": np.array([1.0, 2, 3]).reshape(3, 1, 1, 1),
        "conv.bias": np.array([4.0, 5, 6]),
        "bn.weight": np.array([7.0, 8, 9]),
        "bn.bias": np.array([10.0, 11, 12]),
        "bn.running_mean": np.array([13.0, 14, 15]),
        "bn.running_var": np.array([16.0, 17, 18]),
        "next.weight": np.arange(20.0, 29).reshape(3, 3, 1, 1),
        "next.bias": np.array([30.0, 31, 32]),
        "fc.weight": np.array([[40.0, 41, 42]]),
    }


@exercise(
    minutes=18,
    difficulty=3,
    hints=(
        "Begin with small = dict(arrays), which has all names. Indexing the first axis is a[keep], the second is a[:, keep].",
        "Makers: weight and, if there is one, bias, along axis 0. Followers: all four of weight, bias, running_mean, running_var. "
        "Readers: weight along axis 1; their bias belongs to *their* outputs.",
        "A layer may make and read the same channels. So go on from what is in `small`, small[n] = small[n][:, keep], not from `arrays`.",
    ),
    forbids=(compact, cut),
)
def remove_channels(answer, reference):
    """All that hangs on a channel."""
    arrays, keep = _arrays(), np.array([True, False, True])
    got = answer(arrays, keep, ["conv"], ["bn"], ["next"])
    expect_type(got, dict, "what remove_channels returns")
    missing, extra = sorted(arrays.keys() - got.keys()), sorted(map(str, got.keys() - arrays.keys()))
    expect(
        not missing,
        f"the result should have all names that came in; in yours {', '.join(missing)} is missing.",
        "What has no part in these channels comes along as it is: begin with a copy of the dictionary.",
    )
    expect(not extra, f"the result should have the names that came in; yours also has {', '.join(extra)}.")
    given = "keep=[True, False, True], makes=['conv'], follows=['bn'], reads=['next']: "
    right = {
        "conv.weight": [[[[1]]], [[[3]]]],
        "conv.bias": [4, 6],
        "bn.weight": [7, 9],
        "bn.bias": [10, 12],
        "bn.running_mean": [13, 15],
        "bn.running_var": [16, 18],
        "next.weight": [[[[20]], [[22]]], [[[23]], [[25]]], [[[26]], [[28]]]],
        "next.bias": [30, 31, 32],
        "fc.weight": [[40, 41, 42]],
    }
    for name, expected in right.items():
        expect_type(got[name], np.ndarray, f"{given}{name}")
        mistakes = dict(_removal_mistakes(name, arrays[name], keep))
        expect_close(got[name], np.array(expected, float), given + name, mistakes=mistakes, cause=ROLES)
    both = {"conv.weight": np.arange(9.0).reshape(3, 3, 1, 1), "out.weight": np.array([[1.0, 2, 3]])}
    got = answer(both, keep, ["conv"], [], ["conv", "out"])
    right = [[[[0]], [[2]]], [[[6]], [[8]]]]
    cause = "This layer makes *and* reads them, as in y = x + conv(x): shrink along axis 0 and then, what is left, along axis 1."
    expect_close(got["conv.weight"], right, "with makes=['conv'] and reads=['conv', 'out'] conv.weight", cause=cause)
    expect_close(got["out.weight"], [[1, 3]], "of a Linear reader (1, 3) with keep=[True, False, True] the weight")
    rng = np.random.default_rng(0)
    shapes = {"a.weight": (4, 2, 3, 3), "b.weight": (4, 5, 1, 1), "b.bias": (4,), "c.weight": (6, 4, 3, 3)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    keep = np.array([False, True, True, True])
    got, right = (f(arrays, keep, ["a", "b"], [], ["c"]) for f in (answer, reference))
    for name in shapes:
        expect_close(got[name], right[name], f"two makers, a and b, and a reader c, channel 0 removed: {name}")


def _removal_mistakes(name, array, keep):
    """What usual mistakes make of an array of ``_arrays``."""
    if name in ("next.bias", "fc.weight"):
        shrunk = array[keep] if name == "next.bias" else array[:, keep]
        yield "It was shrunk, but it has no part in these channels: it belongs to the reader's own outputs, or to another layer.", shrunk
        return
    yield "The others were kept: True means that a channel stays.", array[:, ~keep] if name == "next.weight" else array[~keep]
    yield "It is as long as before: channels were set to zero. Take them out.", array * keep.reshape(-1, *[1] * (array.ndim - 1))
    if name == "next.weight":
        yield "The reader lost outputs; of the layer that reads these channels the *input* axis shrinks, axis 1.", array[keep]
        yield "The reader lost inputs and outputs; only its input axis, axis 1, carries these channels.", array[keep][:, keep]
        yield "The reader still reads all channels that were. Its input axis, axis 1, must shrink.", array
    if name.startswith("bn.running"):
        yield "BatchNorm's running statistics were left as they were; they have an entry per channel, too.", array
    if name in ("bn.weight", "bn.bias"):
        yield "BatchNorm was left as it was; its γ (weight) and β (bias) have an entry per channel, too.", array
    if name == "conv.bias":
        yield "The maker's bias was left as it was; it has an entry per channel, too.", array
    if name == "conv.weight":
        yield "The maker was left as it was: its output axis, axis 0, must shrink.", array


@exercise(
    minutes=6,
    difficulty=1,
    hints=(
        "flatten lays image after image of the channels into a row: first all H·W values of channel 0, then those of channel 1, …",
        "Each value of keep is needed H·W times in a row: np.repeat, not np.tile.",
    ),
)
def flatten_columns(answer, reference):
    """From channels to columns."""
    keep = np.array([True, False, True])
    got = answer(keep, 1, 2)
    right = np.array([1, 1, 0, 0, 1, 1], bool)
    what = "with keep=[True, False, True], height=1, width=2"
    shape = getattr(got, "shape", None)
    kind = getattr(getattr(got, "dtype", None), "kind", "")
    expect(
        not (kind == "i" and shape == (4,)),
        f"{what} it should say of each of the 6 columns whether it stays; yours is {got}.",
        "Those are the positions of the columns; asked for is a mask, True or False for every column.",
    )
    expect(shape != (3,), f"{what} there are 6 columns; yours has 3 values.", "Every channel has height·width columns, not one.")
    expect_array(got, (6,), bool, f"{what} the mask of the columns")
    mistakes = {
        "It repeats the whole pattern, as np.tile does; a channel's columns are neighbours.": [1, 0, 1, 1, 0, 1],
        "It keeps the first columns, as many as stay; they must be those of the channels that stay.": [1, 1, 1, 1, 0, 0],
        "True and False are the other way round: True means that a column stays.": [0, 0, 1, 1, 0, 0],
    }
    expect_equal(got, right, f"{what} the mask of the columns", mistakes=mistakes)
    rng = np.random.default_rng(0)
    for channels, height, width in ((4, 2, 3), (5, 3, 1), (2, 1, 1)):
        keep, maps = rng.permutation(channels) % 2 == 0, rng.standard_normal((2, channels, height, width))
        got = answer(keep, height, width)
        what = f"for {channels} channels of {height}x{width} the mask of the columns"
        cause = f"There are C·H·W = {channels * height * width} columns: height *and* width count."
        expect(getattr(got, "shape", None) == (channels * height * width,), f"{what} has the shape {getattr(got, 'shape', None)}.", cause)
        expect_array(got, (channels * height * width,), bool, what)
        left, rows = maps[:, keep].reshape(2, -1), maps.reshape(2, -1)
        expect(
            rows[:, got].shape == left.shape and np.array_equal(rows[:, got], left),
            f"{what} should take the values of the kept channels out of a flattened batch; yours takes others.",
            "Try it: maps.reshape(N, -1)[:, mask] should be maps[:, keep].reshape(N, -1).",
        )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Begin with every name alone: group = {name: [name] for name in names}. A sum makes one group of two.",
        "For a sum of a and b: if group[a] is not group[b], make merged = group[a] + group[b], and let *every* name in merged point to it.",
        "At the end, walk through names: sort each group by names.index, and take a group when you meet its first name.",
    ),
    forbids=(graph,),
)
def tie_groups(answer, reference):
    """Which layers must lose the same channels."""
    names = ["stem", "conv1", "conv2", "conv3", "conv4", "projection"]
    sums = [("conv2", "stem"), ("conv4", "projection")]
    _check_groups(
        answer(names, sums),
        [["stem", "conv2"], ["conv1"], ["conv3"], ["conv4", "projection"]],
        f"for names {names} and sums {sums}",
        {
            "Layers that are in no sum are groups of their own; they are missing.": [["stem", "conv2"], ["conv4", "projection"]],
            "Nothing was united: the two sides of a sum share their channels.": [[name] for name in names],
            "All layers in sums became one group; only those that are linked by sums belong together.": [
                ["stem", "conv2", "conv4", "projection"],
                ["conv1"],
                ["conv3"],
            ],
        },
    )
    names = ["a", "b", "c", "d", "e"]
    sums = [("a", "b"), ("c", "d"), ("b", "c")]
    _check_groups(
        answer(names, sums),
        [["a", "b", "c", "d"], ["e"]],
        f"for names {names} and sums {sums}",
        {
            "Every sum became a group of its own, and b and c are in two. Ties go on: a with b, b with c, so a with c.": [
                ["a", "b"],
                ["b", "c"],
                ["c", "d"],
                ["e"],
            ],
            "The last sum joins two groups, and all their members must come along, not only b and c.": [["a", "b", "c"], ["d"], ["e"]],
            "The last sum, between two groups that are there already, was not followed: it joins them.": [["a", "b"], ["c", "d"], ["e"]],
        },
    )
    what = "for names ['x', 'y', 'z'] and sums [('z', 'x'), ('x', 'z'), ('y', 'y')]"
    cause = "The same sum twice, in either order, or a sum of a layer with itself (x + x) changes nothing."
    _check_groups(answer(["x", "y", "z"], [("z", "x"), ("x", "z"), ("y", "y")]), [["x", "z"], ["y"]], what, {}, cause)
    _check_groups(answer(["x", "y"], []), [["x"], ["y"]], "for names ['x', 'y'] and no sums", {})
    rng = np.random.default_rng(0)
    for count in (3, 6, 9):
        names = [f"conv{i}" for i in range(12)]
        sums = [tuple(f"conv{i}" for i in rng.choice(12, 2, replace=False).tolist()) for _ in range(count)]
        cause = "Does it depend on the order of the sums? When two groups become one, every member must know."
        _check_groups(answer(names, sums), reference(names, sums), f"for conv0 … conv11 and sums {sums}", {}, cause)


def _check_groups(got, right, what, mistakes, cause=""):
    expect_type(got, (list, tuple), f"{what} the groups")
    for group in got:
        expect(isinstance(group, (list, tuple)), f"{what} each group should be a list of names; yours has {group!r}.", "A list of lists.")
    got = [list(group) for group in got]
    if got != right and sorted(map(sorted, got)) == sorted(map(sorted, right)):
        cause = "The groups are right, but their order is not: names in the order of `names`, groups in the order of their first name."
    expect_equal(got, right, f"{what} the groups", mistakes=mistakes, cause=cause)
