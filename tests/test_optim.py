"""A step never changes a masked weight, with any optimizer and any history; arguments are checked; schedules follow their formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minprune as mp
from minprune import optim
from minprune.nn import Linear, Module
from minprune.optim import Optimizer

OPTIMIZERS: dict[str, Callable[[Module], Optimizer]] = {
    "sgd": lambda m: optim.SGD(m, lr=0.1),
    "momentum, weight decay": lambda m: optim.SGD(m, lr=0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda m: optim.SGD(m, lr=0.1, momentum=0.9, nesterov=True),
    "adam, weight decay": lambda m: optim.Adam(m, lr=0.1, weight_decay=0.1),
    "adamw": lambda m: optim.AdamW(m, lr=0.1, weight_decay=0.5),
}


def step(layer: Linear, optimizer: Optimizer, rng: np.random.Generator) -> None:
    optimizer.zero_grad()
    out = layer(rng.standard_normal((5, 4)).astype(np.float32))
    (out * out).sum().backward()
    optimizer.step()


def assert_held(layer: Linear, optimizer: Optimizer) -> None:
    pruned = ~layer.weight.mask
    assert (layer.weight.data[pruned] == 0).all()
    for array in optimizer.state.get("weight", {}).values():
        assert (array[pruned] == 0).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(deadline=None, max_examples=25)
@given(mask=st.lists(st.booleans(), min_size=12, max_size=12), before=st.integers(0, 3), after=st.integers(1, 3), seed=st.integers(0, 99))
def test_masked_weights_stay_zero_whatever_was_built_up_before(name: str, mask: list[bool], before: int, after: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = Linear(4, 3, rng=rng)
    optimizer = OPTIMIZERS[name](layer)
    for _ in range(before):  # momentum and moments grow for weights that will be pruned
        step(layer, optimizer, rng)
    layer.weight.set_mask(np.array(mask).reshape(3, 4))
    for _ in range(after):
        step(layer, optimizer, rng)
        assert_held(layer, optimizer)
    kept = layer.weight.data[layer.weight.mask]
    assert (kept != 0).all()


@pytest.mark.parametrize("value", [1.0, np.inf, np.nan])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_even_when_the_user_writes_a_gradient_there(name: str, value: float) -> None:
    rng = np.random.default_rng(0)
    layer = Linear(4, 3, rng=rng)
    optimizer = OPTIMIZERS[name](layer)
    layer.weight.set_mask(rng.random((3, 4)) < 0.5)
    for _ in range(2):
        layer.weight.grad = np.where(layer.weight.mask, 0.1, value).astype(np.float32)
        optimizer.step()
        assert_held(layer, optimizer)
    assert np.isfinite(layer.weight.data).all()


def test_a_parameter_without_gradient_is_left_alone() -> None:
    layer = Linear(4, 3, rng=np.random.default_rng(0))
    before = layer.weight.data.copy()
    optim.SGD(layer, lr=1.0, weight_decay=1.0).step()
    np.testing.assert_array_equal(layer.weight.data, before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: optim.SGD(m, lr=-1), ValueError, "lr expected a finite number >= 0, got -1"),
        (lambda m: optim.SGD(m, lr=float("nan")), ValueError, "lr expected a finite number"),
        (lambda m: optim.SGD(m, lr=0.1, momentum=-0.5), ValueError, "momentum expected"),
        (lambda m: optim.SGD(m, lr=0.1, weight_decay=-1), ValueError, "weight_decay expected"),
        (lambda m: optim.SGD(m, lr=0.1, nesterov=True), ValueError, "momentum above 0"),
        (lambda m: optim.Adam(m, betas=(0.9, 1.0)), ValueError, r"two numbers in \[0, 1\)"),
        (lambda m: optim.Adam(m, eps=-1), ValueError, "eps expected"),
        (lambda m: optim.SGD(m.parameters(), lr=0.1), TypeError, "expected a Module, got list"),
    ],
)
def test_bad_arguments_are_refused(make, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make(Linear(2, 2, rng=np.random.default_rng(0)))


def test_schedules_at_their_corners() -> None:
    cosine = optim.CosineLR(10, floor=0.2)
    assert (cosine(0), cosine(5), cosine(10), cosine(99)) == pytest.approx((1, 0.6, 0.2, 0.2))
    assert [optim.StepLR(2, 0.5)(s) for s in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    warm = optim.WarmupLR(4, optim.CosineLR(10))
    assert [warm(s) for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert warm(14) == pytest.approx(0)
    assert optim.ConstantLR()(5) == 1


def test_zero_grad_forgets() -> None:
    layer = Linear(2, 2, rng=np.random.default_rng(0))
    optimizer = optim.SGD(layer, lr=0.1)
    layer(mp.Tensor(np.ones((1, 2)))).sum().backward()
    assert layer.weight.grad is not None
    optimizer.zero_grad()
    assert all(p.grad is None for p in layer.parameters())
