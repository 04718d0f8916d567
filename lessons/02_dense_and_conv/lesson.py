# ---
# title: Dense and Conv
# minutes: 110
# difficulty: 2
# needs: 01
# afterwards: build, differentiate and train a convolutional network of your own, and say where its weights and its work are
# ---

# %% [markdown]
# # 02 · Dense and Conv
#
# *110 minutes · ●●○ · needs: lesson 01*
#
# Before cutting, a grower wants to know the tree: which branches are thick, and which carry the sap? In this lesson you
# build the two kinds of branches that image networks are made of, **Dense** and **convolution**, with their gradients, and
# the loss that trains them. Then your own functions train a small sister of the network that the later lessons prune.

# %% [markdown]
# ## A question first
#
# The network of lesson 00 has two convolutions and then two Dense layers. Write down two numbers:
#
# 1. **What share of its weights** is in the two convolutions?
# 2. **What share of its multiplications** happens there?

# %%
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use
from minprune.tensor import record

# %% [markdown]
# ## 1 · Where the weights are, and where the work is
#
# A Dense layer with $C$ inputs and $O$ outputs has $O \cdot C$ weights, and uses each of them **once** per image. A
# convolution has $O$ filters of $C \cdot R \cdot S$ weights each, and lays every filter on all $Y \cdot X$ places of the image:
#
# $$\text{weights} = O\,C\,R\,S \qquad\qquad \text{multiplications} = O\,C\,R\,S \cdot Y\,X$$

# %%
layers = pd.DataFrame(
    [
        ("conv1", 16 * 1 * 3 * 3, 8 * 8),  # O · C · R · S weights, used on Y · X places
        ("conv2", 32 * 16 * 3 * 3, 8 * 8),
        ("fc1", 64 * 512, 1),  # O · C weights; 32 channels of 4x4 pixels, after pooling
        ("fc2", 10 * 64, 1),
    ],
    columns=["layer", "weights", "uses"],
)
layers["multiplications"] = layers["weights"] * layers["uses"]
numbers = layers.set_index("layer")[["weights", "multiplications"]]
shares = 100 * numbers / numbers.sum()

# %%
with plots.style():
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.subplots()
    for k, (name, hatch) in enumerate((("weights", ""), ("multiplications", "//"))):
        place = np.arange(4) + 0.4 * k
        bars = axes.barh(place, shares[name], 0.38, hatch=hatch, edgecolor="w", label=name)
        axes.bar_label(bars, fmt="%.1f%%", padding=3)
    axes.set(yticks=np.arange(4) + 0.2, yticklabels=shares.index)
    axes.set(xlim=(0, 108), xlabel="share of the network, %")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
alt = "Bars per layer: most weights are in the Dense layer fc1, most multiplications in conv2."
show(figure, alt, layers)
convs = shares.loc[["conv1", "conv2"]].sum()
print(f"in the convolutions: {convs['weights']:.0f} % of the weights,", end=" ")
print(f"{convs['multiplications']:.0f} % of the multiplications")

# %% [markdown]
# Compare with your two numbers. Most of the *weights* hang on one branch, and most of the *work* is done by another. Keep this
# picture: whoever cuts weights in fc1 makes the network small, and hardly faster. Lessons 07 and 08 come back to it.
#
# Why do the convolutions get by with so few weights? Because each weight is **shared** by all places of the image. A Dense
# layer from the 8×8 image to the same outputs as conv1 would need:

# %%
print(f"conv1: {16 * 9:,} weights; a Dense layer with the same outputs: {64 * 16 * 64:,}")

# %% [markdown]
# ## 2 · The convolution: one small Dense layer, everywhere
#
# A filter looks at a patch of $R \times S$ pixels in all $C$ channels, multiplies it with its weights and adds up. Then it
# moves one pixel on. So a convolution *is* a Dense layer, applied to every patch.
#
# This suggests how to compute it: copy every patch into a column of a matrix, then do **one** matrix product for all
# places. The copying is called **im2col** (Chellapilla, Puri and Simard 2006). It spends memory to gain speed: pixels are copied up
# to $R \cdot S$ times, but the product is what computers do best.
#
# (Mathematicians flip the filter in a convolution. Networks do not; strictly, they correlate. The filter is learned, so it
# makes no difference.)

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def im2col(x, kernel):
    """Return the patches of the images `x` as columns. Each column is one patch, its pixels in the
    order C, R, S; the columns go through the places row by row. The patch moves by one pixel
    (stride 1), and stays inside the image (no padding), so there are Y = H - R + 1 times X = W - S
    + 1 places.

    Args:
        x: images, array (N, C, H, W).
        kernel: (R, S), the height and width of a patch.

    Returns:
        array (N, C·R·S, Y·X), of the dtype of x.
    """
    ### BEGIN SOLUTION
    (r, s), (n, c, h, w) = kernel, x.shape
    y, x_places = h - r + 1, w - s + 1
    patches = np.empty((n, c, r, s, y, x_places), x.dtype)
    for i in range(r):
        for j in range(s):
            patches[:, :, i, j] = x[:, :, i : i + y, j : j + x_places]
    return patches.reshape(n, c * r * s, y * x_places)
    ### END SOLUTION


# %% [markdown]
# **Move the slider**: the frame on the image is the patch, the frame on the matrix is its column.

# %%
im2col = use("im2col")
picture = np.arange(1.0, 17).reshape(1, 1, 4, 4)
columns = im2col(picture, (2, 2))[0]


def draw_patch(place):
    with plots.style():
        figure = Figure(figsize=(6.6, 2.8))
        row, column = divmod(place, 3)
        panels = figure.subplots(1, 2, width_ratios=(4, 9))
        parts = ((picture[0, 0], (column, row, 2, 2)), (columns, (place, 0, 1, 4)))
        for axes, (values, (left, top, wide, high)) in zip(panels, parts, strict=True):
            axes.imshow(values, cmap="Blues", vmin=0, vmax=40)
            for (i, j), value in np.ndenumerate(values):
                axes.text(j, i, f"{value:.0f}", ha="center", va="center")
            x = np.array([left, left + wide, left + wide, left, left]) - 0.5
            y = np.array([top, top, top + high, top + high, top]) - 0.5
            axes.plot(x, y, "-", color="#D55E00", lw=3, marker="", clip_on=False)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        panels[0].set_title("image (4, 4)")
        panels[1].set_title("columns (C·R·S, Y·X) = (4, 9)")
    return figure


# %%
alt = "A 4x4 image with a framed 2x2 patch, and the matrix in which that patch is one of 9 columns."
explore(draw_patch, range(9), "place", alt, start=4)

# %% [markdown]
# ### The product
#
# With $W$ as a matrix of $O$ rows, one flat filter each, the whole convolution is
#
# $$Y = W_{(O,\; CRS)}\; X_{\mathrm{col}\,(N,\; CRS,\; P)} + b \qquad P = Y \cdot X \text{ places}$$


# %% tags=["exercise"]
def conv2d_forward(columns, weight, bias):
    """Return the output of a convolution for images that are already laid out as columns: for each
    image, each filter and each place, the sum of the filter's weights times the patch, plus the
    filter's bias.

    Args:
        columns: patches as `im2col` gives them, array (N, C·R·S, P).
        weight: the filters, array (O, C, R, S).
        bias: one number per filter, array (O,).

    Returns:
        array (N, O, P).
    """
    ### BEGIN SOLUTION
    return weight.reshape(len(weight), -1) @ columns + bias[:, None]
    ### END SOLUTION


# %% [markdown]
# Is it worth the memory? Compare with the definition, written out as loops.

# %%
conv2d_forward = use("conv2d_forward")
rng = np.random.default_rng(0)
images, weight, bias = rng.random((4, 8, 10, 10)), rng.normal(size=(16, 8, 3, 3)), np.zeros(16)


def by_loops(images, weight):
    out = np.zeros((len(images), len(weight), 8, 8))
    for n, o, y, x in np.ndindex(out.shape):
        out[n, o, y, x] = (images[n, :, y : y + 3, x : x + 3] * weight[o]).sum()
    return out


start = time.perf_counter()
slow = by_loops(images, weight)
middle = time.perf_counter()
fast = conv2d_forward(im2col(images, (3, 3)), weight, bias).reshape(slow.shape)
end = time.perf_counter()
print(f"same result: {np.allclose(slow, fast)}")
print(f"im2col is {(middle - start) / (end - middle):.0f} times as fast")

# %% [markdown]
# ## 3 · Back through the convolution
#
# The convolution is a copy (im2col) and a matrix product. So its gradient is a matrix product and a copy back. For the product
# you know the rule from lesson 01. One thing is new: the **same** weights serve all images and all places, and a value that
# is used many times receives the *sum* of what its uses send back.


# %% tags=["exercise"]
def conv2d_backward(grad, columns, weight):
    """Return (dweight, dbias, dcolumns), the gradients of a convolution with respect to its
    filters, its bias and its columns, given `grad`, the gradient with respect to its output.

    Args:
        grad: array (N, O, P).
        columns: the patches that went in, array (N, C·R·S, P).
        weight: the filters, array (O, C, R, S).

    Returns:
        dweight (O, C, R, S), dbias (O,), dcolumns (N, C·R·S, P).
    """
    ### BEGIN SOLUTION
    flat = weight.reshape(len(weight), -1)
    dweight = (grad @ columns.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape)
    return dweight, grad.sum(axis=(0, 2)), flat.T @ grad
    ### END SOLUTION


# %% [markdown]
# ### The way back from columns to pixels
#
# im2col copied a pixel into every patch that it lies in: a pixel in the middle of the image into $R \cdot S$ of them, one in a
# corner into a single one. On the way back, the pixel receives a gradient from each. What becomes of them? (You met this twice in
# lesson 01.)


# %% tags=["exercise"]
def col2im(columns, shape, kernel):
    """Return images of `shape` to which every column was added back, at the place where `im2col`
    took its patch from. What several patches bring to the same pixel is added up.

    Args:
        columns: array (N, C·R·S, Y·X), with rows and places in the order of `im2col`.
        shape: (N, C, H, W) of the images.
        kernel: (R, S).

    Returns:
        array of `shape`, of the dtype of columns.
    """
    ### BEGIN SOLUTION
    (r, s), (n, c, h, w) = kernel, shape
    y, x = h - r + 1, w - s + 1
    pieces = columns.reshape(n, c, r, s, y, x)
    result = np.zeros(shape, columns.dtype)
    for i in range(r):
        for j in range(s):
            result[:, :, i : i + y, j : j + x] += pieces[:, :, i, j]
    return result
    ### END SOLUTION


# %% [markdown]
# ### Onto the tape
#
# Your four functions together are a convolution that can learn. `record` puts it onto the library's tape, with its name, its
# result, its parents and its vjp: just what your `Node` of lesson 01 had. The frame of zeros around the image
# (**padding**) keeps the output as large as the input.

# %%
conv2d_backward, col2im = use("conv2d_backward"), use("col2im")


def conv2d(x, weight, bias):
    """A 3x3 convolution of Tensors, with a padding of 1."""
    (n, _, h, w), o = x.shape, len(weight)
    padded = np.pad(x.data, ((0, 0), (0, 0), (1, 1), (1, 1)))
    columns = im2col(padded, (3, 3))
    out = conv2d_forward(columns, weight.data, bias.data)

    def vjp(grad):
        flat = grad.reshape(n, o, h * w)
        dweight, dbias, dcolumns = conv2d_backward(flat, columns, weight.data)
        dx = col2im(dcolumns, padded.shape, (3, 3))[:, :, 1:-1, 1:-1] if x.requires_grad else None
        return dx, dweight, dbias

    return record("conv2d", out.reshape(n, o, h, w), (x, weight, bias), vjp)


# %% [markdown]
# Never trust a new operation; poke it. And compare it with the library's.

# %%
points = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
error = mp.gradcheck(conv2d, *points, rng=rng)
tensors = [mp.Tensor(p) for p in points]
apart = np.abs(conv2d(*tensors).data - mp.ops.conv2d(*tensors, padding=1).data).max()
print(f"gradient check: relative error {error:.0e}; distance from the library's conv2d {apart:.0e}")

# %% [markdown]
# ## 4 · The loss: how surprised is the network?
#
# The network ends in $K$ numbers per image, the **logits** $z$. The softmax turns them into probabilities, and the loss is the
# surprise at the right label $t$, averaged over the batch:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} \qquad L = -\frac{1}{N}\sum_n \log p_{n,\,t_n}
# = \frac{1}{N}\sum_n \Bigl(\log \sum_j e^{z_{nj}} - z_{n,\,t_n}\Bigr)$$
#
# This is the **cross-entropy**. A sure and right answer costs nearly nothing; a coin toss costs $\log 2$; a sure and wrong one
# costs a lot.

# %% [markdown]
# ### A trap in the formula
#
# Computers know numbers up to about $10^{38}$ in float32. What does the formula give when a logit is 100? **Guess: from
# which logit on does it fail?**

# %%
rows = []
with np.errstate(all="ignore"):
    for z in np.arange(-150, 151, 10, dtype=np.float32):
        logits = np.array([z, 0], np.float32)  # the right label is the second
        powers = np.exp(logits)
        rows.append((float(z), float(-np.log(powers[1] / powers.sum())), float(np.logaddexp(z, 0))))
table = pd.DataFrame(rows, columns=["logit", "as written", "exact"])
table["as written"] = table["as written"].replace(np.inf, np.nan)
with plots.style():
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.subplots()
    axes.plot(table["logit"], table["exact"], "o-", label="exact", ms=8, color="0.7")
    label = "the formula as written, in float32"
    axes.plot(table["logit"], table["as written"], "x", color="#D55E00", label=label)
    axes.set(xlabel="logit of the wrong label (the other is 0)", ylabel="loss")
    axes.legend(loc="upper left")
alt = "The loss against a logit: exact values everywhere; those of the formula end before 90."
show(figure, alt, table)

# %% [markdown]
# Where the crosses end, the formula gives infinity. Its gradient becomes ∞/∞, which is NaN, and one training step with a NaN
# spoils the network for good.
#
# The cure costs nothing. Adding the same number to all logits of a row does not change the softmax. So subtract the row's
# **maximum** first: then every power is at most 1, and the sum is at least 1.
#
# $$\log \sum_j e^{z_j} = m + \log \sum_j e^{z_j - m} \qquad m = \max_j z_j$$


# %% tags=["exercise"]
def cross_entropy(logits, labels):
    """Return the mean over the batch of log(sum(exp(z))) - z[label], where z are the logits of an
    image, for logits of any size: -1000 and 1000 must not overflow, nor may a very unlikely label
    become infinitely costly.

    Args:
        logits: array (N, K).
        labels: whole numbers from 0 to K - 1, array (N,).

    Returns:
        the loss, a number.
    """
    ### BEGIN SOLUTION
    top = logits.max(axis=1)
    log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return (log_sum - logits[np.arange(len(labels)), labels]).mean()
    ### END SOLUTION


# %% [markdown]
# ### Its gradient is a surprise of its own
#
# The derivative of $\log \sum_j e^{z_j}$ by $z_k$ is $e^{z_k} / \sum_j e^{z_j} = p_k$. The rest is a 1 at the right label. All
# the logarithms and powers melt into
#
# $$\frac{\partial L}{\partial z_{nk}} = \frac{p_{nk} - [k = t_n]}{N}$$
#
# **What the network believes, minus what is true.** It is never larger than 1, and it vanishes when the network is right.


# %% tags=["exercise"]
def cross_entropy_gradient(logits, labels):
    """Return the gradient of the mean cross-entropy with respect to the logits: for each image its
    softmax, minus 1 at its label, divided by the number of images. It must not overflow for logits
    such as 1000.

    Args:
        logits: array (N, K); it must not be changed.
        labels: whole numbers from 0 to K - 1, array (N,).

    Returns:
        array (N, K).
    """
    ### BEGIN SOLUTION
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)
    ### END SOLUTION


# %% [markdown]
# ## 5 · Train it, with your own functions
#
# Now everything is there. Two networks with about as many weights: one with two convolutions, and one of Dense layers only.
# **Which one reads digits better?** And a second question, for which you should take your time:
#
# We **shuffle the pixels** of all images, always in the same way. To you, they become noise. **What happens to each of the
# two networks: better, worse, or just the same?** Write down four guesses.

# %%
cross_entropy, cross_entropy_gradient = use("cross_entropy"), use("cross_entropy_gradient")


def loss_of(logits, labels):
    value = np.asarray(cross_entropy(logits.data, labels), logits.dtype)
    gradient = cross_entropy_gradient(logits.data, labels)
    return record("cross_entropy", value, (logits,), lambda g: (g * gradient,))


class ConvNet(mp.models.SmallConvNet):
    def forward(self, x):
        x = mp.ops.relu(conv2d(x, self.conv1.weight, self.conv1.bias))
        x = mp.ops.relu(conv2d(x, self.conv2.weight, self.conv2.bias))
        x = mp.ops.flatten(mp.ops.max_pool2d(x, 2))
        return self.fc2(mp.ops.relu(self.fc1(x)))


# %% [markdown]
# A Dense layer is the matrix product of lesson 01 and a bias: $Y = X W^{\mathsf T} + b$, with $W$ of shape `(O, C)`.


# %%
def dense(x, layer):
    return x @ layer.weight.T + layer.bias


class DenseNet(mp.nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.fc1 = mp.nn.Linear(64, 88, rng=rng)
        self.fc2 = mp.nn.Linear(88, 42, rng=rng)
        self.fc3 = mp.nn.Linear(42, 10, rng=rng)

    def forward(self, x):
        x = mp.ops.relu(dense(mp.ops.flatten(mp.Tensor(x)), self.fc1))
        return dense(mp.ops.relu(dense(x, self.fc2)), self.fc3)


def build(kind, rng):
    return ConvNet(widths=(8, 16, 32), rng=rng) if kind == "conv" else DenseNet(rng)


for kind in ("conv", "dense"):
    count = sum(p.size for p in build(kind, np.random.default_rng(0)).parameters())
    print(f"{kind}: {count:,} parameters")


# %%
def look(model, images, labels):
    with mp.no_grad():
        logits = model(images).data
    return float(cross_entropy(logits, labels)), float((logits.argmax(axis=1) == labels).mean())


def train(kind, shuffled, seed, epochs=10):
    rng = np.random.default_rng(seed)
    splits = mp.data.load("digits", seed=seed)
    order = np.random.default_rng(100 + seed).permutation(64) if shuffled else np.arange(64)
    parts = []
    for split in (splits.train, splits.val, splits.test):
        images = split.images.reshape(-1, 64)[:, order].reshape(-1, 1, 8, 8)
        parts.append((images, split.labels))
    train, val, test = parts
    model, rows = build(kind, rng), []
    optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9)
    for epoch in range(1, epochs + 1):
        for images, labels in mp.data.batches(mp.data.Split(*train), 64, rng=rng):
            optimizer.zero_grad()
            loss_of(model(images), labels).backward()
            optimizer.step()
        pixels = "shuffled" if shuffled else "in place"
        rows.append((kind, pixels, seed, epoch, look(model, *train)[0], *look(model, *val)))
    return model, rows, look(model, *test)[1]


# %%
mp.threads(1)  # products as small as these are quickest on one core
SEEDS = range(5)
models, rows, tests = {}, [], []
for kind in ("conv", "dense"):
    for shuffled in (False, True):
        for seed in SEEDS:
            model, curve, accuracy = train(kind, shuffled, seed)
            models[kind, shuffled, seed] = model
            rows += curve
            tests.append((kind, "shuffled" if shuffled else "in place", seed, 100 * accuracy))
names = ["network", "pixels", "seed", "epoch", "train_loss", "val_loss", "val_accuracy"]
curves = pd.DataFrame(rows, columns=names)
tests = pd.DataFrame(tests, columns=["network", "pixels", "seed", "accuracy"])

# %% [markdown]
# ### Learning curves
#
# First the plain images. Solid: the loss on the images that the network learns from. Dashed: on validation images, which
# it never saw.

# %%
groups = curves.groupby(["network", "pixels", "epoch"])[["train_loss", "val_loss", "val_accuracy"]]
mean, std = groups.mean(), groups.std()
with plots.style():
    figure = Figure(figsize=(7, 3.4))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind in zip(panels, ("conv", "dense"), strict=True):
        m, s = mean.loc[kind, "in place"], std.loc[kind, "in place"]
        for name, style, color in (("training", "o-", "#0072B2"), ("validation", "s--", "#D55E00")):
            part = "train_loss" if name == "training" else "val_loss"
            axes.semilogy(m[part], style, color=color, ms=4, label=name)
            low, high = (m[part] - s[part]).clip(1e-4), m[part] + s[part]
            axes.fill_between(m.index, low, high, color=color, alpha=0.2)
        axes.set(xlabel="epoch", title=f"{kind}, n = 5 seeds", xticks=range(2, 11, 2))
    panels[0].set_ylabel("cross-entropy (logarithmic)")
    panels[1].legend()
alt = "Loss against epochs for both networks: training goes on falling, validation levels off."
show(figure, alt, mean.reset_index())

# %% [markdown]
# The two lines part: the training loss goes on falling, the validation loss hardly does. That gap is **overfitting**, and
# it is why choices are made on validation images, never on training images.

# %% [markdown]
# ### In place or shuffled?
#
# Each line is one seed: the same split of the data and the same starting weights, with the pixels in place and shuffled.
# The test images are looked at here for the first time.

# %%
table = tests.pivot(index=["network", "seed"], columns="pixels", values="accuracy")
with plots.style():
    figure = Figure(figsize=(6.4, 3.6))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind, color in zip(panels, ("conv", "dense"), ("#0072B2", "#D55E00"), strict=True):
        for _, row in table.loc[kind].iterrows():
            pair = row["in place"], row["shuffled"]
            axes.plot([0, 1], pair, "o-", color=color, alpha=0.5, lw=1)
        means = table.loc[kind].mean()
        axes.plot([0, 1], means, "D-", color="black", ms=8, label="mean")
        axes.set(xticks=[0, 1], xticklabels=["in place", "shuffled"], xlim=(-0.3, 1.3), title=kind)
    panels[0].set_ylabel("test accuracy, %")
    panels[1].legend(loc="upper right")
alt = "Test accuracy with pixels in place and shuffled, a line per seed, for both networks."
show(figure, alt, table.reset_index())
print(tests.groupby(["network", "pixels"])["accuracy"].agg(["mean", "std"]).round(1))
change = (table["shuffled"] - table["in place"]).groupby("network").agg(["mean", "std"])
print("\nchange by shuffling, in points\n" + change.round(1).to_string())
for kind in ("conv", "dense"):
    worse = (table.loc[kind, "shuffled"] < table.loc[kind, "in place"]).sum()
    print(f"{kind}: worse when shuffled in {worse} of {len(SEEDS)} seeds")

# %% [markdown]
# For the Dense network, shuffling changes **nothing but the names** of its inputs: its first layer sums over all pixels, in
# any order, and starts at random. So whatever its panel shows is pure chance. That makes it a yardstick.
#
# The convolution counts on neighbours: what lies side by side belongs together. Shuffled, it has to do without. Hold its
# panel against the yardstick: how sure are you that its fall is more than chance?
#
# On images of 8×8 pixels there is a point or two to lose, and five seeds can barely show it. A convolution is not "simply
# better". It is an **assumption about images**, bought with few weights, and it is worth as much as it is true. (Lesson 10
# is about claims like this one.)

# %% [markdown]
# ## 6 · What the filters look for
#
# Here are the filters of the first convolution after training, and what each sees in a digit: its **feature map**, the
# output after the ReLU. A bright place says "here is what I look for".

# %%
model = models["conv", False, 0]
test = mp.data.load("digits", seed=0).test
digit = test.images[test.labels == 3][:1]
filters = model.conv1.weight.data[:, 0]  # (8, 3, 3)
with mp.no_grad():
    maps = mp.ops.relu(conv2d(mp.Tensor(digit), model.conv1.weight, model.conv1.bias)).data[0]
with plots.style():
    figure = Figure(figsize=(7, 2.3))
    panels = figure.subplots(2, 9)
    limit = np.abs(filters).max()
    panels[0, 0].imshow(digit[0, 0], cmap="gray_r")
    for k in range(8):
        panels[0, k + 1].imshow(filters[k], cmap="RdBu", vmin=-limit, vmax=limit)
        panels[1, k + 1].imshow(maps[k], cmap="gray", vmin=0, vmax=maps.max())
        panels[0, k + 1].set_title(str(k), fontsize=10, loc="center", pad=3)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    panels[1, 0].axis("off")
    panels[0, 0].set_title("digit", fontsize=10, loc="center", pad=3)
alt = "A digit, the eight 3x3 filters, blue positive, red negative; below each its feature map."
show(figure, alt, pd.DataFrame(filters.reshape(8, 9)).rename_axis("filter").reset_index())

# %% [markdown]
# Shift the digit, and its feature maps shift with it; nothing else changes. This is what weight sharing means, and its name is
# **equivariance**. A Dense layer knows nothing of the kind: to it, the shifted digit is a new one.

# %%
wide = np.zeros((1, 1, 8, 9), np.float32)
wide[..., :8] = digit
shifted = np.roll(wide, 1, axis=3)
with mp.no_grad():
    first = model.conv1
    a, b = (conv2d(mp.Tensor(x), first.weight, first.bias).data for x in (wide, shifted))
inside = np.abs(a[..., 1:-2] - b[..., 2:-1]).max()
print(f"feature maps, shifted by one pixel, differ by at most {inside:.0e} inside the image")

# %% [markdown]
# ## What you can do now
#
# You have built the heart of a convolutional network from NumPy alone: forward, backward and loss, each piece checked by
# poking, and you have trained it. You know that weights and work sit in different places.
#
# Look at the filters once more. Some are strong, some are pale. Does a pale one matter? **What matters, and how would one
# know?** That is lesson 03.
