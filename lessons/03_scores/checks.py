"""Checks of lesson 03."""

import numpy as np

from minprune.course import exercise, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.prune.masks import make_masks


def _expect_names(got, names, what, causes=None):
    """A dictionary with exactly these names; ``causes`` says what a surplus or missing name is a sign of."""
    expect_type(got, dict, what)
    if set(got) != set(names):
        surplus, missing = sorted(set(got) - set(names), key=str), sorted(set(names) - set(got))
        cause = next((text for name, text in (causes or {}).items() if name in [*surplus, *missing]), "")
        told = f"; {surplus} should not be there" if surplus else ""
        told += f"; {missing} is missing" if missing else ""
        expect(False, f"{what} should have the names {sorted(names)}{told}.", cause)


@exercise(
    minutes=5,
    difficulty=1,
    hints=(
        "Go through the dictionary with `for name, w in weights.items()`. A bias is an array with a single axis: w.ndim tells.",
        "{name: np.abs(w) for name, w in weights.items() if ...}: only the condition is missing.",
    ),
)
def magnitude_scores(answer, reference):
    """|w| of everything that has two axes or more."""
    weights = {
        "conv.weight": np.array([[[[0.5, -2.0]]], [[[-0.25, 1.0]]]]),
        "conv.bias": np.array([3.0, -3.0]),
        "bn.weight": np.array([1.5, -1.5]),
        "fc.weight": np.array([[-1.0, 0.0, 4.0]]),
        "fc.bias": np.array([0.1]),
    }
    got = answer(weights)
    causes = {
        "conv.bias": "Biases are not pruned: there are few of them, and they have only one axis.",
        "bn.weight": "A BatchNorm's scale is called weight, too, but has one axis. Go by w.ndim, not by the name.",
        "conv.weight": "A convolution's weight has four axes and is pruned, too: take every array with two axes or more.",
    }
    _expect_names(got, ["conv.weight", "fc.weight"], "the scores", causes)
    expected = {"conv.weight": np.array([[[[0.5, 2.0]]], [[[0.25, 1.0]]]]), "fc.weight": np.array([[1.0, 0.0, 4.0]])}
    for name, right in expected.items():
        w = weights[name]
        mistakes = {
            "The sign is still there. A weight of -2 does as much as one of 2: take the absolute value.": w,
            "Those are the squares. They rank the weights in the same order, but asked for is |w|.": w**2,
            "The sign was changed, not removed.": -w,
            "Those are shares of the layer's largest weight; asked for is |w| itself.": np.abs(w) / np.abs(w).max(),
        }
        expect_array(got[name], right.shape, float, f"the scores of {name}")
        expect_close(got[name], right, f"the scores of {name} with weights {w.ravel().tolist()}", mistakes=mistakes)
    one = {"only": np.array([[-7.0]])}
    expect_close(answer(one)["only"], [[7.0]], "the score of the single weight -7.0")
    expect_equal(answer({"b": np.array([1.0])}), {}, "the scores of a dictionary that holds a bias alone")


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "For one batch it is np.abs(w * g). Do that for every batch, and take the mean of the results.",
        "The absolute value comes before the mean: gradients of two batches may cancel, but their effects do not.",
        "np.mean([np.abs(w * batch[name]) for batch in gradients], axis=0) for each name and w in weights.",
    ),
)
def taylor_scores(answer, reference):
    """The mean over batches of |w · g|."""
    weights = {"fc": np.array([[1.0, -2.0], [0.5, 0.0]])}
    first, second = np.array([[1.0, 1.0], [2.0, 5.0]]), np.array([[-3.0, 1.0], [2.0, -5.0]])
    gradients = [{"fc": first, "bias": np.ones(2)}, {"fc": second, "bias": np.ones(2)}]
    got = answer(weights, gradients)
    _expect_names(got, ["fc"], "the scores", {"bias": "Only the names in `weights` get a score; the gradients have more."})
    w = weights["fc"]
    mistakes = {
        "The mean was taken before the absolute value: gradients of +1 and -3 partly cancel there, but each batch feels it.": np.abs(
            w * (first + second) / 2
        ),
        "There is no absolute value: a rise of the loss in one batch pays for a fall in another.": w * (first + second) / 2,
        "That is the sum over the batches; asked for is the mean.": np.abs(w * first) + np.abs(w * second),
        "That is the size of the gradient alone. A weight of zero changes nothing when it goes, however steep the loss is.": (
            np.abs(first) + np.abs(second)
        )
        / 2,
        "Only the last batch counts in it.": np.abs(w * second),
        "Only the first batch counts in it.": np.abs(w * first),
        "Those are mean squares; asked for is the mean of the absolute values.": ((w * first) ** 2 + (w * second) ** 2) / 2,
        "That is the root of the mean square; asked for is the mean of the absolute values.": np.sqrt(
            ((w * first) ** 2 + (w * second) ** 2) / 2
        ),
    }
    what = f"the scores for w = {w.tolist()} and the gradients {first.tolist()} and {second.tolist()}"
    expect_array(got["fc"], (2, 2), float, "the scores of fc")
    expect_close(got["fc"], [[2.0, 2.0], [1.0, 0.0]], what, mistakes=mistakes, picture=True)
    rng = np.random.default_rng(3)
    weights = {"conv": rng.normal(size=(3, 2, 3, 3)), "fc": rng.normal(size=(4, 5))}
    gradients = [{name: rng.normal(size=w.shape) for name, w in weights.items()} for _ in range(3)]
    for batches in (gradients[:1], gradients):
        got, right = answer(weights, batches), reference(weights, batches)
        _expect_names(got, weights, "the scores of two layers")
        for name, expected in right.items():
            expect_close(got[name], expected, f"the scores of {name} from {len(batches)} batch(es)", cause="Divide by len(gradients).")
    scaled = answer({n: 8 * w for n, w in weights.items()}, [{n: g / 8 for n, g in batch.items()} for batch in gradients])
    expect_close(scaled["fc"], got["fc"], "the scores of weights 8 times as large with gradients 8 times as small (they should not change)")


def _expect_masks(got, scores, what):
    _expect_names(got, scores, what)
    for name, s in scores.items():
        expect_array(got[name], s.shape, bool, f"the mask of {name}")


def _expect_lowest_gone(got, scores, groups, what):
    """In each group of layers, ranked together, no weight that goes has a higher score than one that stays."""
    for names in groups:
        gone = np.concatenate([scores[n][~got[n]] for n in names])
        stays = np.concatenate([scores[n][got[n]] for n in names])
        if gone.size and stays.size:
            expect(
                gone.max() <= stays.min(),
                f"{what} should remove the lowest scores; yours removes {gone.max():.4g} and keeps {stays.min():.4g}.",
                "np.argsort gives positions from the lowest to the highest: the first ones of them go.",
            )


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Per layer: how many go? `round(sparsity * s.size)`. Which ones? The first of np.argsort(s, axis=None).",
        "Begin with a mask that keeps all, np.ones(s.shape, bool), and write False at those positions: mask.flat[positions] = False.",
    ),
    forbids=(make_masks,),
)
def layer_masks(answer, reference):
    """The same share of every layer."""
    scores = {"conv": np.array([[0.4, 0.1], [0.3, 0.2]]), "fc": np.array([[9.0, 6.0], [8.0, 7.0]])}
    expected = {"conv": np.array([[True, False], [True, True]]), "fc": np.array([[True, False], [True, True]])}
    got = answer(scores, 0.25)
    _expect_masks(got, scores, "the masks")
    for name, s in scores.items():
        mistakes = {
            "True should mean that a weight stays.": ~expected[name],
            "The highest scores went; it should be the lowest.": s < s.max(),
            "Here 25 % stayed; `sparsity` is the share that goes.": s == s.max(),
            "All layers were ranked together: conv lost everything that fc was spared. Here each layer loses its own share.": (
                (s > 0.2) if name == "conv" else np.ones((2, 2), bool)
            ),
        }
        expect_equal(got[name], expected[name], f"the mask of {name}, scores {s.tolist()}, sparsity 0.25", mistakes=mistakes, picture=True)
    rng = np.random.default_rng(4)
    scores = {"conv": rng.permutation(54.0 * np.arange(54)).reshape(3, 2, 3, 3), "fc": rng.permutation(np.arange(35.0)).reshape(5, 7)}
    for sparsity in (0.0, 0.1, 0.5, 0.9, 1.0):
        got = answer(scores, sparsity)
        _expect_masks(got, scores, f"the masks at sparsity {sparsity}")
        for name, s in scores.items():
            gone, right = int((~got[name]).sum()), round(sparsity * s.size)
            expect(
                gone == right,
                f"at sparsity {sparsity} exactly {right} of the {s.size} weights of {name} should go; with yours {gone} go.",
                "int() rounds down and a quantile lies between two scores: count with round(sparsity * s.size)."
                if sparsity not in (0.0, 1.0)
                else "An end of the range: a threshold with > or >= has nothing to compare with there, and [-0:] is the whole array.",
            )
        _expect_lowest_gone(got, scores, [[n] for n in scores], f"the cut at sparsity {sparsity}")
    ties = {"fc": np.array([[1.0, 1.0, 1.0, 2.0]])}
    gone = int((~answer(ties, 0.5)["fc"]).sum())
    expect(
        gone == 2,
        f"of the scores [1, 1, 1, 2] exactly two should go at sparsity 0.5; with yours {gone} go.",
        "A threshold takes all equal scores or none. Take positions from argsort instead.",
    )


@exercise(
    minutes=15,
    difficulty=3,
    hints=(
        "Make one long array of all scores: np.concatenate([s.ravel() for s in scores.values()]). Rank that.",
        "A flat mask of all True, False at the first round(sparsity * size) positions of the argsort. Then cut it up in the same order.",
        "Cutting up: keep a start; for name, s in scores.items(): part = flat[start:start + s.size].reshape(s.shape); start += s.size.",
    ),
    forbids=(make_masks,),
)
def global_masks(answer, reference):
    """One ranking for the whole network."""
    scores = {"fc": np.array([[0.5, 0.2], [2.0, 3.0]]), "conv": np.array([[8.0, 1.0], [7.0, 6.0]])}
    expected = {"fc": np.array([[False, False], [True, True]]), "conv": np.array([[True, False], [True, True]])}
    got = answer(scores, 0.375)  # three of eight: 0.2, 0.5 and 1.0
    _expect_masks(got, scores, "the masks")
    per_layer = {"fc": np.array([[True, False], [True, True]]), "conv": np.array([[True, False], [True, True]])}
    two_each = {"fc": np.array([[False, False], [True, True]]), "conv": np.array([[True, False], [True, False]])}
    swapped = {"fc": expected["conv"], "conv": expected["fc"]}
    for name in scores:
        mistakes = {
            "True should mean that a weight stays.": ~expected[name],
            "The pieces were handed back in another order than they were joined in: the layers have one another's masks.": swapped[name],
        }
        what = f"the mask of {name} for the scores fc [[0.5, 0.2], [2, 3]], conv [[8, 1], [7, 6]] and sparsity 0.375"
        wrong_scope = all(np.array_equal(got[n], per_layer[n]) for n in scores) or all(np.array_equal(got[n], two_each[n]) for n in scores)
        cause = "Each layer lost its own share. Rank all scores together: the lowest of the whole network go." if wrong_scope else ""
        expect_equal(got[name], expected[name], what, mistakes={} if wrong_scope else mistakes, cause=cause, picture=True)
    small = {"fc": np.full((2, 2), 0.1), "conv": np.arange(1.0, 5.0).reshape(2, 2)}
    got = answer(small, 0.5)
    expect(
        not got["fc"].any() and got["conv"].all(),
        f"with all scores of fc at 0.1 and those of conv at 1 to 4, a cut of one half should take all of fc and nothing of conv; "
        f"yours keeps {int(got['fc'].sum())} of fc and {int(got['conv'].sum())} of conv.",
        "Scores are compared as they are, not relative to their layer: a global ranking may take a layer whole.",
    )
    rng = np.random.default_rng(5)
    values = rng.permutation(np.arange(89.0))
    scores = {"fc": values[:35].reshape(5, 7), "conv": values[35:].reshape(3, 2, 3, 3)}
    for sparsity in (0.0, 0.3, 0.5, 0.9, 1.0):
        got = answer(scores, sparsity)
        _expect_masks(got, scores, f"the masks at sparsity {sparsity}")
        gone, right = sum(int((~m).sum()) for m in got.values()), round(sparsity * 89)
        expect(
            gone == right,
            f"at sparsity {sparsity} exactly {right} of all 89 weights should go; with yours {gone} go.",
            "`sparsity` is the share that goes."
            if gone == 89 - right
            else "Count over all layers: round(sparsity * number of all weights).",
        )
        _expect_lowest_gone(got, scores, [list(scores)], f"the cut at sparsity {sparsity}")
    gone = sum(int((~m).sum()) for m in answer(small, 0.25).values())
    expect(
        gone == 2,
        f"of eight weights, four of them with the equal score 0.1, exactly two should go at sparsity 0.25; with yours {gone} go.",
        "A threshold takes all equal scores or none. Take positions from argsort instead.",
    )


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Two loops: over the layers, and within it over the sparsities. In the middle: cut this layer alone, and evaluate.",
        "The layer alone is a dictionary of one entry: {name: scores[name]}. `cut` of that gives the masks for `evaluate`.",
        "{name: [evaluate(cut({name: s}, sparsity)) for sparsity in sparsities] for name, s in scores.items()}",
    ),
)
def sensitivity_scan(answer, reference):
    """One layer at a time, each from the whole network."""
    scores = {"conv": np.array([[4.0, 1.0], [3.0, 2.0]]), "fc": np.arange(1.0, 11.0).reshape(2, 5)}
    worth = {"conv": 0.6, "fc": 0.4}  # the accuracy that a layer is worth: its share kept times this

    def cut(chosen, sparsity):
        expect(isinstance(sparsity, (int, float)), f"cut should be given one sparsity; yours gave it {type(sparsity).__name__}.")
        expect_type(chosen, dict, "what cut is given")
        flat = {name: np.argsort(np.argsort(s, axis=None)) >= round(sparsity * s.size) for name, s in chosen.items()}
        return {name: flat[name].reshape(s.shape) for name, s in chosen.items()}

    def accuracy(shares):
        return sum(worth[name] * shares.get(name, 1.0) for name in worth)

    def evaluate(masks):
        expect_type(masks, dict, "what evaluate is given")
        for name, m in masks.items():
            expect(name in worth, f"evaluate was given a mask of {name!r}, but the layers are {list(worth)}.")
            expect(
                isinstance(m, np.ndarray) and m.dtype == bool and m.shape == scores[name].shape,
                f"evaluate should be given bool masks; yours gave it something else for {name}.",
                "evaluate takes masks, not scores: let `cut` make them.",
            )
        return accuracy({name: float(m.mean()) for name, m in masks.items()})

    sparsities = [0.0, 0.5, 1.0]
    got = answer(scores, sparsities, cut, evaluate)
    _expect_names(got, scores, "the result", {0.0: "The result's names are the layers; each has a list, with an entry per sparsity."})
    expected = {"conv": [1.0, 0.7, 0.4], "fc": [1.0, 0.8, 0.6]}
    together = [accuracy({"conv": 1 - s, "fc": 1 - s}) for s in sparsities]
    for name, right in expected.items():
        other = "fc" if name == "conv" else "conv"
        mistakes = {
            "All layers were cut together; cut one, and leave the others whole.": together,
            "The layer cut before was still cut. Each measurement starts from the whole network.": [v - worth[other] for v in right],
            "The list runs the other way: `sparsity` is the share that goes, and cut expects just that.": right[::-1],
            "Those are losses of accuracy; asked for is the accuracy.": [1 - v for v in right],
            "The layer was left whole and the others were cut.": expected[other],
        }
        expect(
            np.shape(got[name]) == (3,),
            f"the result of {name} should be a list of 3 accuracies, one for each of {sparsities}; yours is {got[name]!r}.",
            "A list of accuracies belongs to each layer; append to it, do not overwrite it.",
        )
        expect_close(got[name], right, f"the accuracies of {name} at the sparsities {sparsities}", mistakes=mistakes, picture=True)
    got = answer({"fc": scores["fc"]}, [0.2, 0.9, 0.3], cut, evaluate)
    expect_close(
        got["fc"],
        [0.92, 0.64, 0.88],
        "the accuracies of a scan of fc alone at the sparsities [0.2, 0.9, 0.3]",
        cause="Keep the order in which the sparsities are given.",
    )
