"""Forward and gradients of every operation equal PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from minprune import Tensor, ops
from tests.oracles import oracle

torch = oracle("torch")
F = torch.nn.functional
R = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return R.standard_normal(shape)


def stats() -> ops.RunningStats:
    return ops.RunningStats(np.full(3, 0.5), np.full(3, 2.0))


X4, LABELS = normal(3, 3, 7, 6), np.array([1, 0, 4, 2])
CASES = {
    "add": (lambda a, b: a + b, lambda a, b: a + b, (normal(3, 1), normal(4))),
    "sub": (lambda a, b: a - b, lambda a, b: a - b, (normal(3, 4), normal(4))),
    "mul": (lambda a, b: a * b, lambda a, b: a * b, (normal(3, 4), normal(3, 1))),
    "div": (lambda a, b: a / b, lambda a, b: a / b, (normal(3, 4), normal(4) + 5)),
    "pow": (lambda a: a**3, lambda a: a**3, (normal(3, 4),)),
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, (normal(2, 3, 4), normal(4, 5))),
    "exp": (lambda a: a.exp(), lambda a: a.exp(), (normal(5),)),
    "log": (lambda a: a.log(), lambda a: a.log(), (np.abs(normal(5)) + 1,)),
    "sum": (lambda a: a.sum(axis=1), lambda a: a.sum(dim=1), (normal(2, 3, 4),)),
    "mean": (lambda a: a.mean(axis=(0, 2)), lambda a: a.mean(dim=(0, 2)), (normal(2, 3, 4),)),
    "max": (lambda a: a.max(axis=(0, 1)), lambda a: a.amax(dim=(0, 1)), (np.round(normal(3, 4, 5)),)),
    "reshape": (lambda a: a.reshape(4, -1), lambda a: a.reshape(4, -1), (normal(2, 3, 4),)),
    "transpose": (lambda a: a.transpose(2, 0, 1), lambda a: a.permute(2, 0, 1), (normal(2, 3, 4),)),
    "index": (lambda a: a[[0, 2, 0], 1:], lambda a: a[[0, 2, 0], 1:], (normal(3, 4),)),
    "relu": (ops.relu, F.relu, (np.round(normal(4, 5)),)),  # rounded: zeros occur
    "linear": (ops.linear, F.linear, (normal(4, 3), normal(5, 3), normal(5))),
    "conv2d": (ops.conv2d, F.conv2d, (X4, normal(4, 3, 3, 2), normal(4))),
    "conv2d, stride, padding": (
        lambda x, w, b: ops.conv2d(x, w, b, (2, 1), (1, 2)),
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2)),
        (X4, normal(4, 3, 3, 3), normal(4)),
    ),
    "max_pool2d, with ties": (lambda x: ops.max_pool2d(x, 3, 2), lambda x: F.max_pool2d(x, 3, 2), (np.round(X4),)),
    "max_pool2d": (lambda x: ops.max_pool2d(x, (2, 3)), lambda x: F.max_pool2d(x, (2, 3)), (X4,)),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 2, 1), lambda x: F.avg_pool2d(x, 2, 1), (X4,)),
    "global_avg_pool2d": (ops.global_avg_pool2d, lambda x: x.mean(dim=(2, 3)), (X4,)),
    "batch_norm, training": (
        lambda x, w, b: ops.batch_norm(x, w, b, stats(), training=True),
        lambda x, w, b: F.batch_norm(x, torch.full((3,), 0.5).to(x), torch.full((3,), 2.0).to(x), w, b, training=True),
        (X4, normal(3), normal(3)),
    ),
    "batch_norm, evaluation": (
        lambda x, w, b: ops.batch_norm(x, w, b, stats(), training=False),
        lambda x, w, b: F.batch_norm(x, torch.full((3,), 0.5).to(x), torch.full((3,), 2.0).to(x), w, b, training=False),
        (X4, normal(3), normal(3)),
    ),
    "flatten": (ops.flatten, lambda x: x.flatten(1), (X4,)),
    "concat": (lambda a, b: ops.concat([a, b]), lambda a, b: torch.cat([a, b], 1), (X4, X4[:, :1])),
    "cross_entropy": (
        lambda x: ops.cross_entropy(x, LABELS),
        lambda x: F.cross_entropy(x, torch.from_numpy(LABELS)),
        (normal(4, 5) * 4,),
    ),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradients_equal_torchs(name: str, dtype: type) -> None:
    ours, theirs, inputs = CASES[name]
    tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype is np.float64 else {"rtol": 2e-4, "atol": 2e-5}
    a = [Tensor(x.astype(dtype), requires_grad=True) for x in inputs]
    b = [torch.tensor(x.astype(dtype), requires_grad=True) for x in inputs]
    y, z = ours(*a), theirs(*b)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, z.detach().numpy(), **tolerance)
    seed = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    y.backward(seed)
    z.backward(torch.from_numpy(np.asarray(seed)))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one.grad, other.grad.numpy(), **tolerance)
