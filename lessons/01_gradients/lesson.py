# ---
# title: Gradients from scratch
# minutes: 100
# difficulty: 2
# needs: 00
# afterwards: differentiate any program by hand and by machine, and prove that a backward pass is right
# ---

# %% [markdown]
# # 01 · Gradients from scratch
#
# *100 minutes · ●●○ · needs: lesson 00*
#
# A grower looks at the tree and asks of every leaf: *what would change if this one were a little bigger?* A network
# asks the same of every weight. The answer is called the **gradient**. It trains the network, it heals it after a cut,
# and some pruning scores are made of it.
#
# In this lesson you build the machine that computes it, in fewer than a hundred lines.

# %% [markdown]
# ## A question first
#
# The network of lesson 00 has tens of thousands of weights. To learn, it needs the slope of the loss for *each* of
# them. You could poke every weight in turn and run the network again to see what happens: one run per weight, at least.
#
# **How many runs' worth of time does the best way take, for all slopes together: 10,000? 1,000? 100? 3?** And does a
# network with ten times as many weights need ten times as many runs? Write both guesses down. You will measure it.

# %%
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import minprune as mp
from minprune import plots
from minprune.course import check, explore, hint, show, use

# %% [markdown]
# ## 1 · The slow way: poke and look
#
# The slope of $f$ along the weight $x_i$ is how much $f$ changes per change of $x_i$. Poke to both sides and divide:
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2\,\varepsilon}$$
#
# Here $e_i$ is 1 at place $i$ and 0 elsewhere. This is the **central difference**. It is far too slow for training, but
# it needs no cleverness, so it makes a good judge: everything you write later is checked against it.

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def numeric_gradient(function, x, step):
    """Return the gradient of `function` at `x` by central differences: for each place of `x`,
    (function(x with step added there) - function(x with step taken away there)) / (2 * step). Poke
    copies in float64, so that a small step does not drown in rounding.

    Args:
        function: takes an array of the shape of x, returns a number.
        x: array of floats, of any shape; it must not be changed.
        step: how far to poke, a float.

    Returns:
        array of the shape of x, float64.
    """
    ### BEGIN SOLUTION
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        higher, lower = x.astype(np.float64), x.astype(np.float64)
        higher[place] += step
        lower[place] -= step
        result[place] = (function(higher) - function(lower)) / (2 * step)
    return result
    ### END SOLUTION


# %% [markdown]
# ### How small a step?
#
# A derivative is a limit, $\varepsilon \to 0$. So the smaller the step, the better? **Guess which step is best: $10^{-2}$,
# $10^{-6}$ or $10^{-14}$?** We know the slope of $e^x$ at $x = 1$, so we can see how wrong each one is.

# %%
numeric_gradient = use("numeric_gradient")
steps, exact = 10.0 ** -np.arange(1, 16), np.e
at = np.array([1.0])


def exponential(x):
    return float(np.exp(x[0]))


central = [abs(numeric_gradient(exponential, at, h)[0] - exact) for h in steps]
forward = [abs((exponential(at + h) - exponential(at)) / h - exact) for h in steps]
table = pd.DataFrame({"step": steps, "central": central, "one-sided": forward})
with plots.style():
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    axes.loglog(steps, central, label="central: both sides")
    axes.loglog(steps, forward, "s--", label="one-sided")
    axes.set(xlabel="step ε", ylabel="error of the slope")
    axes.set_title("Too small is as bad as too large")
    axes.legend(loc="upper center")
show(figure, "Error of the slope of eˣ at 1 against the step: both lines form a V.", table)

# %% [markdown]
# Read it from right to left. First the error falls: a shorter step hugs the curve better. Then it **rises** again: two
# nearly equal numbers are subtracted, and rounding eats their last digits.
#
# The two-sided poke is the better one by far: its error shrinks with $\varepsilon^2$, the one-sided one's with
# $\varepsilon$. The bottom of its V is wide; which step there is the very best depends on the function and on luck.
# $10^{-6}$ lies well inside. We use it, and both sides, from here on.

# %%
best = table.set_index("step").idxmin()
print(f"best step: central {best['central']:.0e}, one-sided {best['one-sided']:.0e}")

# %% [markdown]
# ## 2 · The quick way: ask each operation
#
# A network is a long chain of simple steps: multiply, add, ReLU, multiply … The chain rule says how to get through one
# step. If the loss $L$ has slope $g = \partial L / \partial y$ with respect to a step's *result* $y$, then
#
# $$\frac{\partial L}{\partial x} = g \cdot \frac{\partial y}{\partial x}$$
#
# is its slope with respect to the step's *input* $x$. So each operation only needs to answer one question: **if this
# gradient comes in at your result, what goes out at your inputs?** For $y = a \cdot b$ the answer is $(g\,b,\; g\,a)$.
# For $y = a + b$ it is $(g,\; g)$. You write the three that are not so short.

# %% [markdown]
# ### ReLU: a gate
#
# $\mathrm{ReLU}(x) = \max(x, 0)$ passes positive numbers on and stops negative ones. A gradient that comes back meets
# the same gate: open where $x$ was positive, shut elsewhere.


# %% tags=["exercise"]
def relu_backward(grad, x):
    """Return the gradient with respect to `x` for y = max(x, 0), given `grad`, the gradient with
    respect to y. At x = 0 exactly, the slope counts as 0.

    Args:
        grad: array of floats, of any shape.
        x: the input of the ReLU, of the same shape.

    Returns:
        array of the same shape.
    """
    ### BEGIN SOLUTION
    return grad * (x > 0)
    ### END SOLUTION


# %% [markdown]
# ### The matrix product: let the shapes lead
#
# A Dense layer is a matrix product, $Y = A B$: a batch $A$ of $N$ rows times the weights $B$. Each entry is
# $y_{nm} = \sum_k a_{nk}\, b_{km}$. So $a_{nk}$ touches all of $y_{n1}, y_{n2}, \dots$, and each sends its share back:
#
# $$\frac{\partial L}{\partial a_{nk}} = \sum_m g_{nm}\, b_{km}$$
#
# Which matrix product is that sum? And which is the one for $b_{km}$? A gradient always has the shape of the thing it
# belongs to. That alone nearly gives the answer.


# %% tags=["exercise"]
def matmul_backward(grad, a, b):
    """Return (da, db), the gradients with respect to `a` and `b` for y = a @ b, given `grad`, the
    gradient with respect to y.

    Args:
        grad: array (N, M).
        a: array (N, K).
        b: array (K, M).

    Returns:
        da (N, K) and db (K, M).
    """
    ### BEGIN SOLUTION
    return grad @ b.T, a.T @ grad
    ### END SOLUTION


# %% [markdown]
# ### Broadcasting: one value, many uses
#
# A bias $b$ of shape `(M,)` is added to a batch of shape `(N, M)`. NumPy quietly **stretches** it: each bias is used $N$
# times. What is its gradient? Every use sends one back, and a value that is used $N$ times answers for all of them:
# **their sum.**
#
# NumPy stretches in two ways. It puts missing axes *in front*, and it repeats axes of length 1. Your function undoes both.


# %% tags=["exercise"]
def unbroadcast(grad, shape):
    """Return `grad` summed over every axis along which an array of `shape` was stretched by
    broadcasting, so that the result has that `shape`. Axes that NumPy added in front are summed
    away; stretched axes of length 1 are summed, too, but stay, with length 1.

    Args:
        grad: array of a shape to which `shape` broadcasts, such as (4, 2, 3).
        shape: the shape before broadcasting, such as (2, 1); it may be ().

    Returns:
        array of shape `shape`.
    """
    ### BEGIN SOLUTION
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis, length in enumerate(shape):
        if length == 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad
    ### END SOLUTION


# %% [markdown]
# ## 3 · The tape
#
# Now each number has to remember what it was made from. A **node** holds its value, its parents (the inputs), and the
# function that turns a gradient at the result into one gradient per parent. The field calls that function a **vjp**,
# for vector-Jacobian product. All nodes together are the **tape**.

# %%
relu_backward, matmul_backward = use("relu_backward"), use("matmul_backward")
unbroadcast = use("unbroadcast")


class Node:
    def __init__(self, data, parents=(), vjp=None, op="leaf"):
        self.data = np.asarray(data, np.float64)
        self.parents, self.vjp, self.op = parents, vjp, op


def add(a, b):
    def vjp(g):
        return unbroadcast(g, a.data.shape), unbroadcast(g, b.data.shape)

    return Node(a.data + b.data, (a, b), vjp, "add")


def mul(a, b):
    def vjp(g):
        return unbroadcast(g * b.data, a.data.shape), unbroadcast(g * a.data, b.data.shape)

    return Node(a.data * b.data, (a, b), vjp, "mul")


# %%
def matmul(a, b):
    return Node(a.data @ b.data, (a, b), lambda g: matmul_backward(g, a.data, b.data), "matmul")


def relu(x):
    out = np.maximum(x.data, 0)
    return Node(out, (x,), lambda g: (relu_backward(g, x.data),), "relu")


def total(x):  # the sum of everything, a single number
    return Node(x.data.sum(), (x,), lambda g: (g * np.ones_like(x.data),), "sum")


# %% [markdown]
# That is enough for a network. Let us begin with something that fits on paper:
#
# $$a = x \cdot x, \qquad b = a + x, \qquad y = a \cdot b \qquad \text{at } x = 2$$
#
# **Work out $dy/dx$ by hand** before you go on. (One way: $y = x^4 + x^3$.)

# %%
x = Node(2.0)
a = mul(x, x)
b = add(a, x)
y = mul(a, b)
names = {x: "x", a: "a = x·x", b: "b = a + x", y: "y = a·b"}
print("y =", float(y.data))

# %% [markdown]
# ### In which order?
#
# A node may only pass its gradient on when it has heard from **everyone who used it**. Here $a$ is used twice, by $b$ and
# by $y$; if it spoke up after hearing from $y$ alone, half would be missing.
#
# So: list the nodes with all parents before their children, and walk that list backwards. Such a list is called a
# **topological order**. Two traps wait. Shared nodes form *diamonds*, and a walk that does not remember where it
# was visits the bottom of $k$ diamonds $2^k$ times. And a function that calls itself runs out of stack.

# %%
deep = Node(1.0)
for _ in range(5000):
    deep = add(deep, Node(1.0))


def depth(node):
    return 1 + max((depth(parent) for parent in node.parents), default=0)


try:
    print(depth(deep))
except RecursionError as error:
    print("RecursionError:", str(error)[:40])


# %% [markdown]
# Five thousand additions in a row are nothing special: a running sum over a data set is longer. So your function keeps
# its own stack, in a list.


# %% tags=["exercise"]
def topological_order(result):
    """Return all nodes that `result` depends on, and `result` itself, in a list in which every node
    stands after all its parents. Each node once, however many ways lead to it. The walk must visit
    each node once and must not call itself.

    Args:
        result: a node. Its `.parents` is a tuple of nodes (empty for a leaf; the same one may be in
            it twice). Nodes can be put into a set, and be keys of a dictionary.

    Returns:
        list of nodes, `result` last.
    """
    ### BEGIN SOLUTION
    order, seen = [], {id(result)}
    stack = [(result, iter(result.parents))]
    while stack:
        node, waiting = stack[-1]
        parent = next(waiting, None)
        if parent is None:
            order.append(node)
            stack.pop()
        elif id(parent) not in seen:
            seen.add(id(parent))
            stack.append((parent, iter(parent.parents)))
    return order
    ### END SOLUTION


# %%
topological_order = use("topological_order")
print("→ ".join(names[node] + " " for node in topological_order(y)))

# %% [markdown]
# ### The walk back
#
# Now the heart of it. The last node's gradient is 1: $y$ changes by exactly as much as $y$ does. Walk backwards, ask each
# node for its parents' parts, and **add up** what arrives.


# %% tags=["exercise"]
def backpropagate(order):
    """Return the gradient of the last node with respect to every node of `order`. Walk from the
    last to the first: each node that has a vjp turns its gradient into one part per parent,
    `node.vjp(gradient)`; the parts that arrive at a node are added up.

    Args:
        order: nodes in a topological order. Each has `.data` (an array), `.parents` (a tuple of
            nodes) and `.vjp` (a function from a gradient to one part per parent, or None for a
            leaf). All lead to the last one, whose own gradient is an array of ones of the shape of
            its data. The arrays that a vjp returns must not be changed: other nodes may hold them,
            too.

    Returns:
        list of arrays, one per node, in the order of `order`.
    """
    ### BEGIN SOLUTION
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for node in reversed(order):
        if node.vjp is None:
            continue
        for parent, part in zip(node.parents, node.vjp(grads[id(node)])):
            key = id(parent)
            grads[key] = grads[key] + part if key in grads else part
    return [grads[id(node)] for node in order]
    ### END SOLUTION


# %%
backpropagate = use("backpropagate")
order = topological_order(y)
gradients = backpropagate(order)
poked = numeric_gradient(lambda v: float(v**4 + v**3), np.array(2.0), 1e-6)
print(f"dy/dx: your tape {float(gradients[0]):.6f}, by poking {float(poked):.6f}")

# %% [markdown]
# Is it the number that you wrote down? Here is the tape as a graph. Values flow to the right, gradients come back to the
# left. **Move the slider** to walk back step by step: a node's gradient counts only when all who used it have spoken.


# %%
def arrow(axes, start, end, bend, color):
    line = {"arrowstyle": "->", "connectionstyle": f"arc3,rad={bend}", "lw": 1.5, "color": color}
    axes.annotate("", (end, 0), (start, 0), arrowprops=line | {"shrinkA": 36, "shrinkB": 40})


def draw_tape(done):
    place = {id(node): i for i, node in enumerate(order)}
    with plots.style():
        figure = Figure(figsize=(6.8, 2.6))
        axes = figure.subplots()
        for i, node in enumerate(order):
            known = i >= len(order) - done
            gradient = f"{float(gradients[i]):g}" if known else "?"
            text = f"{names[node]}\nvalue {float(node.data):g}\ngradient {gradient}"
            box = {"boxstyle": "round", "fc": "#FDE9D9" if known else "white", "ec": "#0072B2"}
            axes.text(i, 0, text, ha="center", va="center", bbox=box, zorder=3)
            for k, start in enumerate(place[id(parent)] for parent in node.parents):
                twice = node.parents[0] is node.parents[1]
                bend = (-0.45, 0.45)[k] if twice else (i - start > 1) * (0.5 if start else -0.5)
                arrow(axes, start, i, bend, "#D55E00" if known else "0.4")
        axes.set(xlim=(-0.4, 3.4), ylim=(-1.1, 1.1))
        axes.axis("off")
    return figure


# %%
explore(
    draw_tape,
    range(len(order) + 1),
    "steps back",
    "The tape x, a, b, y with arrows; each box shows its value and gradient: 44, 10, 4 and 1.",
    start=len(order),
)

# %% [markdown]
# ## 4 · The mistake that does not crash
#
# What if a later part *overwrites* an earlier one instead of being added? It is a famous bug, because **nothing
# crashes**. Guess what $dy/dx$ becomes in the graph above.
#
# The authors of this course keep a bank of wrong answers, with which they test the checks. One of them has just this bug.

# %%
from wrong_answers import overwrites_instead_of_adding

overwriting = overwrites_instead_of_adding.function
for node, right, wrong in zip(order, gradients, overwriting(order), strict=True):
    print(f"{names[node]:10} adding {float(right):4g}   overwriting {float(wrong):4g}")

# %% [markdown]
# And would you notice while *training*? Here is a small network with a shortcut: the hidden layer $h$ is used twice, once
# by the next layer and once as it is. A ResNet is built of such sums (He et al. 2016).
#
# $$h = \mathrm{ReLU}(X W_1 + b_1), \qquad h' = h + \mathrm{ReLU}(h W_2 + b_2), \qquad \text{loss} = \tfrac{1}{N}\sum (h' W_3 + b_3 - T)^2$$
#
# $T$ holds a 1 for the right digit and 0 elsewhere. (A better loss comes in lesson 02.) **Predict: will the network
# with the broken gradients learn nothing, learn less, or learn just the same?**


# %%
def dense(x, w, b):
    return add(matmul(x, w), b)


def new_weights(rng, hidden=32):
    def random(inputs, outputs, variance):
        return Node(rng.standard_normal((inputs, outputs)) * np.sqrt(variance / inputs))

    layers = random(64, hidden, 2), random(hidden, hidden, 2), random(hidden, 10, 0.02)
    return [p for w in layers for p in (w, Node(np.zeros(w.data.shape[1])))]


def predict(images, weights):
    w1, b1, w2, b2, w3, b3 = weights
    h = relu(dense(Node(images), w1, b1))
    return dense(add(h, relu(dense(h, w2, b2))), w3, b3)


def squared_error(images, labels, weights):
    error = add(predict(images, weights), Node(-np.eye(10)[labels]))
    return mul(total(mul(error, error)), Node(1 / len(images)))


# %% [markdown]
# The training loop is the whole of deep learning in ten lines: loss, order, walk back, and a small step downhill.


# %%
def train(walk, seed, epochs=12, rate=0.05):
    rng = np.random.default_rng(seed)
    splits = mp.data.load("digits", seed=seed)
    weights, curve = new_weights(rng), []
    val = splits.val.images.reshape(-1, 64)
    for _ in range(epochs):
        for images, labels in mp.data.batches(splits.train, 32, rng=rng):
            tape = topological_order(squared_error(images.reshape(-1, 64), labels, weights))
            grads = dict(zip(tape, walk(tape), strict=True))
            for p in weights:
                p.data = p.data - rate * grads[p]
        curve.append((predict(val, weights).data.argmax(axis=1) == splits.val.labels).mean())
    return curve


# %%
learned = {}
for name, walk in (("adding", backpropagate), ("overwriting", overwriting)):
    learned[name] = np.array([train(walk, seed) for seed in (0, 1, 2)])

# %%
rows = []
for name, curves in learned.items():
    mean, std = 100 * curves.mean(axis=0), 100 * curves.std(axis=0, ddof=1)
    rows += [(name, 1 + e, mean[e], std[e]) for e in range(len(mean))]
table = pd.DataFrame(rows, columns=["gradients", "epoch", "accuracy", "std"])
with plots.style():
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    for name, part in table.groupby("gradients"):
        (line,) = axes.plot(part["epoch"], part["accuracy"], label=name)
        low, high = part["accuracy"] - part["std"], part["accuracy"] + part["std"]
        axes.fill_between(part["epoch"], low, high, color=line.get_color(), alpha=0.2)
    axes.set(xlabel="epoch", ylabel="validation accuracy, %")
    axes.set_title("mean ± standard deviation, n = 3 seeds")
    axes.legend(loc="lower right")
alt = "Validation accuracy against epochs, with right and with overwritten gradients: both rise."
show(figure, alt, table)
for row in table[table["epoch"] == table["epoch"].max()].itertuples():
    print(f"{row.gradients:12} {row.accuracy:.1f} ± {row.std:.1f} % after {row.epoch} epochs")

# %% [markdown]
# The broken network learns, too: slower, but it learns. Nobody who sees only its curve would suspect that *all* its
# gradients are wrong. **That a network trains does not show that its gradients are right.**
# Only the judge can tell: poke, and compare.

# %% [markdown]
# ## 5 · The gradient check
#
# Poke every weight of a small network of this kind and compare with the tape. With float64 and $\varepsilon = 10^{-6}$ a
# right backward pass agrees to many digits; a wrong one is off by a lot. There is hardly anything in between.

# %%
rng = np.random.default_rng(0)
splits = mp.data.load("digits", seed=0)
images, labels = splits.train.images[:8].reshape(-1, 64), splits.train.labels[:8]
weights = new_weights(rng, hidden=4)
tape = topological_order(squared_error(images, labels, weights))


def loss_with(i, values):
    changed = [Node(values) if k == i else p for k, p in enumerate(weights)]
    return float(squared_error(images, labels, changed).data)


print("largest difference from the slopes by poking, relative to the largest slope")
adding, wrong = (dict(zip(tape, walk(tape), strict=True)) for walk in (backpropagate, overwriting))
for i, name in enumerate(("W1", "b1", "W2", "b2", "W3", "b3")):
    p = weights[i]
    slopes = numeric_gradient(lambda values, i=i: loss_with(i, values), p.data, 1e-6)
    errors = [np.abs(grads[p] - slopes).max() / np.abs(slopes).max() for grads in (adding, wrong)]
    print(f"{name}:  adding {errors[0]:.0e}   overwriting {errors[1]:.0e}")

# %% [markdown]
# Look at the line of $W_3$: with overwriting it is wrong by half, although $W_3$ is used only once. Where does the half
# get lost? (In `mul(error, error)`: a product of a number with itself is a diamond, too.)

# %% [markdown]
# ## 6 · The answer to the question
#
# Now measure what you guessed at the beginning: how long does one run forward take, and how long forward *and* back?
# We let the network grow. Poking is measured only for the smallest; for the others, we multiply: two runs a weight.


# %%
def seconds(task, arguments, repeats=15):
    times = []
    mp.threads(1)  # on one core, times vary less
    for _ in range(repeats):
        start = time.perf_counter()
        task(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def forward_and_back(images, labels, weights):
    backpropagate(topological_order(squared_error(images, labels, weights)))


rows, images, labels = [], splits.train.images[:64].reshape(-1, 64), splits.train.labels[:64]
for hidden in (8, 32, 128, 512):
    weights = new_weights(np.random.default_rng(0), hidden)
    arguments = images, labels, weights
    forward, both = (seconds(task, arguments) for task in (squared_error, forward_and_back))
    count = sum(p.data.size for p in weights)
    rows.append((count, forward, both, both / forward, 2 * count * forward))
cost = pd.DataFrame(rows, columns=["weights", "forward", "forward and back", "runs", "poking"])
print(cost[["weights", "runs"]].to_string(index=False, float_format="{:.1f}".format))

# %%
weights = new_weights(np.random.default_rng(0), 8)
start = time.perf_counter()
for i, p in enumerate(weights):
    numeric_gradient(lambda values, i=i: loss_with(i, values), p.data, 1e-6)
measured = time.perf_counter() - start
with plots.style():
    figure = Figure(figsize=(6.4, 3.8))
    axes = figure.subplots()
    count = cost["weights"]
    axes.loglog(count, cost["poking"], "^:", color="#009E73", label="poking: 2 runs per weight")
    axes.loglog(count[:1], [measured], "P", ms=12, color="#CC79A7", label="poking, measured")
    axes.loglog(count, cost["forward and back"], "s-", color="#D55E00", label="forward and back")
    axes.loglog(count, cost["forward"], "o-", color="#0072B2", label="one run forward")
    axes.set(xlabel="weights in the network", ylabel="seconds")
    axes.set_title("Time for all slopes, 64 images")
    axes.set_ylim(top=1e3 * cost["poking"].max())  # room for the legend
    axes.legend(loc="upper left")
alt = "Seconds against weights: poking grows steeply; forward and back stays just above forward."
show(figure, alt, cost)

# %% [markdown]
# (Poking also copies the weights each time, so its measured point need not sit on the line.)
#
# All slopes together cost **a few runs, however many weights there are**. Why? Each operation on the way back is about as
# much work as on the way forward, once for each input: a matrix product forward, two matrix products back. This is
# known as the *cheap gradient principle* (Baur and Strassen 1983; Griewank 1989).
#
# Poking is hopeless for a whole network, and perfect for a test. That is how it is used everywhere.

# %% [markdown]
# ## 7 · The library's tape is the same thing
#
# A `Tensor` of minprune also has `.data`, `.parents` and `.vjp`. So your two functions can drive the library's own
# tape. Here they do it for the convolutional network of lesson 00; then the library walks the same tape.

# %%
rng = np.random.default_rng(0)
model = mp.models.SmallConvNet(rng=rng)
images = mp.Tensor(splits.train.images[:64], requires_grad=True)
loss = mp.ops.cross_entropy(model(images), splits.train.labels[:64])
tape = topological_order(loss)
mine = dict(zip(tape, backpropagate(tape), strict=True))
loss.backward()
for name, p in model.named_parameters():
    print(f"{name:13} {p.shape!s:16} largest difference {np.abs(mine[p] - p.grad).max():.0e}")

# %% [markdown]
# Nothing else is inside. For its own operations the library has a gradient check as well, `mp.gradcheck`. It pokes along
# a few random directions instead of each weight: two runs a direction, however many weights.

# %%
points = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
error = mp.gradcheck(lambda x, w: mp.ops.relu(x @ w).sum(), *points, rng=rng)
print(f"relu(x @ w): largest relative error {error:.0e}")

# %% [markdown]
# ## What you can do now
#
# You can write the backward pass of any operation, order a tape of any length, carry gradients back through diamonds, and
# prove that the result is right. **Check every new operation against poking; never trust a falling loss.**
#
# What is missing for a real image network? The convolution, and a better loss than the squared error. That is
# lesson 02.
