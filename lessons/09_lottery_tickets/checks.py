"""Checks of lesson 09."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type


def _expect_names(got, names, what):
    """``got`` is a dict with exactly ``names``."""
    expect_type(got, dict, what)
    missing = [name for name in names if name not in got]
    expect(
        not missing,
        f"{what} should have an entry for each of {', '.join(names)}; yours lacks {', '.join(missing)}.",
        "Go through the whole input: a part without a mask (a bias, for one) is copied as it is.",
    )
    extra = [name for name in got if name not in names]
    expect(not extra, f"{what} should have the entries {', '.join(names)} and no more; yours has {', '.join(map(str, extra))} too.")


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "Go through initial.items() and build a new dictionary. Where the name is in masks, zero what the mask has cut.",
        "np.where(mask, array, 0) is the array with zeros where the mask is False. Without a mask: array.copy().",
    ),
)
def rewind(answer, reference):
    """Weights of the beginning, mask of the end."""
    initial = {"fc.weight": np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -4.0]], np.float32), "fc.bias": np.array([7.0, 8.0], np.float32)}
    masks = {"fc.weight": np.array([[True, False, True], [False, True, True]])}
    got = answer(initial, masks)
    _expect_names(got, list(initial), "the state")
    expect_array(got["fc.weight"], (2, 3), float, "the rewound fc.weight")
    by_hand = [[0.5, 0.0, 2.0], [0.0, 0.25, -4.0]]
    mistakes = {
        "The mask is the wrong way round: True is where a weight stays.": [[0.0, -1.0, 0.0], [3.0, 0.0, 0.0]],
        "The weights are those of the beginning, but nothing is cut: the mask has to be applied.": initial["fc.weight"],
        "That is the mask itself, as numbers; multiply the initial weights with it.": masks["fc.weight"],
        "The signs are lost: rewinding brings back the initial weights just as they were.": np.abs(by_hand),
    }
    where = "fc.weight, [[0.5, -1, 2], [3, 0.25, -4]] with the mask [[1, 0, 1], [0, 1, 1]], rewound"
    expect_close(got["fc.weight"], by_hand, where, mistakes=mistakes)
    expect_close(got["fc.bias"], [7.0, 8.0], "fc.bias, which has no mask,", cause="What has no mask goes back to its initial values whole.")
    rng = np.random.default_rng(0)
    initial = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in (("a", (4, 2, 3, 3)), ("b", (5, 4)), ("c", (5,)))}
    masks = {name: rng.random(initial[name].shape) < 0.4 for name in ("a", "b")}
    got, right = answer(initial, masks), reference(initial, masks)
    _expect_names(got, list(initial), "the state")
    for name, array in initial.items():
        expect_array(got[name], array.shape, float, f"the rewound {name}")
        expect(
            got[name].dtype == np.float32,
            f"float32 weights should stay float32; your {name} is {got[name].dtype}.",
            "A mask made into floats is float64, and so is its product. array * mask, or np.where(mask, array, 0), keeps the type.",
        )
        expect_close(got[name], right[name], f"{name} of shape {array.shape}, rewound,")
        expect(
            not np.shares_memory(got[name], array),
            f"{name} of the result is the very array of `initial`, not a copy.",
            "Training the ticket would then change `initial`, and there would be no beginning left to go back to: use .copy().",
        )


@exercise(
    minutes=8,
    difficulty=1,
    hints=(
        "np.argmin(val_losses) is the position of the smallest loss, the first one of several.",
        "Return two things: the step at that position, and the test accuracy at that position.",
    ),
)
def early_stop(answer, reference):
    """When a run was at its best, without looking at the test images."""
    steps, losses, tests = [6, 12, 18, 24, 30], [0.9, 0.4, 0.3, 0.35, 0.5], [0.70, 0.90, 0.93, 0.95, 0.91]

    def ask(steps, losses, tests, by_hand, mistakes):
        got = answer(steps, losses, tests)
        what = f"steps {steps}, validation losses {losses}, test accuracies {tests}: the answer"
        expect(
            isinstance(got, (tuple, list)) and len(got) == 2,
            f"{what} should be two values, (step, accuracy); yours is {got!r}.",
            "Write return step, accuracy.",
        )
        expect_close([float(v) for v in got], by_hand, what, mistakes=mistakes)
        expect_close([float(v) for v in got], [float(v) for v in reference(steps, losses, tests)], what)

    mistakes = {
        "That is where the *test* accuracy is best. So the test images have chosen: let the validation loss choose.": (
            24,
            0.95,
        ),
        "That is the end of the run; asked for is the moment of the lowest validation loss.": (30, 0.91),
        "The loss is to be small: take its minimum, not its maximum.": (6, 0.70),
        "The first value should be a step, such as 18, not its position in the list.": (2, 0.93),
        "The second value should be the test accuracy at that step, not the loss.": (18, 0.3),
        "The step is right, but the accuracy is that of the end of the run.": (18, 0.91),
        "The step is right, but the accuracy is the best of the run: so the test images have chosen.": (18, 0.95),
        "The two are in the wrong order: first the step, then the accuracy.": (0.93, 18),
    }
    ask(steps, losses, tests, (18, 0.93), mistakes)
    ties = {
        "Of equally low losses take the first: whoever learns faster stops sooner.": (40, 0.9),
        "Of equally low losses take the first, whatever the test images say: they choose nothing.": (30, 0.93),
    }
    ask([10, 20, 30, 40, 50], [0.5, 0.25, 0.25, 0.25, 0.3], [0.8, 0.85, 0.93, 0.9, 0.95], (20, 0.85), ties)
    stops = "It stops at the first rise; the loss may go on falling after it. Look at all of the run."
    ask([10, 20, 30, 40], [0.5, 0.6, 0.2, 0.3], [0.8, 0.7, 0.9, 0.85], (30, 0.9), {stops: (10, 0.8)})
    ask([5], [0.7], [0.5], (5, 0.5), {})


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Shuffle each mask on its own: a sparse layer stays as sparse. Make it one long row first, shuffle, and bring it into shape again.",
        "rng.permutation(mask.ravel()) is a shuffled copy of all its entries. rng.permutation(mask) would only move whole rows.",
        "{name: rng.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}",
    ),
)
def shuffle_masks(answer, reference):
    """Just as many in every layer, but anywhere."""
    rng = np.random.default_rng(1)
    masks = {"conv": rng.random((6, 3, 3, 3)) < 0.5, "fc": rng.random((20, 30)) < 0.1, "whole": np.ones((2, 2), bool)}
    masks["fc"][:5] = True  # five rows stand out
    got = answer(masks, np.random.default_rng(0))
    _expect_names(got, list(masks), "the shuffled masks")
    for name, mask in masks.items():
        expect_array(got[name], mask.shape, bool, f"the shuffled mask of {name}")
    counts = {name: int(np.sum(mask)) for name, mask in masks.items()}
    shuffled = {name: int(np.sum(mask)) for name, mask in got.items()}
    fair = "Only the places may change, not how many there are."
    if sum(shuffled.values()) == sum(counts.values()):
        fair = "The total is right, but it wandered from layer to layer: shuffle each layer on its own."
    expect_equal(shuffled, counts, "the number of weights kept in each layer", cause=fair)
    fc = got["fc"]
    expect(
        not np.array_equal(fc, masks["fc"]), "the mask of fc came back unchanged.", "rng.permutation returns a copy: use what it returns."
    )
    in_rows, before = np.sort(fc.sum(axis=1)), np.sort(masks["fc"].sum(axis=1))
    expect(
        not np.array_equal(in_rows, before),
        f"five rows of fc kept all their 30 weights, the others about 3; after your shuffle the rows keep {in_rows.tolist()} again.",
        "It moves whole rows, or stays within each row: shuffle the entries of the whole layer, mask.ravel().",
    )
    in_columns, before = np.sort(fc.sum(axis=0)), np.sort(masks["fc"].sum(axis=0))
    expect(
        not np.array_equal(in_columns, before),
        "every column of fc keeps as many weights as before the shuffle.",
        "It shuffles within each column, so a pixel keeps its number of weights, or moves all in one piece: shuffle the entries of the "
        "whole layer.",
    )
    again, other = (answer(masks, np.random.default_rng(seed))["fc"] for seed in (0, 3))
    expect(
        np.array_equal(fc, again),
        "with a generator of the same seed the shuffle should be the same; yours came out differently.",
        "Draw from `rng`, not from np.random or from a generator of your own.",
    )
    expect(
        not np.array_equal(fc, other),
        "with generators of seeds 0 and 3 your shuffle is the same.",
        "Draw from the `rng` that is given; a generator made inside always begins alike.",
    )
    rng = np.random.default_rng(5)
    mask = np.zeros((2, 4), bool)
    mask[0, 0] = True
    often = np.mean([answer({"m": mask}, rng)["m"] for _ in range(400)], axis=0)
    expect(
        often.min() > 0.05 and often.max() < 0.25,
        f"one True among 8 places should land on each in about 1/8 of 400 shuffles; yours lands in the shares {often.round(2).tolist()}.",
        "Every place must have the same chance.",
    )
    mask, arrangements = np.array([[True, True], [False, False]]), {}
    for _ in range(1200):
        places = tuple(np.flatnonzero(answer({"m": mask}, rng)["m"]).tolist())
        arrangements[places] = arrangements.get(places, 0) + 1
    expect(
        len(arrangements) == 6 and all(140 <= n <= 260 for n in arrangements.values()),
        "two True of a 2x2 mask have six arrangements, so each should come about 200 times in 1200 shuffles; with yours they come "
        f"{sorted(arrangements.values())} times.",
        "Rows and columns are shuffled apart, for one. Shuffle all entries of a layer together, mask.ravel().",
    )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Weights have two axes or more; what has one axis is a bias, and starts as zeros. The fan-in of a weight is the product of all its "
        "axes but the first.",
        "rng.standard_normal(shape) * np.sqrt(2 / fan_in) draws a weight as the network itself does.",
        "With keep_signs: np.abs(fresh) * np.sign(array), the new size with the old sign.",
    ),
)
def reinitialise(answer, reference):
    """Another draw from the same distribution; if asked, with the old signs."""
    rng = np.random.default_rng(2)
    shapes = {"conv.weight": (40, 8, 3, 3), "conv.bias": (40,), "fc.weight": (150, 50), "fc.bias": (150,)}
    initial = {name: rng.choice([-1.0, 1.0], shape).astype(np.float32) for name, shape in shapes.items()}
    got = answer(initial, np.random.default_rng(0), False)
    signed = answer(initial, np.random.default_rng(0), True)
    for result, how in ((got, "keep_signs=False"), (signed, "keep_signs=True")):
        _expect_names(result, list(shapes), f"the new state with {how}")
        for name, shape in shapes.items():
            expect_array(result[name], shape, float, f"{name} with {how}")
        for name in ("conv.bias", "fc.bias"):
            expect(not np.any(result[name]), f"{name} should be zeros; with {how} yours is not.", "Arrays with one axis are biases.")
    for name, fan_in in (("conv.weight", 72), ("fc.weight", 50)):
        o, std, right = shapes[name][0], float(np.std(got[name])), float(np.sqrt(2 / fan_in))
        causes = {
            "That is the variance 2 / fan-in; to scale a normal draw takes its square root.": 2 / fan_in,
            "The fan-in is the product of all axes but the first; yours divides by the first, the number of outputs.": np.sqrt(2 / o),
            "The fan-in of a convolution counts its kernel, too: C · R · S inputs, not C.": np.sqrt(2 / 8),
            "The draw is not scaled, or scaled like the values of `initial`: its standard deviation should be √(2 / fan-in).": 1.0,
            "That is √(2 / (fan-in + fan-out)); it is √(2 / fan-in).": np.sqrt(2 / (fan_in + o)),
            "That is √(1 / fan-in); with ReLU, which lets half through, it is √(2 / fan-in).": np.sqrt(1 / fan_in),
        }
        named = [cause for cause, value in causes.items() if abs(std - value) < 0.05 * value]
        mean = float(np.mean(got[name]))
        expect(abs(mean) < 0.1 * std, f"the mean of {name} should be about 0; yours is {mean:.3f}.", "Half of the weights are negative.")
        expect(
            abs(std - right) < 0.05 * right,
            f"{name} of shape {shapes[name]} has the fan-in {fan_in}, so its std should be about {right:.3f}; yours is {std:.3f}.",
            named[0] if named else "Is it drawn from a normal distribution, afresh?",
        )
        expect(len(np.unique(np.abs(got[name]))) > 100, f"{name} should be drawn from a normal distribution; yours has only a few values.")
    far = float(np.mean(np.abs(got["fc.weight"]) > 2 * np.sqrt(2 / 50)))
    expect(
        0.03 < far < 0.06,
        f"of a normal draw about 4.6% lie more than two standard deviations from 0; of your fc.weight {far:.1%} do.",
        "Its spread is right, but it is not a normal distribution: rng.standard_normal or rng.normal, not rng.uniform.",
    )
    agree = float(np.mean(np.sign(got["fc.weight"]) == initial["fc.weight"]))
    expect(
        0.45 < agree < 0.55,
        f"with keep_signs=False about half of the signs should be the old ones, by chance; with yours it is {agree:.0%}.",
        "Keep the signs only if keep_signs is True.",
    )
    agree = float(np.mean(np.sign(signed["fc.weight"]) == initial["fc.weight"]))
    expect(
        agree == 1,
        f"with keep_signs=True every weight should have its old sign; with yours {agree:.0%} have.",
        "The switch keep_signs changes nothing yet: with it, return np.abs(fresh) * np.sign(array)."
        if np.array_equal(got["fc.weight"], signed["fc.weight"])
        else "fresh * np.sign(array) turns the sign of a fresh negative one again: take np.abs(fresh) first.",
    )
    std, right = float(np.sqrt(np.mean(signed["fc.weight"] ** 2))), float(np.sqrt(2 / 50))
    expect(
        abs(std - right) < 0.05 * right and len(np.unique(np.abs(signed["fc.weight"]))) > 100,
        f"with keep_signs=True the root mean square of fc.weight should be about {right:.3f}; yours is {std:.3f}.",
        "Only the sign is kept; the size is drawn afresh.",
    )
    again, other = (answer(initial, np.random.default_rng(seed), False)["fc.weight"] for seed in (0, 3))
    expect(
        np.array_equal(got["fc.weight"], again) and not np.array_equal(again, other),
        "generators of the same seed should give the same weights, and generators of other seeds others; yours do not.",
        "Draw from the `rng` that is given, and from nothing else.",
    )
    alike = float(np.corrcoef(got["conv.weight"].ravel(), got["fc.weight"].ravel()[: 40 * 72])[0, 1])
    expect(
        abs(alike) < 0.2,
        f"conv.weight and fc.weight should have nothing to do with each other; yours hold the same numbers (correlation {alike:.2f}).",
        "Draw for every array anew, from the one `rng`; a generator made for each array begins alike every time.",
    )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Add up over the layers: how many places both keep, and how many places `first` keeps. The overlap is their ratio.",
        "In a layer of n places, where `first` keeps a and `second` keeps b, a shuffled second mask hits a · b / n of first's on average.",
        "both += np.sum(first[name] & second[name]); lucky += a * b / n; kept += a; at the end both / kept, lucky / kept.",
    ),
)
def masks_overlap(answer, reference):
    """How much two tickets have in common, beside what chance alone would give."""

    def ask(first, second, by_hand, what, mistakes):
        got = answer(first, second)
        expect(
            isinstance(got, (tuple, list)) and len(got) == 2,
            f"{what} should be two values, (overlap, chance); yours is {got!r}.",
            "Write return overlap, chance.",
        )
        values = [float(v) for v in got]
        chance = "The overlap is right, chance is not. No lots: add up a · b / n by layer, and divide by what `first` keeps."
        expect_close(values, by_hand, what, mistakes=mistakes, cause=chance if np.isclose(values[0], by_hand[0]) else "")
        expect_close(values, [float(v) for v in reference(first, second)], what)

    first = {"a": np.array([[True, True, False, False]]), "b": np.array([[True, False], [False, False]])}
    second = {"a": np.array([[True, False, True, True]]), "b": np.array([[True, False], [False, False]])}
    mistakes = {
        "That counts where the masks agree, places that both cut included. Count what both *keep*: first & second.": (
            5 / 8,
            7 / 12,
        ),
        "The overlap is divided by all places; divide by what `first` keeps.": (2 / 8, 7 / 4 / 8),
        "The overlap is divided by what `second` keeps, or by what either keeps; divide by what `first` keeps.": (2 / 4, 7 / 12),
        "That is the mean of the layers' shares; add up the counts over the layers, then divide once.": ((0.5 + 1) / 2, (0.75 + 0.25) / 2),
        "These are counts; divide both by the number of weights that `first` keeps.": (2, 7 / 4),
        "Both are divided by what `second` keeps; divide by what `first` keeps.": (2 / 4, 7 / 4 / 4),
        "Both are divided by what at least one of the two keeps; divide by what `first` keeps.": (2 / 5, 7 / 4 / 5),
        "These are percent; shares lie between 0 and 1.": (200 / 3, 700 / 12),
        "It counts where the masks agree, and divides by all places. Count what both *keep*, and divide by what `first` keeps.": (
            5 / 8,
            7 / 4 / 8,
        ),
    }
    text = "a: [1 1 0 0] and [1 0 1 1]; b: [[1 0] [0 0]] twice. (overlap, chance)"
    ask(first, second, (2 / 3, 7 / 12), text, mistakes | _lucky(first, second))
    rng = np.random.default_rng(4)
    sparse = {"small": rng.random((10, 10)) < 0.8, "large": rng.random((50, 40)) < 0.05, "kernels": rng.random((8, 4, 3, 3)) < 0.3}
    other = {name: rng.random(mask.shape) < mask.mean() for name, mask in sparse.items()}
    itself = tuple(float(v) for v in reference(sparse, sparse))
    ask(sparse, sparse, (1.0, itself[1]), "(overlap, chance) of masks with themselves", _lucky(sparse, sparse))
    ask(sparse, other, reference(sparse, other), "(overlap, chance) of two random masks of three layers", _lucky(sparse, other))
    ask(other, sparse, reference(other, sparse), "(overlap, chance) of these masks the other way round", _lucky(other, sparse))


def _lucky(first, second):
    """The mistake of taking chance over the whole network at once."""
    kept, size = sum(int(m.sum()) for m in first.values()), sum(m.size for m in first.values())
    both = sum(int((first[n] & second[n]).sum()) for n in first)
    whole = sum(int(m.sum()) for m in second.values()) / size
    cause = "Chance is taken over the whole network; but masks are shuffled within each layer. Add up a · b / n by layer."
    return {cause: (both / kept, whole)}
