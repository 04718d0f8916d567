# ---
# title: Does it get faster?
# minutes: 110
# difficulty: 3
# needs: 07
# afterwards: measure fairly whether leaving out zeros pays for a layer and a batch, say why, and shrink the file further by rounding
# ---

# %% [markdown]
# # 08 · Does it get faster?
#
# *110 minutes · ●●● · needs: lesson 07*
#
# A bonsai with nine twigs in ten gone casts a tenth of the shadow. Does a network with nine weights in ten gone take
# a tenth of the time?
#
# In this lesson you **measure**, on your own machine. You write a product that leaves zeros out, watch it lose, watch
# it win, and work out from two properties of your computer where one turns into the other. At the end comes the
# companion of pruning: rounding what is left to a few bits.

# %%
import time

import numba
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use

mp.threads(1)  # one core does all the work, so that a time does not hang on what the others do
rng = np.random.default_rng(0)

# %% [markdown]
# ## A prediction first
#
# A Dense layer of 300 outputs and 784 inputs, the first of LeNet-300-100, gets a batch of 64 images. Nine weights in
# ten are zero. Write down **how many times as fast as before** you expect
#
# 1. the same product, with the zeros in it,
# 2. a product in plain Python loops that leaves the zeros out,
# 3. the same loops, compiled,
#
# and **from which share of zeros on** number 3 beats the product with all the weights. Four numbers; keep them at hand.

# %% [markdown]
# ## 1 · How to measure a time
#
# Two calls are to be compared on a computer that does other things, too. A fair way takes three precautions.
#
# - **In turns.** First, second, first, second, … If the machine slows down for a while, it slows down both.
# - **Warm up.** The first calls load code and data into the caches. They do not count.
# - **Medians.** A call that was interrupted may take ten times as long. One such call ruins a mean, but not a median.
#
# `take_turns` does the first. The other two are yours.

# %%
WARMUP = 3


def take_turns(calls, rounds=20):
    """Seconds of every call, all calls taken in turns: {name: list}, the first WARMUP rounds included."""
    times = {name: [] for name in calls}
    for _ in range(WARMUP + rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def median_ratio(first, second, warmup):
    """Return how many times as fast the second of two calls is as the first: the median of `first` divided by the
    median of `second`, without the `warmup` first entries of either list.

    Args:
        first: list of seconds, the times of the first call in the order in which they were taken.
        second: list of seconds of the second call, taken in turns with the first.
        warmup: how many entries at the beginning of each list do not count, an int from 0 to len(first) - 1.

    Returns:
        the ratio, a float: above 1 if the second call is the faster one.
    """
    ### BEGIN SOLUTION
    return np.median(first[warmup:]) / np.median(second[warmup:])
    ### END SOLUTION


# %% [markdown]
# ## 2 · Zeros alone
#
# Nine tenths of the same weights, removed in two ways: *scattered*, so that the matrix keeps its shape and is full of
# zeros, and as *whole rows*, so that a smaller matrix is left (lesson 07). All three products are NumPy's.
#
# We time bare matrices here. A masked model of this package is not quite innocent: its kernels look at masks.

# %%
median_ratio = use("median_ratio")
weights = rng.standard_normal((300, 784), dtype=np.float32)  # (O, K)
x = rng.standard_normal((784, 64), dtype=np.float32)  # (K, N): 64 images side by side
scattered = np.where(rng.permutation(weights.size).reshape(weights.shape) < 23_520, weights, 0)
rows = weights[:30].copy()
print("weights left:", *(np.count_nonzero(w) for w in (weights, scattered, rows)))
times = take_turns(
    {
        "all weights": lambda: weights @ x,
        "scattered zeros": lambda: scattered @ x,
        "rows gone": lambda: rows @ x,
    }
)
scattered_ratio = median_ratio(times["all weights"], times["scattered zeros"], WARMUP)
rows_ratio = median_ratio(times["all weights"], times["rows gone"], WARMUP)
print(f"scattered zeros: {scattered_ratio:.2f} times as fast    rows gone: {rows_ratio:.2f} times")
if abs(scattered_ratio - 1) < 0.2:
    print("→ Zeros in a dense matrix change nothing to speak of.")
else:
    print("→ More than a fifth of a difference: was the machine busy? Run this cell again.")

# %% [markdown]
# A processor multiplies by 0.0 just as long as by 0.7; nobody tells it that there is nothing to do. **A mask by
# itself makes nothing faster.** Whole rows do, since they are really not there any more.
#
# To gain from *scattered* zeros, the product must not meet them at all.

# %% [markdown]
# ## 3 · Leave them out
#
# Compressed sparse rows (CSR, lesson 04) hold just what is kept: the `values`, row after row; the `columns` they
# stood in; and `pointers` that say where each row begins. Row $o$ owns the places from $p_o$ up to, not including,
# $p_{o+1}$.

# %%
small = np.array([[0, 5, 0, 6], [0, 0, 0, 0], [7, 0, 8, 0]], np.float32)
csr = mp.sparse.CSR.from_dense(small, small != 0)
print(small)
print("values  ", csr.values)
print("columns ", csr.offsets)
print("pointers", csr.start, "← row 1 is empty: it ends where it begins")

# %% [markdown]
# The product of such a matrix with a batch of inputs $x$ of shape (columns, batch) visits kept weights only:
#
# $$y_{o,n} = \sum_{j=p_o}^{p_{o+1}-1} v_j \; x_{c_j,\,n}$$
#
# Write it with three plain loops: over the rows, over the kept weights of the row, over the batch. It will be
# compiled later, and simple loops over single numbers are what a compiler likes best.


# %% tags=["exercise"]
def sparse_product(values, columns, pointers, x):
    """Return the product of a sparse matrix in CSR form with the dense `x`, visiting kept weights only: row o is the
    sum of `values[j] * x[columns[j]]` over all j from `pointers[o]` up to, not including, `pointers[o + 1]`.

    Args:
        values: float array (kept,), the weights that are kept, row after row.
        columns: int array (kept,), the column of each.
        pointers: int array (rows + 1,), where each row begins; a row may be empty.
        x: float array (columns of the matrix, batch).

    Returns:
        array (rows, batch) of the dtype of x.
    """
    ### BEGIN SOLUTION
    result = np.zeros((len(pointers) - 1, x.shape[1]), x.dtype)
    for row in range(len(pointers) - 1):
        for j in range(pointers[row], pointers[row + 1]):
            value, column = values[j], columns[j]
            for n in range(x.shape[1]):
                result[row, n] += value * x[column, n]
    return result
    ### END SOLUTION


# %% [markdown]
# **First as it is, in plain Python**, with a tenth of the multiplications of the dense product.

# %%
sparse_product = use("sparse_product")


def as_csr(weights):
    """(values, columns, pointers) of the entries that are not zero; columns as int32."""
    rows = mp.sparse.CSR.from_dense(weights, weights != 0)
    return rows.values, rows.offsets.astype(np.int32), rows.start


def typical(times):
    """{name: median seconds}, warm-up left out."""
    return {name: float(np.median(seconds[WARMUP:])) for name, seconds in times.items()}


# %%
csr = as_csr(scattered)
python = take_turns({"NumPy": lambda: weights @ x, "loops": lambda: sparse_product(*csr, x)}, 2)
python_ratio = median_ratio(python["loops"], python["NumPy"], WARMUP)
print(f"Python loops {typical(python)['loops'] * 1e3:.0f} ms, with a tenth of the multiplications")
print(f"NumPy        {typical(python)['NumPy'] * 1e3:.2f} ms, with all of them")
if python_ratio > 1:
    print(f"→ The sparse product in Python is {python_ratio:,.0f} times as slow as the dense one.")
else:
    print("→ Yours is the faster. Does it work in large pieces, with NumPy inside?")

# %% [markdown]
# **Fewer operations, and yet slower**, unless you found a way around loops: each step of a Python loop costs far more
# than a multiplication. Speed is *operations × time per operation*, and pruning touches only the first factor.
#
# **Now compiled.** `numba.njit` translates your very function into machine code.

# %%
from minprune.course.lesson import find_course


def compiled(function):
    """`function` compiled by numba and tried once; the reference where numba cannot compile it."""
    try:
        fast = numba.njit(function)
        fast(*csr, x)
        return fast
    except numba.core.errors.NumbaError as error:
        print("▶▶ USING THE REFERENCE: numba cannot compile your sparse_product:")
        print("   ", str(error).strip().splitlines()[0])
        return compiled(find_course().find("08").reference.sparse_product)


fast_product = compiled(sparse_product)
error = np.abs(fast_product(*csr, x) - scattered @ x).max()
print(f"largest difference from the dense product: {error:.1g}")


# %%
def with_zeros(outputs, inputs, sparsity):
    """Random weights (outputs, inputs), exactly the share `sparsity` of them zero, scattered."""
    order = np.random.default_rng(1).permutation(outputs * inputs).reshape(outputs, inputs)
    weights = np.random.default_rng(0).standard_normal((outputs, inputs), dtype=np.float32)
    return np.where(order < round(sparsity * weights.size), np.float32(0), weights)


SPARSITIES = [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98]


def race(sparsity):
    """Median seconds of NumPy's product and of the compiled loops."""
    dense = with_zeros(300, 784, sparsity)
    csr = as_csr(dense)
    calls = {"dense": lambda: dense @ x, "sparse": lambda: fast_product(*csr, x)}
    return {"sparsity": sparsity} | typical(take_turns(calls))


curve = pd.DataFrame([race(sparsity) for sparsity in SPARSITIES])
print((curve.set_index("sparsity") * 1e6).round(1).to_string(), "\n(microseconds)")

# %% [markdown]
# The dense column stays where it is. The sparse one shrinks with what is kept. Somewhere they may cross.
#
# Where exactly lies between two measured points; a straight line will do. And timings are noisy: one lucky point must
# not count, so the crossing is the one **from which on sparse stays ahead**.


# %% tags=["exercise"]
def break_even(sparsities, dense_seconds, sparse_seconds):
    """Return the sparsity from which on, to the end of the list, the sparse product is at least as fast as the dense
    one; between two measured points take the difference `dense - sparse` as a straight line. None if the last is slower.

    Args:
        sparsities: list of the measured sparsities, ascending.
        dense_seconds: list of the dense product's time at each.
        sparse_seconds: list of the sparse product's time at each.

    Returns:
        a float; the first of `sparsities` if sparse is nowhere slower, None if it is slower at the last.
    """
    ### BEGIN SOLUTION
    gains = [dense - sparse for dense, sparse in zip(dense_seconds, sparse_seconds)]
    slower = [i for i, gain in enumerate(gains) if gain < 0]
    if not slower:
        return sparsities[0]
    last = slower[-1]
    if last == len(gains) - 1:
        return None
    share = -gains[last] / (gains[last + 1] - gains[last])
    return sparsities[last] + share * (sparsities[last + 1] - sparsities[last])
    ### END SOLUTION


# %%
break_even = use("break_even")
crossing = break_even(SPARSITIES, list(curve["dense"]), list(curve["sparse"]))
with plots.style():
    figure = Figure(figsize=(6.4, 4))
    axes = figure.subplots()
    for name, label in (("dense", "NumPy, all weights"), ("sparse", "your loops, compiled")):
        axes.plot(curve["sparsity"], curve[name] * 1e3, label=label)
    axes.plot(0.9, typical(python)["loops"] * 1e3, label="your loops in Python", ls="")
    if crossing is not None:
        axes.axvline(crossing, color="0.35", ls="--", lw=1.5, marker="")
    axes.set(yscale="log", xlabel="sparsity: share of zeros", ylabel="milliseconds (logarithmic)")
    axes.set_title("A layer 300 × 784, batch of 64", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
where = "they do not cross" if crossing is None else f"they cross at {crossing:.0%} (dashed)"
show(
    figure,
    alt=f"Time against sparsity, of NumPy and of the compiled loops: {where}. One point for loops in Python.",
    table=curve,
)
print(f"Dense and compiled sparse product: {where}.")

# %% [markdown]
# Compare with the fourth number that you wrote down. "Half the weights, half the time" would have sparse ahead from the
# first zero on.
#
# **If yours do not cross**, look at your innermost loop. A version that makes a small array for every kept weight,
# `result[row] += values[j] * x[columns[j]]`, is right, and short, and slow: it asks for memory tens of thousands of
# times. Three loops over single numbers compile to much faster code.

# %% [markdown]
# ## 4 · Why: the roofline
#
# Whatever a product does, it has to do two things: **compute**, and **fetch** the numbers it computes with. Two
# properties of a machine bound the time from below, the most multiply-accumulates (MACs) per second and the most bytes
# per second:
#
# $$t \;\ge\; \max\left(\frac{\text{MACs}}{\text{peak}},\; \frac{\text{bytes}}{\text{bandwidth}}\right)$$
#
# This is the *roofline* (Williams, Waterman and Patterson 2009). First, the work of a layer in both currencies.


# %% tags=["exercise"]
def layer_work(outputs, inputs, batch, kept=None):
    """Return (MACs, bytes) of a Dense layer's product in float32. One MAC per weight and image. Bytes count weights,
    inputs and outputs once each. Dense (`kept` is None): 4 per weight. CSR: 8 per kept weight (value and int32 column)
    and 4 for each of the `outputs + 1` pointers.

    Args:
        outputs: rows of the weight matrix.
        inputs: its columns.
        batch: how many images.
        kept: how many weights are kept and visited, or None for a dense product.

    Returns:
        a tuple of two ints.
    """
    ### BEGIN SOLUTION
    activations = 4 * batch * (inputs + outputs)
    if kept is None:
        return outputs * inputs * batch, 4 * outputs * inputs + activations
    return kept * batch, 8 * kept + 4 * (outputs + 1) + activations
    ### END SOLUTION


# %% tags=["exercise"]
def roofline_seconds(macs, bytes_moved, peak_macs, bandwidth):
    """Return the least time, in seconds, in which a machine can do `macs` multiply-accumulates and move `bytes_moved`
    bytes. Computing and moving go on at the same time, so the slower of the two decides.

    Args:
        macs: number of multiply-accumulates.
        bytes_moved: number of bytes.
        peak_macs: the most multiply-accumulates per second.
        bandwidth: the most bytes per second.

    Returns:
        a float.
    """
    ### BEGIN SOLUTION
    return max(macs / peak_macs, bytes_moved / bandwidth)
    ### END SOLUTION


# %% [markdown]
# Now your machine. For the peak we take the best that we see NumPy do on square matrices. For the bandwidth, the faster
# of reading an array and copying it. Both are to be limits, so here the best time counts, for once. A small array stays
# in the processor's cache, a large one comes from farther away: **there are several bandwidths**, so we measure it for
# an array as large as the layer.

# %%
layer_work, roofline_seconds = use("layer_work"), use("roofline_seconds")


def measure_peak():
    """MACs per second, the best that NumPy does on one core."""
    squares = {n: rng.standard_normal((n, n), dtype=np.float32) for n in (256, 512, 1024)}
    times = take_turns({n: lambda w=w: w @ w for n, w in squares.items()}, 8)
    return max(n**3 / min(seconds) for n, seconds in times.items())


def measure_bandwidth(nbytes):
    """Bytes per second for an array of `nbytes`: finding its largest entry, or copying it."""
    a = np.ones(nbytes // 4, np.float32)
    b = np.empty_like(a)
    times = take_turns({"read": a.max, "copy": lambda: np.copyto(b, a)}, 8)
    return max(nbytes / min(times["read"]), 2 * nbytes / min(times["copy"]))


SMALL, LARGE = (300, 784), (4096, 4096)
peak = measure_peak()
bandwidths = {shape: measure_bandwidth(4 * shape[0] * shape[1]) for shape in (SMALL, LARGE)}
print(f"peak {peak / 1e9:.0f} GMAC/s")
for (outputs, inputs), rate in bandwidths.items():
    print(f"bandwidth, {4 * outputs * inputs / 2**20:5.1f} MiB: {rate / 1e9:.0f} GB/s")

# %% [markdown]
# Two layers, a small and a large one, dense and with 90 % of zeros (your compiled loops), for several batches. For each
# we note the time that the roof allows and the time that it took.

# %%
points = []


def compare_with_roof(weights, batch, kept=None):
    """Measure one product and note it beside what the roofline allows."""
    shape, x = weights.shape, rng.standard_normal((weights.shape[1], batch), dtype=np.float32)
    csr = as_csr(weights) if kept else None
    call = (lambda: fast_product(*csr, x)) if kept else (lambda: weights @ x)
    took = typical(take_turns({"it": call}, 5 if shape == LARGE else 20))["it"]
    macs, moved = layer_work(*shape, batch, kept)
    roof = roofline_seconds(macs, moved, peak, bandwidths[shape])
    name = f"{shape[0]} × {shape[1]}" + (", 90 % zeros" if kept else "")
    bound = "computing" if macs / peak > moved / bandwidths[shape] else "fetching"
    rates = {"MACs per byte": macs / moved, "GMAC/s": macs / took / 1e9}
    seconds = {"roof µs": roof * 1e6, "took µs": took * 1e6, "took / roof": took / roof}
    points.append({"layer": name, "batch": batch, "bound": bound} | seconds | rates)


for shape, sparse_batches in ((SMALL, (1, 64)), (LARGE, (1,))):
    dense, pruned = with_zeros(*shape, 0.0), with_zeros(*shape, 0.9)
    for batch in (1, 4, 16, 64, 256):
        compare_with_roof(dense, batch)
    for batch in sparse_batches:
        compare_with_roof(pruned, batch, kept=np.count_nonzero(pruned))
roofs = pd.DataFrame(points)
print(roofs.round(1).to_string(index=False))

# %%
beside = {"300 × 784": (0, 8), "300 × 784, 90 % zeros": (-12, -4)}  # where a batch size is written
beside["4096 × 4096, 90 % zeros"] = (12, -4)
with plots.style():
    figure = Figure(figsize=(6.4, 4.6))
    axes = figure.subplots()
    span = np.geomspace(roofs["MACs per byte"].min() / 1.5, roofs["MACs per byte"].max() * 1.5, 200)
    for (shape, rate), style in zip(bandwidths.items(), ("-", "--")):
        height = np.minimum(span * rate, peak) / 1e9
        label = f"roof, {4 * shape[0] * shape[1] / 2**20:.0f} MiB"
        axes.plot(span, height, style, color="0.45", marker="", lw=1.5, label=label)
    for name, group in roofs.groupby("layer", sort=False):
        axes.plot(group["MACs per byte"], group["GMAC/s"], ls="", ms=8, label=name)
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
        for batch, *place in zip(group["batch"], group["MACs per byte"], group["GMAC/s"]):
            axes.annotate(batch, place, xytext=beside.get(name, (0, -17)), **style)
    axes.set_ylim(roofs["GMAC/s"].min() / 2, peak / 1e9 * 1.6)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="MACs per byte moved (logarithmic)", ylabel="GMAC per second (logarithmic)")
    axes.set_title("Numbers are batch sizes", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
show(
    figure,
    alt="Roofline: speed against MACs per byte. A slanting roof turns level at the peak. Dense products follow it: "
    "small batches lie under the slope, large ones near the level part. Sparse points lie lower.",
    table=roofs,
)

# %% [markdown]
# **Read it from the left.** With a batch of one, every weight is fetched to be used once: the slope decides, and the
# computing is nearly free. With a larger batch each fetched weight is used again and again, until computing decides.
#
# A roof is a bound and not a promise. (A point a little above it tells that the product fetches better than our probe.)

# %%
large = roofs[roofs["layer"] == "4096 × 4096"].set_index("batch")["took µs"]
print(f"the large layer: 64 images take {large[64] / large[1]:.1f} times as long as one, not 64")
rate = roofs.set_index(["layer", "batch"])["GMAC/s"]
for name, batch in (("300 × 784", 1), ("300 × 784", 64), ("4096 × 4096", 1)):
    dense_rate, sparse_rate = rate[name, batch], rate[f"{name}, 90 % zeros", batch]
    crossing_there = 1 - sparse_rate / dense_rate
    claim = f"pays from {crossing_there:.1%}" if crossing_there > 0 else "always pays"
    print(f"{name}, batch {batch}: dense {dense_rate:.1f}, sparse {sparse_rate:.1f} GMAC/s → {claim}")
print("measured above, batch 64:", "never" if crossing is None else f"from {crossing:.0%}")

# %% [markdown]
# That is the whole secret of the crossover. If the dense product does $r_d$ MACs a second and the sparse one $r_s$,
# they are level where
#
# $$\frac{1-s}{r_s} = \frac{1}{r_d} \quad\Longleftrightarrow\quad s^{*} = 1 - \frac{r_s}{r_d}.$$
#
# A dense product reads its weights in order and keeps blocks of the output in registers. A sparse one looks up a
# column, jumps there, and does little before it jumps again. **Its rate per kept weight is lower, so the zeros must
# first pay for that.**
#
# **Could we do better?** Where fetching decides, CSR costs 8 bytes per kept weight against 4 per weight: the roof alone
# would let sparse pay from $8(1-s) = 4$, half of the weights. Two-byte columns would move that to a third. What lies
# between the roof and your loops is the craft of writing kernels.

# %% [markdown]
# ## 5 · The real kernels
#
# `mp.sparse.compile` makes an *engine* of a pruned network. For every layer it **times both ways** on your machine and
# takes the quicker: it does what you have just done. Its report says what it found.

# %%
network = mp.models.LeNet300100(rng=np.random.default_rng(0)).eval()
pruned = network.copy()
mp.prune.cut(pruned, 0.9, criterion="magnitude", scope="layer")
engine = mp.sparse.compile(pruned, (1, 28, 28))
print(engine.report())

# %% [markdown]
# Its sparse product keeps sixteen images or more side by side, so that one looked-up weight serves a whole vector of
# them. That is your loop over $n$, held in registers.
#
# Now the crossover, live. First the cases, and the engine of a single layer.

# %%
CASES = {(300, 784, 64): "300 × 784, batch 64", (300, 784, 1): "300 × 784, batch 1"}
CASES |= {(100, 300, 64): "100 × 300, batch 64", (10, 100, 64): "10 × 100, batch 64"}


def engine_of(outputs, inputs, sparsity):
    """A single pruned Dense layer, compiled."""
    layer = mp.nn.Linear(inputs, outputs, rng=np.random.default_rng(0))
    weights = with_zeros(outputs, inputs, sparsity)
    layer.weight.data = weights.copy()
    layer.weight.set_mask(weights != 0)
    return mp.sparse.compile(layer, (inputs,))


# %% [markdown]
# The rival must be the best that one can do *without* leaving out zeros: the quicker of NumPy and the same engine,
# unpruned. A filled mark says that the engine chose its sparse path; only those count for the break-even.


# %%
def race_engine(outputs, inputs, batch, sparsity):
    """Median seconds of the better dense product and of the engine, and the engine's path."""
    images = rng.standard_normal((batch, inputs), dtype=np.float32)  # (N, K)
    weights, engine = with_zeros(outputs, inputs, sparsity), engine_of(outputs, inputs, sparsity)
    unpruned = engine_of(outputs, inputs, 0.0)
    calls = {"NumPy": lambda: images @ weights.T, "unpruned": lambda: unpruned(images)}
    times = typical(take_turns(calls | {"engine": lambda: engine(images)}, 60))
    dense = min(times["NumPy"], times["unpruned"])
    return times | {"dense": dense, "path": engine.paths[0].path}


races = [(shape, sparsity) for shape in CASES for sparsity in SPARSITIES]
table = pd.DataFrame({"case": CASES[shape], "sparsity": s} | race_engine(*shape, s) for shape, s in races)
table["speed-up"] = table["dense"] / table["engine"]
starts = dict.fromkeys(CASES.values())
for case, group in table[table["path"] == "sparse"].groupby("case"):
    starts[case] = break_even(*(list(group[key]) for key in ("sparsity", "dense", "engine")))
pays = {c: "never pays" if start is None else f"pays from {start:.0%}" for c, start in starts.items()}

# %%
with plots.style():
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    for case, group in table.groupby("case", sort=False):
        x_values, y_values = group["sparsity"], group["speed-up"]
        (line,) = axes.plot(x_values, y_values, mfc="white", label=f"{case}: {pays[case]}")
        filled = group[group["path"] == "sparse"]
        marks = {"marker": line.get_marker(), "color": line.get_color(), "ls": ""}
        axes.plot(filled["sparsity"], filled["speed-up"], **marks)
        if starts[case] is not None:
            axes.plot(starts[case], 1, "|", ms=18, mew=2.5, color=line.get_color(), zorder=5)
    axes.axhline(1, color="0.25", lw=1.2, marker="")
    axes.set(yscale="log", xlabel="sparsity: share of zeros", ylabel="dense time / engine's time")
    axes.set_title("The pruned engine against the best dense product", fontsize=12)
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10], labels=["0.2×", "0.5×", "1×", "2×", "5×", "10×"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.text(0.02, 0.96, "above 1×: zeros pay", transform=axes.transAxes, color="0.35", va="top")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9.5)
said = "; ".join(f"{case}: {result}" for case, result in pays.items())
alt = f"Speed-up of the pruned engine over the better dense product against sparsity. {said}."
show(figure, alt=alt, table=table)

# %% [markdown]
# ### Where it loses
#
# It is as important to know where pruning single weights does *not* buy time. Three usual suspects; the verdicts are
# your machine's.


# %%
def race_of(case, sparsity):
    """The row of the table for a case and a sparsity."""
    return table[(table["case"] == case) & (table["sparsity"] == sparsity)].iloc[0]


def verdict(case, sparsity):
    """Who won, in words."""
    row = race_of(case, sparsity)
    times = f"dense {row['dense'] * 1e6:.1f} µs, engine {row['engine'] * 1e6:.1f} µs"
    if row["speed-up"] > 1.1:
        return f"{times}: the engine wins, {row['speed-up']:.1f} times as fast"
    if row["speed-up"] < 1 / 1.1:
        return f"{times}: the engine loses, {1 / row['speed-up']:.1f} times as slow"
    return f"{times}: a draw"


print("few zeros, 30 %      ", verdict("300 × 784, batch 64", 0.3))
print("a small layer, 90 %  ", verdict("10 × 100, batch 64", 0.9))
print("a single image, 90 % ", verdict("300 × 784, batch 1", 0.9))
print("against: batch 64, 90 %", verdict("300 × 784, batch 64", 0.9))

# %% [markdown]
# - **Few zeros**: the slower rate per kept weight is not paid for yet. Where the mark is hollow, the engine itself
#   preferred to multiply the zeros. (A filled mark below 1× is a choice that looked good when it was timed on one panel
#   of images, and was not for this batch.)
# - **A small layer**: the call itself takes microseconds, whatever was pruned. Nothing that is left out gives them back.
#   Where the engine wins here all the same, its calls are the cheaper ones.
# - **A single image**: two things pull in opposite directions. One looked-up weight serves one number instead of a vector
#   of them, which slows the sparse product down. But the dense one has to fetch every weight for a single use (part 4),
#   so that fetching fewer can save more. Which pull is stronger, your machine says:

# %%
one, many = (race_of(case, 0.9)["speed-up"] for case in ("300 × 784, batch 1", "300 × 784, batch 64"))
print(f"with 90 % of zeros a single image is {one:.1f} times as fast as dense, a batch of 64 {many:.1f} times")
if max(one, many) < 1.2 * min(one, many):
    print("→ About the same: the two pulls are level.")
elif one < many:
    print("→ The batch gains more: sharing what was looked up matters most.")
else:
    print("→ The single image gains more: fetching less matters most.")

# %% [markdown]
# ### A tenth of the MACs: a tenth of the time?
#
# Papers often report the *theoretical* speed-up, MACs before divided by MACs after (Blalock et al. 2020 ask for it by
# that name). Beside it, the clock: the whole network with 90 % of its weights scattered away, and with half of its
# hidden units really gone.

# %%
halved = network.copy()
mp.prune.cut(halved, 0.5, criterion="magnitude", scope="layer", granularity="channel")
halved = mp.prune.compact(halved)
models = {"dense": network, "90 % of the weights gone": pruned, "half of the units gone": halved}
engines = {name: mp.sparse.compile(model, (1, 28, 28)) for name, model in models.items()}
work = {name: mp.metrics.macs(model, (1, 28, 28)) for name, model in models.items()}
macs = {name: sum(layer.sparse for layer in layers) for name, layers in work.items()}
rows = {name: {"MACs": macs[name], "theoretical": macs["dense"] / macs[name]} for name in models}
for batch in (1, 64):
    images = rng.random((batch, 1, 28, 28), dtype=np.float32)
    calls = {name: lambda e=e, images=images: e(images) for name, e in engines.items()}
    times = take_turns(calls, 60)
    for name in models:
        rows[name][f"µs, batch {batch}"] = typical(times)[name] * 1e6
        rows[name][f"speed-up, batch {batch}"] = median_ratio(times["dense"], times[name], WARMUP)
print(pd.DataFrame(rows).T.round(1).to_string())
theory, clock = rows["90 % of the weights gone"]["theoretical"], rows["90 % of the weights gone"]
for batch in (1, 64):
    short = clock[f"speed-up, batch {batch}"] < theory / 1.1
    print(f"batch {batch}: the clock", "falls short of" if short else "keeps up with", "the theory")

# %% [markdown]
# **Say both, always**: what was saved on paper, and what the clock says, with batch, threads, library and machine. A
# speed-up without them is a rumour.
#
# Other hardware moves the crossover and does not remove it. GPUs gain from scattered zeros with kernels written for
# that (Gale et al. 2020), or from a pattern that they know how to read: two zeros in every four (Mishra et al. 2021,
# lesson 07).

# %% [markdown]
# ## 6 · The companion: fewer bits
#
# Pruning asks *which* weights are needed. Quantisation asks **how precisely** they are needed. A float32 has 32 bits;
# perhaps 8 do, or 4? *Write down a guess*: to how many bits can the weights of a digit network be rounded before it
# loses a point of accuracy?
#
# The simplest way is *symmetric rounding*. With $b$ bits there are the whole numbers from $-L$ to $L$, where
# $L = 2^{b-1} - 1$:
#
# $$\Delta = \frac{\max |w|}{L}, \qquad q = \mathrm{round}\left(\frac{w}{\Delta}\right), \qquad \hat w = \Delta\, q$$
#
# Symmetric has a point for us: $w = 0$ becomes $q = 0$, exactly. **A pruned weight stays pruned.**


# %% tags=["exercise"]
def quantize(weights, bits):
    """Return `weights` rounded to whole numbers of `bits` bits, and the scale: (q, scale) with scale = max |weights| / L,
    L = 2 ** (bits - 1) - 1, and q = weights / scale, rounded to the nearest. If all weights are zero, the scale is 1.

    Args:
        weights: float array of any shape.
        bits: an int from 2 to 8.

    Returns:
        a tuple: q, an int8 array of the same shape with values from -L to L; and the scale, a float.
    """
    ### BEGIN SOLUTION
    largest = np.abs(weights).max()
    scale = largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0
    return np.round(weights / scale).astype(np.int8), float(scale)
    ### END SOLUTION


# %% [markdown]
# Grow five networks for the digits (LeNet-300-100 on 8×8 pixels, five seeds), and prune a copy of each to 10 % of its
# weights, little by little. The dense one gets as many epochs of fine-tuning as its copy.

# %%
quantize = use("quantize")
SEEDS, NAMES = range(5), ["dense", "90 % pruned"]


def grow(seed):
    """(splits, dense network, its copy pruned by 90 %), all with the same number of epochs."""
    splits = mp.data.load("digits", seed=seed)
    dense = mp.models.LeNet300100((1, 8, 8), rng=np.random.default_rng(seed))
    recipe = mp.train.Recipe(epochs=20, lr=0.05)
    mp.train.fit_recipe(dense, splits, recipe, rng=np.random.default_rng(seed), progress="")
    thin, recipe = dense.copy(), mp.train.Recipe(epochs=5, lr=0.05)
    for sparsity in (0.6, 0.8, 0.9):
        mp.prune.cut(thin, sparsity, criterion="magnitude", scope="global")
        for model in (dense, thin):
            mp.train.fit_recipe(model, splits, recipe, rng=np.random.default_rng(seed), progress="")
    return splits, dense, thin


grown, floats = [grow(seed) for seed in SEEDS], {}
for i, name in enumerate(NAMES, start=1):
    scores = [mp.train.evaluate(trio[i], trio[0].val).accuracy for trio in grown]
    floats[name] = float(np.mean(scores))
    print(f"{name:12} validation accuracy {floats[name]:.1%} ± {np.std(scores, ddof=1):.1%}, n = 5")

# %% [markdown]
# What does rounding do to a layer? Move the slider. Grey is the histogram of the weights, the lines are the values that
# can still be told apart.

# %%
layer = grown[0][1].fc1.weight.data


def draw(bits):
    """The weights of a layer and the grid that they are rounded to."""
    q, scale = quantize(layer, bits)
    levels = np.unique(q)
    error = np.sqrt(np.mean((q * scale - layer) ** 2)) / layer.std()
    with plots.style():
        figure = Figure(figsize=(6.4, 3))
        axes = figure.subplots()
        axes.hist(layer.ravel(), bins=80, color="0.75")
        axes.vlines(levels * scale, 0, 1, color="#D55E00", lw=0.8, transform=axes.get_xaxis_transform())
        title = f"{bits} bits: {len(levels)} values in use, error {error:.1%} of the spread"
        axes.set_title(title, fontsize=12)
        axes.set(xlabel="weight", ylabel="number of weights", yscale="log")
    return figure


explore(
    draw,
    range(2, 9),
    "bits",
    alt="Histogram of a layer's weights with the 4-bit grid over it: most weights lie between a few middle lines.",
    start=4,
)

# %% [markdown]
# At few bits one large weight stretches the grid for everybody, and nearly all others fall to zero. A remedy: **one
# scale per output unit** (*per channel*, Krishnamoorthi 2018) instead of one for the whole matrix (*per tensor*).
#
# We replace the weights of both networks by $\hat w$ and look at the validation accuracy.


# %%
def rounded(weights, bits, per_channel):
    """(q, scales) of a weight (O, K): one scale for each row, or the same for all of them."""
    if per_channel:
        pairs = [quantize(row, bits) for row in weights]
    else:
        q, scale = quantize(weights, bits)
        pairs = [(row, scale) for row in q]
    return np.stack([q for q, _ in pairs]), np.array([scale for _, scale in pairs], np.float32)


def rounded_model(model, bits, per_channel):
    """A copy of `model` whose matrices are what is left of them after rounding."""
    copy = model.copy()
    for _, parameter in copy.named_parameters():
        if parameter.ndim == 2:
            q, scales = rounded(parameter.data, bits, per_channel)
            parameter.data = (q * scales[:, None]).astype(np.float32)
    return copy


# %%
BITS = (2, 3, 4, 5, 6, 8)
SCALES = ("per tensor", "per channel")


def sweep(model, split):
    """Accuracy of `model` for every number of bits and both kinds of scale."""
    for scale in SCALES:
        for bits in BITS:
            small = rounded_model(model, bits, scale == "per channel")
            yield {"scale": scale, "bits": bits, "accuracy": mp.train.evaluate(small, split).accuracy}


runs = pd.DataFrame(
    {"network": name, "seed": seed} | row
    for seed, (splits, *models) in zip(SEEDS, grown)
    for name, model in zip(NAMES, models)
    for row in sweep(model, splits.val)
)
by_bits = runs.groupby(["network", "scale", "bits"], sort=False)["accuracy"]
by_bits = by_bits.agg(["mean", "std"]).reset_index()

# %%
with plots.style():
    figure = Figure(figsize=(6.4, 4))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, NAMES):
        axes.axhline(floats[name], color="0.25", ls="--", lw=1.5, marker="", label="float32")
        for scale in SCALES:
            rows = by_bits[(by_bits["network"] == name) & (by_bits["scale"] == scale)]
            (line,) = axes.plot(rows["bits"], rows["mean"], label=scale)
            low, high = rows["mean"] - rows["std"], (rows["mean"] + rows["std"]).clip(upper=1)
            axes.fill_between(rows["bits"], low, high, color=line.get_color(), alpha=0.2, lw=0)
        axes.set(xlabel="bits per weight", xticks=BITS, ylim=(0, 1.02))
        axes.set_title(name, fontsize=12)
    panels[0].set_ylabel("validation accuracy")
    marks = panels[0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside lower center", ncols=3, frameon=False)
show(
    figure,
    alt="Validation accuracy against bits per weight, a panel for the dense and one for the pruned network, with bands "
    "of one standard deviation over five seeds. Both are level down to a few bits and fall at two; a scale per "
    "channel falls less.",
    table=by_bits,
)

# %% [markdown]
# The same shape as a pruning curve: **flat, then a cliff**. Five seeds, the band is one standard deviation.
#
# Which number of bits would you take? That is a choice, so the validation images make it: the fewest bits whose mean
# accuracy is within one point of float32. Then, once, we look at the test images.

# %%
for i, name in enumerate(NAMES, start=1):
    rows = by_bits[(by_bits["network"] == name) & (by_bits["scale"] == "per channel")]
    good = rows[rows["mean"] >= floats[name] - 0.01]["bits"]
    bits = int(good.min()) if len(good) else max(BITS)
    exact = [mp.train.evaluate(trio[i], trio[0].test).accuracy for trio in grown]
    few = [(rounded_model(trio[i], bits, per_channel=True), trio[0].test) for trio in grown]
    short = [mp.train.evaluate(model, test).accuracy for model, test in few]
    print(
        f"{name:12} {bits} bits: test {np.mean(short):.1%} ± {np.std(short, ddof=1):.1%}, "
        f"float32 {np.mean(exact):.1%} ± {np.std(exact, ddof=1):.1%}"
    )

# %% [markdown]
# Compare with your guess. A choice flatters itself a little on the images that made it: on the test images the loss may
# well be more than the point we allowed. That is what they are for. (Nothing was trained after rounding; with that, one
# gets lower still. Han et al. 2016 prune, round to shared values, train these, and add Huffman codes: *Deep
# Compression*.)

# %% [markdown]
# ### Both together, in bytes
#
# Pruning leaves out weights, rounding makes the rest cheaper. What does *not* get cheaper is to know
# **where** the kept weights are: here one bit for each place. For each network and number of bits, with a scale per
# channel:

# %%


def stored_bytes(model, bits):
    """Bytes of the matrices: `bits` per kept weight, a bit per place if pruned, a float32 scale per row if rounded."""
    total = 0
    for _, parameter in model.named_parameters():
        if parameter.ndim == 2:
            pruned = parameter.mask is not None
            kept = int(parameter.mask.sum()) if pruned else parameter.size
            scales = 4 * len(parameter.data) if bits < 32 else 0
            total += -(-kept * bits // 8) + scales + (-(-parameter.size // 8) if pruned else 0)
    return total


means = by_bits[by_bits["scale"] == "per channel"].set_index(["network", "bits"])["mean"]
size_rows = []
for name, model in zip(NAMES, grown[0][1:]):
    for bits in (*BITS, 32):
        accuracy = floats[name] if bits == 32 else means[name, bits]
        row = {"network": name, "bits": bits, "bytes": stored_bytes(model, bits)}
        size_rows.append(row | {"accuracy": accuracy})
sizes = pd.DataFrame(size_rows)

# %%
with plots.style():
    figure = Figure(figsize=(6.4, 4))
    axes = figure.subplots()
    for name, height in zip(NAMES, (8, -16)):
        rows = sizes[sizes["network"] == name]
        axes.plot(rows["bytes"], rows["accuracy"], label=name)
        for bits, *place in zip(rows["bits"], rows["bytes"], rows["accuracy"]):
            if bits in (2, 4, 8, 32):
                below = {"xytext": (0, height), "textcoords": "offset points"}
                axes.annotate(bits, place, ha="center", fontsize=10, **below)
    axes.set(xscale="log", ylim=(sizes["accuracy"].min() - 0.08, 1.02))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([1e4, 2e4, 5e4, 1e5, 2e5], labels=["10 kB", "20 kB", "50 kB", "100 kB", "200 kB"])
    axes.set(xlabel="bytes of all matrices (logarithmic)", ylabel="mean validation accuracy")
    axes.set_title("Numbers are bits per weight", fontsize=12)
    axes.legend(loc="lower right", frameon=False)
show(
    figure,
    alt="Mean validation accuracy against bytes, logarithmic, a line for the dense and one for the pruned network. The "
    "pruned line lies to the left: for the same accuracy it needs fewer bytes.",
    table=sizes,
)

# %% [markdown]
# **Equal bytes, two ways.** Compare the pruned network in float32 with a dense one that is rounded until it is no larger:

# %%
thin_size = sizes[(sizes["network"] == NAMES[1]) & (sizes["bits"] == 32)].iloc[0]
rivals = sizes[(sizes["network"] == NAMES[0]) & (sizes["bytes"] <= 1.05 * thin_size["bytes"])]
rival = rivals.iloc[-1]
print(f"pruned, 32 bits: {thin_size['bytes']:,} bytes, accuracy {thin_size['accuracy']:.1%}")
print(f"dense, {rival['bits']:2} bits:  {rival['bytes']:,} bytes, accuracy {rival['accuracy']:.1%}")
if rival["accuracy"] > thin_size["accuracy"]:
    print("→ At this size, rounding alone is the better buy.")
else:
    print("→ At this size, pruning alone is the better buy.")

# %% [markdown]
# Neither is the better trick by nature. Each alone runs into its cliff. To get smaller still, it takes a bit of both: the
# line on the left.

# %% [markdown]
# ### On disk, and back
#
# A sum on paper is not a file. Here are four files of the first network, and the last one is read back.

# %%
import tempfile
from pathlib import Path

from safetensors.numpy import load_file, save_file


def pack(model):
    """The arrays of a network whose matrices are int8 with a scale per row; of a pruned one only what is kept."""
    arrays = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            arrays[name] = parameter.data  # biases stay as they are
            continue
        q, arrays[f"{name}.scales"] = rounded(parameter.data, 8, per_channel=True)
        if parameter.mask is None:
            arrays[f"{name}.q"] = q
        else:
            arrays[f"{name}.q"] = q[parameter.mask]
            arrays[f"{name}.mask"] = np.packbits(parameter.mask)
    return arrays


# %%
def unpack(arrays, like):
    """A network like `like`, whose matrices come from the arrays of a pruned one."""
    model = like.copy()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.data = arrays[name]
            continue
        mask = np.unpackbits(arrays[f"{name}.mask"], count=parameter.size).astype(bool)
        q = np.zeros(parameter.size, np.float32)
        q[mask] = arrays[f"{name}.q"]
        parameter.data = q.reshape(parameter.shape) * arrays[f"{name}.scales"][:, None]
    return model


# %%
splits, dense, thin = grown[0]
with tempfile.TemporaryDirectory() as folder:
    files = {name: Path(folder) / name for name in ("dense", "pruned", "dense int8", "pruned int8")}
    mp.checkpoint.save(dense, files["dense"])
    mp.checkpoint.save(thin, files["pruned"])
    save_file(pack(dense), files["dense int8"])
    save_file(pack(thin), files["pruned int8"])
    nbytes = {name: path.stat().st_size for name, path in files.items()}
    back = unpack(load_file(files["pruned int8"]), thin)
for name, count in nbytes.items():
    print(f"{name:12} {count:8,} bytes   {nbytes['dense'] / count:5.1f}x")
product = nbytes["dense"] ** 2 / (nbytes["pruned"] * nbytes["dense int8"])
print(f"if the two factors simply multiplied: {product:.1f}x")

# %%
expected = rounded_model(thin, 8, per_channel=True)
with mp.no_grad():
    same = np.array_equal(back(splits.test.images).data, expected(splits.test.images).data)
print("read back, the outputs are equal to those of the rounded network:", same)

# %% [markdown]
# **The factors do not simply multiply.** The places of the kept weights take as many bytes as before; so do biases,
# scales and header. The cheaper the weights, the more the bookkeeping weighs. That is why Han et al. 2016 encode the
# places, too.

# %% [markdown]
# ### A quarter of the bytes: four times as fast?
#
# The product computes in float32 here, so int8 weights must be turned into floats first. Your machine's word on it:

# %%
weights = with_zeros(300, 784, 0.0)
q, scale = quantize(weights, 8)
step = np.float32(scale)
calls = {"float32": lambda: weights @ x, "int8": lambda: (q.astype(np.float32) * step) @ x}
times = take_turns(calls)
ratio = median_ratio(times["float32"], times["int8"], WARMUP)
print(f"int8 weights: {ratio:.2f} times as fast as float32")
if ratio < 1.1:
    print("→ No gain in time.")
else:
    print("→ A gain: unusual for this code. Measure again.")

# %% [markdown]
# **Here int8 saves bytes, not time**, for the same reason as zeros in a mask: nobody has told the multiplication. Time
# comes when inputs are whole numbers, too, and the processor's own int8 instructions do the work (Jacob et al. 2018).

# %% [markdown]
# ## Back to your predictions
#
# Four numbers and one number of bits. Which one was farthest off, and what did you believe that made it so?

# %%
compiled_ratio = float((curve["dense"] / curve["sparse"])[curve["sparsity"] == 0.9].iloc[0])


def as_fast(ratio):
    """A ratio of speeds in words; a small one as a fraction."""
    return f"{ratio:.2f} times as fast" if ratio > 0.1 else f"1/{1 / ratio:,.0f} as fast"


print("1. the zeros left in         ", as_fast(scattered_ratio))
print("2. left out, Python loops    ", as_fast(1 / python_ratio))
print("3. left out, compiled loops  ", as_fast(compiled_ratio))
print("4. break-even                ", "never" if crossing is None else f"{crossing:.0%} of zeros")

# %% [markdown]
# ## What you can do now
#
# - Compare two calls fairly: in turns, warmed up, by medians.
# - Write a sparse product, and say why it visits less and may still take longer.
# - Find the break-even of a layer, and predict it from two rates.
# - Put a layer under its roof, and tell whether computing or fetching bounds it.
# - Round weights to few bits so that zeros stay zeros, and count the bytes of both tricks together.
#
# A bonsai is not pruned to grow faster. Ask what the cut is for (bytes, time, or understanding) and measure *that*.
# Lesson 09 cuts for understanding: is a small tree in the large one that could have grown by itself?
