# ---
# title: Leaves, twigs, branches
# minutes: 110
# difficulty: 3
# needs: 06
# afterwards: cut weights, kernels, channels and layers, take channels out by hand, and compare networks at equal parameters, work and time
# ---

# %% [markdown]
# # 07 · Leaves, twigs, branches
#
# *110 minutes · ●●● · needs: lesson 06*
#
# So far we plucked single leaves. A grower also takes whole twigs and branches. What is cut in one piece is called
# the **granularity**, and it decides what the cut is good for.
#
# You will write masks from fine to coarse, take channels out of a network with your own hands, and then put the
# question that matters: better *at equal what*?

# %%
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use
from minprune.tape import no_grad

_ = mp.threads(1)  # one core does all the work, so that a time does not hang on what the others do

# %% [markdown]
# ## A prediction first
#
# Write down three answers before you go on.
#
# 1. Every layer loses **half of its channels**. What share of the network's weights is left?
# 2. **Half of all weights** become zero, scattered. How many times as fast does the network run?
# 3. One network lost scattered weights, one lost channels, one lost layers. Which is the most accurate **with equally
#    many weights left**? And which **at an equal running time**?

# %% [markdown]
# ## 1 · What is cut in one piece
#
# | | one piece is | of a weight $(O, C, R, S)$ |
# |---|---|---|
# | leaf | a weight | 1 number |
# | leaves in a pattern | n of each m neighbours | m numbers, of which n stay |
# | a bunch of leaves | a kernel, between one input and one output channel | $R \cdot S$ numbers |
# | twig | a channel | $C \cdot R \cdot S$ numbers, and much that hangs on them |
# | branch | a layer | everything on the way around which a shortcut leads |
#
# Cutting single weights is called *unstructured* pruning, cutting channels and layers *structured*.
#
# We need a tree: a small residual network, trained for a moment.

# %%
WIDTHS = (12, 24, 48)  # channels of its three stages


def train_dense(seed):
    """A trained network and its data."""
    splits, rng = mp.data.load("digits", seed=seed), np.random.default_rng(seed)
    model = mp.models.ResNet(splits.image_shape, widths=WIDTHS, rng=rng)
    recipe = mp.train.Recipe(epochs=10, lr=0.1)
    mp.train.fit_recipe(model, splits, recipe, rng=rng, progress="")
    return model, splits


trained = {0: train_dense(0)}  # {seed: (model, splits)}
dense, splits = trained[0]
print(f"{sum(p.size for p in dense.parameters()):,} parameters", end=", ")
print(f"validation accuracy {mp.train.evaluate(dense, splits.val).accuracy:.1%}")

# %% [markdown]
# ### Leaves in a pattern: n of m
#
# Scattered zeros are hard on a processor: it must look up where each weight stands. A pattern helps. With 2:4, of
# every four neighbours exactly two stay, so that two bits say where a weight stood. Some graphics processors have
# units for just this pattern (Mishra et al. 2021).
#
# Neighbours along what? Along the input, since these are the numbers that are multiplied and added up for one output.
# For a convolution that is the row of $C \cdot R \cdot S$ numbers that im2col multiplies (lesson 02).

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def nm_mask(scores, keep, of):
    """Return a mask that keeps, of every `of` neighbours in a row, the `keep` with the highest scores. A row is all
    that one output reads: `scores.reshape(len(scores), -1)`. Each row is divided from its beginning into groups of
    `of`; the last group may be shorter, and then keeps `min(keep, its length)`. Of equal scores either may stay.

    Args:
        scores: float array (O, C) of a Linear or (O, C, R, S) of a Conv2d weight; higher means keep, also below zero.
        keep: how many of a group stay, an int from 1 to `of`.
        of: how many neighbours form a group.

    Returns:
        bool array of the shape of scores, True where a weight stays.
    """
    ### BEGIN SOLUTION
    rows = scores.reshape(len(scores), -1)
    mask = np.zeros(rows.shape, bool)
    for start in range(0, rows.shape[1], of):
        order = np.argsort(-rows[:, start : start + of], axis=1, kind="stable")  # best first
        np.put_along_axis(mask[:, start : start + of], order[:, :keep], True, axis=1)
    return mask.reshape(scores.shape)
    ### END SOLUTION


# %% [markdown]
# ### Kernels
#
# The word has two meanings. Here a **kernel** is the slice of $R \cdot S$ weights through which one input channel
# reaches one output channel. (The other meaning is a compiled routine, such as those of lesson 08.)
#
# A piece needs *one* score. We take the L2 norm of its weights, $\sqrt{\sum w^2}$.


# %% tags=["exercise"]
def kernel_mask(weight, keep):
    """Return a mask that keeps the `keep` kernels of largest L2 norm, chosen among all O·C kernels, and cuts all
    others as a whole. Exactly `keep` kernels stay, also where norms are equal.

    Args:
        weight: float array (O, C, R, S).
        keep: how many kernels stay, an int from 0 to O·C.

    Returns:
        bool array (O, C, R, S), True where a weight stays.
    """
    ### BEGIN SOLUTION
    norms = np.sqrt((weight**2).sum(axis=(2, 3)))  # (O, C)
    stays = np.zeros(norms.size, bool)
    stays[np.argsort(-norms, axis=None, kind="stable")[:keep]] = True
    return np.broadcast_to(stays.reshape(*norms.shape, 1, 1), weight.shape).copy()
    ### END SOLUTION


# %% [markdown]
# ### Twigs: channels
#
# An output channel is made by its **filter**, the $C \cdot R \cdot S$ weights of one output. Which channels of a layer
# shall stay? Rank their filters (Li et al. 2017 did it by L1 norm; we stay with L2).
#
# One must always stay. Through a layer without channels nothing comes; the field calls that **layer collapse**.


# %% tags=["exercise"]
def channel_mask(weight, sparsity):
    """Return which output channels stay if the share `sparsity` of them goes: `round(sparsity * O)` are removed, those
    with the smallest L2 norm of all their weights, but at least one channel always stays.

    Args:
        weight: float array (O, C) or (O, C, R, S).
        sparsity: the share of channels to remove, from 0 to 1.

    Returns:
        bool array (O,), True where a channel stays.
    """
    ### BEGIN SOLUTION
    norms = np.sqrt((weight.reshape(len(weight), -1) ** 2).sum(axis=1))  # (O,)
    gone = min(round(sparsity * len(norms)), len(norms) - 1)
    stays = np.ones(len(norms), bool)
    stays[np.argsort(norms, kind="stable")[:gone]] = False
    return stays
    ### END SOLUTION


# %% [markdown]
# ### See them side by side
#
# One convolution of our network, 12 filters of $12 \cdot 3 \cdot 3$ weights, equally many weights cut in four ways.
# Black stays. The title says which share of $\sum w^2$ is left. Move the slider.

# %%
nm_mask, kernel_mask, channel_mask = use("nm_mask"), use("kernel_mask"), use("channel_mask")
weight = dense.stage1_block1.conv2.weight.data


def four_masks(sparsity):
    """{granularity: mask of `weight`}."""
    keep = round((1 - sparsity) * 4)
    kernels = round((1 - sparsity) * weight.shape[0] * weight.shape[1])
    channels = channel_mask(weight, sparsity)[:, None, None, None]
    return {
        "weights": mp.prune.make_masks({"w": np.abs(weight)}, sparsity)["w"],
        f"{keep}:4": nm_mask(np.abs(weight), keep, 4),
        "kernels": kernel_mask(weight, kernels),
        "channels": np.broadcast_to(channels, weight.shape),
    }


# %%
def draw_masks(sparsity):
    with plots.style():
        figure = Figure(figsize=(6.4, 6), layout="constrained")
        for axes, (name, mask) in zip(figure.subplots(4), four_masks(sparsity).items()):
            axes.imshow(mask.reshape(len(mask), -1), cmap="gray_r", aspect="auto", vmin=0, vmax=1)
            left = (weight[mask] ** 2).sum() / (weight**2).sum()
            axes.set_title(f"{name}: {mask.mean():.0%} of the weights, {left:.0%} of Σw²", loc="left")
            axes.set(xticks=range(0, 109, 9), yticks=[], ylabel="filters")
            axes.grid(False)
        axes.set_xlabel("the weights of a filter; a kernel has 9")
    return figure


alt = (
    "Four masks of the same layer, half of the weights cut in each: scattered dots, dots at an even "
    "density, short bars of nine, and whole rows."
)
explore(draw_masks, [0.25, 0.5, 0.75], "sparsity", alt=alt, start=0.5)

# %% [markdown]
# **The coarser the pieces, the less there is to choose.** Free weights keep the most of $\sum w^2$ that is possible. A
# channel is kept or cut with its good and its bad weights. That is why, with equally many weights left, fine cuts
# tend to be the more accurate ones (Mao et al. 2017).
#
# And yet people cut channels. Look at the last picture: the white rows can really be *taken out*, and what remains
# is an ordinary, smaller matrix.

# %% [markdown]
# ## 2 · What hangs on a twig
#
# Take a channel out. Its filter goes. Is that all? After a convolution comes BatchNorm:
#
# $$y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$
#
# **A filter of zeros is not a silent channel.** Put $x = 0$: what comes out is a constant, and nothing says that it
# is zero. Here is what the 12 channels of a layer would say through BatchNorm and ReLU, if all their filters were zero:

# %%
bn = dense.stage1_block1.bn1
constants = bn.bias.data - bn.weight.data * bn.running_mean / np.sqrt(bn.running_var + bn.eps)
print(np.round(np.maximum(constants, 0), 2))

# %% [markdown]
# So $\gamma$ and $\beta$ must go, too, and with them the running mean and variance, or the shapes do not fit. So must
# what the *next* layer had for this channel: one slice along its **input** axis. Three roles:
#
# | role | what | shrinks along |
# |---|---|---|
# | **makes** the channels | weight and bias of the convolution before | axis 0 (outputs) |
# | **follows** | $\gamma$, $\beta$, running mean, running variance | its only axis |
# | **reads** | weight of each layer after; *not* its bias | axis 1 (inputs) |
#
# A network is now nothing but a dictionary of arrays. Shrink it.


# %% tags=["exercise"]
def remove_channels(arrays, keep, makes, follows, reads):
    """Return a new dictionary with all names of `arrays` in which the channels where `keep` is False are taken out: of
    the `makes` layers' weight and bias (if there is one) along axis 0; of the `follows` layers' weight, bias,
    running_mean and running_var; of the `reads` layers' weight along axis 1. A layer may be in `makes` *and* in
    `reads`. Everything else stays as it is, and so does the dictionary that comes in.

    Args:
        arrays: {"layer.part": array}, such as "conv1.weight", "conv1.bias", "bn1.running_mean".
        keep: bool array, True for each channel that stays.
        makes: list of names of Conv2d or Linear layers that make these channels, such as ["conv1"].
        follows: list of names of BatchNorm layers on the way.
        reads: list of names of Conv2d or Linear layers that read these channels.

    Returns:
        a dictionary {"layer.part": array}.
    """
    ### BEGIN SOLUTION
    small = dict(arrays)
    for name in makes:
        for part in ("weight", "bias"):
            if f"{name}.{part}" in small:
                small[f"{name}.{part}"] = small[f"{name}.{part}"][keep]
    for name in follows:
        for part in ("weight", "bias", "running_mean", "running_var"):
            small[f"{name}.{part}"] = small[f"{name}.{part}"][keep]
    for name in reads:
        small[f"{name}.weight"] = small[f"{name}.weight"][:, keep]
    return small
    ### END SOLUTION


# %% [markdown]
# Inside a residual block, the first convolution makes channels that only the second one reads: an easy twig. We take
# half of them out. The right result is known: a network whose second convolution *does not listen* to those channels
# (zeros along its input axis) must say the same.

# %%
remove_channels = use("remove_channels")


def rebuilt(model, arrays):
    """A copy of `model` with these arrays, whatever their sizes."""
    copy = model.copy()
    for name, parameter in copy.named_parameters():
        parameter.data = arrays[name]
    for path, module in copy.named_modules():
        for name in module.buffer_names:
            setattr(module, name, arrays[f"{path}.{name}"])
    return copy


def outputs(model):
    """The logits (64, 10) of 64 validation images."""
    with model.evaluating(), no_grad():
        return model(splits.val.images[:64]).data


def unheard(arrays, keep, reads):
    """The arrays with zeros where the `reads` layers read channels that do not stay."""
    column = keep[:, None, None].astype(np.float32)
    return arrays | {f"{n}.weight": arrays[f"{n}.weight"] * column for n in reads}


# %%
arrays = dense.state_dict()
block = "stage1_block1"
keep = channel_mask(arrays[f"{block}.conv1.weight"], 0.5)
makes, follows, reads = [f"{block}.conv1"], [f"{block}.bn1"], [f"{block}.conv2"]
small = remove_channels(arrays, keep, makes, follows, reads)
for name in arrays:
    if small[name].shape != arrays[name].shape:
        print(f"{name:34} {arrays[name].shape} → {small[name].shape}")
expected = outputs(rebuilt(dense, unheard(arrays, keep, reads)))
difference = np.abs(outputs(rebuilt(dense, small)) - expected).max()
print(f"largest difference between the outputs: {difference:.1e}", end=", ")
print(f"of outputs up to {np.abs(expected).max():.1f}")

# %% [markdown]
# Smaller, and the same outputs up to the rounding of sums. This is the test that every channel surgery has to pass.

# %% [markdown]
# ## 3 · Flatten: one channel, many columns
#
# A Linear layer after `flatten` reads a channel, too, but in pieces. `flatten` turns maps $(N, C, H, W)$ into rows
# $(N, C \cdot H \cdot W)$, so that channel $c$ owns the columns $c \cdot H \cdot W$ up to, not including,
# $(c + 1) \cdot H \cdot W$.


# %% tags=["exercise"]
def flatten_columns(keep, height, width):
    """Return which columns of a Linear layer stay that reads C flattened channels of height x width, if the channels
    where `keep` is True stay: a mask of all C·height·width columns.

    Args:
        keep: bool array (C,), True for each channel that stays.
        height: of each channel at the place of the flatten.
        width: of each channel there.

    Returns:
        bool array (C * height * width,), True where a column stays.
    """
    ### BEGIN SOLUTION
    return np.repeat(keep, height * width)
    ### END SOLUTION


# %% [markdown]
# The network of lesson 00 has such a place: `conv2` makes 32 channels, pooled to 4×4, and `fc1` reads $32 \cdot 16$
# columns. Half of the channels go. (For a test of equality the network need not be trained.)

# %%
flatten_columns = use("flatten_columns")
flat = mp.models.SmallConvNet(rng=np.random.default_rng(0))
arrays = flat.state_dict()
keep = channel_mask(arrays["conv2.weight"], 0.5)
columns = flatten_columns(keep, 4, 4)
small = remove_channels(arrays, keep, ["conv2"], [], [])
small = small | {"fc1.weight": small["fc1.weight"][:, columns]}
print("conv2", arrays["conv2.weight"].shape, "→", small["conv2.weight"].shape)
print("fc1  ", arrays["fc1.weight"].shape, "→", small["fc1.weight"].shape)

deaf = arrays | {"fc1.weight": arrays["fc1.weight"] * columns}
difference = np.abs(outputs(rebuilt(flat, small)) - outputs(rebuilt(flat, deaf))).max()
print(f"largest difference between the outputs: {difference:.1e}")

# %% [markdown]
# ## 4 · A residual sum ties twigs together
#
# A residual block adds its input to its result, $y = x + f(x)$. Channel 3 of $x$ meets channel 3 of $f(x)$. So both
# must lose the *same* channels.
#
# **Equal numbers are not enough.** If the stem loses half of its channels, and the block's last convolution loses as
# many, but others, all shapes fit. No error warns you. Let us do just that.

# %%
arrays = dense.state_dict()
readers = ["stage1_block1.conv1", "stage2_block1.conv1", "stage2_block1.projection"]
stem = (["stem"], ["stem_bn"], readers)
end = (["stage1_block1.conv2"], ["stage1_block1.bn2"], [])
keep = channel_mask(arrays["stem.weight"], 0.5)
expected = outputs(rebuilt(dense, unheard(arrays, keep, readers)))
for name, other in (("the same channels", keep), ("as many, but others", ~keep)):
    small = remove_channels(remove_channels(arrays, keep, *stem), other, *end)
    difference = np.abs(outputs(rebuilt(dense, small)) - expected).max()
    largest = np.abs(expected).max()
    print(f"{name:20} largest difference {difference:.1e}, of outputs up to {largest:.1f}")

# %% [markdown]
# So before anything is cut, one must know which layers are tied. Ties go on: if $a$ is added to $b$, and $b$ to $c$,
# then $a$ and $c$ share their fate as well. In a deep residual network one such group runs through a whole stage.


# %% tags=["exercise"]
def tie_groups(names, sums):
    """Return the layers that must lose the same channels, as a list of groups: two layers whose outputs are added are
    in one group, and so is whatever they are linked with through other sums. A layer in no sum is a group of its own.
    Names stand in the order of `names`; groups in the order of their first name.

    Args:
        names: list of the names of the layers, all different.
        sums: list of pairs of names, the layers whose outputs are added; a pair may occur twice.

    Returns:
        list of lists of names; every name is in exactly one.
    """
    ### BEGIN SOLUTION
    group = {name: [name] for name in names}
    for a, b in sums:
        if group[a] is not group[b]:
            merged = group[a] + group[b]
            for name in merged:
                group[name] = merged
    result = []
    for name in names:
        members = sorted(group[name], key=names.index)
        if members not in result:
            result.append(members)
    return result
    ### END SOLUTION


# %%
tie_groups = use("tie_groups")
layers = [path for path, m in dense.named_modules() if isinstance(m, mp.nn.Conv2d)]
sums = [
    ("stage1_block1.conv2", "stem"),
    ("stage2_block1.conv2", "stage2_block1.projection"),
    ("stage3_block1.conv2", "stage3_block1.projection"),
]
for group in tie_groups(layers, sums):
    print(" + ".join(group))

# %% [markdown]
# A tied group is judged together. Put its members' filters side by side, $(O, \text{all their weights})$, and the norm
# of such a row is one score for channel $i$ wherever it is made. Your `channel_mask` does that as it is:

# %%
parts = [arrays[f"{name}.weight"].reshape(WIDTHS[0], -1) for name in ("stem", "stage1_block1.conv2")]
print("the stem alone       ", channel_mask(parts[0], 0.5).astype(int))
print("the last conv. alone ", channel_mask(parts[1], 0.5).astype(int))
print("both together        ", channel_mask(np.concatenate(parts, axis=1), 0.5).astype(int))

# %% [markdown]
# ## 5 · The dependency graph
#
# We wrote the sums and the readers down by hand. For every new network again? No: lesson 01's tape knows every
# operation of a forward pass. Follow each channel through it, one rule per operation, and the groups come out. That is
# the **dependency graph** (Fang et al. 2023 do it for large networks). Compare it with what you found.

# %%
graph = mp.prune.graph(dense)
print(graph)

# %%
alt = (
    "A column for each of the seven groups and a row for each parameter. The first group runs from the "
    "stem over the end of the first block to the second block; the last, the network's output, is grey."
)
show(graph.draw(), alt=alt)

# %% [markdown]
# A filled square makes the channels, a small dot goes with them, an open triangle reads them. The ten outputs of the
# network are grey: nobody may cut a class.
#
# Now the whole tree: half of the channels in every group. `cut` masks them, with all that hangs on them; `compact`
# takes them out, as you did.

# %%
masked = dense.copy()
mp.prune.cut(masked, sparsity=0.5, scope="layer", granularity="channel")
compacted = mp.prune.compact(masked)
print("same outputs:", np.allclose(outputs(masked), outputs(compacted), rtol=1e-3, atol=1e-3))


def cost(model):
    """Parameters that are stored, MACs per image as they are computed, and bytes in memory."""
    work = sum(layer.dense for layer in mp.metrics.macs(model, splits.image_shape))
    arrays = [p.data for p in model.parameters()]
    return sum(a.size for a in arrays), work, sum(a.nbytes for a in arrays)


costs = [cost(model) for model in (dense, masked, compacted)]
table = pd.DataFrame(costs, columns=["parameters", "MACs", "bytes"])
table.insert(0, "network", ["dense", "half the channels masked", "compacted"])
print(table.to_string(index=False))
before, after = costs[0], costs[-1]
print(f"left: {after[0] / before[0]:.0%} of the parameters, {after[1] / before[1]:.0%} of the MACs")

# %% [markdown]
# Was your first prediction a half? A layer in the middle loses half of its outputs **and** half of its inputs:
#
# $$\frac{O}{2} \cdot \frac{C}{2} \cdot R \cdot S = \frac{1}{4} \; O \, C \, R \, S$$
#
# **Half of the channels is a quarter of the weights**, save at the ends: the image's own channel and the classes stay.
# Always say what a share is a share of.
#
# And the masked network? It takes as much memory as the dense one. A mask takes nothing out.

# %% [markdown]
# ## 6 · Zero or gone: which is faster?
#
# Four networks get the same 64 images on one core. In every round each has its turn, in random order, and is compared
# with the dense one *of the same round*; the median of these ratios counts. Whatever else the machine does meanwhile
# hits all of them alike. (Lesson 08 is about measuring.)
#
# One more thing, to be fair: this package's own kernels look at masks, and skip weights where very few are left. We want
# to know what *zeros* do in an ordinary program. So the masks come off first; the zeros stay.


# %%
def zeros_only(model):
    """A copy with the same zeros, but nothing that tells of them."""
    copy = model.copy()
    mp.prune.remove_masks(copy)
    return copy


def relative_times(models, images, rounds=120):
    """The time of each model as a share of the first one's: the median over rounds of their ratio."""
    times, order = np.zeros((3 + rounds, len(models))), np.random.default_rng(0)
    with no_grad():
        for row in times:
            for i in order.permutation(len(models)):
                with models[i].evaluating():
                    start = time.perf_counter()
                    models[i](images)
                    row[i] = time.perf_counter() - start
    return np.median(times[3:] / times[3:, :1], axis=0)  # the first three rounds warm up


# %%
scattered = dense.copy()
mp.prune.cut(scattered, sparsity=0.5)  # single weights
four = {
    "dense": dense,
    "half the weights zero": zeros_only(scattered),
    "half the channels zero": zeros_only(masked),
    "those channels gone": compacted,
}
images = splits.train.images[:64]
speed = dict(zip(four, 1 / relative_times(list(four.values()), images)))
for name, value in speed.items():
    print(f"{name:24} {value:.2f} times as fast as dense")
zeros = [speed["half the weights zero"], speed["half the channels zero"]]
if max(zeros) < 1.1 and speed["those channels gone"] > 1.15:
    print("→ Zeros buy no time to speak of. Taking the channels out does.")
else:
    print("→ Not the usual picture: was the machine busy? Run this cell again.")

# %% [markdown]
# **A network full of zeros is not faster. A compacted one is.** Zeros are stored, loaded and multiplied like other
# numbers, until something leaves them out.
#
# A quarter of the MACs is not a quarter of the time, either. BatchNorm, ReLU and the sums work on *half* of the
# values, not on a quarter; and what a layer costs merely for being called stays. **MACs are a count, not a clock.**
#
# (A MAC is one product added to a sum. It counts as two FLOPs, and papers mix the two up. Look which one is meant.)

# %% [markdown]
# ## 7 · Branches: whole layers
#
# A residual block can lose its whole branch: the shortcut still leads around it, $y = x + f(x)$ becomes $y = x$. The
# tree stays a tree. A layer *without* a shortcut cannot go, it would cut the tree in two.

# %%
shorter = dense.copy()
mp.prune.cut(shorter, sparsity=1 / 3, granularity="layer")  # one of the three branches
shorter = mp.prune.compact(shorter)
gone = [path for path, _ in dense.named_modules() if path not in dict(shorter.named_modules())]
print("gone:", ", ".join(gone))
ratio = 1 / relative_times([dense, shorter], images)[1]
shares = [after / before for after, before in zip(cost(shorter), cost(dense))]
print(f"left: {shares[0]:.0%} of the parameters, {shares[1]:.0%} of the MACs", end="; ")
print(f"{ratio:.2f} times as fast as dense")

# %% [markdown]
# Look at the two shares: they are far apart. The last stage has most of the weights, but its images are small, so
# that each weight is used only a few times. Parameters, MACs and time are **three different costs**.

# %% [markdown]
# ## 8 · Better at equal what?
#
# Now the experiment. Six lines, three seeds. Each line cuts, fine-tunes for two epochs, cuts further, and so on. The
# controls: the dense network with equally many further epochs, and channels drawn at *random*.
#
# Time is measured as above: 64 images, in turns, channels and layers taken out, masks of single weights taken off. The
# axis of accuracy does not begin at zero. (Kernels are left out, to save you time; the project's README has them.)

# %%
LINES = {  # line: (criterion, granularity, scope, shares of the pieces that stay)
    "weight": ("magnitude", "weight", "global", (0.5, 0.25, 0.1)),
    "2:4": ("magnitude", "2:4", "global", (0.5,)),
    "channel": ("magnitude", "channel", "layer", (0.7, 0.5, 0.35)),
    "random channel": ("random", "channel", "layer", (0.7, 0.5, 0.35)),
    "layer": ("magnitude", "layer", "global", (0.66, 0.34)),
    "dense": (None, None, None, (1, 1, 1)),
}
FINE = mp.train.Recipe(epochs=2, lr=0.05)


def networks(line, seed):
    """The networks of a line, from the dense one to the smallest: (as trained, as handed on)."""
    criterion, granularity, scope, shares = LINES[line]
    model, rng = trained[seed][0].copy(), np.random.default_rng((seed, 1))
    yield model.copy(), model.copy()
    for share in shares:
        if criterion:
            sparsity = None if ":" in granularity else 1 - share
            how = {"criterion": criterion, "scope": scope, "granularity": granularity}
            mp.prune.cut(model, sparsity, rng=rng, **how)
        mp.train.fit_recipe(model, trained[seed][1], FINE, rng=rng, progress="")
        coarse = granularity in ("channel", "layer")
        yield model.copy(), mp.prune.compact(model) if coarse else model.copy()


# %%
def measured(seed):
    """A row per network of this seed: test accuracy, and three costs as shares of the dense network's."""
    if seed not in trained:
        trained[seed] = train_dense(seed)
    data = trained[seed][1]
    found = [(line, *pair) for line in LINES for pair in networks(line, seed)]
    rows = pd.DataFrame({"line": [line for line, _, _ in found], "seed": seed})
    rows["step"] = rows.groupby("line").cumcount()
    rows["accuracy"] = [mp.train.evaluate(model, data.test).accuracy for _, model, _ in found]
    work = [mp.metrics.macs(given, data.image_shape) for _, _, given in found]
    bare = [zeros_only(given) for _, _, given in found]  # the first of them is dense
    costs = {
        "parameters": [mp.metrics.size(given).kept for _, _, given in found],
        "MACs": [sum(layer.sparse for layer in layers) for layers in work],
        "time": relative_times(bare, data.train.images[:64], rounds=20),
    }
    for name, values in costs.items():
        rows[name] = np.array(values) / values[0]
    return rows


points = pd.concat([measured(seed) for seed in (0, 1, 2)], ignore_index=True)
COSTS = ["parameters", "MACs", "time"]
summary = points.groupby(["line", "step"], sort=False)[["accuracy", *COSTS]].mean().reset_index()
summary["std"] = points.groupby(["line", "step"], sort=False)["accuracy"].std().to_numpy()

# %%
control = summary[summary["line"] == "dense"].iloc[-1]
with plots.style():
    figure = Figure(figsize=(6.4, 9), layout="constrained")
    for axes, name in zip(figure.subplots(3, sharey=True), COSTS):
        low, high = control["accuracy"] - control["std"], control["accuracy"] + control["std"]
        axes.axhspan(low, high, color="0.85", lw=0)
        axes.axhline(control["accuracy"], color="0.25", ls="--", lw=1.5, marker="", label="dense control")
        for line, rows in summary[summary["line"] != "dense"].groupby("line", sort=False):
            (drawn,) = axes.plot(rows[name], rows["accuracy"], label=line)
            low, high = rows["accuracy"] - rows["std"], rows["accuracy"] + rows["std"]
            axes.fill_between(rows[name], low, high, color=drawn.get_color(), alpha=0.12, lw=0)
        axes.set_xscale("log")
        axes.set_xlim(1.12, 0.09 if name != "time" else 0.45)
        axes.xaxis.set_major_locator(FixedLocator([1, 0.7, 0.5, 0.3, 0.2, 0.1]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set(xlabel=f"{name}, share of the dense network's (logarithmic)", ylabel="test accuracy")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)

# %%
said = [
    f"{rows['line'].iloc[-1]} ends at {rows['accuracy'].iloc[-1]:.1%} with "
    + ", ".join(f"{rows[name].iloc[-1]:.0%} of the {name}" for name in COSTS)
    for _, rows in summary.groupby("line", sort=False)
]
alt = "Test accuracy against three costs, as shares of the dense network's: " + "; ".join(said)
show(figure, alt=alt, table=summary)

# %% [markdown]
# **Now at equal cost.** Each line is read off at the same share of a cost, straight between two of its points; a dash
# where it never gets as small. Mean ± standard deviation of three seeds.


# %%
def read_off(rows, name, share):
    """The accuracy of one line and seed at this share of a cost; NaN where it never gets there."""
    rows = rows.sort_values(name)
    if rows[name].min() > share:
        return np.nan
    return float(np.interp(np.log(share), np.log(rows[name]), rows["accuracy"]))


def at_equal(name, share):
    """{line: "mean ± std"} at this share of a cost."""
    found = {}
    for line, rows in points[points["line"] != "dense"].groupby("line", sort=False):
        values = [read_off(one, name, share) for _, one in rows.groupby("seed")]
        text = f"{np.mean(values):.1%} ± {np.std(values, ddof=1):.1%}"
        found[line] = "—" if np.isnan(values).any() else text
    return found


asked = [("parameters", 0.55), ("parameters", 0.25), ("MACs", 0.55), ("time", 0.75)]
equal = pd.DataFrame({f"{share:.0%} of {name}": at_equal(name, share) for name, share in asked})
print(equal.to_string())

# %% [markdown]
# Read it column by column, and compare with your third prediction.
#
# - **At equal parameters** the finest cut leads: it chooses freely. Among the others, look at the ± before you rank
#   them: most overlap, and three seeds do not settle it.
# - **At equal MACs** the *layer* line falls behind, though it kept up with the channels on parameters. It took many
#   weights, but they were used only a few times each.
# - **At equal time** the lines of single weights and of 2:4 are *not there at all*. They stand where they began, at
#   about 100 %. Only what was taken out saves time here.
#
# "Granularity A is better than B" is not a sentence yet. **Better at equal what?** is the question to put to every paper.

# %% [markdown]
# ### And the random twigs?
#
# Compare *channel* with *random channel*, bands and all. Where the bands overlap, we cannot say that ranking channels
# by their norm was worth anything.
#
# Others have met this in large networks. Mittal et al. (2018) found that networks recover from random cuts of channels
# about as well; Liu et al. (2019), that *how many* channels each layer keeps matters more than *which*.
#
# Without the control we would have praised the norm.

# %% [markdown]
# ## What is true, and what is not yet
#
# - The times are those of an *ordinary* program, which multiplies zeros. A special one can leave single zeros out (this
#   package's kernels do where few weights are left), and then the third picture changes. See lesson 08.
# - Two epochs after each cut are little time to recover. Coarse cuts hurt more, and gain more from patience.
# - Between two points a straight line was drawn. There is no network with two thirds of a branch.
# - Nothing here was chosen by the test images; they only gave the numbers.

# %% [markdown]
# ## What you can do now
#
# You can cut leaves, patterns, kernels, twigs and branches; take channels out of a network through BatchNorm, flatten
# and residual sums, and prove that nothing else changed; and you ask *at equal what?*
#
# Next, lesson 08 takes the other road to speed: keep the scattered zeros, and write the program that skips them.
