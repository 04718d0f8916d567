# ---
# title: Masks
# minutes: 80
# difficulty: 2
# needs: lesson 03 (scores and rankings)
# afterwards: cut exactly as many weights as you meant, hold the cut while training, and say what the result costs in bytes
# ---

# %% [markdown]
# # 04 · Masks
#
# *80 minutes · ●●○ · needs: lesson 03*
#
# A grower who has cut a branch seals the wound, or the tree sprouts again at the same place. A network does the same:
# a weight that was set to zero comes back, unless it is held.
#
# What holds it is a **mask**: an array of the weight's shape, `True` where the weight stays. This lesson is about three
# things that go wrong with masks, in more programs than one would think: counting, holding and storing.

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
# You set 90 % of a network's weights to zero and train on for a single step, with SGD and momentum. To be safe you
# set the *gradients* of the removed weights to zero as well.
#
# 1. **What share of the removed weights is still exactly zero after that step?**
# 2. You hold the zeros properly and save the network, storing only what is not zero. Ten percent of the weights are
#    left. **What percentage of the bytes?**
#
# Write down two numbers.

# %%
mp.threads(1)  # networks this small run best on one
SEEDS = (0, 1, 2)


def grow(seed):
    """A trained network, its data, and the velocities that SGD with momentum has at the end."""
    rng, splits = np.random.default_rng(seed), mp.data.load("digits", seed=seed)
    model = mp.models.SmallConvNet(rng=rng)
    optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9, weight_decay=1e-4)
    quiet = mp.train.FitOptions(progress="")
    mp.train.fit(model, splits, epochs=12, optimizer=optimizer, rng=rng, options=quiet)
    velocity = {name: state["velocity"].copy() for name, state in optimizer.state.items()}
    return model, splits, velocity


def weights_of(m):
    return {name: p.data for name, p in m.named_parameters()}


forest = [grow(seed) for seed in SEEDS]
model, splits, velocity = forest[0]


# %% [markdown]
# ## 1 · Counting: the classic code, and where it goes wrong
#
# This is how pruning is written in many tutorials: collect all convolution weights, take a quantile of their sizes,
# make masks of it, multiply. It looks right. Read it slowly and look for two mistakes before you run it.


# %%
def classic_masks(weights, sparsity):
    convolutions = {name: w for name, w in weights.items() if w.ndim == 4}
    sizes = np.concatenate([np.abs(w).ravel() for w in convolutions.values()])
    threshold = np.quantile(sizes, sparsity)
    return {name: np.abs(w) > threshold for name, w in convolutions.items()}


masks = classic_masks(weights_of(model), 0.9)
gone = sum((~mask).sum() for mask in masks.values())
convolutional = sum(mask.size for mask in masks.values())
total = sum(w.size for w in weights_of(model).values() if w.ndim >= 2)
print(f"of the convolutions' weights {gone / convolutional:.1%} are gone")
print(f"of the network's weights     {gone / total:.1%} are gone")

# %% [markdown]
# **First mistake: the dense layers were left out.** In this network, as in LeNet-5, most weights sit in a dense
# layer. "90 % pruned" was true of the convolutions only. Whoever reports a sparsity must say *of what*.
#
# **Second mistake: ties.** A quantile is a threshold, and a threshold cannot choose between equal values: it takes
# all of them or none. "But floats are never equal!" Some are. Weights that were rounded to a few bits, to make them smaller, have
# few different values. Weights that were pruned before are all zero. Here are our weights, rounded to 15 levels:


# %%
def rounded(w, levels=7):
    """w rounded to a multiple of a seventh of its largest size: 15 different values, 4 bits each."""
    step = np.abs(w).max() / levels
    return np.round(w / step) * step


coarse = {name: rounded(w) if w.ndim == 4 else w for name, w in weights_of(model).items()}
for sparsity in (0.3, 0.5, 0.7, 0.9):
    masks = classic_masks(coarse, sparsity)
    gone = 1 - np.mean(np.concatenate([mask.ravel() for mask in masks.values()]))
    print(f"asked for {sparsity:.0%}, gone {gone:.1%}")

# %% [markdown]
# So count instead. How many stay is `k`; choose exactly `k` *positions*. And of equal scores? Any choice gives the
# right count, but let it be the same choice every time: the one that stands earlier in the array is cut, the later one
# stays. Then a run can be repeated, and two people get the same network.

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def exact_k(scores, k):
    """Return a mask that keeps exactly the k highest scores; of equal scores the earlier position (in memory order) is cut.

    Args:
        scores: array of any shape, higher means keep; may hold equal values, and -inf for what was cut before.
        k: how many stay, an int from 0 to scores.size.

    Returns:
        bool array of the shape of `scores`, True where a weight stays.
    """
    ### BEGIN SOLUTION
    order = np.argsort(scores, axis=None, kind="stable")  # equal scores keep the order of their positions
    mask = np.ones(scores.shape, bool)
    mask.flat[order[: scores.size - k]] = False
    return mask
    ### END SOLUTION


# %%
exact_k = use("exact_k")
asked = np.linspace(0, 1, 41)
fine, few = np.abs(weights_of(model)["conv2.weight"]), np.abs(coarse["conv2.weight"])
curves = {
    "quantile, weights as trained": [(fine <= np.quantile(fine, q)).mean() for q in asked],
    "quantile, 15 levels": [(few <= np.quantile(few, q)).mean() for q in asked],
    "exact_k, 15 levels": [(~exact_k(few, few.size - round(q * few.size))).mean() for q in asked],
}
with plots.style():
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for (name, values), look, size in zip(curves.items(), ("o:", "s-", "^-"), (10, 4, 4)):
        values = 100 * np.array(values)
        axes.plot(100 * asked, values, look, ms=size, fillstyle="full" if size == 4 else "none", label=name)
    axes.set(xlabel="% asked for", ylabel="% gone", title="conv2: what was asked for, and what went")
    axes.legend()
table = pd.DataFrame({"asked": asked} | curves)
words = "Share gone against share asked for: exact_k on the diagonal, the quantile in stairs above it."
show(figure, words, table)

# %% [markdown]
# As long as all values differ, the quantile does nearly the right thing. That is why the mistake lives so long: it shows
# where nobody looks, in the second round of pruning or after rounding, and then the accuracies that are compared belong
# to different sizes.
#
# (Sorting is not even necessary. The library finds the k-th value in linear time with `np.partition`, takes everything
# below it, and of those equal to it the first ones: `minprune/prune/choice.py`, `smallest`.)

# %% [markdown]
# ## 2 · Holding: weights come back to life
#
# Now cut 90 % of the whole network, biases excluded, and train on. SGD with momentum $\mu$ and weight decay
# $\lambda$ does this to each weight:
#
# $$v \leftarrow \mu v + g + \lambda w \qquad\qquad w \leftarrow w - \eta \, v$$
#
# Let us watch the removed weights under three rules. *Cut once*: multiply the weights by the mask, then train as
# usual. *Gradient masked*: also set $g = 0$ at the removed weights in each step. The third one you will write.


# %%
def cut_masks(m, sparsity):
    """Global magnitude masks: the lowest of all prunable weights go."""
    scores = {name: np.abs(w) for name, w in weights_of(m).items() if w.ndim >= 2}
    everything = np.concatenate([s.ravel() for s in scores.values()])
    flat = exact_k(everything, everything.size - round(sparsity * everything.size))
    ends = np.cumsum([s.size for s in scores.values()])[:-1]
    return {n: part.reshape(s.shape) for (n, s), part in zip(scores.items(), np.split(flat, ends))}


def cut_once(weights, velocity, gradient, mask, lr, momentum, decay):
    velocity[...] = momentum * velocity + gradient + decay * weights
    weights -= lr * velocity


def gradient_masked(weights, velocity, gradient, mask, lr, momentum, decay):
    cut_once(weights, velocity, gradient * mask, mask, lr, momentum, decay)


# %% [markdown]
# Before you run the next cells: look at the formula again. Where does the removed weight's past hide, if both $w$ and $g$
# are zero?


# %%
def train_on(m, split, masks, velocity, step, steps, momentum=0.9):
    """Cut, then train; yields the network before the first and after each step."""
    m, velocity, rng = m.copy(), {n: v.copy() for n, v in velocity.items()}, np.random.default_rng(0)
    for name, mask in masks.items():
        weights_of(m)[name][~mask] = 0
    yield m
    everything = {n: masks.get(n, np.ones(w.shape, bool)) for n, w in weights_of(m).items()}
    stream = (batch for _ in range(steps) for batch in mp.data.batches(split, 64, rng=rng))
    for _, (images, labels) in zip(range(steps), stream):
        m.zero_grad()
        mp.ops.cross_entropy(m(images), labels).backward()
        for name, p in m.named_parameters():
            step(p.data, velocity[name], p.grad, everything[name], 0.05, momentum, 1e-4)
        yield m


def revived(m, masks):
    """The share of the removed weights that is not zero."""
    back = sum(np.count_nonzero(weights_of(m)[name][~mask]) for name, mask in masks.items())
    return back / sum((~mask).sum() for mask in masks.values())


# %%
masks = cut_masks(model, 0.9)
for rule in (cut_once, gradient_masked):
    shares = [revived(m, masks) for m in train_on(model, splits.train, masks, velocity, rule, 1)]
    print(f"{rule.__name__:16} back before the step {shares[0]:.1%}, after one step {shares[1]:.1%}")

# %% [markdown]
# Compare with your first number. **Masking the gradient does not hold a weight**, because SGD with momentum moves it
# by $v$, and $v$ remembers the gradients from *before* the cut. With $g = 0$ the memory fades, but each step hands on
# what is left of it. All in all the weight travels
#
# $$\Delta w = -\eta \, (\mu v + \mu^2 v + \mu^3 v + \dots) = -\eta \, \frac{\mu}{1 - \mu} \, v,$$
#
# which for $\mu = 0.9$ is nine full steps. Adam's moments do the same. What must be held is therefore both: the weight
# **and what the optimizer remembers of it.**


# %% tags=["exercise"]
def masked_sgd_step(weights, velocity, gradient, mask, lr, momentum, decay):
    """Do one step of SGD in place, v = momentum * v + g + decay * w, then w = w - lr * v; and where the mask is False, set w and v to 0.

    Args:
        weights: array w, changed in place.
        velocity: array v, changed in place. Before the step it may be anything at masked weights.
        gradient: array g; at masked weights it may be anything.
        mask: bool array, True where a weight stays.
        lr: learning rate.
        momentum: the factor of the old velocity.
        decay: weight decay.

    Returns:
        nothing; `weights` and `velocity` hold the result.
    """
    ### BEGIN SOLUTION
    velocity[...] = momentum * velocity + gradient + decay * weights
    weights -= lr * velocity
    weights[~mask] = 0
    velocity[~mask] = 0
    ### END SOLUTION


# %%
masked_sgd_step = use("masked_sgd_step")
STEPS = 40
rules = {
    "cut once, no momentum": (cut_once, 0.0),
    "cut once": (cut_once, 0.9),
    "gradient masked": (gradient_masked, 0.9),
    "masked_sgd_step": (masked_sgd_step, 0.9),
}
shares, paths = {}, []
fastest = np.argsort(-np.abs(velocity["conv2.weight"][~masks["conv2.weight"]]))[:12]
for name, (rule, momentum) in rules.items():
    shares[name] = []
    for m in train_on(model, splits.train, masks, velocity, rule, STEPS, momentum):
        shares[name].append(revived(m, masks))
        if rule is gradient_masked:
            paths.append(weights_of(m)["conv2.weight"][~masks["conv2.weight"]].copy())

# %%
with plots.style():
    figure = Figure(figsize=(8, 4.2))
    left, right = figure.subplots(1, 2)
    for (name, values), look in zip(shares.items(), ("o-", "s-", "^--", "D-")):
        left.plot(100 * np.array(values), look, markevery=5, label=name)
    left.set(xlabel="step after the cut", ylabel="% of the removed weights", ylim=(-3, 103))
    left.set_title("not zero any more", fontsize=13)
    left.legend(fontsize=9, loc="center right")
    right.plot(np.array(paths)[:, fastest], "-", marker="", lw=1.5)
    right.axhline(0, color="0.3", marker="", lw=1)
    right.set(xlabel="step after the cut", ylabel="weight")
    right.set_title("12 weights, gradient masked", fontsize=13)
words = "Share of removed weights that are back: only masked_sgd_step stays at 0. Right: weights drift away."
show(figure, words, pd.DataFrame(shares).rename_axis("step").reset_index())

# %% [markdown]
# The right panel shows how far: a little way, until the old velocity has run out. There they stay. A thousandth is not
# zero: it is stored, it is multiplied, and it takes part in what the others learn. Without momentum a weight comes back
# as soon as it has a gradient; those that have none hang on units that are never active, the dead twigs of lesson 03.
#
# Move through the steps yourself: `conv2` under *gradient masked*. Kept weights are grey, removed ones that came back
# have a colour. The colours grow, although none of these weights has a gradient.


# %%
def draw(step):
    mask = masks["conv2.weight"]
    back = np.zeros(mask.shape)
    back[~mask] = paths[step]
    limit = np.abs(paths[-1]).max() / 2
    with plots.style():
        figure = Figure(figsize=(8, 3.4))
        axes = figure.subplots()
        axes.imshow(np.where(mask, 1, 0).reshape(32, -1), cmap="gray_r", vmin=0, vmax=4, aspect="auto")
        colours = np.ma.masked_equal(back.reshape(32, -1), 0)
        image = axes.imshow(colours, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
        figure.colorbar(image, ax=axes, label="weight that should be 0")
        axes.grid(False)
        axes.set(xlabel="16 channels × 9 weights", ylabel="32 filters", xticks=[], yticks=[])
        count = np.count_nonzero(paths[step])
        axes.set_title(f"step {step}: {count} of {paths[step].size} removed weights are back")
    return figure


words = "The weights of conv2: removed weights that are not zero any more."
explore(draw, [0, 1, 2, 5, 10, 20, 40], "step", words, start=10)

# %% [markdown]
# ### "Weight decay will pull them back to zero"
#
# Weight decay multiplies by a number a little below 1 in each step. That halves a weight every so often, and never
# makes it zero. How often, with our $\eta = 0.05$ and $\lambda = 10^{-4}$?

# %%
halved = np.log(0.5) / np.log(1 - 0.05 * 1e-4)
print(f"a weight without a gradient is halved every {halved:,.0f} steps, {halved / 17:,.0f} epochs of 17 steps")

# %% [markdown]
# ### "Then I cut again at the end"
#
# One could train freely and multiply by the mask once more when done. Is that the same? Three networks, 95 % cut,
# 51 steps: freely and then cut again, or held all the time. Predict which is better, and by how much.


# %%
def accuracy_after(m, s, held, v, rule, steps, again=False):
    *_, last = train_on(m, s.train, held, v, rule, steps)
    if again:
        mp.prune.apply_masks(last, held)
    return mp.train.evaluate(last, s.val).accuracy


rows = []
for seed, (m, s, v) in zip(SEEDS, forest):
    held = cut_masks(m, 0.95)
    runs = ((cut_once, 0), (cut_once, 51), (cut_once, 51, True), (masked_sgd_step, 51))
    rows.append((seed, *(accuracy_after(m, s, held, v, *run) for run in runs)))
columns = ["seed", "just cut", "trained freely", "freely, then cut again", "held"]
result = pd.DataFrame(rows, columns=columns).set_index("seed")
summary = result.agg(["mean", "std"]).T
print("validation accuracy, mean ± standard deviation, n = 3 seeds")
for name, row in summary.iterrows():
    each = ", ".join(f"{value:.1%}" for value in result[name])
    print(f"  {name:24} {row['mean']:.1%} ± {row['std']:.1%}   each: {each}")

# %% [markdown]
# Trained freely the network is fine, but it is no longer pruned. Cut again, it falls back, in some networks far: the kept weights have
# learnt to work *together with* the ones that came back. Held all the time, they learn to do without.

# %% [markdown]
# ## 3 · Storing: where did the zeros go?
#
# A mask makes nothing smaller. A zero in a float32 array takes four bytes like any other number. To save bytes, leave the
# zeros out, and then someone has to remember **where the others belong**. That costs, too.
#
# The most used form is **CSR**, compressed sparse rows. It has three arrays:

# %%
small = np.array([[0, 5, 0, 1], [0, 0, 0, 0], [2, 0, 0, 3]])
arrays = {"values": [5, 1, 2, 3], "columns": [1, 3, 0, 3], "starts": [0, 2, 2, 4]}
with plots.style():
    figure = Figure(figsize=(8, 2.7))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    left.imshow(small > 0, cmap="Blues", vmin=0, vmax=3)
    for (row, column), value in np.ndenumerate(small):
        left.text(column, row, value, ha="center", va="center", fontsize=14, color="black" if value else "0.6")
    left.set(xticks=range(4), yticks=range(3), xlabel="column", ylabel="row", title="the matrix")
    for y, (name, numbers) in enumerate(arrays.items()):
        right.text(-0.8, y, name, ha="right", va="center", fontsize=13)
        for x, number in enumerate(numbers):
            box = {"boxstyle": "square,pad=0.5", "fc": ("#D3E4F0", "white", "#FBE3D2")[y], "ec": "0.4"}
            right.text(x, y, number, ha="center", va="center", fontsize=14, bbox=box)
    right.set(xlim=(-2.6, 3.6), ylim=(2.6, -0.6), title="the same as CSR")
    right.axis("off")
    left.grid(False)
words = "A matrix of 3 rows and 4 columns with four values, and its arrays values, columns and starts."
show(figure, words, pd.DataFrame(arrays))

# %% [markdown]
# Read along the rows. `values` and `columns` have an entry for each kept weight. Row $o$ owns the places from
# `starts[o]` up to `starts[o + 1]`; row 1 owns those from 2 to 2, that is none. So `starts` has one entry more than
# there are rows. A convolution's weight is stored as a matrix, too: (O, C·R·S), a filter per row.


# %% tags=["exercise"]
def to_csr(weights, mask):
    """Return (values, columns, starts) of the kept weights: values row by row, their columns as uint16, and as int32 where each row starts.
    What is kept is what the mask says: a kept weight that happens to be 0.0 is stored.

    Args:
        weights: array (O, K).
        mask: bool array (O, K), True where a weight stays.

    Returns:
        values: the kept weights, row by row and from left to right, of the weights' dtype.
        columns: the column of each value, uint16.
        starts: int32 (O + 1,); row o owns values[starts[o]:starts[o + 1]], so starts[0] is 0 and the last is the number of values.
    """
    ### BEGIN SOLUTION
    columns = np.nonzero(mask)[1].astype(np.uint16)
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int32)
    return weights[mask], columns, starts
    ### END SOLUTION


# %% [markdown]
# What can one do with it? Multiply, without ever meeting a zero:
#
# $$y_o = \sum_{i = \text{starts}[o]}^{\text{starts}[o+1] - 1} \text{values}[i] \cdot x\big[\text{columns}[i]\big]$$


# %% tags=["exercise"]
def csr_matvec(values, columns, starts, x):
    """Return the product W @ x of a matrix W in CSR form with a vector; a row without values gives 0.

    Args:
        values: (n,) the kept weights.
        columns: (n,) the column of each.
        starts: (O + 1,) row o owns values[starts[o]:starts[o + 1]].
        x: (K,) the vector.

    Returns:
        array (O,) of floats.
    """
    ### BEGIN SOLUTION
    y = np.zeros(len(starts) - 1)
    for row in range(len(y)):
        part = slice(starts[row], starts[row + 1])
        y[row] = (values[part] * x[columns[part]]).sum()
    return y
    ### END SOLUTION


# %%
to_csr, csr_matvec = use("to_csr"), use("csr_matvec")
*_, pruned = train_on(model, splits.train, masks, velocity, masked_sgd_step, 51)
w, mask, x = pruned.fc1.weight.data, masks["fc1.weight"], np.random.default_rng(0).random(512)
csr = to_csr(w, mask)
difference = np.abs(csr_matvec(*csr, x) - w @ x).max()
print(f"fc1: {w.size:,} weights, {csr[0].size:,} of them kept; largest difference to W @ x: {difference:.1e}")

# %% [markdown]
# The result is the same, and fewer numbers were multiplied. **That does not make it faster**: a loop in Python is slow, and
# even in compiled code `x[columns[i]]` jumps about in memory. Lesson 08 measures where it pays.

# %% [markdown]
# ## 4 · What does it cost?
#
# The simplest index of all is a **bitmask**: one bit for *every* weight, kept or not, and the kept values. Count the
# bytes of a float32 matrix in the three forms.


# %% tags=["exercise"]
def storage_bytes(mask):
    """Return {"dense": ..., "csr": ..., "bitmask": ...}, the bytes that a matrix takes in each form. A stored value takes 4 bytes; dense
    stores all weights, the others only the kept ones. CSR adds 2 bytes for each column and 4 for each of the O + 1 starts; the bitmask adds
    one bit for every weight, kept or not, in whole bytes.

    Args:
        mask: bool array (O, K), True where a weight stays.

    Returns:
        dictionary of three ints.
    """
    ### BEGIN SOLUTION
    kept = int(mask.sum())
    csr = (4 + 2) * kept + 4 * (len(mask) + 1)
    bitmask = 4 * kept + (mask.size + 7) // 8
    return {"dense": 4 * mask.size, "csr": csr, "bitmask": bitmask}
    ### END SOLUTION


# %% [markdown]
# How many bytes does one weight of a 64 × 512 matrix take, depending on how many are kept? The thin line is what
# the values alone would take: the promise of "90 % of zeros".

# %%
storage_bytes = use("storage_bytes")
kept = np.array([1, 0.8, 0.6, 0.4, 0.2, 0.1, 0.0625, 0.04, 0.02, 0.01, 0.005])
ranks = np.random.default_rng(0).permutation(64 * 512).reshape(64, 512)
table = pd.DataFrame([{"kept": d} | storage_bytes(ranks < round(d * ranks.size)) for d in kept])
with plots.style():
    figure = Figure(figsize=(7.5, 4.4))
    axes = figure.subplots()
    for name, look in (("dense", "o-"), ("csr", "s-"), ("bitmask", "^-")):
        axes.plot(100 * table["kept"], table[name] / ranks.size, look, label=name)
    axes.plot(100 * kept, 4 * kept, color="0.4", ls="--", marker="", lw=1.2, label="values alone")
    for share in (2 / 3, 1 / 16):
        axes.axvline(100 * share, color="0.6", ls=":", marker="", lw=1.2)
    axes.set(xscale="log", yscale="log", xlim=(115, 0.45))
    axes.set(xlabel="% of the weights kept", ylabel="bytes for each weight")
    axes.set_xticks([100, 50, 20, 10, 5, 2, 1, 0.5], ["100", "50", "20", "10", "5", "2", "1", "0.5"])
    axes.set_yticks([4, 2, 1, 0.5, 0.2, 0.1, 0.05], ["4", "2", "1", "0.5", "0.2", "0.1", "0.05"])
    axes.minorticks_off()
    axes.legend(loc="lower left")
    axes.set_title("dotted: CSR meets dense (67 %) and bitmask (6 %)", fontsize=12)
words = "Bytes per weight against the share kept: CSR above dense at first, the smallest below 6 %."
show(figure, words, table)

# %% [markdown]
# The crossings can be calculated. With $n$ weights of which the share $d$ is kept, leaving the starts aside,
#
# $$\text{dense} = 4n \qquad \text{CSR} = 6dn \qquad \text{bitmask} = 4dn + \tfrac{n}{8}.$$
#
# CSR is smaller than dense only for $d < \tfrac{2}{3}$: **a matrix that is one quarter zeros is *larger* as CSR.** The
# bitmask pays from $d < \tfrac{31}{32}$ on. And CSR beats the bitmask only for $d < \tfrac{1}{16}$: a column of two bytes
# for few weights against a bit for all.

# %% [markdown]
# Now your second number. Here is the network that was cut to 10 % and held, layer by layer, and in a real file.

# %%
rows = [(n, m.size, m.mean(), *storage_bytes(m.reshape(len(m), -1)).values()) for n, m in masks.items()]
table = pd.DataFrame(rows, columns=["layer", "weights", "kept", "dense", "csr", "bitmask"])
print(table.to_string(index=False, formatters={"kept": "{:.0%}".format}))
best = table[["dense", "csr", "bitmask"]].min(axis=1).sum()
alone, dense = (4 * table["weights"] * table["kept"]).sum(), table["dense"].sum()
print(f"\nvalues alone {alone / dense:.1%} of the dense bytes, each layer in its best form {best / dense:.1%}")

# %% [markdown]
# Look at `conv1`: most of it is kept, and as CSR it would be *larger* than with its zeros. Each layer has a best form of its own.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    mp.checkpoint.save(pruned, path)
    before = path.stat().st_size
    mp.prune.apply_masks(pruned, masks)  # now the library knows which weights are gone
    mp.checkpoint.save(pruned, path)
    after = path.stat().st_size
    print(f"file without masks {before:,} bytes, with masks {after:,} bytes: {after / before:.1%}")

# %% [markdown]
# The first file holds all the zeros: the network was sparse, and its file did not know. The second is smaller, but
# not by the factor ten that "90 % pruned" seems to promise: there are the indices, and then the biases and the file's header.
# Papers that give compression in *weights* leave all that out. Ask for bytes.

# %% [markdown]
# ## What you can do now
#
# You can cut exactly `k` weights, whatever the ties; hold them through momentum and weight decay; and store what is
# left, knowing what the indices cost.
#
# The library does it all inside: `make_masks` counts, `apply_masks` puts the masks on, and every optimizer step holds
# weights and moments. `minprune/plain/steps.py` is short; you will recognise your own step in it.
#
# Next: lesson 05. The cut is held, and now the tree needs time to recover. How much, and how fast?
