# ---
# title: An honest pruning curve
# minutes: 100
# difficulty: 2
# needs: 03, 04, 05, 06
# afterwards: compare pruning methods so that the answer holds, race a criterion of your own, and read a pruning paper critically
# ---

# %% [markdown]
# # 10 · An honest pruning curve
#
# *100 minutes · ●●○ · needs: lessons 03 to 06*
#
# Two growers argue whose shears are better. Each shows one tree. What do two trees prove?
#
# Blalock et al. (2020) read 81 papers on pruning and wanted to know which method is best. **They could not tell**:
# other networks, other data, other amounts of training, few seeds, missing controls. This lesson is the remedy, and
# it ends with a race in which *your own* criterion runs.

# %% [markdown]
# ## Three predictions
#
# Magnitude and Taylor pruning are compared on digits. Each of two colleagues picks *one* random seed per method, runs
# it once, and names a winner. Write down:
#
# 1. With **30 %** of the weights left: in how many of 100 such comparisons does the method win that is *worse* on
#    average?
# 2. The same with **5 %** left.
# 3. How much better does a result look if the *test* images pick the best epoch: 0.1, 1, or 5 points?

# %%
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use
from minprune.experiments import CurveConfig, Method, Workers, run_curve, summarise

one_thread = mp.threads(1)  # the networks are so small that a second thread does not pay

# %% [markdown]
# ## 1 · What a single seed says
#
# The experiment is described by facts alone: network, data, methods, densities, seeds, training. Five seeds; each
# draws its own initial weights, its own split of the images, and its own order. **Within** a seed all methods start
# from the same trained network, see the images in the same order, and get the same number of epochs.

# %%
SEEDS, DENSITIES = (0, 1, 2, 3, 4), (0.3, 0.1, 0.05, 0.02, 0.01)


def race(*criteria):
    """All points of the curves of these criteria, pruned iteratively; the dense control is always run."""
    config = CurveConfig(
        "lenet300100",
        "digits",
        methods=tuple(Method(name, "iterative") for name in criteria),
        densities=DENSITIES,
        seeds=SEEDS,
        training=mp.train.Recipe(epochs=10, lr=0.05),
        finetuning=mp.train.Recipe(epochs=2, lr=0.05),  # after each cut
    )
    points = run_curve(config, Workers(jobs=1), progress=False)
    return points.assign(method=points["method"].str.removesuffix(", iterative"))


def runs(points, method, column="test_accuracy"):
    """The values of a method as an array (seeds, densities), without the dense starting point."""
    rows = points[(points["method"] == method) & (points["epochs"] > 0)]
    return rows.pivot_table(index="seed", columns="epochs", values=column).to_numpy()


points = race("magnitude", "taylor", "random")
magnitude, taylor = runs(points, "magnitude"), runs(points, "taylor")

# %% [markdown]
# Here are all five seeds, each in a panel of its own. Imagine that you had only one of them.

# %%
TICKS = [0.3, 0.1, 0.03, 0.01]


def logarithmic(axes):
    """An axis of weights remaining, from many on the left to few on the right."""
    axes.set(xscale="log", xlim=(0.36, 0.0085))
    axes.set_xticks(TICKS, [f"{t:.0%}" for t in TICKS])
    axes.set_xticks([], minor=True)


# %%
with plots.style():
    figure = Figure(figsize=(8, 2.7))
    for seed, axes in enumerate(figure.subplots(1, len(SEEDS), sharey=True)):
        axes.plot(DENSITIES, magnitude[seed], "o-", ms=4, label="magnitude")
        axes.plot(DENSITIES, taylor[seed], "s--", ms=4, label="taylor")
        logarithmic(axes)
        axes.set_xticks([0.3, 0.03], ["30%", "3%"])
        axes.set_title(f"seed {seed}", fontsize=11)
    figure.axes[0].set_ylabel("test accuracy")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", ncols=2, bbox_to_anchor=(1, 0.98), fontsize=9)
    figure.supxlabel("weights remaining (logarithmic)", fontsize=10)
wins = pd.DataFrame(magnitude > taylor, columns=[f"{d:.0%}" for d in DENSITIES])
table = wins.replace({True: "magnitude", False: "taylor or tie"})
alt = "Five panels, one per seed: test accuracy of magnitude and Taylor pruning. The lines lie in other places in each."
show(figure, alt=alt, table=table.rename_axis("seed").reset_index())
print(table.rename_axis("seed").to_string())

# %% [markdown]
# How often would a single run have misled you? Count it: take every run of the one method together with every run of
# the other, and see whether this pair ranks them as the means do.

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def flip_share(first, second):
    """Return the share of all pairs (one run of `first`, one run of `second`) that rank the two methods the other way
    round than their means do. A pair of equal accuracies counts as half a flip.

    Args:
        first: accuracies of one method, an array of shape (seeds,).
        second: accuracies of another, of shape (seeds of the other,). The two means differ.

    Returns:
        a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    d = np.subtract.outer(first, second) * np.sign(first.mean() - second.mean())
    return np.mean((d < 0) + 0.5 * (d == 0))
    ### END SOLUTION


# %%
flip_share = use("flip_share")
print("weights left   magnitude - taylor   pairs of single runs that say the opposite")
for i, density in enumerate(DENSITIES):
    gap = 100 * (magnitude[:, i] - taylor[:, i]).mean()
    flips = flip_share(magnitude[:, i], taylor[:, i])
    print(f"{density:12.0%}   {gap:+11.1f} points   {flips:.0%}")

# %% [markdown]
# Compare with your first two predictions. A share near 50 % means that a single run is a **coin toss**. Where the
# methods are far apart, a single run does not mislead; but that you know only *after* you have run more than one.

# %% [markdown]
# ## 2 · Mean and band
#
# So run several seeds, and report two numbers for $x_1, \dots, x_n$: the mean, and the **sample standard deviation**
#
# $$\bar x = \frac1n \sum_i x_i \qquad s = \sqrt{\frac{1}{n-1} \sum_i (x_i - \bar x)^2}$$
#
# Why $n-1$? The deviations are taken from the mean of these very numbers, which lies closer to them than the true
# mean does. With few seeds that matters: for $n = 3$, dividing by $n$ makes the band almost a fifth too narrow.


# %% tags=["exercise"]
def mean_and_std(accuracies):
    """Return (mean, std) over the seeds: the mean and the sample standard deviation (divided by n - 1) at each density.

    Args:
        accuracies: array of shape (seeds, densities), two seeds at least.

    Returns:
        a tuple of two arrays of shape (densities,).
    """
    ### BEGIN SOLUTION
    return accuracies.mean(axis=0), accuracies.std(axis=0, ddof=1)
    ### END SOLUTION


# %% [markdown]
# The same data as above, in one honest picture: raw accuracies, the band, and the **dense control**. The control is
# the network that is never cut, but trained further just like the others. Without it, what mere training adds would
# be credited to the pruning.

# %%
mean_and_std = use("mean_and_std")


LOOKS = {
    "mine": ("#CC79A7", "D-."),
    "magnitude": ("#0072B2", "o-"),
    "taylor": ("#D55E00", "s--"),
    "random": ("#009E73", "^:"),
}


# %%
def draw_curves(points, methods):
    """A line with its band for each method, and the dense control: the whole range, and the upper part of it."""
    control, spread = (values[0] for values in mean_and_std(runs(points, "dense")[:, -1:]))
    with plots.style():
        figure = Figure(figsize=(8.5, 4.2))
        for axes, low in zip(figure.subplots(1, 2), (0, 0.75)):
            axes.axhspan(control - spread, control + spread, color="0.85", lw=0)
            axes.axhline(control, color="0.3", ls="--", lw=1.5, marker="", label="dense control")
            for method in methods:
                mean, std = mean_and_std(runs(points, method))
                color, line = LOOKS[method]
                axes.plot(DENSITIES, mean, line, color=color, label=method)
                axes.fill_between(DENSITIES, mean - std, mean + std, color=color, alpha=0.18, lw=0)
            logarithmic(axes)
            axes.set(xlabel="weights remaining (log)", ylim=(low, 1.01))
        figure.axes[0].set(ylabel="test accuracy", title="all of it")
        figure.axes[1].set(title="the upper quarter")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        figure.suptitle(f"LeNet-300-100 on digits: mean ± std, n = {len(SEEDS)} seeds")
    return figure


# %%
show(
    draw_curves(points, ("magnitude", "taylor", "random")),
    alt=plots.describe_curve(points),
    table=summarise(points)[["method", "remaining", "accuracy", "std", "n"]],
)

# %% [markdown]
# > **"Accuracy drop: only 0.3 points!"** Below *what*? Below a dense network that was trained too briefly, every drop
# > is small. Raw values, with the dense control beside them, leave nothing to hide.

# %% [markdown]
# ## 3 · Better, worse, or cannot tell
#
# Overlapping bands do *not* mean that two methods are equal, since the band says how far **single seeds** scatter.
# Some splits are simply harder, for every method. This part cancels when we compare within a seed: $d_i = x_i - y_i$.
# The mean of these differences is known with the **standard error** $s_d / \sqrt n$, and we call it real if
#
# $$|\bar d| > t \cdot \frac{s_d}{\sqrt n}$$
#
# Student's $t$ makes up for having *estimated* $s_d$ from few numbers. If there is no difference at all, the rule
# errs once in twenty times.

# %% [markdown]
# *The small print.* Our five test sets are drawn from the same 1,797 images, so they overlap, and the seeds are not
# quite independent of one another. Only new images would make them so. Take a verdict as a good habit, not as a
# proof.

# %%
for n in (2, 3, 5, 10, 30):
    print(f"n = {n:2} seeds: t = {stats.t.ppf(0.975, n - 1):5.2f}")


# %% tags=["exercise"]
def verdict(first, second, t):
    """Return "first" if the first method is better, "second" if the second is, and "cannot tell" if the mean of the
    paired differences is not larger, in absolute value, than t standard errors.

    Args:
        first: accuracies of one method, an array of shape (seeds,), two seeds at least.
        second: accuracies of the other in the same seeds, in the same order.
        t: how many standard errors the mean difference must exceed, a float.

    Returns:
        one of the three strings.
    """
    ### BEGIN SOLUTION
    d = first - second
    if abs(d.mean()) <= t * d.std(ddof=1) / np.sqrt(len(d)):
        return "cannot tell"
    return "first" if d.mean() > 0 else "second"
    ### END SOLUTION


# %%
verdict = use("verdict")
T = stats.t.ppf(0.975, len(SEEDS) - 1)


def compare(points, first, second):
    """Print the verdict at each density."""
    a, b = runs(points, first), runs(points, second)
    for i, density in enumerate(DENSITIES):
        d = a[:, i] - b[:, i]
        word = verdict(a[:, i], b[:, i], T)
        said = {"first": f"{first} is better", "second": f"{second} is better"}.get(word, word)
        print(f"{density:5.0%} left: {first} - {second} = {100 * d.mean():+6.1f} points: {said}")


compare(points, "magnitude", "taylor")
compare(points, "magnitude", "random")

# %% [markdown]
# > **"Cannot tell means that they are equal."** It means that *these seeds* do not decide. Move the slider: the same
# > data, but only the first 2, 3, 4 or 5 seeds. Where the bar crosses zero, one cannot tell.


# %%
def draw(n):
    d = 100 * (magnitude - taylor)[:n]
    mean, std = mean_and_std(d)
    margin = stats.t.ppf(0.975, n - 1) * std / np.sqrt(n)
    with plots.style():
        figure = Figure(figsize=(7, 3.2))
        axes = figure.subplots()
        axes.axhline(0, color="0.3", lw=1.5, ls="--", marker="")
        axes.errorbar(DENSITIES, mean, yerr=margin, fmt="o", capsize=5)
        axes.plot(np.repeat(DENSITIES, n) / 1.07, d.T.ravel(), "x", color="0.4", ms=5)
        logarithmic(axes)
        axes.set(xlabel="weights remaining (logarithmic)", ylabel="points", ylim=(-16, 16))
        axes.set_title(f"magnitude minus taylor: mean ± margin, and {n} seeds (x)")
    return figure


alt = "Difference of magnitude and Taylor at five densities, with the margin of error; fewer seeds, wider margins."
explore(draw, [2, 3, 4, 5], "seeds", alt=alt, start=5)

# %% [markdown]
# ## 4 · Test images that chose nothing
#
# A run has many epochs, and some are luckier than others on the test images. Who picks the best of them *by its test
# accuracy* reports skill plus luck. The validation images are there to be used up by choices:


# %% tags=["exercise"]
def choose_on_validation(val, test):
    """Return for every seed the test accuracy at the epoch whose validation accuracy is highest; of equally good epochs
    the first counts.

    Args:
        val: validation accuracies, an array of shape (epochs, seeds).
        test: test accuracies, of the same shape.

    Returns:
        array of shape (seeds,).
    """
    ### BEGIN SOLUTION
    return test[val.argmax(axis=0), np.arange(val.shape[1])]
    ### END SOLUTION


# %% [markdown]
# The networks for the next two experiments: trained once per seed, then cut and fine-tuned in rounds.

# %%
data = {seed: mp.data.load("digits", seed=seed) for seed in SEEDS}
dense = {}
for seed in SEEDS:
    rng = np.random.default_rng(seed)
    dense[seed] = mp.models.LeNet300100((1, 8, 8), rng=rng)
    recipe = mp.train.Recipe(epochs=10, lr=0.05)
    mp.train.fit_recipe(dense[seed], data[seed], recipe, rng=rng, progress="")


def prune(seed, epochs, sparsity):
    """As many cuts as `epochs` has entries, each with that many epochs after it: (val, test) by epoch."""
    model, splits, rng = dense[seed].copy(), data[seed], np.random.default_rng((seed, 1))
    seen = []
    for target, n in zip(mp.prune.Geometric(sparsity, len(epochs)).targets(), epochs):
        mp.prune.cut(model, target)  # magnitude, global
        optimizer = mp.optim.SGD(model, lr=0.02, momentum=0.9)
        for _ in range(n):
            mp.train.fit(model, splits, epochs=1, optimizer=optimizer, rng=rng, options=QUIET)
            seen.append([mp.train.evaluate(model, s).accuracy for s in (splits.val, splits.test)])
    return np.array(seen).T


QUIET = mp.train.FitOptions(progress="")

# %%
choose_on_validation = use("choose_on_validation")
val, test = np.stack([prune(seed, [10], 0.9) for seed in SEEDS], axis=-1)  # each (epochs, seeds)
ways = {
    "last epoch": test[-1],
    "chosen on validation": choose_on_validation(val, test),
    "chosen on test": test.max(axis=0),
}
for way, values in ways.items():
    print(f"{way:21} {values.mean():.2%} ± {values.std(ddof=1):.2%}")
luck = ways["chosen on test"] - ways["chosen on validation"]
print(f"what peeking adds: {100 * luck.mean():.2f} points; in single seeds up to {100 * luck.max():.2f}")

# %% [markdown]
# Peeking never makes a result look worse; that is what is wrong with it. Whoever tries ten learning rates, five
# criteria and three seeds picks from many more than these ten epochs. Compare the amount with your third prediction,
# and with the gaps between methods that papers report.

# %% [markdown]
# ## 5 · Equal budgets
#
# *"Iterative pruning beats one-shot."* Perhaps. But four rounds with three epochs each are **twelve epochs**, and one
# cut with three epochs is three. Is it the rounds, or the training? To find out, divide the same total.


# %% tags=["exercise"]
def budget_epochs(total, rounds):
    """Return how many epochs follow each of `rounds` cuts, so that they add up to exactly `total`. All rounds get equally many;
    what does not divide evenly goes to the last rounds, one epoch each.

    Args:
        total: epochs altogether, an int.
        rounds: how many cuts, an int of at least 1.

    Returns:
        a list of `rounds` ints.
    """
    ### BEGIN SOLUTION
    base, extra = divmod(total, rounds)
    return [base] * (rounds - extra) + [base + 1] * extra
    ### END SOLUTION


# %%
budget_epochs = use("budget_epochs")
arms = {
    "one cut, 4 epochs": budget_epochs(4, 1),
    "four cuts, 4 epochs": budget_epochs(4, 4),
    "one cut, 10 epochs": budget_epochs(10, 1),
    "four cuts, 10 epochs": budget_epochs(10, 4),
}
LEFT = 0.05
finals = {arm: np.array([prune(s, e, 1 - LEFT)[1, -1] for s in SEEDS]) for arm, e in arms.items()}
with plots.style():
    figure = Figure(figsize=(7, 2.9))
    axes = figure.subplots()
    for y, (arm, values) in enumerate(finals.items()):
        color = ("#0072B2", "#D55E00")[arm.startswith("four")]
        axes.errorbar(values.mean(), y, xerr=values.std(ddof=1), fmt="s", capsize=4, color=color)
        axes.plot(values, [y + 0.25] * len(values), "o", color=color, ms=4, alpha=0.6)
    axes.set_yticks(range(len(arms)), arms)
    axes.set(ylim=(3.6, -0.5), xlabel="test accuracy")
    axes.set_title(f"{LEFT:.0%} of the weights left: mean ± std, and each of {len(SEEDS)} seeds")
means = pd.DataFrame({"mean": {a: v.mean() for a, v in finals.items()}})
means["std"] = [v.std(ddof=1) for v in finals.values()]
said = ", ".join(f"{arm}: {values.mean():.1%}" for arm, values in finals.items())
show(figure, alt=f"Test accuracy of four ways to prune. {said}.", table=means.rename_axis("arm").reset_index())

# %%
one4, four4, one10, four10 = finals
for first, second, what in (
    (four10, one4, "unequal budgets: rounds and more training, mixed up"),
    (four4, one4, "4 epochs each: the rounds alone"),
    (four10, one10, "10 epochs each: the rounds alone"),
    (one10, one4, "one cut each: the training alone"),
):
    gap = finals[first] - finals[second]
    word = verdict(finals[first], finals[second], T)
    said = {"first": first + " is better", "second": second + " is better"}.get(word, word)
    print(f"{what}\n   {100 * gap.mean():+.1f} points: {said}")

# %% [markdown]
# The first line is the comparison that one finds in print. The other three take it apart. How much of the first gap
# do the rounds explain, and how much the training?
#
# > **"My method is better: same network, same data, same sparsity."** And the same number of epochs, the same
# > learning rate, the same care in choosing them? A baseline that nobody tuned loses to anything.

# %% [markdown]
# ## 6 · The race: your own criterion
#
# Now invent one. A criterion sees the weights of a layer and the mean gradient of the loss, and gives each weight a
# score; **higher means keep**. All layers are ranked together. Be bold: most ideas do not win, and one learns from
# those as well.


# %% tags=["exercise"]
def my_criterion(weight, gradient):
    """Return a score of your own for every weight: finite, at least 0, the same for the same input, and lowest for a weight that is
    zero. It must not rank the weights as |w| (magnitude) or |w · g| (Taylor) do, since these are in the race already.

    Args:
        weight: the weights of one layer, an array of floats of any shape; those already cut are zero.
        gradient: the mean gradient of the loss with respect to them, of the same shape; it may be zero everywhere.

    Returns:
        array of floats of the same shape, higher means keep.
    """
    ### BEGIN SOLUTION
    pull = np.abs(gradient)
    return np.abs(weight) * (1 + pull / (pull.mean() + 1e-12))
    ### END SOLUTION


# %% [markdown]
# In the library a new criterion is one function and one line. It runs with the same seeds and epochs as the others:
# in each seed it starts from the very same trained network.
#
# **Tinker with the validation images.** This table is made for it; change your function and run the cell again, as
# often as you like.

# %%
from minprune.prune.criteria import Criterion

my_criterion = use("my_criterion")


def mine(evidence):
    """The scores of all layers, for the library."""
    return {name: my_criterion(w, evidence.gradients[name]) for name, w in evidence.weights.items()}


mp.prune.CRITERIA["mine"] = Criterion(mine, needs_data=True)
everyone = pd.concat([points, race("mine").query("method == 'mine'")])
columns = {"seen on": "validation"} | {f"{d:.0%}": [] for d in DENSITIES}
means = {m: runs(everyone, m, "val_accuracy").mean(axis=0) for m in ("mine", "magnitude", "taylor", "random")}
print("mean validation accuracy")
print(pd.DataFrame(means, index=list(columns)[1:]).T.to_string(float_format=lambda v: f"{v:.3f}"))

# %% [markdown]
# Satisfied? Then write down your prediction: where will yours win? **Only now** look at the test images.

# %%
RIVALS = ("magnitude", "taylor", "random")
show(
    draw_curves(everyone, ("mine", *RIVALS)),
    alt=plots.describe_curve(everyone),
    table=summarise(everyone)[["method", "remaining", "accuracy", "std", "n"]],
)
for rival in RIVALS:
    compare(everyone, "mine", rival)
    print()

# %%
words = [verdict(runs(everyone, "mine")[:, i], runs(everyone, rival)[:, i], T) for rival in RIVALS for i in range(len(DENSITIES))]
won, lost = words.count("first"), words.count("second")
print(f"of {len(words)} comparisons, yours wins {won}, loses {lost}, and in {words.count('cannot tell')} one cannot tell")
print(f"if all methods were equal, chance alone would decide about {0.05 * len(words):.1f} of them")

# %% [markdown]
# The last line is a warning. Each verdict errs once in twenty times, and there are many verdicts. A single win among
# many ties is what chance looks like; a win over several densities is not. To be sure, take **fresh seeds**, and test
# only the claim that you now have.
#
# And remember what was raced: one small network, one small data set, two epochs after each cut. A criterion that wins
# here has won *here*.

# %% [markdown]
# ## How to read a pruning paper
#
# Take any paper and ask, after Blalock et al. (2020):
#
# 1. Which network, data and metric *exactly*? Are **raw** accuracies given, and those of the dense network?
# 2. **How many seeds?** Is there a band? Is it a std or a standard error?
# 3. Is **random** pruning among the baselines, and plain magnitude, both global and by layer?
# 4. Did all methods get the **same training**: epochs, learning rate, starting weights?
# 5. **What chose** the hyperparameters and the epoch? Is there a validation set at all?
# 6. At least **five** points on the curve, down to where it breaks?
# 7. Smaller *in what*: weights, bytes, MACs, milliseconds? On which machine?

# %% [markdown]
# ## What you can do now
#
# You can run a fair comparison, say how sure you are of it, and invent a criterion and put it to the test. You have
# written the heart of a pruning library: gradients, scores, masks, fine-tuning, schedules, surgery, sparse products,
# rewinding, and the curve.
#
# The bonsai is yours. Small cuts, time to recover; and count your trees before you speak.
