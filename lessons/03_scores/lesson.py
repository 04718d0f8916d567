# ---
# title: What matters? Scores
# minutes: 75
# difficulty: 2
# needs: lesson 02 (gradients, dense and convolution layers)
# afterwards: score weights by size and by effect, rank them per layer or globally, and find the delicate layers
# ---

# %% [markdown]
# # 03 · What matters? Scores
#
# *75 minutes · ●●○ · needs: lesson 02*
#
# Before cutting, a bonsai grower looks: which twig carries the shape, and which would nobody miss? For a network that
# look is a **score**, one number per weight. Low scores go first.
#
# This lesson builds the two most used scores, the two ways of comparing them across layers, and an examination of
# which layers are delicate. Nothing is trained after a cut here: **we want to see the wound, not the scar.**

# %%
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use

# %% [markdown]
# ## A question first
#
# We will remove 80 % of a trained network's weights and train no more. Write down an accuracy for each of the four:
#
# | chosen by | 80 % of every layer | 80 % of the whole network |
# |---|---|---|
# | chance | | |
# | size, smallest first | | |
#
# Guessing blindly among the ten digits gives 10 %.

# %% [markdown]
# ## 1 · Three trees
#
# One network is an anecdote, so we train three, each with its own seed: other initial weights, other order of
# images, another split of the data. All choices of this lesson are looked at on *validation* images.


# %%
def grow(seed):
    rng, splits = np.random.default_rng(seed), mp.data.load("digits", seed=seed)
    model = mp.models.SmallConvNet(rng=rng)
    optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9)
    quiet = mp.train.FitOptions(progress="")
    mp.train.fit(model, splits, epochs=12, optimizer=optimizer, rng=rng, options=quiet)
    return model, splits


mp.threads(1)  # networks this small run best on one
SEEDS = (0, 1, 2)
forest = [grow(seed) for seed in SEEDS]
model, splits = forest[0]
for seed, (m, s) in zip(SEEDS, forest):
    print(f"seed {seed}: validation accuracy {mp.train.evaluate(m, s.val).accuracy:.1%}")


# %% [markdown]
# ## 2 · The first score: size
#
# The oldest score is the size of the weight (Han et al. 2015):
#
# $$s_i = |w_i|$$
#
# It costs nothing and needs no data. The idea: a weight near zero adds almost nothing to the sum that it is part of.
#
# Biases are not scored. They are few, they shift a whole channel, and removing one saves no multiplication.

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def magnitude_scores(weights):
    """Return {name: |w|} for every array of `weights` with two axes or more; arrays with one axis (biases, BatchNorm) get no score.

    Args:
        weights: {parameter name: array}, such as {"conv.weight": (O, C, R, S), "conv.bias": (O,), "fc.weight": (O, C)}.

    Returns:
        a new dictionary {name: array of the weight's shape}.
    """
    ### BEGIN SOLUTION
    return {name: np.abs(w) for name, w in weights.items() if w.ndim >= 2}
    ### END SOLUTION


# %% [markdown]
# How are the sizes distributed in each layer? All four panels have the same horizontal axis.

# %%
magnitude_scores = use("magnitude_scores")


def weights_of(m):
    return {name: p.data for name, p in m.named_parameters()}


sizes = magnitude_scores(weights_of(model))
with plots.style():
    figure = Figure(figsize=(8, 4.4))
    for axes, (name, s) in zip(figure.subplots(2, 2, sharex=True).flat, sizes.items()):
        axes.hist(s.ravel(), bins=np.linspace(0, 1.5, 46), color="C0")
        axes.axvline(np.median(s), color="C1", ls="--", marker="")
        title = f"{name.removesuffix('.weight')}: {s.size:,} weights, median {np.median(s):.2f}"
        axes.set_title(title, fontsize=12)
        axes.set(xlim=(0, 1.5))
    figure.supxlabel("size of a weight, |w| (dashed: the layer's median)")
    figure.supylabel("number of weights")
table = pd.DataFrame(
    [(n, s.size, np.median(s), s.max()) for n, s in sizes.items()],
    columns=["layer", "weights", "median", "largest"],
)
show(figure, "Histograms of |w| for the four layers: fc1 piles up near zero, conv1 is spread to 1.5.", table)

# %% [markdown]
# Every layer has many small weights and a long tail. But **"small" means something else in every layer**: the median
# of `conv1` is many times that of `fc1`.
#
# Part of that was there before training. A weight starts with a spread of about $\sqrt{2 / \text{fan-in}}$ (lesson 02):
# `conv1` adds up 9 products, `fc1` adds up 512, so each of them is smaller. Remember this; it comes back twice.

# %% [markdown]
# ## 3 · The second score: what would the loss say?
#
# Size is a guess. What we want to know is how much the loss $L$ changes when a weight becomes zero. The slope tells,
# approximately. Going from $w_i$ to $0$ is a step of $-w_i$, so to first order (Taylor)
#
# $$L(w_i = 0) - L(w) \approx -w_i \, g_i \qquad\text{with}\qquad g_i = \frac{\partial L}{\partial w_i}.$$
#
# The score is the size of that change, averaged over batches $b$ (Molchanov et al. 2017):
#
# $$s_i = \frac{1}{B} \sum_{b=1}^{B} \left| w_i \, g_i^{(b)} \right|$$

# %% [markdown]
# **The order matters: first the absolute value, then the mean.** In a trained network the *average* gradient is close
# to zero; that is what "trained" means. But each batch still pulls, one this way, the next that way. Average first,
# and the pulls cancel: what remains is mostly noise.


# %% tags=["exercise"]
def taylor_scores(weights, gradients):
    """Return the first-order Taylor score of every weight: the mean over the batches of |w * g|, for every name in `weights`.

    Args:
        weights: {name: array}, the weights to score.
        gradients: a list with one dictionary per batch, {name: gradient of the loss, of the weight's shape}; they may hold more
            names than `weights` (biases), which get no score.

    Returns:
        {name: array of the weight's shape}.
    """
    ### BEGIN SOLUTION
    scores = {}
    for name, w in weights.items():
        scores[name] = np.mean([np.abs(w * batch[name]) for batch in gradients], axis=0)
    return scores
    ### END SOLUTION


# %% [markdown]
# The gradients come from ordinary forward and backward passes over some *training* images, without any step of an
# optimizer.

# %%
taylor_scores = use("taylor_scores")


def gradients_of(m, split, count=8):
    found = []
    for images, labels in list(mp.data.batches(split, 64))[:count]:
        m.zero_grad()
        mp.ops.cross_entropy(m(images), labels).backward()
        found.append({name: p.grad.copy() for name, p in m.named_parameters()})
    m.zero_grad()
    return found


def prunable(m):
    return {name: w for name, w in weights_of(m).items() if w.ndim >= 2}


gradients = gradients_of(model, splits.train)
taylor = taylor_scores(prunable(model), gradients)
library = mp.prune.score(model, "taylor", data=splits.train)
print("same as the library's:", all(np.allclose(taylor[n], library[n], rtol=1e-3) for n in taylor))

# %% [markdown]
# ### Is the approximation any good?
#
# That can be measured. We take 50 weights of each layer of the first network, remove **one at a time**, and look at
# how much the loss of each batch really changes. A good score puts the weights in the order of their true effect.

# %%
batches = list(mp.data.batches(splits.train, 64))[:8]


def losses(m):
    with mp.no_grad():
        return np.array([mp.ops.cross_entropy(m(x), y).item() for x, y in batches])


def true_effect(name, position):
    """The mean over batches of |change of the loss| when this weight alone is zero."""
    w = weights_of(model)[name]
    held, w.flat[position] = w.flat[position], 0
    changed = losses(model)
    w.flat[position] = held
    return np.abs(changed - whole).mean()


whole, rng, rows = losses(model), np.random.default_rng(0), []
for name, w in prunable(model).items():
    for position in rng.choice(w.size, 50, replace=False):
        scores = (s[name].flat[position] for s in (sizes, taylor))
        rows.append((name.removesuffix(".weight"), *scores, true_effect(name, position)))
sample = pd.DataFrame(rows, columns=["layer", "magnitude", "taylor", "effect"])


# %%
def rank_agreement(a, b):
    """Spearman's correlation: 1 if both put the weights in the same order, 0 if by chance."""
    return np.corrcoef(a.rank(), b.rank())[0, 1]


with plots.style():
    figure, low = Figure(figsize=(8, 4)), 1e-9
    for axes, score in zip(figure.subplots(1, 2, sharey=True), ("magnitude", "taylor")):
        for (layer, rows), marker in zip(sample.groupby("layer"), "os^D"):
            x, y = rows[score].clip(lower=low), rows["effect"].clip(lower=low)
            axes.plot(x, y, marker, ms=4, label=layer)
        agreement = rank_agreement(sample[score], sample["effect"])
        axes.set(xscale="log", yscale="log", xlabel=f"{score} score")
        axes.set_title(f"{score}: agreement {agreement:.2f}", fontsize=12)
    figure.axes[0].set_ylabel("true effect on the loss")
    figure.axes[1].legend(fontsize=10, loc="upper left")
layers = sample.groupby("layer")
agree = {}
for s in ("magnitude", "taylor"):
    agree[s] = layers[[s, "effect"]].apply(lambda r, s=s: rank_agreement(r[s], r["effect"]))
table = pd.DataFrame(agree).add_prefix("agreement of ").reset_index()
words = "True effect of removing a weight against its score: a cloud for magnitude, a line for Taylor."
show(figure, words, table)
useless = (sample["effect"] < low).mean()
print(f"{useless:.0%} of the sampled weights have no measurable effect (drawn at the bottom, at {low:g})")

# %% [markdown]
# For single weights the Taylor score is close to the truth, in all layers alike. Size knows a part of it: its cloud
# rises, too. But of two weights of the same size, one may matter hundreds of times more than the other.
#
# The points at the very bottom show why: those weights have no effect, and some of them are large. They are on dead twigs.

# %%
relu, x = mp.ops.relu, mp.Tensor(splits.train.images[:512])
x = mp.ops.max_pool2d(relu(model.conv2(relu(model.conv1(x)))), 2)
hidden = relu(model.fc1(mp.ops.flatten(x))).data  # (N, 64)
dead = (hidden == 0).all(axis=0).sum()
print(f"{dead} of the {hidden.shape[1]} units of fc1 are zero for all 512 images")

# %% [markdown]
# A unit that ReLU keeps at zero for every image passes nothing on. Whatever leads to it or away from it can go for
# nothing. Size cannot see that; the gradient can.
#
# So Taylor must win the race by a wide margin. Or must it? **Write down what you expect**, and remember a phrase from this
# experiment: *one at a time*.

# %% [markdown]
# ## 4 · Ranked against whom?
#
# A score says nothing yet about how much each *layer* loses. There are two usual answers. Per layer: every layer
# loses the same share. We count exactly (lesson 04 is about why), as in lesson 00: `round(sparsity * size)` go.


# %% tags=["exercise"]
def layer_masks(scores, sparsity):
    """Return a mask per layer, True where a weight stays: of each layer exactly round(sparsity * size) weights go, the lowest scores.

    Args:
        scores: {name: array}, higher means keep.
        sparsity: the share to remove from each layer, from 0 to 1.

    Returns:
        {name: bool array of the shape of the scores}. Which of several equal scores go does not matter here, only how many.
    """
    ### BEGIN SOLUTION
    masks = {}
    for name, s in scores.items():
        mask = np.ones(s.shape, bool)
        mask.flat[np.argsort(s, axis=None)[: round(sparsity * s.size)]] = False
        masks[name] = mask
    return masks
    ### END SOLUTION


# %% [markdown]
# The other answer: **globally**. All weights of the network stand in one line, and the lowest go, wherever they are.
# Then a layer may lose nearly everything and another nearly nothing.


# %% tags=["exercise"]
def global_masks(scores, sparsity):
    """Return a mask per layer, True where a weight stays: of all layers together exactly round(sparsity * total size) go, the lowest.

    Args:
        scores: {name: array}, higher means keep. The shapes differ.
        sparsity: the share to remove from the whole network, from 0 to 1.

    Returns:
        {name: bool array of the shape of the scores}. Which of several equal scores go does not matter here, only how many.
    """
    ### BEGIN SOLUTION
    everything = np.concatenate([s.ravel() for s in scores.values()])
    flat = np.ones(everything.size, bool)
    flat[np.argsort(everything)[: round(sparsity * everything.size)]] = False
    masks, start = {}, 0
    for name, s in scores.items():
        masks[name] = flat[start : start + s.size].reshape(s.shape)
        start += s.size
    return masks
    ### END SOLUTION


# %% [markdown]
# Move the slider. Left: all sizes, and where the global cut falls. Right: what is left of `conv2`; every square is a
# weight, white ones are gone.

# %%
layer_masks, global_masks = use("layer_masks"), use("global_masks")


def draw(sparsity):
    mask = global_masks(sizes, sparsity)
    everything = np.concatenate([s.ravel() for s in sizes.values()])
    kept = np.concatenate([m.ravel() for m in mask.values()])
    border = everything[~kept].max() if sparsity else 0.0
    with plots.style():
        figure = Figure(figsize=(8, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
        bins = np.linspace(0, 0.5, 51)
        left.hist([everything[~kept], everything[kept]], bins, stacked=True, color=["0.75", "C0"])
        left.axvline(border, color="C1", ls="--", marker="")
        left.set(xlabel="|w| (grey: gone)", ylabel="weights", title=f"cut at |w| = {border:.3f}")
        w = np.where(mask["conv2.weight"], model.conv2.weight.data, 0).reshape(32, -1)
        right.imshow(w, cmap="RdBu", vmin=-0.3, vmax=0.3, aspect="auto", interpolation="nearest")
        right.grid(False)
        right.set(xlabel="16 channels × 9 weights", ylabel="32 filters", xticks=[], yticks=[])
        right.set_title(f"conv2 keeps {mask['conv2.weight'].mean():.0%}")
    return figure


shares = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
words = "Histogram of all sizes with the border of the cut, and the weights of conv2 that remain."
explore(draw, shares, "sparsity", words, start=0.9)

# %% [markdown]
# Who pays? Here is what each layer keeps when 90 % of the network goes.

# %%
choices = {
    "magnitude, per layer": layer_masks(sizes, 0.9),
    "magnitude, global": global_masks(sizes, 0.9),
    "Taylor, global": global_masks(taylor, 0.9),
}
short = {name: name.removesuffix(".weight") for name in sizes}
kept = pd.DataFrame({c: {short[n]: m.mean() for n, m in ms.items()} for c, ms in choices.items()})
with plots.style():
    figure = Figure(figsize=(8, 3.6))
    axes, width = figure.subplots(), 0.26
    for i, (choice, hatch) in enumerate(zip(kept, ("", "//", ".."))):
        x = np.arange(4) + (i - 1) * width
        bars = axes.bar(x, kept[choice], width, label=choice, hatch=hatch, edgecolor="white")
        axes.bar_label(bars, [f"{100 * v:.0f}" for v in kept[choice]], fontsize=10)
    axes.set_xticks(range(4), [f"{n}\n{s.size:,}" for n, s in zip(kept.index, sizes.values())])
    axes.set(ylabel="share that stays", ylim=(0, 1))
    axes.set_title("what stays when 90 % goes, in %")
    axes.legend(fontsize=10)
table = kept.rename_axis("layer").reset_index()
show(figure, "Share that each layer keeps at 90 % sparsity: globally, fc1 pays for all others.", table)

# %% [markdown]
# The global ranking takes nearly everything from `fc1`, the layer with by far the most weights and the smallest ones,
# and spares the rest. Nobody told it that `conv1` is delicate. Is that wisdom or luck?

# %% [markdown]
# ## 5 · The race
#
# Three scores, two rankings, seven sparsities, three networks; **random scores are the control**. If a score does no
# better than chance, it knows nothing. No fine-tuning.


# %%
def accuracy(m, split, masks):
    """Accuracy of a copy of the network after the cut; a layer without a mask stays whole."""
    work = m.copy()
    mp.prune.apply_masks(work, masks)
    return mp.train.evaluate(work, split).accuracy


def all_scores(m, s, seed):
    rng, weights = np.random.default_rng(100 + seed), prunable(m)
    return {
        "Taylor": taylor_scores(weights, gradients_of(m, s.train)),
        "magnitude": magnitude_scores(weights),
        "random": {name: rng.random(w.shape) for name, w in weights.items()},
    }


sparsities, rows = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98), []
for seed, (m, s) in zip(SEEDS, forest):
    for criterion, scores in all_scores(m, s, seed).items():
        for scope, cut in (("per layer", layer_masks), ("global", global_masks)):
            for x in sparsities:
                rows.append((scope, criterion, x, seed, accuracy(m, s.val, cut(scores, x))))
race = pd.DataFrame(rows, columns=["scope", "criterion", "sparsity", "seed", "accuracy"])

# %%
groups = race.groupby(["scope", "criterion", "sparsity"])["accuracy"]
table = groups.agg(["mean", "std"]).reset_index()
with plots.style():
    figure = Figure(figsize=(8, 4.2))
    panels = dict(zip(("per layer", "global"), figure.subplots(1, 2, sharey=True)))
    for scope, axes in panels.items():
        for criterion in ("Taylor", "magnitude", "random"):
            rows = table[(table["scope"] == scope) & (table["criterion"] == criterion)]
            (line,) = axes.plot(100 * rows["sparsity"], rows["mean"], label=criterion)
            band = (rows["mean"] - rows["std"]), (rows["mean"] + rows["std"])
            axes.fill_between(100 * rows["sparsity"], *band, color=line.get_color(), alpha=0.2, lw=0)
        axes.axhline(0.1, color="0.45", ls=":", marker="")
        axes.set(xlabel="% of the weights removed", title=scope, ylim=(0, 1.02))
    panels["per layer"].set_ylabel("validation accuracy, no fine-tuning")
    panels["per layer"].legend(loc="lower left", bbox_to_anchor=(0, 0.12), fontsize=10)
    panels["global"].annotate("chance", (0, 0.115), color="0.35")
words = "Accuracy against sparsity: random falls at once; the global rankings last longest."
show(figure, words, table)
print("mean ± one standard deviation, n = 3 seeds")

# %%
at = table[table["sparsity"] == 0.8].pivot(index="criterion", columns="scope", values="mean")
print("accuracy with 80 % removed, mean of 3 seeds:")
print(at[["per layer", "global"]].map("{:.1%}".format).to_string())

# %% [markdown]
# Compare with your table.
#
# - **Chance is a terrible gardener.** A large part of the weights can go for nothing, but not *any* large part.
# - **With the same score, the ranking made the larger difference.** Here the global one is far better: it finds by itself which
#   layer has too many weights.
# - **Taylor's lead over size is small.** It is ahead on average where layers are cut alike, but the bands of three seeds
#   overlap; globally the two are close. The better score of one weight need not be the better choice of thirty thousand.
#
# Why? The Taylor score measures a small step at the network as it *is*. Remove thousands of weights at once, and the
# network on which the slopes were measured exists no more. Cutting a little at a time helps (lesson 06).

# %% [markdown]
# ## 6 · Which layer is delicate?
#
# Cut **one layer alone**, leave the others whole, and look how far it can go: a *sensitivity scan* (Han et al. 2015;
# Li et al. 2017). It is an examination, twig by twig.


# %% tags=["exercise"]
def sensitivity_scan(scores, sparsities, cut, evaluate):
    """Return for each layer the accuracies when that layer alone is cut to each of the sparsities and all other layers stay whole.

    Args:
        scores: {name: array}, higher means keep.
        sparsities: a list of shares to remove, such as [0.5, 0.9].
        cut: a function such as `layer_masks`: cut({name: array}, sparsity) gives {name: mask} for the layers that it is given.
        evaluate: a function: evaluate({name: mask}) gives the accuracy; layers that have no mask in it stay whole.

    Returns:
        {name: list of accuracies, one for each of `sparsities`, in their order}.
    """
    ### BEGIN SOLUTION
    found = {}
    for name, s in scores.items():
        found[name] = [evaluate(cut({name: s}, sparsity)) for sparsity in sparsities]
    return found
    ### END SOLUTION


# %%
sensitivity_scan = use("sensitivity_scan")
shares = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
scans = []
for m, s in forest:
    scores = magnitude_scores(weights_of(m))
    scans.append(sensitivity_scan(scores, shares, layer_masks, lambda c, m=m, s=s: accuracy(m, s.val, c)))
with plots.style():
    figure = Figure(figsize=(8, 4.2))
    axes = figure.subplots()
    for name in scans[0]:
        values = np.array([scan[name] for scan in scans])  # (seeds, sparsities)
        mean, std = values.mean(axis=0), values.std(axis=0, ddof=1)
        label = f"{name.removesuffix('.weight')} ({sizes[name].size:,} weights)"
        (line,) = axes.plot(np.multiply(shares, 100), mean, label=label)
        band = (mean - std, mean + std)
        axes.fill_between(np.multiply(shares, 100), *band, color=line.get_color(), alpha=0.2, lw=0)
    axes.set(xlabel="% removed from this layer alone", ylabel="validation accuracy", ylim=(0, 1.02))
    axes.set_title("mean ± 1 standard deviation, n = 3 seeds")
    axes.legend(loc="lower left")
means = {n: np.mean([scan[n] for scan in scans], axis=0) for n in scans[0]}
table = pd.DataFrame(means, index=shares).rename_axis("removed").reset_index()
words = "Accuracy when one layer alone is cut: conv1 and fc2 fall early, conv2 and fc1 hardly at all."
show(figure, words, table)

# %% [markdown]
# So it was not luck alone: the layers that the global ranking spared, the first and the last, are the delicate ones.
# They are also the smallest. A weight of `conv1` is used at each of the 64 pixels of an image, and there are only 144
# of them; of `fc1` there are 32,768.
#
# A layer that withstands a cut *alone* may still fall when all are cut: the wounds add up. A scan tells which layers
# to be careful with, not how much all of them can lose together.

# %% [markdown]
# ## 7 · A trap: "large weights are important weights"
#
# ReLU has a property: $\mathrm{ReLU}(c \, x) = c \, \mathrm{ReLU}(x)$ for $c > 0$. So multiply the weights and biases
# of `conv1` by $c$ and divide the weights of `conv2` by $c$. **The network computes the same as before**, for every
# image. Has the importance of any weight changed? Predict what happens to the global cut by size.


# %%
def rescaled(m, c):
    other = m.copy()
    other.conv1.weight.data *= c
    other.conv1.bias.data *= c
    other.conv2.weight.data /= c
    return other


rows = []
for c in (1, 4, 16):
    for seed, (m, s) in zip(SEEDS, forest):
        same = rescaled(m, c)
        scores = all_scores(same, s, seed)
        values = {
            "dense": accuracy(same, s.val, {}),
            "size, global": accuracy(same, s.val, global_masks(scores["magnitude"], 0.8)),
            "size, per layer": accuracy(same, s.val, layer_masks(scores["magnitude"], 0.8)),
            "Taylor, global": accuracy(same, s.val, global_masks(scores["Taylor"], 0.8)),
        }
        rows.append({"c": c} | values)
print("accuracy with 80 % removed, mean of 3 seeds; conv1 times c, conv2 divided by c:")
print(pd.DataFrame(rows).groupby("c").mean().map("{:.1%}".format).to_string())

# %% [markdown]
# The dense column proves that the networks are the same, and yet the global cut by size is ruined: `conv2` looks unimportant
# because its weights were *written* smaller.
#
# Per-layer ranking does not notice, since the order within a layer stays. Nor does Taylor: with $w$ divided by $c$,
# the gradient is multiplied by $c$, and $w \cdot g$ stays. **Comparing sizes across layers is an assumption about how
# the network was initialised and trained.** For ordinary networks it holds well enough to win races. Now you know when it will not.

# %% [markdown]
# ## What you can do now
#
# You can score weights by size and by their effect on the loss, rank them per layer and globally, tell what a score
# knows beyond chance, and find the delicate layers.
#
# And you have seen three things to distrust: a score without a random control, a score of single weights that is
# trusted for thousands, and a size compared across layers.
#
# Next: lesson 04. A cut must be *held*. Weights that were set to zero come back to life, and you will watch them do it.
