"""The tape: any length, linear time, gradients added up in one place, and used up once."""

from __future__ import annotations

import numpy as np
import pytest

import minprune as mp
from minprune import Tensor
from minprune.tape import tape
from minprune.tensor import record


def test_thousands_of_chained_additions_do_not_hit_the_recursion_limit() -> None:
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(5_000):
        y = y + 1.0
    y.backward()
    assert y.item() == 5_001
    assert x.grad == [1.0]


def test_a_deep_diamond_visits_each_node_once() -> None:
    visits = 0

    def double(a: Tensor) -> Tensor:
        def vjp(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal visits
            visits += 1
            return g, g

        return record("double", a.data + a.data, (a, a), vjp)

    x = Tensor(np.array([1.0]), requires_grad=True)
    y = x
    for _ in range(60):
        y = double(y)
    y.backward()
    assert x.grad == [2.0**60]
    assert visits == 60


def test_parents_come_before_children_each_once() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    a = x * 2
    b = a + x
    c = a * b
    order = tape(c)
    assert [t.op for t in order] == ["leaf", "mul", "add", "mul"]
    assert order[0] is x
    assert order[-1] is c


def test_gradients_add_up_over_uses_and_over_calls() -> None:
    x = Tensor([3.0], requires_grad=True)
    (x * x + x).backward()
    assert x.grad == [7.0]
    (x * 2).backward()
    assert x.grad == [9.0]


def test_a_gradient_shared_by_two_leaves_is_not_the_same_array_when_more_arrives() -> None:
    a, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    (a + b).backward()
    (a * 5).backward()
    assert a.grad == [6.0]
    assert b.grad == [1.0]


def test_only_leaves_that_ask_for_it_get_a_gradient() -> None:
    x, constant = Tensor([1.0], requires_grad=True), Tensor([2.0])
    middle = x * constant
    (middle + 1).backward()
    assert x.grad == [2.0]
    assert constant.grad is None
    assert middle.grad is None


def test_a_second_backward_says_that_the_tape_is_used_up() -> None:
    x = Tensor([1.0], requires_grad=True)
    y = x * 2
    y.backward()
    with pytest.raises(RuntimeError, match="used up by an earlier backward"):
        y.backward()


def test_no_grad_records_nothing_and_ends_with_its_block() -> None:
    x = Tensor([1.0], requires_grad=True)
    with mp.no_grad():
        inside = x * 2
    outside = x * 2
    assert not inside.requires_grad
    assert inside.parents == ()
    assert outside.requires_grad
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        inside.backward()


def test_float32_stays_and_numbers_do_not_change_the_dtype() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = ((2 * x - 1) / 3.0 + np.float64(1.0)) ** 2
    y.sum().backward()
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float32
    assert Tensor([1, 2]).dtype == np.float32
    assert Tensor(np.ones(2)).dtype == np.float64


def test_an_ndarray_on_the_left_defers_to_the_tensor() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    assert isinstance(np.ones(3) + x, Tensor)
    assert isinstance(np.ones((2, 3)) @ x, Tensor)
