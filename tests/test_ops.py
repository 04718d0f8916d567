"""Every operation: its gradient against central differences, its forward against a slow twin, its errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minprune import Tensor, gradcheck, ops
from minprune.errors import ShapeError
from minprune.gradcheck import GradientError
from minprune.tensor import record
from tests import slow

R = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return R.standard_normal(shape)


def distinct(*shape: int) -> np.ndarray:
    """Values far enough apart that a small step changes no maximum and crosses no zero."""
    values = np.arange(int(np.prod(shape))) - np.prod(shape) / 2 + 0.25
    return R.permutation(values).reshape(shape)


LABELS = np.array([2, 0, 1, 1])
CASES: dict[str, tuple[Callable[..., Tensor], tuple[np.ndarray, ...]]] = {
    "add": (lambda a, b: a + b, (normal(3, 4), normal(3, 4))),
    "add, broadcast": (lambda a, b: a + b, (normal(3, 4), normal(4))),
    "add, both broadcast": (lambda a, b: a + b, (normal(3, 1), normal(2, 1, 4))),
    "add, a number": (lambda a: 2 + a, (normal(3),)),
    "sub": (lambda a, b: a - b, (normal(2, 3), normal(3))),
    "sub, from a number": (lambda a: 1.0 - a, (normal(2, 3),)),
    "neg": (lambda a: -a, (normal(2, 3),)),
    "mul": (lambda a, b: a * b, (normal(2, 3), normal(1, 3))),
    "mul, by itself": (lambda a: a * a, (normal(2, 3),)),
    "div": (lambda a, b: a / b, (normal(2, 3), distinct(2, 1))),
    "div, of a number": (lambda a: 3.0 / a, (distinct(2, 3),)),
    "pow": (lambda a: a**3, (normal(2, 3),)),
    "pow, fractional": (lambda a: a**0.5, (np.abs(normal(5)) + 0.5,)),
    "pow, zero": (lambda a: a**0, (np.array([0.0, 1.0, 2.0]),)),
    "exp": (lambda a: a.exp(), (normal(2, 3),)),
    "log": (lambda a: a.log(), (np.abs(normal(2, 3)) + 0.5,)),
    "matmul": (lambda a, b: a @ b, (normal(2, 3), normal(3, 4))),
    "matmul, batched and broadcast": (lambda a, b: a @ b, (normal(5, 1, 2, 3), normal(4, 3, 2))),
    "matmul, vector left": (lambda a, b: a @ b, (normal(3), normal(2, 3, 4))),
    "matmul, vector right": (lambda a, b: a @ b, (normal(2, 4, 3), normal(3))),
    "matmul, two vectors": (lambda a, b: a @ b, (normal(3), normal(3))),
    "sum": (lambda a: a.sum(), (normal(2, 3),)),
    "sum, axis": (lambda a: a.sum(axis=1), (normal(2, 3, 4),)),
    "sum, axes kept": (lambda a: a.sum(axis=(0, 2), keepdims=True), (normal(2, 3, 4),)),
    "mean": (lambda a: a.mean(), (normal(2, 3),)),
    "mean, axes": (lambda a: a.mean(axis=(0, -1)), (normal(2, 3, 4),)),
    "max": (lambda a: a.max(), (distinct(2, 3),)),
    "max, axis": (lambda a: a.max(axis=1), (distinct(2, 3, 4),)),
    "max, axes kept": (lambda a: a.max(axis=(0, 2), keepdims=True), (distinct(2, 3, 4),)),
    "reshape": (lambda a: a.reshape(3, -1) * 2, (normal(2, 3, 4),)),
    "transpose": (lambda a: a.transpose(2, 0, 1) * 2, (normal(2, 3, 4),)),
    "T": (lambda a: a.T @ a, (normal(2, 3),)),
    "index, slice": (lambda a: a[:, 1:3] * a[:, :2], (normal(2, 4),)),
    "index, one": (lambda a: a[1], (normal(2, 4),)),
    "index, repeated": (lambda a: a[np.array([0, 1, 1, 1])], (normal(2, 4),)),
    "index, bools": (lambda a: a[np.array([True, False, True])], (normal(3, 2),)),
    "relu": (ops.relu, (distinct(3, 4),)),
    "dropout": (lambda a: ops.dropout(a, 0.4, rng=np.random.default_rng(7)), (normal(4, 5),)),
    "linear": (ops.linear, (normal(4, 3), normal(2, 3), normal(2))),
    "linear, no bias": (ops.linear, (normal(1, 3), normal(2, 3))),
    "conv2d": (ops.conv2d, (normal(2, 3, 6, 5), normal(4, 3, 3, 2), normal(4))),
    "conv2d, stride and padding": (lambda x, w: ops.conv2d(x, w, None, (2, 1), (1, 2)), (normal(3, 2, 5, 6), normal(2, 2, 3, 3))),
    "conv2d, 1x1": (lambda x, w: ops.conv2d(x, w, stride=2), (normal(1, 3, 5, 5), normal(2, 3, 1, 1))),
    "conv2d, kernel as large as the image": (ops.conv2d, (normal(2, 1, 4, 4), normal(3, 1, 4, 4), normal(3))),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), (distinct(2, 3, 4, 6),)),
    "max_pool2d, overlapping": (lambda x: ops.max_pool2d(x, 3, 2), (distinct(2, 1, 7, 6),)),
    "max_pool2d, gaps": (lambda x: ops.max_pool2d(x, (1, 2), (2, 3)), (distinct(1, 2, 5, 6),)),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 2), (normal(2, 3, 5, 4),)),
    "avg_pool2d, overlapping": (lambda x: ops.avg_pool2d(x, (3, 2), 1), (normal(2, 1, 5, 4),)),
    "global_avg_pool2d": (ops.global_avg_pool2d, (normal(2, 3, 4, 5),)),
    "flatten": (lambda x: ops.flatten(x) * 2, (normal(2, 3, 4, 5),)),
    "concat": (lambda a, b: ops.concat([a, b, a]), (normal(2, 3, 2, 2), normal(2, 1, 2, 2))),
    "concat, first axis": (lambda a, b: ops.concat([a, b], axis=0), (normal(2, 3), normal(1, 3))),
    "cross_entropy": (lambda x: ops.cross_entropy(x, LABELS), (normal(4, 3) * 5,)),
    "batch_norm, training": (
        lambda x, w, b: ops.batch_norm(x, w, b, ops.RunningStats(np.zeros(3), np.ones(3)), training=True),
        (normal(4, 3, 2, 5), normal(3), normal(3)),
    ),
    "batch_norm, evaluation": (
        lambda x, w, b: ops.batch_norm(x, w, b, ops.RunningStats(np.arange(3.0), np.arange(1.0, 4.0)), training=False),
        (normal(4, 3, 2, 5), normal(3), normal(3)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_backward_is_the_slope_of_forward(name: str) -> None:
    function, inputs = CASES[name]
    gradcheck(function, *inputs, rng=np.random.default_rng(1))


@pytest.mark.parametrize("name", ["conv2d, stride and padding", "max_pool2d, overlapping", "batch_norm, training", "flatten", "concat"])
def test_memory_order_does_not_matter(name: str) -> None:
    function, inputs = CASES[name]

    def batch_inner(a: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2) if a.ndim == 4 else a

    leaves = [[Tensor(order(a), requires_grad=True) for a in inputs] for order in (np.ascontiguousarray, batch_inner)]
    results = [function(*x) for x in leaves]
    np.testing.assert_allclose(results[0].data, results[1].data, rtol=1e-12)
    seed = np.random.default_rng(2).standard_normal(results[0].shape)
    for result in results:
        result.backward(seed)
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_gradcheck_catches_a_wrong_derivative() -> None:
    def wrong_square(x: Tensor) -> Tensor:
        return record("wrong", x.data**2, (x,), lambda g: (g * x.data,))  # forgot the 2

    with pytest.raises(GradientError, match="central difference"):
        gradcheck(wrong_square, normal(3), rng=np.random.default_rng(0))


sizes = st.integers(1, 3)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(sizes, sizes, sizes, sizes, sizes),
    st.tuples(sizes, sizes),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 4),
)
def test_conv2d_equals_its_slow_twin(shape, stride, padding, extra) -> None:
    n, c, o, r, s = shape
    rng = np.random.default_rng(sum(shape) + extra)
    x, w, b = rng.standard_normal((n, c, r + extra, s + extra)), rng.standard_normal((o, c, r, s)), rng.standard_normal(o)
    np.testing.assert_allclose(ops.conv2d(x, w, b, stride, padding).data, slow.conv2d(x, w, b, stride, padding), rtol=1e-9, atol=1e-12)


def test_conv2d_is_the_same_whatever_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, g = normal(3, 2, 9, 8), normal(4, 2, 3, 3), normal(3, 4, 9, 8)
    results = []
    for block_bytes in (1, 5_000, 1 << 30):  # a row at a time, a few rows, all at once
        monkeypatch.setattr("minprune.plain.conv.BLOCK_BYTES", block_bytes)
        leaves = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
        y = ops.conv2d(*leaves, padding=1)
        y.backward(g)
        results.append((y.data, leaves[0].grad, leaves[1].grad))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.integers(0, 4), st.integers(0, 4))
def test_pooling_equals_its_slow_twin(kernel, stride, down, right) -> None:
    x = np.random.default_rng(down + right).standard_normal((2, 2, kernel[0] + down, kernel[1] + right))
    np.testing.assert_allclose(ops.max_pool2d(x, kernel, stride).data, slow.pool2d(x, kernel, stride, np.max))
    np.testing.assert_allclose(ops.avg_pool2d(x, kernel, stride).data, slow.pool2d(x, kernel, stride, np.mean), rtol=1e-12)


def test_of_equal_maxima_the_first_gets_the_gradient() -> None:
    x = Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    ops.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 0], [0, 0]])


def test_equal_maxima_of_a_reduction_share_the_gradient() -> None:
    x = Tensor(np.array([3.0, 1.0, 3.0]), requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 0, 0.5])


def test_cross_entropy_does_not_overflow() -> None:
    logits = Tensor(np.array([[1000.0, 0.0], [0.0, -1000.0]], np.float32), requires_grad=True)
    loss = ops.cross_entropy(logits, np.array([1, 0]))
    loss.backward()
    assert loss.item() == 500.0
    np.testing.assert_allclose(logits.grad, [[0.5, -0.5], [0, 0]])


def test_dropout_keeps_the_mean() -> None:
    y = ops.dropout(np.ones((400, 400), np.float32), 0.3, rng=np.random.default_rng(0)).data
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}


def test_batch_norm_moves_running_statistics_only_while_training() -> None:
    running = ops.RunningStats(np.zeros(2), np.ones(2))
    x = normal(8, 2, 3, 3)
    ops.batch_norm(x, np.ones(2), np.zeros(2), running, training=False)
    np.testing.assert_array_equal(running.mean, 0)
    ops.batch_norm(x, np.ones(2), np.zeros(2), running, training=True)
    np.testing.assert_allclose(running.mean, 0.1 * x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(running.var, 0.9 + 0.1 * x.var(axis=(0, 2, 3), ddof=1))


X = np.zeros((2, 3, 4, 4), np.float32)
BAD = {
    "add": (lambda: Tensor(np.ones(3)) + np.ones(4), r"broadcast together, got \(3,\) and \(4,\)"),
    "matmul": (lambda: Tensor(np.ones((2, 3))) @ np.ones((2, 3)), r"\(\.\.\., n, k\) and \(\.\.\., k, m\), got"),
    "matmul, batch": (lambda: Tensor(np.ones((2, 2, 3))) @ np.ones((3, 3, 2)), "leading axes"),
    "matmul, number": (lambda: Tensor(np.ones(3)) @ 2.0, "matmul expected"),
    "reshape": (lambda: Tensor(np.ones(6)).reshape(4, 2), "6 elements, got"),
    "transpose": (lambda: Tensor(X).transpose(0, 1, 2), "permutation of 4 axes"),
    "linear": (lambda: ops.linear(np.ones((2, 3)), np.ones((4, 5))), r"input of shape \(N, 5\), got \(2, 3\)"),
    "linear, weight": (lambda: ops.linear(np.ones((2, 3)), np.ones(3)), r"weight of shape \(O, C\), got \(3,\)"),
    "linear, bias": (lambda: ops.linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), r"bias of shape \(4,\), got \(3,\)"),
    "conv2d": (lambda: ops.conv2d(X, np.ones((1, 2, 3, 3))), r"input of shape \(N, 2, H, W\), got \(2, 3, 4, 4\)"),
    "conv2d, axes": (lambda: ops.conv2d(X[0], np.ones((1, 3, 3, 3))), r"input of shape \(N, 3, H, W\)"),
    "conv2d, weight": (lambda: ops.conv2d(X, np.ones((1, 3, 3))), r"weight of shape \(O, C, R, S\)"),
    "conv2d, bias": (lambda: ops.conv2d(X, np.ones((1, 3, 3, 3)), np.ones(2)), r"bias of shape \(1,\), got \(2,\)"),
    "conv2d, small image": (lambda: ops.conv2d(X, np.ones((1, 3, 5, 5))), "at least 5x5"),
    "max_pool2d": (lambda: ops.max_pool2d(X[0], 2), r"\(N, C, H, W\), got \(3, 4, 4\)"),
    "avg_pool2d, small image": (lambda: ops.avg_pool2d(X, 5), "at least 5x5"),
    "global_avg_pool2d": (lambda: ops.global_avg_pool2d(X[0]), r"\(N, C, H, W\)"),
    "flatten": (lambda: ops.flatten(np.float32(1)), "at least one axis"),
    "batch_norm": (
        lambda: ops.batch_norm(X, np.ones(2), np.ones(2), ops.RunningStats(np.zeros(2), np.ones(2)), training=True),
        r"\(N, C, H, W\) with weight and bias \(C,\)",
    ),
    "batch_norm, one value": (
        lambda: ops.batch_norm(X[:1, :, :1, :1], np.ones(3), np.ones(3), ops.RunningStats(np.zeros(3), np.ones(3)), training=True),
        "more than one value per channel",
    ),
    "concat": (lambda: ops.concat([X, X[:, :, :2]]), "equal shapes off axis 1"),
    "concat, none": (lambda: ops.concat([]), "at least one tensor"),
    "concat, axis": (lambda: ops.concat([X], axis=4), "expected an axis"),
    "cross_entropy, axes": (lambda: ops.cross_entropy(np.ones(3), np.ones(3, int)), r"\(N, K\)"),
    "cross_entropy, empty": (lambda: ops.cross_entropy(np.ones((0, 3)), np.ones(0, int)), "N, K >= 1"),
    "cross_entropy, labels": (lambda: ops.cross_entropy(np.ones((2, 3)), np.ones(3, int)), r"shape \(2,\), got \(3,\)"),
    "backward": (lambda: Tensor(X, requires_grad=True).backward(), "single element"),
    "backward, seed": (lambda: Tensor(X, requires_grad=True).backward(np.ones(3)), r"gradient of shape \(2, 3, 4, 4\), got \(3,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], ValueError, r"\[0, 3\), got values from 0 to 3"),
        ([-1, 0], ValueError, "from -1 to 0"),
        ([0.0, 1.0], TypeError, "whole numbers, got dtype float64"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ops.cross_entropy(np.ones((2, 3)), np.array(labels))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_dropout_needs_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match=r"probability in \[0, 1\)"):
        ops.dropout(X, p, rng=np.random.default_rng(0))


@pytest.mark.parametrize("bad", [0, -1, 1.5, (1, 2, 3), "2"])
def test_stride_and_kernel_must_be_whole_numbers(bad: object) -> None:
    with pytest.raises(ValueError, match="whole number >= 1 or a pair"):
        ops.max_pool2d(X, bad)
    with pytest.raises(ValueError, match="whole number >= 1 or a pair"):
        ops.conv2d(X, np.ones((1, 3, 2, 2)), stride=bad)


def test_an_exponent_must_be_a_number() -> None:
    with pytest.raises(TypeError, match="plain number as exponent, got Tensor"):
        Tensor(X) ** Tensor(X)
