# ---
# title: The bonsai
# minutes: 35
# difficulty: 1
# needs: Python, a little NumPy
# afterwards: run the whole pruning loop once, and read a pruning curve
# ---

# %% [markdown]
# # 00 · The bonsai
#
# *35 minutes · ●○○ · needs: Python and a little NumPy*
#
# A bonsai grower cuts leaves, twigs and branches. The tree stays a tree, as long as the cuts are small and it gets
# time to recover.
#
# A trained neural network is much the same. This lesson walks through the whole loop once:
# **train → score → cut → recover → look at the curve.** The ten lessons after it take the loop apart and let you build every piece.
#
# Words that are new to you are in the [glossary](../GLOSSARY.md).

# %% [markdown]
# ## How a lesson works
#
# You read and run this notebook, but you **write your answers in a file**: [exercises.py](exercises.py), in this same
# folder. Open it beside the notebook. A cell such as `check("keep_count")` then tells you whether your function is
# right, and if not, what is wrong with it. Nothing blocks you: what you have not written yet is taken from the
# reference solution, and the notebook says so.

# %%
import numpy as np

import minprune as mp
from minprune import plots
from minprune.course import check, hint, show, use

_ = mp.threads(1)  # networks this small run best on one core

# %% [markdown]
# ## A question first
#
# A small network reads handwritten digits. **What share of its weights can you remove before it gets noticeably
# worse: 10 %, 50 %, 90 %?** Write your guess down, with a number. A guess that is written down is worth ten that were
# "about what I thought".

# %% [markdown]
# ## 1 · Grow the tree: train a dense network
#
# 1,797 images of 8×8 pixels come with scikit-learn. They are split three ways: the network learns from the *training*
# images, choices are made on the *validation* images, and the *test* images are only for the final number.
#
# All chance (first weights, split, order of the images) comes from a number, the *seed*, here 0. With the same seed the
# run repeats. An *epoch* is one pass over the training images.

# %%
rng = np.random.default_rng(0)
splits = mp.data.load("digits", seed=0)
model = mp.models.SmallConvNet(rng=rng)
optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9)
mp.train.fit(model, splits, epochs=12, optimizer=optimizer, rng=rng)
dense = mp.train.evaluate(model, splits.test).accuracy
print(f"dense: {sum(p.data.size for p in model.parameters()):,} parameters, test accuracy {dense:.1%}")

# %% [markdown]
# ## 2 · Which leaves matter? Score the weights
#
# The simplest score of a weight $w$ is its size, $s = |w|$. A weight near zero hardly changes what it is multiplied
# with, so it is cut first. Look at how the sizes are distributed: most weights are small.

# %%
from matplotlib.figure import Figure

weights = np.concatenate([p.data.ravel() for _, p in model.named_parameters() if p.data.ndim > 1])
with plots.style():
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    axes.hist(np.abs(weights), bins=60)
    axes.set(xlabel="size of a weight, |w|", ylabel="number of weights")
show(figure, alt="Histogram of the sizes of all weights: a tall peak near zero and a long thin tail.")

# %% [markdown]
# How many weights remain when we cut 90 %? Pruning is exact counting, so the first thing to write is the count.


# %% tags=["exercise"]
def keep_count(total, sparsity):
    """Return how many of `total` weights remain when the share `sparsity` is removed.

    The number removed is `sparsity * total`, rounded to the nearest whole number (Python's `round`).

    Args:
        total: how many weights there are, an int.
        sparsity: the share to remove, from 0 to 1.

    Returns:
        the number of weights that remain, an int.
    """
    ### BEGIN SOLUTION
    return total - round(sparsity * total)
    ### END SOLUTION


# %% [markdown]
# ## 3 · Cut
#
# Now the cut itself: keep the `keep` weights of the largest size and set all others to zero. If several weights at the
# border have the same size, some of them stay and some go: just as many must remain as were asked for. Sorting gives
# that for free.

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def cut_smallest(weights, keep):
    """Return a copy of `weights` in which all but the `keep` weights of largest absolute value are zero.

    Args:
        weights: array of floats, of any shape.
        keep: how many weights remain, an int from 0 to weights.size.

    Returns:
        array of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    order = np.argsort(np.abs(weights), axis=None, kind="stable")  # positions from the smallest to the largest
    result = weights.copy()
    result.flat[order[: weights.size - keep]] = 0
    return result
    ### END SOLUTION


# %% [markdown]
# Your function (or the reference, until yours is right) now cuts the first layer of the network: 16 filters of 3×3
# weights each, here a filter in each row. Blue is positive, red is negative, and white places are gone.

# %%
cut_smallest, keep_count = use("cut_smallest"), use("keep_count")
before = model.conv1.weight.data.reshape(16, 9)  # (O, R * S)
after = cut_smallest(before, keep_count(before.size, 0.5))
with plots.style():
    figure = Figure(figsize=(6, 3))
    for axes, values, title in zip(figure.subplots(1, 2), (before, after), ("dense", "half of them cut")):
        axes.imshow(values, cmap="RdBu", vmin=-0.6, vmax=0.6, aspect="auto")
        axes.grid(False)
        axes.set(title=title, xlabel="the 9 weights of a filter", xticks=[], yticks=[])
figure.axes[0].set_ylabel("the 16 filters")
show(figure, alt="The 144 weights of the first layer before and after the cut: half of the places have become white, the palest ones.")

# %% [markdown]
# ## 4 · Cut the whole tree, and let it recover
#
# For a whole network the library does the same in a few lines: score all weights, make *masks* that say which stay,
# apply them. Then we train on for a while, which is called *fine-tuning*. A masked weight stays exactly zero, whatever
# the training does.

# %%
scores = mp.prune.score(model, "magnitude")  # {name: array}, higher means keep
masks = mp.prune.make_masks(scores, sparsity=0.9, scope="global")  # {name: True where a weight stays}
mp.prune.apply_masks(model, masks)
cut = mp.train.evaluate(model, splits.test).accuracy
mp.train.fit(model, splits, epochs=6, optimizer=optimizer, rng=rng)
recovered = mp.train.evaluate(model, splits.test).accuracy
print(f"dense {dense:.1%}   90 % cut {cut:.1%}   after recovery {recovered:.1%}")

# %% [markdown]
# The cut hurts; time to recover heals most of it, or all. Compare with the share you wrote down at the beginning.

# %% [markdown]
# ## 5 · The pruning curve
#
# One point is an anecdote. A **pruning curve** shows accuracy for many sizes. We cut a little, fine-tune, cut a
# little more, and so on: that is called *iterative*. We do the same with weights drawn by lot, as a control: if
# choosing by size is worth anything, it must beat chance. `densities` are the shares of the weights that remain.
#
# The whole experiment runs for two seeds. (Lesson 10 is about why one seed is never enough, and two are hardly.)
# It grows two dense networks of its own, and trains them by a recipe whose steps get smaller towards the end. **So its
# dense accuracy, the mean of the two, is not that of the network above.**

# %%
from minprune.experiments import CurveConfig, Method, Workers, run_curve

methods = (Method("magnitude", "iterative"), Method("random", "iterative"))
config = CurveConfig(
    "smallconvnet",
    "digits",
    methods,
    densities=(0.5, 0.2, 0.1, 0.05, 0.02, 0.01),
    seeds=(0, 1),
    training=mp.train.Recipe(epochs=12, lr=0.05),
    finetuning=mp.train.Recipe(epochs=3, lr=0.05),
)
points = run_curve(config, Workers(jobs=1))

# %%
from minprune.experiments import summarise

table = summarise(points)[["method", "remaining", "accuracy", "std"]]
table = table.drop_duplicates(["method", "remaining"])
shown = table[(table["method"] == "dense") | (table["remaining"] < 1)]  # the dense network once
for name in ("remaining", "accuracy", "std"):
    shown = shown.assign(**{name: shown[name].map("{:.1%}".format)})
show(plots.pruning_curve(points, num_classes=10), alt=plots.describe_curve(points), table=shown)

# %% [markdown]
# Read the curve from left to right: 100 % of the weights, then fewer and fewer. A line is the mean of both seeds, the
# band around it their standard deviation (`std` in the table): how far they typically lie from the mean. *Chance* is
# what guessing gives, one digit in ten.
#
# - **Flat, then a cliff.** A large part of the weights can go for nothing; then it goes quickly. Where is the knee of each line?
# - **Choosing matters.** Random cuts fall away long before magnitude does.
# - **The band matters.** Where the bands overlap, we cannot say which method is better.
#
# To find the knee in a table is the last exercise.


# %% tags=["exercise"]
def smallest_good_enough(remaining, accuracy, dense_accuracy, max_drop):
    """Return the smallest share of weights remaining whose accuracy is at most `max_drop` below the dense network's.

    Args:
        remaining: list of shares of the weights, such as [1.0, 0.5, 0.2].
        accuracy: list of the accuracies that belong to them.
        dense_accuracy: the accuracy of the dense network.
        max_drop: what may be lost, such as 0.01 for one point.

    Returns:
        one of the shares in `remaining`, or None if no accuracy is good enough.
    """
    ### BEGIN SOLUTION
    good = [share for share, value in zip(remaining, accuracy) if value >= dense_accuracy - max_drop]
    return min(good, default=None)
    ### END SOLUTION


# %% [markdown]
# And the answer to the question at the beginning, read off the curve by your own function: how small may the network be,
# at the price of a point of accuracy?

# %%
smallest_good_enough = use("smallest_good_enough")
magnitude = table[table["method"].str.startswith("magnitude")]
dense_accuracy = table["accuracy"].iloc[0]
share = smallest_good_enough(list(magnitude["remaining"]), list(magnitude["accuracy"]), dense_accuracy, max_drop=0.01)
print("none is within a point of dense" if share is None else f"{share:.0%} of the weights are enough, within a point of dense")

# %% [markdown]
# ## What is true, and what is not yet
#
# The network has fewer weights that count. **It is not smaller in memory and hardly faster**: zeros are still stored
# and multiplied, until something leaves them out. That is the subject of lessons 07 and 08. What shrinks already is
# the *file*, which stores only what is kept:

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    mp.checkpoint.save(mp.models.SmallConvNet(rng=np.random.default_rng(0)), path)
    dense_bytes = path.stat().st_size
    mp.checkpoint.save(model, path)
    print(f"dense file {dense_bytes:,} bytes, pruned file {path.stat().st_size:,} bytes")

# %% [markdown]
# ## What you can do now
#
# You have run the loop once: train, score, cut, recover, curve. Next, lesson 01 opens the box at the very bottom:
# where do the gradients come from that train and heal the tree?
