# ---
# title: Fine-tuning
# minutes: 90
# difficulty: 2
# needs: 04
# afterwards: bring a network back after a cut, choose its learning rate and schedule on validation images, and say when to stop
# ---

# %% [markdown]
# # 05 · Fine-tuning
#
# *90 minutes · ●●○ · needs: lesson 04*
#
# After a cut the grower puts the shears away and waits. New growth closes the wound, but only where there is still
# wood: a branch that is gone stays gone.
#
# For a network, waiting is **fine-tuning**: training goes on with the weights that are left. In this lesson you hold
# the mask, measure how long recovery takes, choose the learning rate, and learn when to stop.

# %% [markdown]
# ## Three predictions
#
# A trained network reads digits. You cut the smallest half of its weights, or 90 %, or 98 %, all in one go, and then
# train on. Write down:
#
# 1. After how many epochs is each of the three **back**, within one point of the accuracy before the cut?
# 2. Which **learning rate** heals best: a tenth of the one it was trained with, the same, or four times as much?
# 3. What happens to accuracy and size if you *forget* to hold the mask?

# %%
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use

_ = mp.threads(1)  # for networks as small as these, one core is about as quick as two

# %% [markdown]
# ## Three trees, not one
#
# Every claim below rests on three networks, trained from three seeds on three random splits of the data. Each split
# has three parts: **training** images fit the weights, **validation** images make all choices of this lesson, and
# **test** images wait until the end.

# %%
SEEDS = (0, 1, 2)
TRAINED = mp.train.Recipe(epochs=15, lr=0.05)  # momentum 0.9, cosine schedule
data, dense, dense_accuracy = {}, {}, {}
for seed in SEEDS:
    rng = np.random.default_rng(seed)
    data[seed] = mp.data.load("digits", seed=seed)
    dense[seed] = mp.models.SmallConvNet(rng=rng)
    mp.train.fit_recipe(dense[seed], data[seed], TRAINED, rng=rng, progress="")
    dense_accuracy[seed] = mp.train.evaluate(dense[seed], data[seed].val).accuracy
    print(f"seed {seed}: validation accuracy {dense_accuracy[seed]:.1%}")
STEPS = -(-len(data[0].train) // 64)  # steps per epoch, rounded up: 64 images a batch
print(f"{STEPS} steps per epoch; one validation image is {1 / len(data[0].val):.2%}")

# %% [markdown]
# ## 1 · Hold the mask
#
# A mask $m$ says which weights stay. Training must not touch the others:
#
# $$w \leftarrow m \odot (w - \eta\, \nabla L)$$
#
# with the learning rate $\eta$, and $\odot$ for entry by entry. The mask stands around *everything*. Why not only
# around the gradient? Then a weight that is cut but not zero yet would stay as it is.

# %% tags=["shared"]
import math

import numpy as np


# %% tags=["exercise"]
def masked_step(weights, grad, mask, lr):
    """Return the weights after one step of gradient descent, w - lr · grad, with the mask held: entries whose mask is
    False are exactly zero afterwards, whatever they were before.

    Args:
        weights: array of floats, of any shape.
        grad: the gradient of the loss, of the same shape.
        mask: array of bools of the same shape, True where a weight stays.
        lr: the learning rate, a float.

    Returns:
        a new array of the same shape and dtype; the arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return np.where(mask, weights - lr * grad, 0)
    ### END SOLUTION


# %% [markdown]
# Now train with it, by hand: forward, backward, your step on every weight. And do the same with a mask that keeps
# everything, as if we had zeroed the weights and then *forgotten* them.

# %%
masked_step = use("masked_step")


def train_by_hand(held, epochs=4, lr=0.2):
    """Cut 95 %, train: (validation accuracy, weights not zero) at first and after each epoch."""
    model, splits, rng = dense[0].copy(), data[0], np.random.default_rng(0)
    masks = mp.prune.make_masks(mp.prune.score(model, "magnitude"), sparsity=0.95)
    params = dict(model.named_parameters())
    for name, mask in masks.items():
        params[name].data *= mask  # the cut
    rows = []
    for epoch in range(epochs + 1):
        alive = sum(int(np.count_nonzero(params[name].data)) for name in masks)
        rows.append((mp.train.evaluate(model, splits.val).accuracy, alive))
        for images, labels in mp.data.batches(splits.train, 64, rng=rng) if epoch < epochs else ():
            model.zero_grad()
            mp.ops.cross_entropy(model(images), labels).backward()
            for name, p in params.items():
                mask = masks[name] if held and name in masks else np.ones(p.shape, bool)
                p.data[...] = masked_step(p.data, p.grad, mask, lr)
    return np.array(rows)


# %%
runs = {"mask held": train_by_hand(True), "mask forgotten": train_by_hand(False)}
with plots.style():
    figure = Figure(figsize=(7.5, 3.4))
    left, right = figure.subplots(1, 2)
    for (label, rows), line in zip(runs.items(), ("-", "--")):
        left.plot(rows[:, 0], ls=line, label=label)
        right.plot(rows[:, 1], ls=line, label=label)
    left.set(title="validation accuracy", xlabel="epochs after the cut", ylim=(0.75, 1))
    right.set(title="weights that are not zero", xlabel="epochs after the cut", ylim=(0, 40_000))
    left.legend(loc="lower right")
held, forgot = (rows[-1] for rows in runs.values())
table = pd.DataFrame(
    {f"{k}: {what}": v[:, i] for k, v in runs.items() for i, what in enumerate(("accuracy", "not zero"))},
)
show(
    figure,
    alt=f"Two panels over epochs. Accuracy recovers with the mask ({held[0]:.1%}) and without ({forgot[0]:.1%}). "
    f"With the mask {held[1]:,.0f} weights stay; without, {forgot[1]:,.0f} are back after the first epochs.",
    table=table,
)

# %% [markdown]
# > **"The accuracy came back, so the pruning worked."** Look at the right panel before you believe it. Where the mask
# > was forgotten, accuracy recovers very well, because the cut is *undone*: most weights are back after one epoch.
# > Accuracy alone never tells you that.
#
# So count what is zero after fine-tuning, every time. The library holds masks in its optimizers, momentum included
# (lesson 04), so from here on we let it do the training.

# %% [markdown]
# ## 2 · How long does recovery take?
#
# A **recovery curve** is accuracy by epoch, from the moment of the cut. To compare curves we need one number: the
# first epoch at which the network is *back*, within a tolerance of the dense one.


# %% tags=["exercise"]
def recovery_epochs(accuracies, dense_accuracy, tolerance):
    """Return after how many epochs the network was back for the first time: accuracy at least
    `dense_accuracy - tolerance`. If it never was, return infinity, `np.inf`.

    Args:
        accuracies: list of accuracies; the first is of the moment after the cut, before any epoch, the next after one epoch, …
        dense_accuracy: the accuracy before the cut.
        tolerance: how far below it is still good enough, such as 0.01.

    Returns:
        an int from 0 to len(accuracies) - 1, or np.inf.
    """
    ### BEGIN SOLUTION
    for epoch, value in enumerate(accuracies):
        if value >= dense_accuracy - tolerance:
            return epoch
    return np.inf
    ### END SOLUTION


# %% [markdown]
# Now cut by different depths, each time from the same dense network. One line is never cut: it is trained further
# like all others. This **dense control** shows what more training alone would give.
#
# `recover` is the workhorse of this lesson. `rate` is a function that gives the learning rate of a step.


# %%
def recover(seed, sparsity, epochs, rate, keep=None):
    """Cut by magnitude, then fine-tune: validation accuracy after the cut, and after every epoch.

    A list given as `keep` receives a copy of the network after every epoch.
    """
    model, splits = dense[seed].copy(), data[seed]
    if sparsity:
        mp.prune.cut(model, sparsity)
    after_cut = mp.train.evaluate(model, splits.val).accuracy

    def after_step(step):
        if keep is not None and step % STEPS == 0:
            keep.append(model.copy())

    optimizer = mp.optim.SGD(model, lr=1.0, momentum=0.9)  # 1.0 times rate(step)
    options = mp.train.FitOptions(schedule=rate, after_step=after_step, progress="")
    rng = np.random.default_rng(seed)  # the same order of images for all
    history = mp.train.fit(model, splits, epochs=epochs, optimizer=optimizer, rng=rng, options=options)
    return [after_cut, *history["val_accuracy"]]


def steady(lr):
    """The learning rate lr in every step."""
    return lambda step: lr


# %%
def band(axes, x, runs, label, **style):
    """A line for the mean over seeds (rows of `runs`), and a band of one standard deviation."""
    mean, std = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1)
    (line,) = axes.plot(x, mean, label=label, **style)
    axes.fill_between(x, mean - std, np.minimum(mean + std, 1), color=line.get_color(), alpha=0.15, lw=0)


# %%
DEPTHS, EPOCHS = (0.0, 0.5, 0.9, 0.95, 0.98), 10
curves = {s: [recover(seed, s, EPOCHS, steady(0.02)) for seed in SEEDS] for s in DEPTHS}
with plots.style():
    figure = Figure(figsize=(7.5, 4))
    left, right = figure.subplots(1, 2)
    for sparsity, runs in curves.items():
        label = f"{sparsity:.0%} cut" if sparsity else "never cut"
        for axes in (left, right):
            band(axes, range(EPOCHS + 1), runs, label)
            axes.set_xlabel("epochs after the cut")
    left.set(ylabel="validation accuracy", ylim=(0.4, 1.005), title="all of it")
    right.set(ylim=(0.91, 0.99), title="the top, enlarged")
    left.legend(loc="lower right")
    figure.suptitle(f"Recovery after one cut: mean ± std, n = {len(SEEDS)} seeds")
means = pd.DataFrame({f"{s:.0%} cut": np.mean(runs, axis=0) for s, runs in curves.items()})
means.insert(0, "epoch", range(EPOCHS + 1))
deepest = means["98% cut"]
show(
    figure,
    alt=f"Recovery curves of five depths of cut. The deeper the cut, the lower it starts and the longer it takes; with 98 % cut "
    f"accuracy starts at {deepest.iloc[0]:.0%} and is at {deepest.iloc[-1]:.0%} after {EPOCHS} epochs.",
    table=means,
)

# %% [markdown]
# And as one number for every network, with your function. Three columns, three trees; `inf` says: not within these
# epochs.

# %%
recovery_epochs = use("recovery_epochs")
rows = [
    {"cut": f"{s:.0%}", "after the cut": np.mean(runs, axis=0)[0]}
    | {f"epochs, seed {k}": recovery_epochs(runs[k], dense_accuracy[k], 0.01) for k in SEEDS}
    for s, runs in curves.items()
]
print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))

# %% [markdown]
# Compare with your first prediction.
#
# - **Most of the healing is done early.** The first epoch brings more than all the others together.
# - **Depth costs time.** A shallow cut needs no recovery at all; the deepest may not come back in the epochs we gave it.
# - **Trees differ.** The same cut heals at another pace in another seed. One curve would have told you one of these numbers
#   as if it were *the* answer.
#
# > **"Any cut heals if one trains long enough."** The curve of the deepest cut gets flatter and flatter. Waiting
# > longer helps less and less. Cutting less at a time is the better idea, and lesson 06 is about it.

# %% [markdown]
# ## 3 · How large a step?
#
# Much advice says: fine-tune with a *small* learning rate, so that what was learned is not destroyed. Let us measure
# it. The 98 % cut gets five epochs, at six learning rates, in three seeds.
#
# The rate is a **choice**, so validation images decide, never test images: the best of six test scores is the
# luckiest as well as the best, and one would report that luck. For the same reason, means over seeds decide, not
# single runs. Write the rule down before you see the numbers:


# %% tags=["exercise"]
def pick_learning_rate(rates, accuracies):
    """Return the learning rate with the highest mean accuracy over the seeds; of equally good ones the smallest. A run
    that diverged has the accuracy nan, and a rate with such a run is never chosen.

    Args:
        rates: list of learning rates, in any order.
        accuracies: array of validation accuracies, of shape (len(rates), seeds). At least one rate has no nan.

    Returns:
        one of the rates, a float.
    """
    ### BEGIN SOLUTION
    means = np.mean(accuracies, axis=1)
    means = np.where(np.isnan(means), -np.inf, means)
    return min(rate for rate, mean in zip(rates, means) if mean == means.max())
    ### END SOLUTION


# %%
RATES, DEEP, SHORT = [0.001, 0.005, 0.05, 0.1, 0.2, 0.3], 0.98, 5
constant = {lr: [recover(seed, DEEP, SHORT, steady(lr)) for seed in SEEDS] for lr in RATES}
last = np.array([[run[-1] for run in runs] for runs in constant.values()])  # (rates, seeds)

pick_learning_rate = use("pick_learning_rate")
chosen = pick_learning_rate(RATES, last)
print(f"chosen on the validation images: {chosen:g} (the dense network was trained with {TRAINED.lr:g})")

# %%
with plots.style():
    figure = Figure(figsize=(8, 3.6))
    left, right = figure.subplots(1, 2)
    for lr, line in zip((RATES[0], chosen, RATES[-1]), ("-", "--", ":")):
        band(left, range(SHORT + 1), constant[lr], f"{lr:g}", ls=line)
    left.set(xlabel="epochs after the cut", title="recovery at three rates", ylim=(0, 1.02))
    left.set_ylabel("validation accuracy")
    left.legend(title="learning rate", loc="lower right", ncols=3, fontsize=9, title_fontsize=9)
    band(right, RATES, last.T, "constant")
    right.axvline(TRAINED.lr, color="0.45", ls=":", lw=1.5, marker="")
    right.text(TRAINED.lr * 0.88, 0.03, "as in training", rotation=90, color="0.35", ha="right")
    right.set(xscale="log", xlabel="learning rate (logarithmic)", ylim=(0, 1.02))
    right.set_title(f"after {SHORT} epochs")
table = pd.DataFrame({"rate": RATES, "mean": last.mean(axis=1), "std": last.std(axis=1, ddof=1)})
show(
    figure,
    alt=f"Left: recovery after a 98 % cut at learning rates {RATES[0]:g}, {chosen:g} and {RATES[-1]:g}. Right: accuracy after "
    f"{SHORT} epochs against the rate, a hill with its top at {chosen:g}.",
    table=table,
)

# %% [markdown]
# Was your second prediction right?
#
# > **"Fine-tuning needs a tiny learning rate."** A tenth of the rate it was trained with, or less, heals clearly *slower* here:
# > after a deep cut there is much to relearn, and small steps do not get far in five epochs. Too large a rate is bad as
# > well: the curve jumps up and down and ends low, with a wide band. The hill is in between, near the rate of training itself.
#
# Others found the same with large networks: Renda et al. (2020) go back to the learning rates of the original
# training, and Le and Hua (2021) show that much of what had been credited to pruning methods came from larger rates
# in fine-tuning. After a *shallow* cut the rate hardly matters, since there is little to heal.

# %% [markdown]
# ## 4 · A schedule: large steps first, small ones last
#
# A large rate gets far quickly, but goes on jumping about. A small one settles, but gets nowhere. So begin large and
# end small. A common shape is **half a cosine** (Loshchilov and Hutter 2017), often after a short **warm-up**:
#
# $$\eta(t) = \begin{cases} \eta_{\max}\,\dfrac{t+1}{W} & t < W \\[2ex]
# \dfrac{\eta_{\max}}{2}\left(1 + \cos \pi\,\dfrac{t - W}{T - W}\right) & t \ge W \end{cases}$$
#
# with $T$ steps altogether, of which $W$ warm up. Why $t+1$? Otherwise the first step would have the rate 0 and do
# nothing.


# %% tags=["exercise"]
def cosine_learning_rate(step, total, peak, warmup):
    """Return the learning rate of a step: first a linear warm-up, peak · (step + 1) / warmup, then half a cosine from
    `peak` towards 0 over the remaining total - warmup steps.

    Args:
        step: the number of the step, an int from 0 to total - 1.
        total: how many steps there are, warm-up included.
        peak: the largest learning rate, a float.
        warmup: how many steps warm up, an int from 0 to total - 1.

    Returns:
        the learning rate, a float.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (total - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2
    ### END SOLUTION


# %% [markdown]
# Move the slider to change the warm-up. The other lines are the alternatives: a constant rate, and **stairs** down to
# a tenth after each third.

# %%
cosine_learning_rate = use("cosine_learning_rate")
TOTAL = SHORT * STEPS


def draw(warmup):
    with plots.style():
        figure = Figure(figsize=(7, 3.2))
        axes = figure.subplots()
        rates = [cosine_learning_rate(step, TOTAL, 0.2, warmup) for step in range(TOTAL)]
        axes.plot(rates, marker="", label=f"cosine, warm-up {warmup}")
        stairs = [0.2 * 0.1 ** (step * 3 // TOTAL) for step in range(TOTAL)]
        axes.plot(stairs, "--", marker="", label="stairs")
        axes.plot([0.2] * TOTAL, ":", marker="", label="constant")
        axes.set(xlabel="step", ylabel="learning rate", ylim=(0, 0.21))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


alt = "Learning rate by step: a cosine that rises for 17 steps, then falls to 0; stairs; a constant."
explore(draw, [0, 8, 17, 34, 51], "warm-up steps", alt=alt, start=17)

# %% [markdown]
# The same sweep again, now with the cosine. Before you run it: will the hill be higher, wider, or in another place?


# %%
def cosine(peak, warmup=0):
    """A cosine over SHORT epochs."""
    return lambda step: cosine_learning_rate(step, TOTAL, peak, warmup)


waved = {lr: [recover(seed, DEEP, SHORT, cosine(lr)) for seed in SEEDS] for lr in RATES}
settled = np.array([[run[-1] for run in runs] for runs in waved.values()])
with plots.style():
    figure = Figure(figsize=(7.5, 3.6))
    axes = figure.subplots()
    band(axes, RATES, last.T, "constant")
    band(axes, RATES, settled.T, "cosine", ls="--")
    axes.set(xscale="log", xlabel="largest learning rate (logarithmic)", ylim=(0.4, 1.0))
    axes.set(ylabel="validation accuracy", title=f"98 % cut, after {SHORT} epochs: mean ± std, n = 3 seeds")
    axes.legend(loc="lower center")
best_rate = pick_learning_rate(RATES, settled)
gap = settled[-1].mean() - last[-1].mean()
table = pd.DataFrame({"rate": RATES, "constant": last.mean(axis=1), "cosine": settled.mean(axis=1)})
show(
    figure,
    alt=f"Accuracy against the largest learning rate, constant and cosine. At {RATES[-1]:g} the cosine ends {gap:.0%} higher; "
    f"its top is at {best_rate:g}.",
    table=table,
)
print(f"chosen: constant {chosen:g}, cosine {best_rate:g}")

# %% [markdown]
# The cosine **forgives a rate that is too large**: the run may jump about at first, because its last steps are small
# and it settles. At small rates it is the other way round: there it lacks the steps that it makes even smaller.
# With a schedule one may choose a larger rate, and a mistake in choosing costs less.
#
# How do stairs and a warm-up compare? Take a bold rate, four times that of training. Each mark is one network.

# %%
BOLD = 0.2


def stairs(peak):
    """A tenth after each third."""
    return lambda step: peak * 0.1 ** (step * 3 // TOTAL)


ends = {
    "constant": [run[-1] for run in constant[BOLD]],
    "stairs": [recover(seed, DEEP, SHORT, stairs(BOLD))[-1] for seed in SEEDS],
    "cosine": [run[-1] for run in waved[BOLD]],
    "cosine, warm-up": [recover(seed, DEEP, SHORT, cosine(BOLD, STEPS))[-1] for seed in SEEDS],
}

# %%
with plots.style():
    figure = Figure(figsize=(7, 2.8))
    axes = figure.subplots()
    for i, seed in enumerate(SEEDS):
        axes.plot([values[i] for values in ends.values()], range(4), ls="", label=f"seed {seed}")
    axes.plot([np.mean(v) for v in ends.values()], range(4), "k|", ms=18, label="mean")
    axes.set_yticks(range(4), ends)
    axes.set(xlabel=f"validation accuracy after {SHORT} epochs", ylim=(3.5, -0.5))
    axes.set_title(f"98 % cut, largest rate {BOLD:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
table = pd.DataFrame({"seed": SEEDS} | ends)
said = ", ".join(f"{name} {np.mean(values):.0%}" for name, values in ends.items())
show(figure, alt=f"Accuracy of three networks for each of four schedules. Means: {said}.", table=table)

# %% [markdown]
# The three networks of a schedule lie apart, so look twice before you rank the rows.
#
# - **Stairs** can come too early: after the first third only a tenth of the rate is left for what has not been relearned yet.
# - **Warm-up** spares the fresh wound the largest steps. Momentum, which starts empty, does a little of that by itself. In
#   large networks with large batches warm-up is what makes a large rate possible at all (Goyal et al. 2017). Does it pay
#   *here*? Where the marks of two rows mix, three seeds cannot tell, and "I cannot tell" is the right answer.

# %% [markdown]
# ## 5 · When to stop
#
# Accuracy goes up, and then up and down. **Early stopping** keeps the best epoch so far and gives up when nothing
# better came for a while; that while is the *patience*. It must work without a look into the future: an epoch that
# was never run has not happened.


# %% tags=["exercise"]
def best_epoch(accuracies, patience):
    """Return the position of the best epoch that early stopping finds: go through the list from the front, and stop
    as soon as `patience` epochs in a row were not higher than the best so far.

    Args:
        accuracies: list of validation accuracies, one per epoch, at least one.
        patience: an int of at least 1.

    Returns:
        the position (from 0) of the highest accuracy up to there, of equal ones the earliest; an int.
    """
    ### BEGIN SOLUTION
    best = 0
    for epoch, value in enumerate(accuracies):
        if value > accuracies[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best
    ### END SOLUTION


# %% [markdown]
# To hand out the best epoch one must have *kept* it: a copy of the network after every epoch that is the best so far
# (we simply keep all). Here the 95 % cut heals for twelve epochs at the constant rate that you chose, and your function picks an
# epoch, once with little patience and once with more.

# %%
best_epoch = use("best_epoch")
LONG, rows = 12, []
for seed in SEEDS:
    kept = []
    curve = recover(seed, 0.95, LONG, steady(chosen), keep=kept)[1:]  # from the first epoch on
    for patience in (1, 3, LONG):
        best = best_epoch(curve, patience)
        test = mp.train.evaluate(kept[best].eval(), data[seed].test).accuracy
        trained = min(best + patience, LONG - 1) + 1
        rows.append((seed, patience, best + 1, trained, curve[best], test))
columns = ["seed", "patience", "best epoch", "epochs run", "validation", "test"]
table = pd.DataFrame(rows, columns=columns)
print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))

# %% [markdown]
# Read a row as: so patient, it ran so many epochs, kept that one, and this is what it is worth.
#
# Little patience saves epochs and may stop at a small dip, before the real rise. Much patience costs epochs and gains
# less and less.
#
# > **"Our validation accuracy is …"** The validation number of a *best* epoch is a maximum of noisy numbers, so on average it
# > flatters itself. It may choose, but it may not report. What is reported is the **test accuracy of the epoch that
# > validation chose**, looked at once: the last column.
#
# Is that number exact? The test part has 360 images: one image more or less is 0.28 points, and the three seeds differ by more.

# %% [markdown]
# ## What is true, and what is not yet
#
# Everything here was one cut, one small network and one small data set. The *shape* of the findings is known from large networks
# as well (fast first epoch, rates near those of training, a schedule that ends small); the numbers are of these
# digits.
#
# And the epochs were free. In a comparison they are not: who fine-tunes longer has an advantage that has nothing to do
# with the cut. From now on we count epochs, and **compare at equal budgets**.

# %% [markdown]
# ## What you can do now
#
# You can bring a network back after a cut: with the mask held, a learning rate chosen on validation images over
# seeds, a schedule that ends in small steps, and a rule for stopping. Look at your three predictions once more: which
# one surprised you?
#
# The deepest cut did not come back. In lesson 06 you cut **little by little**, and it will.
