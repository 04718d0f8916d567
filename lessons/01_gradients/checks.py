"""Checks of lesson 01."""

import sys

import numpy as np

from minprune import broadcast, gradcheck, tape
from minprune.course import Wrong, exercise, expect, expect_array, expect_close, expect_equal


def _slope(function, x, step=1e-6):
    """d function / dx by central differences, for an array x and a function that returns a number."""
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        poke = np.zeros(x.shape)
        poke[place] = step
        result[place] = (function(x + poke) - function(x - poke)) / (2 * step)
    return result


def _one_sided(function, x, step):
    poked = [x + step * np.eye(x.size)[i].reshape(x.shape) for i in range(x.size)]
    return np.reshape([(function(p) - function(x)) / step for p in poked], x.shape)


def _pokes_that_stay(function, x, step):
    poked, result = x.astype(np.float64), []
    for i in range(x.size):
        poked.flat[i] += step
        high = function(poked)
        poked.flat[i] -= step
        result.append(high)
        poked.flat[i] -= step
        result[-1] = (high - function(poked)) / (2 * step)
    return np.reshape(result, x.shape)


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "Go through the places of x one at a time. For each, make two copies of x: one with `step` added there, one with it taken away.",
        "The slope at a place is (function(higher) - function(lower)) / (2 * step). Poke fresh copies, so that no earlier poke remains.",
        "for place in np.ndindex(x.shape): higher = x.astype(np.float64); higher[place] += step; and the same with lower and -= step.",
    ),
    forbids=(gradcheck,),
)
def numeric_gradient(answer, reference):
    """Slopes by poking."""

    def curved(x):  # a long step, so that one-sided and central differences differ: x0² + x0 x1 + x1³
        return float(x[0] ** 2 + x[0] * x[1] + x[1] ** 3)

    x = np.array([1.0, 2.0])
    half_way = reference(curved, x, 0.5)
    mistakes = {
        "It divides by `step`; the two points lie 2 * step apart.": 2 * half_way,
        "A one-sided difference: poke to both sides, x + step and x - step.": _one_sided(curved, x, 0.5),
        "The signs are reversed: the value above minus the value below.": -half_way,
        "An earlier poke is still there when the next place is poked: start each time from a fresh copy of x.": _pokes_that_stay(
            curved, x, 0.5
        ),
        "It divides the wrong way round: a slope is the change of the function divided by the distance.": 1 / half_way,
        "Python reads a / 2 * step from the left, (a / 2) * step. The distance needs brackets: a / (2 * step).": half_way * 0.5**2,
        "That is the slope for a very small step. Poke as far as `step` says.": np.array([4.0, 13.0]),
        "All places are poked at once. Poke one at a time; each gives one entry of the gradient.": curved(x + 0.5) - curved(x - 0.5),
    }
    what = "the gradient of x0² + x0 x1 + x1³ at [1, 2] with step=0.5"
    got = answer(curved, x, 0.5)
    expect_close(got, [4.0, 13.25], what, mistakes=mistakes, cause="Work it out by hand for x0: (f(1.5, 2) - f(0.5, 2)) / 1.")
    weights = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
    got = answer(lambda m: float((m * weights).sum()), np.zeros((2, 3)), 1e-3)
    whole_rows = np.repeat(weights.sum(axis=1, keepdims=True), 3, axis=1)
    mistakes = {"A whole row is poked at once: x[i] of a matrix is a row. np.ndindex(x.shape) gives every single place.": whole_rows}
    cause = "The result has the shape of x; np.ndindex(x.shape) walks it."
    expect_close(got, weights, "the gradient of sum(x * c) over a 2x3 matrix", mistakes=mistakes, cause=cause)
    narrow = np.array([0.5, -1.5], np.float32)
    got = answer(lambda v: float((np.asarray(v, np.float64) ** 3).sum()), narrow, 1e-6)
    expect_close(
        got,
        3 * narrow.astype(np.float64) ** 2,
        "the gradient of sum(x³) at float32 [0.5, -1.5] with step=1e-6",
        rtol=1e-4,
        cause="In float32 a step of 1e-6 drowns in rounding. Poke a float64 copy: x.astype(np.float64).",
    )
    expect_array(got, (2,), np.float64, "the gradient, also of a float32 x,")
    got = answer(lambda v: float(3 * v + 1), np.array(2.0), 1e-3)
    expect_close(got, 3.0, "the gradient of 3x + 1 at a single number, an array of shape (),", cause="np.ndindex(()) gives one place.")


@exercise(
    minutes=5,
    difficulty=1,
    hints=(
        "Where x is positive, ReLU passes x on unchanged: the slope is 1. Elsewhere it is flat: the slope is 0.",
        "(x > 0) is an array of True and False, and True counts as 1. Multiply it with grad.",
    ),
)
def relu_backward(answer, reference):
    """Through the ReLU."""
    x = np.array([[-1.0, 2.0, 3.0], [0.5, -0.5, 4.0]])
    grad = np.array([[10.0, -20.0, 30.0], [-40.0, 50.0, 60.0]])
    mistakes = {
        "That is the slope of ReLU alone; the chain rule multiplies it with `grad`.": (x > 0) * 1.0,
        "It looks at the sign of grad. Whether the gate is open depends on x.": np.maximum(grad, 0),
        "Negative gradients are lost. The gate lets them through, too; only where x is negative it is shut.": (x > 0) * np.maximum(grad, 0),
        "It multiplies with x itself; the slope of ReLU is 0 or 1.": grad * np.maximum(x, 0),
        "The gate is the wrong way round: open where x is positive.": grad * (x < 0),
        "That is the ReLU itself, the way forward. Asked for is what goes back: grad, where the gate was open.": np.maximum(x, 0),
        "np.sign gives -1 for a negative x; there the slope of ReLU is 0.": grad * np.sign(x),
    }
    what = f"relu_backward with x={x.tolist()} and grad={grad.tolist()}"
    by_hand = [[0.0, -20.0, 30.0], [-40.0, 0.0, 60.0]]
    expect_close(answer(grad, x), by_hand, what, mistakes=mistakes, cause="grad where x > 0, and 0 elsewhere.")
    got = answer(np.array([7.0, 7.0, 7.0]), np.array([-1.0, 0.0, 1.0]))
    expect_close(
        got, [0.0, 0.0, 7.0], "relu_backward with x=[-1, 0, 1] and grad=[7, 7, 7]", cause="At exactly 0 the slope is 0 by convention."
    )
    rng = np.random.default_rng(2)
    for shape in ((5,), (2, 3, 4), (1, 1)):
        grad, x = rng.standard_normal(shape), rng.standard_normal(shape)
        expect_close(answer(grad, x), reference(grad, x), f"relu_backward for arrays of shape {shape}")
        slope = _slope(lambda v, grad=grad: float((grad * np.maximum(v, 0)).sum()), x)
        expect_close(answer(grad, x), slope, f"relu_backward for shape {shape}, against the slope by poking,", rtol=1e-4, atol=1e-5)


@exercise(
    minutes=10,
    difficulty=2,
    hints=(
        "Let the shapes lead: grad is (N, M), a is (N, K), b is (K, M). da must be (N, K) and db (K, M).",
        "(N, M) @ (M, K) gives (N, K), so da needs b transposed. (K, N) @ (N, M) gives (K, M), so db needs a transposed.",
    ),
)
def matmul_backward(answer, reference):
    """Through a matrix product."""
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 7.0], [6.0, 8.0]])
    grad = np.array([[1.0, 0.0], [2.0, 1.0]])
    da, db = _two(answer(grad, a, b))
    square = "with a=[[1, 2], [3, 4]], b=[[5, 7], [6, 8]], grad=[[1, 0], [2, 1]]"
    mistakes = {
        "b has to be transposed. For square matrices the shapes do not tell.": grad @ b,
        "The two results are in the wrong order: da first, then db.": a.T @ grad,
        "It is transposed, or the factors stand in the wrong order: grad comes first.": (grad @ b.T).T,
        "The factors stand in the wrong order: grad comes first, then b transposed.": b.T @ grad,
        "That multiplies element by element; a matrix product is needed.": grad * b,
        "No average here: whoever takes a mean in the loss has already divided.": grad @ b.T / len(a),
        "`grad` is not used: that is the slope of the sum of y. The chain rule needs what comes in, grad.": np.ones((2, 2)) @ b.T,
    }
    expect_close(da, [[5.0, 6.0], [17.0, 20.0]], f"da {square}", mistakes=mistakes, cause="Let the shapes lead: (N, M) @ (M, K) = (N, K).")
    mistakes = {
        "a has to be transposed. For square matrices the shapes do not tell.": a @ grad,
        "It is transposed: that is gradᵀ a, the transpose of db.": grad.T @ a,
        "The factors stand in the wrong order: a transposed comes first.": grad @ a.T,
        "That multiplies element by element; a matrix product is needed.": grad * a,
        "No average over the rows: whoever takes a mean in the loss has already divided.": a.T @ grad / len(a),
    }
    expect_close(db, [[7.0, 3.0], [10.0, 4.0]], f"db {square}", mistakes=mistakes, cause="Let the shapes lead: (K, N) @ (N, M) = (K, M).")
    rng = np.random.default_rng(3)
    for n, k, m in ((4, 3, 2), (1, 5, 1), (2, 1, 3)):
        grad, a, b = rng.standard_normal((n, m)), rng.standard_normal((n, k)), rng.standard_normal((k, m))
        got, shapes = _two(answer(grad, a, b)), f"for a of shape {a.shape} and b of shape {b.shape}"
        for name, mine, right in zip(("da", "db"), got, reference(grad, a, b), strict=True):
            expect_close(mine, right, f"{name} {shapes}", cause="A gradient has the shape of what it belongs to.")
        slope = _slope(lambda v, grad=grad, b=b: float((grad * (v @ b)).sum()), a)
        expect_close(got[0], slope, f"da {shapes}, against the slope by poking,", rtol=1e-4, atol=1e-5)


def _two(got):
    """A pair of gradients, or a message."""
    fine = isinstance(got, (tuple, list)) and len(got) == 2
    expect(fine, f"matmul_backward should return two arrays, da and db; yours returns a {type(got).__name__}.", "return da, db")
    return got


@exercise(
    minutes=12,
    difficulty=2,
    hints=(
        "NumPy stretches in two ways: it puts new axes in front, and it repeats axes of length 1. Undo each by a sum.",
        "First sum away the grad.ndim - len(shape) axes in front. Then sum each axis of length 1 in `shape`, with keepdims=True.",
        "while grad.ndim > len(shape): grad = grad.sum(axis=0); then for axis, n in enumerate(shape): if n == 1: ...",
    ),
    forbids=(broadcast.unbroadcast,),
)
def unbroadcast(answer, reference):
    """Undoing what broadcasting stretched."""
    grad = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    for shape, by_hand in (((3,), [11.0, 22.0, 33.0]), ((2, 1), [[6.0], [60.0]]), ((2, 3), grad), ((), 66.0), ((1, 1), [[66.0]])):
        got = answer(grad, shape)
        front = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
        first = grad[: 2 if shape[:1] == (2,) else 1, : 3 if shape[-1:] == (3,) else 1]
        mistakes = {
            "A mean, not a sum: each use of a value adds its own share of the slope.": np.asarray(by_hand)
            / (grad.size // np.size(by_hand)),
            "It takes the first copy and drops the others; their gradients must be added.": first.reshape(shape),
            "The axes in front are summed, but the axes of length 1 are still stretched.": front,
            "The axis of length 1 is gone: keepdims=True keeps it.": np.reshape(by_hand, [n for n in shape if n != 1]),
            "The axes in front are summed, but still there with length 1: sum them without keepdims.": np.reshape(
                by_hand, (1,) * (grad.ndim - len(shape)) + shape
            ),
            "Everything is summed; only axes that were stretched are to go.": np.full(shape, 66.0),
            "New axes are added in front, so the sum over missing axes runs over the first axes, not the last.": grad.sum(axis=-1),
        }
        what = f"unbroadcast of {grad.tolist()} to the shape {shape}"
        expect_close(got, by_hand, what, mistakes=mistakes, cause="Which axes did broadcasting add in front, and which had length 1?")
    rng = np.random.default_rng(1)
    for full, shape in (((4, 2, 3), (2, 1)), ((4, 2, 3), (1, 3)), ((5, 1, 3), (1, 3)), ((2, 1), (2, 1)), ((3, 3), (3,)), ((3, 3), (3, 1))):
        grad = rng.standard_normal(full)
        got = answer(grad, shape)
        what = f"unbroadcast of a gradient of shape {full} to the shape {shape}"
        cause = "Both happen at once here: sum the axes in front first, then those of length 1."
        expect_close(got, reference(grad, shape), what, cause=cause)


class _Node:
    """A node as the exercises get it; it counts how often its parents were asked for."""

    def __init__(self, name, *parents, data=0.0, vjp=None):
        self.name, self._parents, self.data, self.vjp, self.looks = name, parents, np.asarray(data), vjp, 0

    @property
    def parents(self):
        self.looks += 1
        if self.looks > 2000:
            raise Wrong(
                "in a ladder of 14 diamonds one node was visited more than 2,000 times.",
                "It walks every path, and each diamond doubles their number. Remember who was seen *before* going on to the parents.",
            )
        return self._parents

    def __repr__(self):
        return self.name


class _Bottom(_Node):
    """A leaf that sees how many calls are open when its parents are asked for."""

    depth = 0

    @property
    def parents(self):
        frame, depth = sys._getframe(), 0
        while frame is not None:
            frame, depth = frame.f_back, depth + 1
        self.depth = max(self.depth, depth)
        return self._parents


def _graphs():
    """(what it is, result, all its nodes), from simple to nasty."""
    x = _Node("x")
    yield "a single leaf x", x, [x]
    x = _Node("x")
    a = _Node("a", x)
    y = _Node("y", a)
    yield "the chain x → a → y", y, [x, a, y]
    x, w, b = _Node("x"), _Node("w"), _Node("b")
    product = _Node("product", x, w)
    y = _Node("y", product, b)
    yield "y = product + b, product = x w", y, [x, w, b, product, y]
    x = _Node("x")
    y = _Node("y", x, x)
    yield "y = x * x (one parent, named twice)", y, [x, y]
    x = _Node("x")
    a, b = _Node("a", x), _Node("b", x)
    y = _Node("y", a, b)
    yield "the diamond x → a, x → b, y from a and b", y, [x, a, b, y]
    x = _Node("x")
    a = _Node("a", x)
    b = _Node("b", a)
    y = _Node("y", b, x)
    yield "a long and a short way: x → a → b → y and x → y", y, [x, a, b, y]
    x = _Node("x")
    a = _Node("a", x)
    b = _Node("b", a)
    y = _Node("y", x, b)
    yield "a short and a long way: x → y and x → a → b → y", y, [x, a, b, y]


@exercise(
    minutes=20,
    difficulty=3,
    hints=(
        "A node may be put into the order once all its parents are in it. Keep a stack of nodes that wait for that; `result` is the first.",
        "Look at the node on top of the stack. If one of its parents is not yet seen, push that parent (and remember it as seen). If all "
        "its parents are done, pop the node and append it to the order.",
        "Let the stack hold pairs (node, iter(node.parents)). next(parents, None) then gives the next parent to look at, and None when "
        "all have been looked at: that is the moment to pop and append.",
    ),
    forbids=(tape.tape,),
)
def topological_order(answer, reference):
    """Parents before children, each node once."""
    for what, result, nodes in _graphs():
        _check_order(answer(result), result, nodes, what)
    bottom = top = _Node("x")
    ladder = [bottom]
    for i in range(14):
        left, right = _Node(f"left{i}", top), _Node(f"right{i}", top)
        top = _Node(f"top{i}", left, right)
        ladder += [left, right, top]
    _check_order(answer(top), top, ladder, "a ladder of 14 diamonds")
    chain = [_Bottom("n0")]
    for i in range(1, 5_000):
        chain.append(_Node(f"n{i}", chain[-1]))
    try:
        got = answer(chain[-1])
    except Wrong as verdict:
        if "RecursionError" not in verdict.message:
            raise
        raise Wrong(
            "a chain of 5,000 nodes should be ordered, too; yours ends in a RecursionError.",
            "A function that calls itself fills Python's own stack, which ends at about 1,000. Keep a stack of your own: a list.",
        ) from None
    _check_order(got, chain[-1], chain, "a chain of 5,000 nodes")
    expect(
        chain[0].depth < 2_000,
        "for a chain of 5,000 nodes your walk calls itself thousands of times, one call within the other.",
        "A higher recursion limit only moves the place where it breaks. Keep a stack of your own: a list.",
    )


def _check_order(got, result, nodes, what):
    expect(isinstance(got, (list, tuple)), f"the order should be a list of nodes; yours is of type {type(got).__name__}.")
    shown = str(list(got)) if len(got) <= 8 else f"a list of {len(got)}"
    place = {id(node): i for i, node in enumerate(got)}
    for node in nodes:
        expect(
            id(node) in place,
            f"for {what} the order should hold {node!r}, too; yours is {shown}.",
            "Is `result` itself in it?" if node is result else "Leaves have no parents, but they belong in the order.",
        )
    expect(
        len(got) == len(nodes),
        f"for {what} the order should hold each of the {len(nodes)} nodes once; yours is {shown}.",
        "A node that is reached on two ways is put in twice: remember which were seen.",
    )
    for node in nodes:
        for parent in node._parents:
            backwards = got[0] is result and len(nodes) > 1
            expect(
                place[id(parent)] < place[id(node)],
                f"for {what} the order should have {parent!r} before {node!r}; yours is {shown}.",
                "Children come before their parents: it is the other way round."
                if backwards
                else "Going level by level, or appending on arrival, is not enough: append a node only when all its parents are in.",
            )


def _add(name, a, b):
    return _Node(name, a, b, data=a.data + b.data, vjp=lambda g: (g, g))  # the same array twice, as a real add does


def _mul(name, a, b):
    return _Node(name, a, b, data=a.data * b.data, vjp=lambda g: (g * b.data, g * a.data))


def _tapes():
    """(what it is, order, gradients by hand, {cause: what a mistake gives})."""
    overwritten = "A later part overwrites an earlier one: a node that is used twice receives two parts, which must be added."
    forward = "It walks from the leaves to the result. Gradients start at the result: reversed(order)."
    times = "The parts are multiplied. What arrives at a node from several users is added."
    ones = "Every gradient starts at 1. Only the last node's does; to the others nothing has come yet."
    x = _Node("x", data=[3.0])
    y = _mul("y", x, x)
    backwards = {"In the wrong order: one gradient per node, in the order of `order`.": [[1.0], [6.0]]}
    yield (
        "y = x * x at x = 3",
        [x, y],
        [[6.0], [1.0]],
        {
            overwritten: [[3.0], [1.0]],
            forward: [[0.0], [1.0]],
            times: [[9.0], [1.0]],
            ones: [[7.0], [1.0]],
        }
        | backwards,
    )
    x, b = _Node("x", data=[2.0]), _Node("b", data=[5.0])
    s = _add("s", x, b)
    y = _add("y", s, x)
    in_place = "`+=` on an array that another node holds as well changes both. Write a = a + part."
    wrong = {in_place: [[2.0], [2.0], [2.0], [2.0]], overwritten: [[1.0], [1.0], [1.0], [1.0]], forward: [[1.0], [0.0], [1.0], [1.0]]}
    yield "s = x + b, y = s + x", [x, b, s, y], [[2.0], [1.0], [1.0], [1.0]], wrong
    x = _Node("x", data=[2.0])
    a = _mul("a", x, x)
    b = _add("b", a, x)
    y = _mul("y", a, b)
    yield (
        "a = x * x, b = a + x, y = a * b at x = 2",
        [x, a, b, y],
        [[44.0], [10.0], [4.0], [1.0]],
        {overwritten: [[8.0], [4.0], [4.0], [1.0]]},
    )


@exercise(
    minutes=15,
    difficulty=2,
    hints=(
        "Keep the gradients in a dictionary {id(node): gradient}. Start with that of the last node, np.ones_like(order[-1].data).",
        "Go through reversed(order). A leaf (vjp is None) passes nothing on. Any other node hands node.vjp(its gradient) to its parents.",
        "For each pair in zip(node.parents, node.vjp(grad)): a parent that has a gradient gets that + part, any other gets part.",
    ),
    forbids=(tape.backpropagate,),
)
def backpropagate(answer, reference):
    """The walk back, adding up what arrives."""
    alone = _Node("x", data=[3.0])
    got = answer([alone])
    expect(
        isinstance(got, (list, tuple)),
        f"the gradients should be a list; yours is of type {type(got).__name__}.",
        "One gradient per node, in the order of `order`: [gradients[id(node)] for node in order], if yours is a dictionary.",
    )
    expect(len(got) == 1, f"for a single leaf there should be one gradient; yours has {len(got)}.", "One gradient per node of `order`.")
    expect_close(got[0], [1.0], "the gradient of a node with respect to itself", cause="np.ones_like(order[-1].data) starts the walk.")
    for what, order, by_hand, mistakes in _tapes():
        got = answer(order)
        expect_equal(
            len(got), len(order), f"the number of gradients for {what}", cause="One gradient per node of `order`, the inner ones too."
        )
        values = [float(np.sum(g)) for g in got]
        flat = {cause: np.ravel(value) for cause, value in mistakes.items()}
        names = ", ".join(node.name for node in order)
        expect_close(values, np.ravel(by_hand), f"for {what} the gradients of {names}", mistakes=flat, cause="Follow it with a pencil.")
    rng = np.random.default_rng(4)
    x, w, b = (_Node(name, data=rng.standard_normal(shape)) for name, shape in (("x", (3, 4)), ("w", (4, 2)), ("b", (3, 2))))
    product = _Node("product", x, w, data=x.data @ w.data, vjp=lambda g: (g @ w.data.T, x.data.T @ g))
    y = _add("y", product, b)
    z = _mul("z", y, y)
    loss = _Node("loss", z, data=z.data.sum(), vjp=lambda g: (g * np.ones((3, 2)),))
    order = [w, x, product, b, y, z, loss]
    for node, mine, right in zip(order, answer(order), reference(order), strict=True):
        expect_close(mine, right, f"for a layer z = (x w + b)², loss = sum(z), the gradient of {node.name}")
    cause = "Gradients of an earlier walk are still there. Keep them in a dictionary that each call makes anew, not on the nodes."
    for node, mine, right in zip(order, answer(order), reference(order), strict=True):
        expect_close(mine, right, f"when the same layer is walked a second time, the gradient of {node.name}", cause=cause)
