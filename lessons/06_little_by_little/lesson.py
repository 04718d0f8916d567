# ---
# title: Little by little
# minutes: 100
# difficulty: 2
# needs: 05
# afterwards: write the pruning loop with stop rules and a way back, and say when cutting little by little is worth its epochs
# ---

# %% [markdown]
# # 06 · Little by little
#
# *100 minutes · ●●○ · needs: lesson 05*
#
# No grower takes a tree from a hundred branches to two in one afternoon. One takes a few, waits, looks how the tree
# answers, and takes a few more. If it wilts, one has gone too far.
#
# In this lesson you write that loop: **cut, recover, look, decide**, with a way back. Then you race it against a
# single deep cut, with the *same* number of epochs for both.

# %% [markdown]
# ## A prediction first
#
# A network may be fine-tuned for eight epochs altogether. Three growers share out their cuts differently:
#
# - **one-shot**: one cut, then all eight epochs of recovery;
# - **little by little**: four cuts, two epochs after each;
# - **gradual**: many tiny cuts *during* the first half of the eight epochs.
#
# Who wins if 10 % of the weights shall remain? If 2 % remain? If 0.5 % remain? Write down three names. (The same
# name three times is an answer, too.)

# %%
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use

_ = mp.threads(1)  # for networks as small as these, one core is about as quick as two

SEEDS = (0, 1, 2)
data, dense = {}, {}
for seed in SEEDS:
    rng = np.random.default_rng(seed)
    data[seed] = mp.data.load("digits", seed=seed)
    dense[seed] = mp.models.SmallConvNet(rng=rng)
    recipe = mp.train.Recipe(epochs=15, lr=0.05)
    mp.train.fit_recipe(dense[seed], data[seed], recipe, rng=rng, progress="")
    print(f"seed {seed}: test accuracy {mp.train.evaluate(dense[seed], data[seed].test).accuracy:.1%}")
STEPS = -(-len(data[0].train) // 64)  # steps per epoch

# %% [markdown]
# ## 1 · Of the whole, or of what remains?
#
# "We prune 20 % in each round." Of what? Five rounds of 20 % *of the whole* leave nothing. Five rounds of 20 % *of what
# remains* leave $0.8^5 \approx 33\,\%$. Papers mean the second and often do not say so (Han et al. 2015; Frankle and
# Carbin 2019).
#
# The same share of what remains in every round is a **geometric** schedule. To arrive at the final sparsity $s_f$
# after $n$ rounds, the sparsity *of the whole* after round $i$ must be
#
# $$s_i = 1 - (1 - s_f)^{\,i/n}, \qquad i = 1, \dots, n.$$

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def geometric_sparsities(final, rounds):
    """Return the sparsities of the whole after each of `rounds` rounds, if every round cuts the same share of what
    remains and the last one arrives at `final`.

    Args:
        final: the sparsity at the end, from 0 to below 1.
        rounds: how many rounds there are, an int of at least 1.

    Returns:
        list of `rounds` floats, ascending.
    """
    ### BEGIN SOLUTION
    return [1 - (1 - final) ** (i / rounds) for i in range(1, rounds + 1)]
    ### END SOLUTION


# %% [markdown]
# ## 2 · Fast at first, gentle at the end
#
# Zhu and Gupta (2017) go further: a trained network has weights to spare, so cut quickly at first; near the end every
# weight counts, so cut gently. Their **cubic** schedule says for every training step $t$ between $t_0$ and $t_1$
#
# $$s(t) = s_f + (s_i - s_f)\left(1 - \frac{t - t_0}{t_1 - t_0}\right)^{3},$$
#
# with $s_i$ before and $s_f$ after. In lesson 05 you saw learning rates that begin large and end small. It is the same thought.


# %% tags=["exercise"]
def cubic_sparsity(step, start, end, initial, final):
    """Return the sparsity that the cubic schedule of Zhu and Gupta asks for at `step`: `initial` up to the step
    `start`, `final` from the step `end` on, and in between fast at first and gentle at the end.

    Args:
        step: an int of at least 0.
        start: the step t0 at which the schedule begins.
        end: the step t1 > t0 at which it ends.
        initial: the sparsity s_i at the beginning.
        final: the sparsity s_f at the end.

    Returns:
        the sparsity of the whole, a float.
    """
    ### BEGIN SOLUTION
    progress = min(max((step - start) / (end - start), 0), 1)
    return final + (initial - final) * (1 - progress) ** 3
    ### END SOLUTION


# %% [markdown]
# Three ways to 98 % in a number of rounds that you choose. On the left is what remains. On the right is what a round
# takes *from what is there at that moment*, and that is what the network feels.

# %%
geometric_sparsities, cubic_sparsity = use("geometric_sparsities"), use("cubic_sparsity")


def schedules(rounds, final=0.98):
    return {
        "linear": [final * i / rounds for i in range(1, rounds + 1)],
        "geometric": geometric_sparsities(final, rounds),
        "cubic": [cubic_sparsity(i, 0, rounds, 0.0, final) for i in range(1, rounds + 1)],
    }


# %%
def draw(rounds):
    with plots.style():
        figure = Figure(figsize=(7.5, 3.6))
        left, right = figure.subplots(1, 2)
        for (name, sparsities), line in zip(schedules(rounds).items(), ("--", "-", ":")):
            remaining = 1 - np.array([0.0, *sparsities])
            left.plot(range(rounds + 1), remaining, ls=line, label=name)
            right.plot(range(1, rounds + 1), 1 - remaining[1:] / remaining[:-1], ls=line, label=name)
        left.set(yscale="log", xlabel="rounds", title="weights that remain", ylim=(0.015, 1.2))
        left.set_yticks([1, 0.5, 0.2, 0.1, 0.05, 0.02], ["100%", "50%", "20%", "10%", "5%", "2%"])
        left.minorticks_off()
        right.set(xlabel="round", title="share of them cut", ylim=(0, 1))
        left.legend(loc="lower left")
    return figure


alt = (
    "Three schedules to 98 % in six rounds. The linear one takes most of what remains in its last round; "
    "the geometric one takes the same share each time; the cubic one takes most in the middle and little at the end."
)
explore(draw, [2, 4, 6, 8, 12], "rounds", alt=alt, start=6)

# %% [markdown]
# > **"Equal steps are the gentle way."** The linear schedule removes as many weights in the last round as in the
# > first, but by then there are hardly any: its last cut takes the greater part of what is left. Equal numbers are not equal
# > wounds.
#
# The cubic schedule has two faces. Of the *whole* it cuts less in every round. Of *what is there* its hardest rounds come
# in the middle, and the gentle ones at the very end. Move the slider: how many rounds does it need for a gentle end?

# %% [markdown]
# ## 3 · Exactly so many, and none comes back
#
# A schedule says how much shall be gone *of the whole*. Some weights are gone already. How many must go **now**, and
# which?
#
# Two promises have to be kept. The count is exact (lesson 04). And **what is cut stays cut**: the grower does not
# glue branches back on.


# %% tags=["exercise"]
def cut_remainder(scores, mask, sparsity):
    """Return the mask after a further cut: `round(sparsity * mask.size)` entries are False in the end, all of `mask`'s
    among them; the new ones have the lowest scores of those that remain. Of equal scores, the first in order goes. If
    so many are gone already, nothing changes.

    Args:
        scores: array of floats of any shape; higher means keep. What it says of weights already cut does not count.
        mask: array of bools of the same shape, True where a weight still stays.
        sparsity: the share *of the whole* that shall be gone after this cut.

    Returns:
        a new array of bools of the same shape.
    """
    ### BEGIN SOLUTION
    more = max(round(sparsity * mask.size) - int(np.sum(~mask)), 0)
    order = np.argsort(np.where(mask, scores, np.inf), axis=None, kind="stable")
    result = mask.copy()
    result.flat[order[:more]] = False
    return result
    ### END SOLUTION


# %% [markdown]
# Does it matter? With $|w|$ as the score, a weight that was cut is 0 and ranks last by itself. With other scores it does
# not. Here are random scores, drawn anew for each of four rounds on 10,000 weights. One way ranks all weights afresh; the
# other is yours.

# %%
cut_remainder = use("cut_remainder")
rng, size = np.random.default_rng(0), 10_000
afresh = held = np.ones(size, bool)
for number, sparsity in enumerate(geometric_sparsities(0.9, 4), start=1):
    scores = rng.random(size)
    new = cut_remainder(scores, np.ones(size, bool), sparsity)
    came_back = int(np.sum(new & ~afresh))
    afresh, before = new, held
    held = cut_remainder(scores, held, sparsity)
    print(
        f"round {number}: {int(held.sum()):5,} stay.  Came back to life: ranked afresh "
        f"{came_back:5,}, with your function {int(np.sum(held & ~before))}"
    )

# %% [markdown]
# A weight that comes back comes back as 0, without anything that it had learned. (Methods that regrow weights on
# purpose exist, such as RigL of Evci et al. 2020, but they do so as a decision, not by accident.)
#
# Now for a whole network: all weights in one long row, your function on it, and back into their shapes.


# %%
def cut(model, sparsity, rng=None):
    """Global cut to `sparsity` of the whole, in place: by magnitude, or at random if rng is given."""
    params = mp.prune.prunable_parameters(model)  # {name: weights of Conv and Dense, no biases}
    row = np.concatenate([np.abs(p.data).ravel() for p in params.values()])
    scores = row if rng is None else rng.random(row.size)
    masks = [np.ones(p.shape, bool) if p.mask is None else p.mask for p in params.values()]
    mask = cut_remainder(scores, np.concatenate([m.ravel() for m in masks]), sparsity)
    pieces = np.split(mask, np.cumsum([m.size for m in masks])[:-1])
    new = {name: piece.reshape(p.shape) for (name, p), piece in zip(params.items(), pieces)}
    mp.prune.apply_masks(model, new)


def fine_tune(model, seed, epochs, rng, after_step=None):
    """Lesson 05 in one line: a cosine, at the largest rate that it chose there."""
    recipe = mp.train.Recipe(epochs=epochs, lr=0.1)
    mp.train.fit_recipe(model, data[seed], recipe, rng=rng, after_step=after_step, progress="")


# %% [markdown]
# ## 4 · When to stop
#
# The loop ends for one of two kinds of reason.
#
# - A **floor** is broken: accuracy has fallen too low. Then this round was one too many, and we **roll back**.
# - A **goal** is reached: sparse enough, small enough as a file, or fast enough. Then this round is the answer.
#
# Mind the order. A network that is small enough but too bad is not an answer.


# %% tags=["exercise"]
def next_move(row, limits):
    """Return what to do after a round: "roll back" if the accuracy is below limits["min_accuracy"]; otherwise "stop" if
    at least one goal is reached, sparsity at least limits["target_sparsity"], bytes at most limits["max_bytes"] or ms
    at most limits["max_ms"]; otherwise "go on". A rule that is not in `limits` does not apply.

    Args:
        row: dict with the keys "accuracy", "sparsity", "bytes" and "ms" (milliseconds for one image).
        limits: dict with some, all or none of the keys "min_accuracy", "target_sparsity", "max_bytes", "max_ms".

    Returns:
        "roll back", "stop" or "go on".
    """
    ### BEGIN SOLUTION
    if row["accuracy"] < limits.get("min_accuracy", -np.inf):
        return "roll back"
    goals = (
        row["sparsity"] >= limits.get("target_sparsity", np.inf),
        row["bytes"] <= limits.get("max_bytes", -np.inf),
        row["ms"] <= limits.get("max_ms", -np.inf),
    )
    return "stop" if any(goals) else "go on"
    ### END SOLUTION


# %% [markdown]
# ## 5 · The loop, with a way back
#
# Now the heart of it. The loop need not know *how* to cut, fine-tune, measure or decide; it gets four functions that do.
# What it must know is **which model to hand out**, and that is the last one that was not rolled back.
#
# To have it, one must have kept it: fine-tuning changes every weight, so what was good is overwritten unless it was copied.


# %% tags=["exercise"]
def prune_until(model, sparsities, cut, fine_tune, measure, decide):
    """Prune a copy of `model` round by round, and return the last good model and the history. In each round: cut,
    fine-tune, measure, decide. "roll back" ends the loop, and the model of the round before is handed out; "stop" ends
    it, and this round's model is handed out; "go on" goes on, as long as there are sparsities.

    Args:
        model: has a method copy(); the model itself stays as it is. It is handed out, as a copy, if no round was good.
        sparsities: the sparsity of the whole after each round, ascending.
        cut: cut(model, sparsity) cuts a model in place.
        fine_tune: fine_tune(model) lets it recover, in place.
        measure: measure(model) gives a dict, the round's row of the history.
        decide: decide(row) gives "go on", "stop" or "roll back".

    Returns:
        (model, history): the model handed out, and the list of all rows, that of a rolled-back round included.
    """
    ### BEGIN SOLUTION
    work, good, history = model.copy(), model.copy(), []
    for sparsity in sparsities:
        cut(work, sparsity)
        fine_tune(work)
        row = measure(work)
        history.append(row)
        move = decide(row)
        if move == "roll back":
            break
        good = work.copy()
        if move == "stop":
            break
    return good, history
    ### END SOLUTION


# %% [markdown]
# All five functions together. The promise: at most **two points** of validation accuracy may be lost, and as many
# weights as possible shall go. Eight rounds towards 99.5 %, two epochs each.

# %%
next_move, prune_until = use("next_move"), use("prune_until")
SHAPE = data[0].image_shape


def measure(model, seed=0):
    """A row of the history, on validation images."""
    params = mp.prune.prunable_parameters(model).values()
    kept = sum(int(np.count_nonzero(p.data)) for p in params)
    return {
        "remaining": kept / sum(p.size for p in params),
        "sparsity": 1 - kept / sum(p.size for p in params),
        "bytes": mp.metrics.saved_bytes(model),
        "ms": mp.metrics.latency(model, SHAPE).median,
        "accuracy": mp.train.evaluate(model, data[seed].val).accuracy,
    }


# %%
def run(limits, rounds=8, final=0.995):
    """Your loop on the network of seed 0; the history has a column for the accuracy before recovery, too."""
    wounds, rng = [], np.random.default_rng(0)

    def cut_and_look(model, sparsity):
        cut(model, sparsity)
        wounds.append(mp.train.evaluate(model, data[0].val).accuracy)

    def heal(model):
        fine_tune(model, 0, 2, rng)

    def decide(row):
        return next_move(row, limits)

    sparsities = geometric_sparsities(final, rounds)
    best, history = prune_until(dense[0], sparsities, cut_and_look, heal, measure, decide)
    return best, pd.DataFrame(history).assign(after_cut=wounds)


# %%
start = measure(dense[0])
floor = start["accuracy"] - 0.02
best, history = run({"min_accuracy": floor})
history["move"] = [next_move(row, {"min_accuracy": floor}) for row in history.to_dict("records")]
shown = history[["remaining", "bytes", "after_cut", "accuracy", "move"]]
print(shown.to_string(float_format=lambda value: f"{value:.3f}"))
end = measure(best)
print(f"\nhanded out: {end['remaining']:.1%} of the weights")
print(f"validation {end['accuracy']:.1%}, floor {floor:.1%}")
print(f"file: {start['bytes']:,} → {end['bytes']:,} bytes")
print(f"test, looked at once: {mp.train.evaluate(best, data[0].test).accuracy:.1%}")

# %%
with plots.style():
    figure = Figure(figsize=(7.5, 4))
    axes = figure.subplots()
    zigzag = np.ravel(np.column_stack([history["after_cut"], history["accuracy"]]))
    rounds = np.arange(1, len(history) + 1)
    axes.plot([0, *np.repeat(rounds, 2)], [start["accuracy"], *zigzag], marker="", color="0.6", lw=1.2)
    axes.plot(rounds, history["after_cut"], ls="", label="after the cut")
    axes.plot([0, *rounds], [start["accuracy"], *history["accuracy"]], ls="", label="recovered")
    axes.axhline(floor, color="0.3", ls="--", lw=1.5, marker="", label="floor")
    chosen = int((history["move"] != "roll back").sum())
    value = [start["accuracy"], *history["accuracy"]][chosen]
    axes.plot(chosen, value, "o", ms=16, mfc="none", mec="black", ls="", label="handed out")
    labels = ["100%", *(f"{share:.1%}" for share in history["remaining"])]
    axes.set_xticks([0, *rounds], labels)
    axes.set(xlabel="weights that remain", ylabel="validation accuracy", title="Cut and recover, round by round")
    axes.legend(loc="lower left")
show(
    figure,
    alt=f"A zigzag: accuracy falls at every cut and comes back, until round {len(history)} stays below the floor of {floor:.1%}. "
    f"Round {chosen} is handed out.",
    table=history[["remaining", "after_cut", "accuracy"]],
)

# %% [markdown]
# Look at the zigzag. Every cut hurts, recovery heals, and the wounds get deeper although each round takes the same
# share of what remains. The last round is in the history, but it is *not* what you are handed.
#
# > **"The last model is the result."** It is the one that broke the promise. Without roll-back you would ship it.
#
# Two cautions about floors. The floor looks at **validation** images only, so that the test number stays clean. And it
# should not be finer than the data: of 360 validation images, two points are seven images. A floor half a point below
# dense would be decided by two of them.

# %% [markdown]
# The same loop with a **goal**: a file of at most 20,000 bytes. It stops as soon as it is there, and does not cut
# what need not be cut.

# %%
limits = {"min_accuracy": floor, "max_bytes": 20_000}
best, history = run(limits)
end = measure(best)
print(f"{len(history)} rounds, last move: {next_move(history.iloc[-1], limits)!r}")
print(f"handed out: {end['bytes']:,} bytes, {end['remaining']:.1%} of the weights")
print(f"validation {end['accuracy']:.1%}, floor {floor:.1%}")

# %% [markdown]
# What about speed, `max_ms`? The rule is there, and your loop obeys it. But masks by themselves hardly make a network
# faster, so such a goal makes sense with whole channels (lesson 07) or the sparse engine (lesson 08).

# %% [markdown]
# ## 6 · The race: eight epochs for everyone
#
# It would be easy to let *little by little* win: give it more epochs. Four rounds of eight epochs against one cut
# with eight is a race with different distances, and it is found in print. Here everybody gets **eight epochs**, the
# same largest learning rate with a cosine, the same dense networks, the same seed for the order of images. The rate is
# the one that lesson 05 chose after a *single* cut: if it favours anyone, it favours one-shot.
#
# The control is *random* little by little: is it the patience that helps, or the choice?

# %%
BUDGET, ROUNDS = 8, 4


def one_shot(model, seed, sparsity, rng):
    cut(model, sparsity)
    fine_tune(model, seed, BUDGET, rng)


def little_by_little(model, seed, sparsity, rng, chance=None):
    for target in geometric_sparsities(sparsity, ROUNDS):
        cut(model, target, rng=chance)
        fine_tune(model, seed, BUDGET // ROUNDS, rng)


def gradual(model, seed, sparsity, rng):
    def after_step(step):  # a small cut every 4 steps, in the first half
        if step % 4 == 0 and step <= end:
            cut(model, cubic_sparsity(step, 0, end, 0.0, sparsity))

    end = BUDGET * STEPS // 2 // 4 * 4
    fine_tune(model, seed, BUDGET, rng, after_step)


def random(model, seed, sparsity, rng):
    little_by_little(model, seed, sparsity, rng, chance=np.random.default_rng(seed))


# %%
DENSITIES = (0.1, 0.02, 0.005)
METHODS = {
    "little by little": little_by_little,
    "gradual": gradual,
    "one-shot": one_shot,
    "random": random,
}
rows, pruned = [], {}
for seed in SEEDS:
    control = dense[seed].copy()
    fine_tune(control, seed, BUDGET, np.random.default_rng(seed))  # never cut, but eight more epochs
    rows.append(("dense control", 1.0, seed, mp.train.evaluate(control, data[seed].test).accuracy))
    for density in DENSITIES:
        for name, method in METHODS.items():
            model = dense[seed].copy()
            method(model, seed, 1 - density, np.random.default_rng(seed))
            pruned[name, density, seed] = model
            rows.append((name, density, seed, mp.train.evaluate(model, data[seed].test).accuracy))
results = pd.DataFrame(rows, columns=["method", "remaining", "seed", "accuracy"])

# %%
groups = results.groupby(["method", "remaining"])["accuracy"]
table = groups.agg(["mean", "std", "size"]).reset_index().sort_values("remaining", ascending=False)
reference = table[table["method"] == "dense control"].iloc[0]
with plots.style():
    figure = Figure(figsize=(7.5, 4.4))
    axes = figure.subplots()
    axes.axhline(reference["mean"], color="0.25", ls=":", lw=1.5, marker="", label="dense control")
    for name, line in zip(METHODS, ("-", "-.", "--", ":")):
        part = table[table["method"] == name]
        (drawn,) = axes.plot(part["remaining"], part["mean"], ls=line, label=name)
        low, high = part["mean"] - part["std"], np.minimum(part["mean"] + part["std"], 1)
        axes.fill_between(part["remaining"], low, high, color=drawn.get_color(), alpha=0.15, lw=0)
    axes.set(xscale="log", xlabel="weights that remain (logarithmic)")
    axes.set(ylabel="test accuracy", ylim=(0, 1.02))
    axes.set_xticks(DENSITIES, [f"{density:.1%}" for density in DENSITIES])
    axes.minorticks_off()
    axes.invert_xaxis()
    axes.set_title(f"{BUDGET} epochs for everyone: mean ± std, n = {len(SEEDS)} seeds")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
ends = table[table["remaining"] == DENSITIES[-1]].set_index("method")["mean"]
said = ", ".join(f"{name} {ends[name]:.0%}" for name in METHODS)
show(figure, alt=f"Test accuracy against weights that remain. With {DENSITIES[-1]:.1%} left: {said}.", table=table)

# %% [markdown]
# Compare with the three names that you wrote down.
#
# - **With 10 % left it hardly matters.** The three that choose by magnitude lie together. There is so much to spare that one careless
#   cut is healed easily, and the simplest way, one-shot, is as good as any.
# - **Far down it matters very much.** One deep cut leaves a network that eight epochs do not bring back. The same epochs,
#   shared out between cuts, do far better.
# - **In between**, look at the bands before you name a winner. Where they overlap, three seeds cannot tell.
# - **Patience is not enough.** Random cuts are as patient, and the worst.
#
# > **"Iterative pruning is always better."** Not where cuts are shallow: there it only costs attention. Ask *how deep*, and
# > ask whether the epochs were equal.

# %% [markdown]
# ## 7 · Why does it help?
#
# One-shot ranks the weights of the *dense* network and never asks again. In rounds, the network answers every cut: some
# of the weights that are left grow to do the work of those that went. The next ranking sees that.
#
# If so, the two should end with *different* weights. Do they?


# %%
def mask_of(model):
    """All masks of a network in one row."""
    return np.concatenate([p.mask.ravel() for p in mp.prune.prunable_parameters(model).values()])


rows = []
for density in DENSITIES:
    for seed in SEEDS:
        pair = [pruned[name, density, seed] for name in ("one-shot", "little by little")]
        once, rounds = (mask_of(model) for model in pair)
        rows.append((density, seed, int(once.sum()), np.sum(once & rounds) / once.sum()))
shared = pd.DataFrame(rows, columns=["remaining", "seed", "weights kept", "kept by both"])
overlap = shared.pivot(index="remaining", columns="seed", values="kept by both")
print("share of one-shot's weights that little by little keeps, too:")
print(overlap.to_string(float_format="{:.0%}".format))

# %%
layers = {}
for name in ("one-shot", "little by little"):
    params = mp.prune.prunable_parameters(pruned[name, DENSITIES[-1], 0])
    layers[name] = {layer: int(p.mask.sum()) for layer, p in params.items()}
    layers["of"] = {layer: p.size for layer, p in params.items()}
print(f"weights kept in each layer, {DENSITIES[-1]:.1%} in all, seed 0:")
print(pd.DataFrame(layers).to_string())

# %% [markdown]
# The less remains, the less the two agree on what should remain, although they began with the same network and count
# the same number. Look at the layers, too: a single deep cut can leave a layer with almost nothing, and everything has to
# pass through it. (The library keeps at least one weight in each layer and tells you when it had to.)

# %% [markdown]
# ## What is true, and what is not yet
#
# Equal epochs are one fair budget; there are others, such as equal *training from scratch*, or equal time. Zhu and Gupta prune
# while they train and pay no extra epochs at all. Three seeds on one small network show a large effect reliably, and a small one not: where
# bands overlap in the figure, nobody has won.
#
# And the numbers count weights. Whether a network that is left with one weight in two hundred is smaller and faster in practice
# depends on *which* weights. That is the subject of lessons 07 and 08.

# %% [markdown]
# ## What you can do now
#
# You have written the loop at the heart of every pruning library: a schedule, an exact cut of the remainder, recovery,
# rules for stopping, and a way back. In the library it is
#
# ```python
# mp.prune.iterate(model, splits, schedule=mp.prune.Geometric(0.98, rounds=6),
#                  recipe=recipe, stop=mp.prune.Stop(max_drop=0.02), rng=rng)
# ```
#
# You can read its source now: minprune/prune/pipeline.py. In a terminal the same is `minprune prune --schedule iterative
# --sparsity 0.98 --rounds 6 --max-drop 0.02`: *iterative* is the usual word for cutting in rounds, and these rounds are
# geometric. (`minprune curve` has an iterative schedule, too, but you give the rounds themselves, and as what **remains**:
# `--densities 50,20,2` cuts to sparsities of 0.5, 0.8 and 0.98.)
#
# In lesson 07 the cuts get larger: whole filters, channels and layers.
