"""Modules find their parameters, carry state faithfully, and hold masks."""

from __future__ import annotations

import numpy as np
import pytest

import minprune as mp
from minprune.errors import ShapeError
from minprune.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Parameter, ReLU, Sequential, build, describe
from tests.data_sets import small_net

RNG = np.random.default_rng(0)


def every_layer() -> Sequential:
    inner = Sequential(Conv2d(2, 3, 3, stride=(1, 2), padding=1, bias=False, rng=RNG), BatchNorm2d(3), ReLU())
    return Sequential(inner, MaxPool2d(2), Flatten(), Dropout(0.5, rng=RNG), Linear(3 * 3 * 2, 4, rng=RNG))


def test_names_and_order_are_those_of_pytorch() -> None:
    assert [n for n, _ in every_layer().named_parameters()] == ["0.0.weight", "0.1.weight", "0.1.bias", "4.weight", "4.bias"]
    assert [n for n, _ in every_layer().named_buffers()] == ["0.1.running_mean", "0.1.running_var"]


def test_a_shared_parameter_appears_once() -> None:
    layer = Linear(2, 2, rng=RNG)
    assert [n for n, _ in Sequential(layer, layer).named_parameters()] == ["0.weight", "0.bias"]


def test_train_and_eval_reach_every_module() -> None:
    model = every_layer()
    assert not any(m.training for _, m in model.eval().named_modules())
    assert all(m.training for _, m in model.train().named_modules())


def test_dropout_and_batch_statistics_are_off_in_evaluation() -> None:
    model, x = every_layer().eval(), RNG.random((4, 2, 6, 8), dtype=np.float32)
    np.testing.assert_array_equal(model(x).data, model(x).data)
    assert not np.array_equal(model.train()(x).data, model(x).data)


def test_state_goes_round_and_is_a_copy() -> None:
    one, other = small_net(seed=1), small_net(seed=2)
    state = one.state_dict()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other[0].weight.data, one[0].weight.data)
    state["0.weight"][...] = 7
    assert not (one[0].weight.data == 7).any()
    assert not (other[0].weight.data == 7).any()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("0.bias"), KeyError, r"missing \['0.bias'\]"),
        (lambda s: s.update(extra=np.ones(1)), KeyError, r"unknown \['extra'\]"),
        (lambda s: s.update({"5.bias": np.ones(9)}), ShapeError, r"5.bias expected shape \(4,\), got \(9,\)"),
    ],
)
def test_state_that_does_not_fit_changes_nothing(change, error: type, message: str) -> None:
    model = small_net(seed=1)
    before, state = model.state_dict(), small_net(seed=2).state_dict()
    change(state)
    with pytest.raises(error, match=message):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_copy_shares_nothing_and_keeps_masks() -> None:
    model = small_net()
    mp.prune.cut(model, 0.5)
    twin = model.copy()
    np.testing.assert_array_equal(twin[3].weight.mask, model[3].weight.mask)
    twin[3].weight.data += 1
    assert not np.array_equal(twin[3].weight.data, model[3].weight.data)


def test_description_builds_an_equal_architecture() -> None:
    model = every_layer()
    again = build(describe(model), rng=RNG)
    assert describe(again) == describe(model)
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


def test_an_unknown_layer_type_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'Linear'"):
        build({"type": "Linaer"}, rng=RNG)


def test_a_module_without_config_says_what_to_do() -> None:
    class Mine(Module):
        pass

    with pytest.raises(NotImplementedError, match="Mine does not define config"):
        describe(Mine())
    with pytest.raises(NotImplementedError, match="Mine does not define forward"):
        Mine()(np.ones(1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Linear(0, 3, rng=RNG), ValueError, "at least one input and one output"),
        (lambda: Conv2d(1, 3, 0, rng=RNG), ValueError, "kernel_size expected a whole number >= 1"),
        (lambda: Conv2d(1, 3, 3, padding=-1, rng=RNG), ValueError, "padding expected a whole number >= 0"),
        (lambda: Conv2d(1, 3, 3, init="xaver", rng=RNG), ValueError, "did you mean 'xavier'"),
        (lambda: Sequential(ReLU(), 3), TypeError, "expected modules, got int at position 1"),
    ],
)
def test_a_layer_that_makes_no_sense_is_refused(make, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def masked_parameter(dtype: type = np.float32) -> Parameter:
    p = Parameter(np.arange(1, 5, dtype=dtype))
    p.set_mask(np.array([True, False, True, False]))
    return p


def test_masked_weights_and_their_gradients_are_zero() -> None:
    p = masked_parameter()
    (p * 3.0).sum().backward()
    np.testing.assert_array_equal(p.data, [1, 0, 3, 0])
    np.testing.assert_array_equal(p.grad, [3, 0, 3, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masking_beats_nan_and_infinity_and_gives_plus_zero(dtype: type) -> None:
    p = masked_parameter(dtype)
    masked = p.masked(np.array([np.nan, np.nan, -np.inf, -2], dtype))
    np.testing.assert_array_equal(masked, np.array([np.nan, 0, -np.inf, 0], dtype))
    assert not np.signbit(masked[[1, 3]]).any()


def test_an_all_ones_mask_changes_neither_forward_nor_backward() -> None:
    plain, masked = small_net(), small_net()
    mp.prune.apply_masks(masked, {n: np.ones(p.shape, bool) for n, p in mp.prune.prunable_parameters(masked).items()})
    x, y = RNG.random((6, 1, 5, 5), dtype=np.float32), np.arange(6) % 4
    for model in (plain, masked):
        mp.ops.cross_entropy(model(x), y).backward()
    np.testing.assert_array_equal(plain(x).data, masked(x).data)
    for a, b in zip(plain.parameters(), masked.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


def test_a_mask_cannot_be_changed_behind_the_parameters_back() -> None:
    p, mask = Parameter(np.ones(2, np.float32)), np.array([True, False])
    p.set_mask(mask)
    mask[:] = True
    assert not p.mask[1]
    with pytest.raises(ValueError, match="read-only"):
        p.mask[1] = True
    with pytest.raises(AttributeError):
        p.mask = None


@pytest.mark.parametrize(("mask", "error"), [(np.ones(3, bool), ShapeError), (np.ones(4), TypeError)])
def test_a_mask_that_does_not_fit_leaves_the_parameter_alone(mask: np.ndarray, error: type) -> None:
    p = masked_parameter()
    with pytest.raises(error, match=r"expected a mask of shape|array of bool"):
        p.set_mask(mask)
    np.testing.assert_array_equal(p.mask, [True, False, True, False])


@pytest.mark.parametrize(("name", "count"), [("lenet300100", 266_610), ("lenet5", 431_080)])
def test_models_have_the_published_number_of_parameters(name: str, count: int) -> None:
    assert sum(p.size for p in mp.models.create(name, rng=RNG).parameters()) == count


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8)])
@pytest.mark.parametrize("name", ["lenet300100", "smallconvnet", "resnet"])
def test_models_take_images_of_their_shape(name: str, shape: tuple) -> None:
    model = mp.models.create(name, input_shape=shape, num_classes=7, rng=RNG)
    assert model(np.zeros((2, *shape), np.float32)).shape == (2, 7)
    with pytest.raises(ShapeError, match=r"expected images of shape \(N, .*got \(2, 1, 5, 5\)"):
        model(np.zeros((2, 1, 5, 5), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mp.models.create("resnt", rng=RNG), ValueError, "did you mean 'resnet'"),
        (lambda: mp.models.LeNet5((1, 8, 8), rng=RNG), ShapeError, "at least 16x16, got 8x8"),
        (lambda: mp.models.ResNet((8, 8), rng=RNG), ShapeError, r"input_shape \(C, H, W\)"),
        (lambda: mp.models.ResNet(widths=(), rng=RNG), ValueError, "at least one width"),
        (lambda: mp.models.LeNet5(num_classes=0, rng=RNG), ValueError, "num_classes >= 1"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(make, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_gradient_from_under_an_earlier_mask_does_not_pass_for_masked() -> None:
    for seed in range(20):  # what tells masks apart could be an address, which is soon used again
        rng = np.random.default_rng(seed)
        layer = Conv2d(4, 30, 3, rng=rng)
        layer.weight.set_mask(rng.random(layer.weight.shape) < 0.2)
        layer(mp.Tensor(rng.standard_normal((4, 4, 8, 8)).astype(np.float32))).sum().backward()
        layer.weight.set_mask(None)
        layer.weight.set_mask(rng.random(layer.weight.shape) < 0.5)
        assert layer.weight.grad is not None
        assert not layer.weight.grad[~layer.weight.mask].any()
