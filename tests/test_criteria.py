"""Every criterion equals a computation by hand, asks for what it needs, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import minprune as mp
from minprune import Tensor, prune
from minprune.data import Split
from minprune.errors import NonFiniteError, ShapeError
from minprune.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, Module, ReLU, Sequential
from tests.data_sets import clusters, small_net

Arrays = dict[str, np.ndarray]
Batch = tuple[np.ndarray, np.ndarray]

SPLITS = clusters()
WITH_DATA = [name for name, criterion in prune.CRITERIA.items() if criterion.needs_data]


def draw(n: int, seed: int, classes: int = 3, shape: tuple[int, int, int] = (1, 2, 2)) -> Batch:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *shape)).astype(np.float32), rng.integers(0, classes, n)


UNEVEN = [draw(5, seed=1), draw(2, seed=2), draw(9, seed=3)]  # a mean over batches is not one over images here


def two_matrices() -> Sequential:
    """softmax(W₂ W₁ x): a network whose gradients are quickly written down. Prunable: "1.weight" (5, 4) and "2.weight" (3, 5)."""
    rng = np.random.default_rng(0)
    return Sequential(Flatten(), Linear(4, 5, bias=False, rng=rng), Linear(5, 3, bias=False, rng=rng))


def gradients_by_hand(model: Sequential, images: np.ndarray, labels: np.ndarray) -> Arrays:
    """dL/dz = (softmax(z) − onehot) / N, dL/dW₂ = (dL/dz)ᵀ h, dL/dW₁ = (dL/dz W₂)ᵀ x."""
    w1, w2 = (model[i].weight.data.astype(np.float64) for i in (1, 2))
    x = images.reshape(len(images), -1)
    h = x @ w1.T
    e = np.exp(h @ w2.T)
    dz = (e / e.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / len(labels)
    return {"1.weight": (dz @ w2).T @ x, "2.weight": dz.T @ h}


def weights(model: Module) -> Arrays:
    return {name: p.data for name, p in prune.prunable_parameters(model).items()}


def assert_close(scores: Arrays, expected: Arrays) -> None:
    assert list(scores) == list(expected)
    for name, array in expected.items():
        assert scores[name].shape == array.shape
        np.testing.assert_allclose(scores[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


# --- by hand ----------------------------------------------------------------------------------------------------------------------


def test_magnitude_is_the_absolute_weight_and_needs_nothing() -> None:
    model = small_net()
    assert_close(prune.score(model), {name: np.abs(w) for name, w in weights(model).items()})
    assert_close(prune.score(model, "magnitude"), prune.score(model))


def test_taylor_is_the_mean_over_batches_of_weight_times_gradient() -> None:
    model = two_matrices()
    by_batch = [{n: np.abs(weights(model)[n] * g) for n, g in gradients_by_hand(model, *batch).items()} for batch in UNEVEN]
    assert_close(prune.score(model, "taylor", data=UNEVEN), {n: np.mean([b[n] for b in by_batch], axis=0) for n in weights(model)})


def test_snip_is_the_mean_gradients_share_of_the_whole_network() -> None:
    model = two_matrices()
    by_batch = [gradients_by_hand(model, *batch) for batch in UNEVEN]
    raw = {n: np.abs(w * np.mean([b[n] for b in by_batch], axis=0)) for n, w in weights(model).items()}
    total = sum(s.sum() for s in raw.values())
    scores = prune.score(model, "snip", data=UNEVEN)
    assert_close(scores, {n: s / total for n, s in raw.items()})
    assert sum(s.sum() for s in scores.values()) == pytest.approx(1, rel=1e-5)


def test_activation_of_matrices_is_the_weight_times_the_norm_of_its_input() -> None:
    model = two_matrices()
    x = np.concatenate([images.reshape(len(images), -1) for images, _ in UNEVEN])
    h = x @ model[1].weight.data.T
    norms = {"1.weight": np.sqrt((x**2).sum(axis=0)), "2.weight": np.sqrt((h**2).sum(axis=0))}
    assert_close(prune.score(model, "activation", data=UNEVEN), {n: np.abs(w) * norms[n] for n, w in weights(model).items()})


def squares_by_loop(x: np.ndarray, layer: Conv2d) -> np.ndarray:
    """Σ over images and positions of the squares that each weight (c, r, s) of a filter meets."""
    (r, s), (sy, sx), (py, px) = layer.weight.shape[2:], layer.stride, layer.padding
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    total = np.zeros((x.shape[1], r, s))
    for image in x:
        for top in range(0, image.shape[1] - r + 1, sy):
            for left in range(0, image.shape[2] - s + 1, sx):
                total += image[:, top : top + r, left : left + s] ** 2
    return total


def test_activation_of_convolutions_equals_an_explicit_loop_over_patches() -> None:
    rng = np.random.default_rng(0)
    first, second = Conv2d(1, 2, 3, padding=1, rng=rng), Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(0, 1), rng=rng)
    model = Sequential(first, ReLU(), second, Flatten(), Linear(3 * 2 * 5, 3, rng=rng))
    batches = [draw(4, seed=1, shape=(1, 5, 4)), draw(3, seed=2, shape=(1, 5, 4))]
    images = np.concatenate([x for x, _ in batches])
    hidden = np.maximum(first(images).data, 0)
    features = second(hidden).data.reshape(len(images), -1)
    norms = {
        "0.weight": np.sqrt(squares_by_loop(images, first)),
        "2.weight": np.sqrt(squares_by_loop(hidden, second)),
        "4.weight": np.sqrt((features**2).sum(axis=0)),
    }
    assert_close(prune.score(model, "activation", data=batches), {n: np.abs(w) * norms[n] for n, w in weights(model).items()})


def test_a_layer_that_is_used_twice_meets_the_inputs_of_both_uses() -> None:
    layer = Linear(4, 4, bias=False, rng=np.random.default_rng(0))
    x, y = draw(6, seed=1)
    x = x.reshape(6, 4)
    h = x @ layer.weight.data.T
    expected = np.abs(layer.weight.data) * np.sqrt((x**2).sum(axis=0) + (h**2).sum(axis=0))
    assert_close(prune.score(Sequential(layer, layer), "activation", data=[(x, y)]), {"0.weight": expected})


def test_random_scores_are_reproducible_and_uniform() -> None:
    one, same, other = (prune.score(small_net(), "random", rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert_close(one, same)
    values = np.concatenate([s.ravel() for s in one.values()])
    assert not np.array_equal(one["3.weight"], other["3.weight"])
    assert (values >= 0).all()
    assert (values < 1).all()
    assert np.histogram(values, 4, (0, 1))[0] == pytest.approx(len(values) / 4, rel=0.15)


@pytest.mark.parametrize("criterion", ["taylor", "snip", "activation"])
def test_masked_weights_score_zero(criterion: str) -> None:
    model = small_net()
    masks = prune.cut(model, 0.5)
    scores = prune.score(model, criterion, data=SPLITS.train)
    assert all((scores[name][~mask] == 0).all() for name, mask in masks.items())
    assert all((scores[name][mask] > 0).any() for name, mask in masks.items())


def test_evidence_by_hand() -> None:
    model = two_matrices()
    evidence = prune.gather(model, UNEVEN)
    by_batch = [gradients_by_hand(model, *batch) for batch in UNEVEN]
    assert_close(evidence.gradients, {n: np.mean([b[n] for b in by_batch], axis=0) for n in weights(model)})
    assert_close(evidence.weights, weights(model))
    without_data = prune.gather(model)
    assert (without_data.gradients, without_data.saliencies, without_data.input_norms) == ({}, {}, {})


# --- calibration data -------------------------------------------------------------------------------------------------------------


def test_of_a_split_the_first_512_images_are_used_in_batches_of_64() -> None:
    model, (images, labels) = two_matrices(), draw(600, seed=4)
    by_hand = [(images[i : i + 64], labels[i : i + 64]) for i in range(0, 512, 64)]
    assert_close(prune.score(model, "taylor", data=Split(images, labels)), prune.score(model, "taylor", data=by_hand))


def test_batches_may_come_from_a_generator() -> None:
    def stream() -> Iterator[Batch]:
        yield from UNEVEN

    for criterion in WITH_DATA:
        assert_close(prune.score(two_matrices(), criterion, data=stream()), prune.score(two_matrices(), criterion, data=UNEVEN))


@pytest.mark.parametrize("criterion", WITH_DATA)
@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (None, ValueError, "needs calibration data: pass data=splits.train"),
        ([], ValueError, "calibration data expected at least one batch, got none"),
        (iter(()), ValueError, "calibration data expected at least one batch, got none"),
        (Split(np.zeros((0, 1, 2, 2), np.float32), np.zeros(0, np.int64)), ShapeError, "empty data set"),
        (UNEVEN[0], ValueError, "got a single pair; wrap it in a list"),
        ([(UNEVEN[0][0], UNEVEN[0][1] + 3)], ValueError, r"labels expected values in \[0, 3\)"),
    ],
)
def test_calibration_data_that_make_no_sense_are_refused(criterion: str, data: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        prune.score(two_matrices(), criterion, data=data)


# --- refusals ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_criterion_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown criterion 'talyor': expected one of magnitude, .*; did you mean 'taylor'"):
        prune.score(small_net(), "talyor")


def test_random_needs_a_generator() -> None:
    with pytest.raises(ValueError, match=r"'random' needs a random generator: pass rng=numpy\.random\.default_rng\(seed\)"):
        prune.score(small_net(), "random")


def test_a_network_without_weights_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Sequential has nothing to prune"):
        prune.score(Sequential(ReLU(), BatchNorm2d(3)))


def test_prunable_are_the_weights_of_layers_but_no_bias_and_no_batch_norm() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 2, 3, rng=rng), BatchNorm2d(2), Flatten(), Linear(18, 3, rng=rng))
    assert list(prune.prunable_parameters(model)) == ["0.weight", "3.weight"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("criterion", prune.CRITERIA)
def test_a_weight_that_is_not_finite_names_its_layer(criterion: str, bad: float) -> None:
    model = small_net()
    model[3].weight.data[1, 2:4] = bad
    with pytest.raises(NonFiniteError, match=r"weights of 3\.weight expected finite numbers, got 2 NaN or infinite values of 1200"):
        prune.score(model, criterion, data=SPLITS.train, rng=np.random.default_rng(0))


@pytest.mark.parametrize("criterion", WITH_DATA)
def test_a_gradient_that_is_not_finite_names_its_layer(criterion: str) -> None:
    x, y = draw(4, seed=1)
    x[2, 0, 0, 1] = np.nan
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"gradients of 1\.weight expected finite numbers, got .* of 20"):
        prune.score(two_matrices(), criterion, data=[(x, y)])


def test_a_score_that_overflows_names_its_layer() -> None:
    """Inputs of 1e20 have gradients that are finite in float32, and squares that are not."""
    x, y = draw(4, seed=1)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"scores of 1\.weight expected finite numbers"):
        prune.score(two_matrices(), "activation", data=[(np.full_like(x, 1e20), y)])


def test_snip_refuses_a_network_that_nothing_flows_through() -> None:
    model = two_matrices()
    model[2].weight.data[...] = 0
    model[1].weight.data[...] = 0
    with pytest.raises(ValueError, match="snip expected some weight with a gradient"):
        prune.score(model, "snip", data=UNEVEN)


class Aside(Module):
    """A network with a layer that its output does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.aside = two_matrices(), Linear(2, 2, rng=np.random.default_rng(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


@pytest.mark.parametrize("criterion", WITH_DATA)
def test_a_layer_that_the_loss_does_not_depend_on_scores_zero(criterion: str) -> None:
    scores = prune.score(Aside(), criterion, data=UNEVEN)
    np.testing.assert_array_equal(scores.pop("aside.weight"), np.zeros((2, 2)))
    assert_close(scores, {f"main.{n}": s for n, s in prune.score(two_matrices(), criterion, data=UNEVEN).items()})


# --- nothing is left behind -------------------------------------------------------------------------------------------------------


def model_in_the_middle_of_training() -> Sequential:
    """BatchNorm with statistics (one of the two frozen in evaluation mode), dropout, masks and gradients."""
    rng = np.random.default_rng(0)
    model = Sequential(
        Conv2d(1, 3, 3, rng=rng),
        BatchNorm2d(3),
        Conv2d(3, 2, 2, rng=rng),
        BatchNorm2d(2),
        Flatten(),
        Dropout(0.5, rng=np.random.default_rng(1)),
        Linear(8, 4, rng=rng),
    ).train()
    mp.ops.cross_entropy(model(SPLITS.train.images[:32]), SPLITS.train.labels[:32]).backward()
    prune.cut(model, 0.3)
    model[1].eval()
    return model


def state(model: Sequential) -> dict[str, object]:
    """Everything that a model holds, as values that can be compared."""
    arrays = {f"{n} data": a.tobytes() for n, a in model.state_dict().items()}
    for name, p in model.named_parameters():
        arrays |= {
            f"{name} mask": p.mask if p.mask is None else p.mask.tobytes(),
            f"{name} grad": p.grad if p.grad is None else p.grad.tobytes(),
        }
    return arrays | {"modes": [m.training for _, m in model.named_modules()], "rng": model[5].rng.bit_generator.state}


def scores_by(criterion: str, model: Module) -> Arrays:
    """The scores of ``model``, with everything that any criterion may ask for."""
    return prune.score(model, criterion, data=SPLITS.train, rng=np.random.default_rng(0), input_shape=SPLITS.image_shape)


def broken() -> Iterator[Batch]:
    yield SPLITS.train.images[:8], SPLITS.train.labels[:8]
    raise OSError("the disk is gone")


CALLS: dict[str, tuple[Callable[[Module], object], type | None]] = {
    **{name: (lambda m, c=name: scores_by(c, m), None) for name in prune.CRITERIA},
    "images of another shape": (lambda m: prune.score(m, "taylor", data=[draw(4, seed=0)]), ShapeError),
    "labels that are no classes": (lambda m: prune.score(m, "snip", data=[(SPLITS.train.images, SPLITS.train.labels + 1)]), ValueError),
    "batches that fail": (lambda m: prune.score(m, "activation", data=broken()), OSError),
    "no batches": (lambda m: prune.score(m, "activation", data=[]), ValueError),
}


@pytest.mark.parametrize("name", CALLS)
def test_weights_masks_gradients_statistics_and_modes_are_left_as_they_were(name: str) -> None:
    model = model_in_the_middle_of_training()
    before = state(model)
    assert before["6.weight grad"] is not None
    assert len(set(before["modes"])) == 2
    call, error = CALLS[name]
    if error is None:
        call(model)
    else:
        with pytest.raises(error):
            call(model)
    assert state(model) == before


def test_scores_do_not_hang_on_dropout_or_on_the_mode() -> None:
    model = model_in_the_middle_of_training()
    one = prune.score(model, "taylor", data=SPLITS.train)
    assert_close(prune.score(model, "taylor", data=SPLITS.train), one)
    assert_close(prune.score(model.eval(), "taylor", data=SPLITS.train), one)


@pytest.mark.parametrize("criterion", prune.CRITERIA)
def test_no_criterion_gives_the_models_own_arrays_away(criterion: str) -> None:
    model = model_in_the_middle_of_training()
    before = model.state_dict()
    for array in scores_by(criterion, model).values():
        array[...] = 7
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
