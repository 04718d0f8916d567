"""Every function on kernels gives what its NumPy twin gives, in any memory order and for any batch; so does a whole training step."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minprune as mp
from minprune import Tensor, backend, ops
from minprune.filters import Filters
from minprune.geometry import Geometry
from minprune.nn import Parameter
from tests.oracles import oracle

oracle("numba")
from minprune.fast import lanes, memory  # noqa: E402 (needs numba)

Array = np.ndarray
FAMILIES = ("conv", "linear", "activation", "pool", "norm", "loss", "steps", "arithmetic")
FAST, PLAIN = ({family: importlib.import_module(f"minprune.{package}.{family}") for family in FAMILIES} for package in ("fast", "plain"))
TWINS = {family: (FAST[family], PLAIN[family]) for family in FAMILIES}


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def assert_same(fast: Array, plain: Array, what: str = "") -> None:
    """Equal to rounding, with NaN in the same places and nowhere else."""
    assert (fast.shape, fast.dtype) == (plain.shape, plain.dtype), what
    finite = plain[np.isfinite(plain)]
    scale = max(1.0, float(np.abs(finite).max(initial=0)))
    np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=2e-5 * scale, err_msg=what)


def assert_twins(family: str, compute: Callable[[ModuleType], dict[str, Array]]) -> None:
    """What ``compute`` makes with the fast family is what it makes with the plain one."""
    fast, plain = (compute(work) for work in TWINS[family])
    assert fast.keys() == plain.keys()
    for name in plain:
        assert_same(fast[name], plain[name], name)


def batch_innermost(a: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0)


def in_lanes(a: Array) -> Array:
    return lanes.view(lanes.as_lanes(a), len(a))


def every_second(a: Array) -> Array:
    wide = np.full((2 * len(a), *a.shape[1:]), np.nan, np.float32)
    wide[::2] = a
    return wide[::2]


def backwards(a: Array) -> Array:
    return np.ascontiguousarray(a[:, ::-1])[:, ::-1]


def first_of_more(a: Array) -> Array:
    """The first images of a larger batch in lanes, which look like a batch in lanes but have other images where its padding should be."""
    others = np.full((max(lanes.width_for(len(a)) - len(a), 1), *a.shape[1:]), np.nan, np.float32)
    return in_lanes(np.concatenate([a, others]))[: len(a)]


def read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


ORDERS = (np.ascontiguousarray, np.asfortranarray, batch_innermost, in_lanes, every_second, backwards, first_of_more, read_only)
orders = st.sampled_from(ORDERS)
batches = st.sampled_from([1, 3, 16, 17, 37, 64, 128])
weight_orders = st.sampled_from(ORDERS[:2])
seeds = st.integers(0, 999)
channels = st.integers(1, 20)
few = st.integers(1, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_twins_have_equal_names_and_as_many_arguments(family: str) -> None:
    fast, plain = TWINS[family]
    defined = [name for name, f in vars(fast).items() if inspect.isfunction(f) and f.__module__ == fast.__name__ and name[0] != "_"]
    names = getattr(fast, "__all__", defined)
    assert names
    for name in names:
        one, other = (inspect.signature(getattr(work, name)).parameters.values() for work in (fast, plain))
        assert [(p.kind, p.default) for p in one] == [(p.kind, p.default) for p in other], name


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], int, Geometry]:
    """The shape of a batch, the number of filters, and how they walk; some kernels are as large as the image with its padding."""
    n, c, o = draw(batches), draw(channels), draw(channels)
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    geometry = Geometry(kernel, draw(st.tuples(few, few)), draw(st.tuples(st.integers(0, 3), st.integers(0, 3))))
    h, w = (max(k - 2 * p, 1) + draw(st.integers(0, 6)) for k, p in zip(kernel, geometry.padding, strict=True))
    return (n, c, h, w), o, geometry


densities = st.sampled_from([None, 1.0, 0.5, 0.1, 0.03, 0.0])


def pruned(weight: Array, bias: Array | None, density: float | None, seed: int) -> Filters:
    """Filters with about that share of their weights, or without a mask."""
    if density is None:
        return Filters(weight, bias)
    mask = read_only(np.random.default_rng(seed).random(weight.shape) < density)
    return Filters(weight * mask, bias, mask)


def kept(grad: Array, filters: Filters) -> Array:
    """The gradient of the weights that there are; nobody asks for that of the others."""
    return grad if filters.mask is None else np.where(filters.mask, grad, 0)


def convolve(work: ModuleType, x: Array, filters: Filters, grad: Array, geometry: Geometry) -> dict[str, Array]:
    """A convolution forward and backward."""
    size = geometry.output_size(*x.shape[2:])
    padded, dy = work.pad(x, geometry.padding), work.lay(grad)
    return {
        "pad": work.view(padded, len(x)),
        "forward": work.view(work.forward(padded, filters, geometry, size), len(x)),
        "input_grad": work.view(work.input_grad(filters, dy, padded.shape, geometry), len(x)),
        "weight_grad": kept(work.weight_grad(padded, dy, filters, geometry), filters),
        "bias_grad": work.bias_grad(dy),
    }


@settings(deadline=None, max_examples=80)
@given(convolutions(), st.booleans(), densities, orders, orders, orders, seeds)
def test_convolution(shapes, biased: bool, density: float | None, x_order, w_order, g_order, seed: int) -> None:
    shape, o, geometry = shapes
    n, c, h, w = shape
    weight = w_order(normal(seed, o, c, *geometry.kernel))
    filters = pruned(weight, normal(seed, 2 * o)[::2] if biased else None, density, seed)
    x, grad = x_order(normal(seed + 1, *shape)), g_order(normal(seed + 2, n, o, *geometry.output_size(h, w)))
    assert_twins("conv", lambda work: convolve(work, x, filters, grad, geometry))


@pytest.mark.parametrize(
    ("kernel", "padding"), [((1, 1), (1, 1)), ((2, 2), (3, 3)), ((1, 3), (1, 0)), ((3, 1), (1, 1)), ((3, 3), (2, 2)), ((3, 3), (3, 2))]
)
def test_convolution_whose_padding_is_as_large_as_its_kernel(kernel: tuple[int, int], padding: tuple[int, int]) -> None:
    geometry = Geometry(kernel, (1, 1), padding)
    filters = Filters(normal(0, 4, 3, *kernel))
    x, grad = normal(1, 5, 3, 6, 7), normal(2, 5, 4, *geometry.output_size(6, 7))
    assert_twins("conv", lambda work: convolve(work, x, filters, grad, geometry))


def multiply(work: ModuleType, x: Array, filters: Filters, grad: Array) -> dict[str, Array]:
    """A Dense layer forward and backward."""
    return {
        "forward": work.forward(x, filters),
        "input_grad": work.input_grad(filters, grad),
        "weight_grad": kept(work.weight_grad(x, grad, filters), filters),
        "bias_grad": work.bias_grad(grad),
    }


@settings(deadline=None, max_examples=70)
@given(batches, st.integers(1, 90), st.integers(1, 40), st.booleans(), densities, orders, orders, orders, seeds)
def test_dense_layer(n: int, c: int, o: int, biased: bool, density: float | None, x_order, w_order, g_order, seed: int) -> None:
    filters = pruned(w_order(normal(seed, o, c)), normal(seed, o) if biased else None, density, seed)
    x, grad = x_order(normal(seed + 1, n, c)), g_order(normal(seed + 2, n, o))
    assert_twins("linear", lambda work: multiply(work, x, filters, grad))


@pytest.mark.parametrize("density", [0.2, 0.004, 0.0])
@pytest.mark.parametrize(("n", "c", "o"), [(64, 784, 300), (70, 800, 50), (1, 300, 784), (130, 385, 5)])
def test_pruned_dense_layer_whose_inputs_are_taken_in_blocks(n: int, c: int, o: int, density: float) -> None:
    filters = pruned(normal(0, o, c), normal(1, o), density, seed=2)
    assert_twins("linear", lambda work: multiply(work, normal(3, n, c), filters, normal(4, n, o)))


shapes_of_activations = st.one_of(
    st.tuples(batches, st.integers(1, 300)), st.tuples(batches, channels, few, few), st.tuples(batches), st.tuples(few, few, few)
)


@settings(deadline=None, max_examples=60)
@given(shapes_of_activations, orders, orders, seeds)
def test_relu(shape: tuple[int, ...], x_order, g_order, seed: int) -> None:
    flat = len(shape) in (1, 3)  # what the kernels do not know
    x, grad = normal(seed, *shape), normal(seed + 1, *shape)
    x.flat[:: 3 + seed % 5] = 0
    x, grad = (x, grad) if flat else (x_order(x), g_order(grad))

    def compute(work: ModuleType) -> dict[str, Array]:
        out = work.relu(x)
        return {"relu": out, "relu_grad": work.relu_grad(grad, out)}

    assert_twins("activation", compute)


@settings(deadline=None, max_examples=60)
@given(st.tuples(batches, channels, st.integers(1, 30), few), orders, orders, st.integers(0, 4), seeds)
def test_addition(shape: tuple[int, ...], a_order, b_order, axes: int, seed: int) -> None:
    a, b = a_order(normal(seed, *shape)), b_order(normal(seed + 1, *shape))
    some = b if axes == 0 else b[:1] if axes == 1 else b[:, :1] if axes == 2 else b[0, 0] if axes == 3 else b[0, 0, 0, 0]
    assert_twins("arithmetic", lambda work: {"add": work.add(a, some), "the other way round": work.add(some, a)})


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], Geometry]:
    """The shape of a batch and how a window walks over it: overlapping, side by side, with gaps, as large as the image."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    shape = draw(batches), draw(channels), *(k + draw(st.integers(0, 6)) for k in kernel)
    return shape, Geometry(kernel, draw(st.tuples(st.integers(1, 4), st.integers(1, 4))), (0, 0))


def pool(work: ModuleType, x: Array, grad: Array, geometry: Geometry) -> dict[str, Array]:
    """Both poolings, forward and backward."""
    out, remembered = work.max_pool(x, geometry)
    return {
        "max_pool": out,
        "max_pool_grad": work.max_pool_grad(grad, x, remembered, geometry),
        "mean_pool": work.mean_pool(x, geometry),
        "mean_pool_grad": work.mean_pool_grad(grad, x.shape, geometry),
    }


@settings(deadline=None, max_examples=100)
@given(windows(), st.booleans(), orders, orders, seeds)
def test_pooling_also_of_equal_values(shapes, ties: bool, x_order, g_order, seed: int) -> None:
    shape, geometry = shapes
    x, grad = normal(seed, *shape), normal(seed + 1, *shape[:2], *geometry.output_size(*shape[2:]))
    x, grad = x_order(np.round(x) if ties else x), g_order(grad)
    assert_twins("pool", lambda work: pool(work, x, grad, geometry))


@pytest.mark.parametrize("kernel", [(16, 16), (17, 16), (1, 257)])
def test_pooling_over_windows_whose_elements_a_byte_can_just_count_and_cannot(kernel: tuple[int, int]) -> None:
    geometry = Geometry(kernel, (1, 2), (0, 0))
    x = normal(0, 3, 2, kernel[0] + 1, kernel[1] + 2)
    x[0, 0] = np.arange(x[0, 0].size).reshape(x.shape[2:])  # the last element of a window wins
    grad = normal(1, 3, 2, *geometry.output_size(*x.shape[2:]))
    assert_twins("pool", lambda work: pool(work, x, grad, geometry))


def normalise(work: ModuleType, x: Array, grad: Array, per_channel: Array) -> dict[str, Array]:
    """The four parts of batch normalisation; ``per_channel`` is (3, C)."""
    (mean, var), (dweight, dbias) = work.statistics(x), work.sums(grad, x, per_channel[0], per_channel[1])
    return {
        "mean": mean,
        "var": var,
        "scale_and_shift": work.scale_and_shift(x, per_channel[0], per_channel[1]),
        "sums, weight": dweight,
        "sums, bias": dbias,
        "input_grad": work.input_grad(grad, x, *per_channel),
    }


@settings(deadline=None, max_examples=60)
@given(batches, channels, st.integers(1, 7), st.integers(1, 7), orders, orders, seeds)
def test_batch_normalisation(n: int, c: int, h: int, w: int, x_order, g_order, seed: int) -> None:
    x, grad = x_order(normal(seed, n, c, h, w) + 3), g_order(normal(seed + 1, n, c, h, w))
    assert_twins("norm", lambda work: normalise(work, x, grad, normal(seed + 2, 3, c)))


def surprise(work: ModuleType, logits: Array, labels: Array) -> dict[str, Array]:
    """Cross-entropy forward and backward."""
    loss, softmax = work.cross_entropy(logits, labels)
    return {"loss": loss, "softmax": softmax, "grad": work.cross_entropy_grad(np.float32(2.5), softmax, labels)}


@settings(deadline=None, max_examples=60)
@given(batches, st.integers(1, 30), st.sampled_from([1, 5, 1000]), orders, seeds)
def test_cross_entropy(n: int, k: int, scale: int, order, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, k, n)
    logits = order(normal(seed, n, k) * np.float32(scale))
    assert_twins("loss", lambda work: surprise(work, logits, labels))


RATES = {"plain": (0.1, 0.0, 0.0), "momentum": (0.1, 0.9, 0.0), "everything": (0.1, 0.9, 0.05)}
shapes_of_weights = st.one_of(st.tuples(channels), st.tuples(channels, channels), st.tuples(channels, few, few, few), st.just((300, 150)))


def parameter(shape: tuple[int, ...], masked: bool, order: Callable[[Array], Array]) -> Parameter:
    p = Parameter(order(normal(0, *shape)))
    if masked:
        p.set_mask(np.random.default_rng(1).random(shape) < 0.5)
    return p


def gradients(shape: tuple[int, ...], masked: bool, seed: int) -> list[Array]:
    """For three steps; NaN and infinity where the mask prunes."""
    grads = [normal(seed + i, *shape) for i in range(3)]
    if masked:
        pruned = np.random.default_rng(1).random(shape) >= 0.5
        grads[1][pruned], grads[2][pruned] = np.nan, np.inf
    return grads


def assert_held(p: Parameter, *state: Array) -> None:
    if p.mask is not None:
        for array in (p.data, *state):
            assert not array[~p.mask].any()


@settings(deadline=None, max_examples=80)
@given(
    shapes_of_weights,
    st.booleans(),
    st.sampled_from(list(RATES)),
    st.booleans(),
    weight_orders,
    weight_orders,
    seeds,
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_steps_of_sgd(shape: tuple[int, ...], masked: bool, rates: str, nesterov: bool, p_order, v_order, seed: int) -> None:
    momentum = RATES[rates][1] > 0

    def compute(work: ModuleType) -> dict[str, Array]:
        p, velocity = parameter(shape, masked, p_order), v_order(np.zeros(shape, np.float32)) if momentum else None
        for i, grad in enumerate(gradients(shape, masked, seed)):
            work.sgd(p, p_order(grad), velocity, RATES[rates], nesterov=nesterov and momentum, first=i == 0)
            assert_held(p, *([] if velocity is None else [velocity]))
        return {"weight": p.data} if velocity is None else {"weight": p.data, "velocity": velocity}

    assert_twins("steps", compute)


@settings(deadline=None, max_examples=60)
@given(
    shapes_of_weights,
    st.booleans(),
    st.sampled_from([(0.0, 0.0), (0.1, 0.0), (0.0, 0.1)]),
    weight_orders,
    weight_orders,
    seeds,
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_steps_of_adam(shape: tuple[int, ...], masked: bool, decay: tuple[float, float], p_order, m_order, seed: int) -> None:
    def compute(work: ModuleType) -> dict[str, Array]:
        p = parameter(shape, masked, p_order)
        mean, square = m_order(np.zeros(shape, np.float32)), m_order(np.zeros(shape, np.float32))
        for i, grad in enumerate(gradients(shape, masked, seed)):
            work.adam(p, p_order(grad), (mean, square), (0.01, 0.9, 0.999, 1e-8), decay, i + 1)
            assert_held(p, mean, square)
        return {"weight": p.data, "mean": mean, "square": square}

    assert_twins("steps", compute)


def spoilt(a: Array, seed: int) -> Array:
    """The same with NaN in one element."""
    a = a.copy()
    a.flat[np.random.default_rng(seed).integers(a.size)] = np.nan
    return a


NAN_SHAPES = [(3, 2, 6, 5), (17, 3, 7, 7), (64, 1, 5, 6)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", NAN_SHAPES)
@pytest.mark.parametrize("geometry", [Geometry((3, 3), (1, 1), (1, 1)), Geometry((2, 3), (1, 1), (0, 0)), Geometry((3, 2), (2, 1), (1, 2))])
def test_nan_reaches_what_it_reaches_in_numpys_convolution(shape: tuple[int, ...], geometry: Geometry, seed: int) -> None:
    n, c, h, w = shape
    filters = Filters(normal(0, 5, c, *geometry.kernel), normal(1, 5))
    x, grad = normal(2, *shape), normal(3, n, 5, *geometry.output_size(h, w))
    bad = convolve(FAST["conv"], spoilt(x, seed), filters, grad, geometry)
    assert 0 < np.isnan(bad["forward"]).sum() <= 5 * math.prod(geometry.kernel)
    assert_twins("conv", lambda work: convolve(work, spoilt(x, seed), filters, grad, geometry))
    assert_twins("conv", lambda work: convolve(work, x, filters, spoilt(grad, seed), geometry))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", NAN_SHAPES)
def test_nan_reaches_what_it_reaches_in_numpy(shape: tuple[int, ...], seed: int) -> None:
    n, c = shape[:2]
    x, rows = spoilt(normal(0, *shape), seed), spoilt(normal(1, n, 20), seed)
    labels = np.zeros(n, int)
    grad, rows_grad = normal(2, *shape), normal(3, n, 4)
    filters = Filters(normal(4, 4, 20))
    assert_twins("activation", lambda work: {"relu": work.relu(x), "relu_grad": work.relu_grad(grad, work.relu(x))})
    assert_twins("arithmetic", lambda work: {"add": work.add(x, grad)})
    assert_twins("linear", lambda work: multiply(work, rows, filters, rows_grad))
    assert_twins("linear", lambda work: multiply(work, normal(0, n, 20), filters, spoilt(rows_grad, seed)))
    assert_twins("norm", lambda work: normalise(work, x, grad, normal(5, 3, c)))
    assert_twins("norm", lambda work: normalise(work, grad, x, normal(5, 3, c)))
    assert_twins("loss", lambda work: surprise(work, rows, labels))
    assert_twins("activation", lambda work: {"relu_grad": work.relu_grad(x, work.relu(grad))})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", NAN_SHAPES)
@pytest.mark.parametrize("geometry", [Geometry((2, 3), (1, 2), (0, 0)), Geometry((2, 3), (2, 3), (0, 0)), Geometry((2, 2), (3, 2), (0, 0))])
def test_nan_goes_through_pooling_and_its_gradient_as_in_numpy(shape: tuple[int, ...], geometry: Geometry, seed: int) -> None:
    x, grad = normal(0, *shape), normal(1, *shape[:2], *geometry.output_size(*shape[2:]))
    assert_twins("pool", lambda work: pool(work, spoilt(x, seed), grad, geometry))
    assert_twins("pool", lambda work: pool(work, x, spoilt(grad, seed), geometry))


def test_an_empty_batch_has_zero_gradients() -> None:
    dirty = memory.floats(4 * 3 * 40 * 40)
    dirty[:] = np.nan
    del dirty  # comes back as the memory of the weight's gradient
    geometry = Geometry((40, 40), (1, 1), (0, 0))
    filters = Filters(normal(0, 4, 3, 40, 40))
    x, grad = np.zeros((0, 3, 41, 41), np.float32), np.zeros((0, 4, 2, 2), np.float32)
    assert_twins("conv", lambda work: convolve(work, x, filters, grad, geometry))
    dense = Filters(normal(0, 3, 20))
    assert_twins("linear", lambda work: multiply(work, np.zeros((0, 20), np.float32), dense, np.zeros((0, 3), np.float32)))


MODELS: dict[str, Callable[[], mp.nn.Module]] = {
    "lenet5": lambda: mp.models.LeNet5(rng=np.random.default_rng(0)),
    "lenet300100": lambda: mp.models.LeNet300100(rng=np.random.default_rng(0)),
    "smallconvnet": lambda: mp.models.SmallConvNet(rng=np.random.default_rng(0)),
    "resnet": lambda: mp.models.ResNet((3, 12, 12), widths=(8, 16, 20), rng=np.random.default_rng(0)),
}


def train(model: mp.nn.Module, n: int, chosen: str) -> tuple[list[float], dict[str, Array]]:
    """The losses and the weights of two training steps, and the gradients of the last."""
    rng, losses, optimizer = np.random.default_rng(1), [], mp.optim.SGD(model.train(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    with backend.using(chosen):
        for _ in range(2):
            x, y = rng.random((n, *model.input_shape), np.float32), rng.integers(0, model.num_classes, n)
            optimizer.zero_grad()
            loss = ops.cross_entropy(model(Tensor(x)), y)
            loss.backward()
            grads = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
            optimizer.step()
            losses.append(loss.item())
    return losses, {**model.state_dict(), **grads}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("n", [1, 37, 64])
@pytest.mark.parametrize("name", MODELS)
def test_training_steps_of_whole_networks(name: str, n: int, masked: bool) -> None:
    results = []
    for chosen in ("numba", "numpy"):
        model, masks = MODELS[name](), np.random.default_rng(2)
        for p in model.parameters():
            if masked and p.ndim > 1:
                p.set_mask(masks.random(p.shape) < 0.3)
        results.append(train(model, n, chosen))
        for p in model.parameters():
            assert p.mask is None or not p.data[~p.mask].any()
    (losses, state), (twin_losses, twin_state) = results
    assert losses == pytest.approx(twin_losses, rel=1e-4)
    before = MODELS[name]().state_dict()
    assert any((state[key] != before[key]).any() for key in before)
    for key in twin_state:
        np.testing.assert_allclose(state[key], twin_state[key], rtol=2e-3, atol=2e-4 * max(1, np.abs(twin_state[key]).max()), err_msg=key)


@pytest.mark.parametrize(("n", "split"), [(10, 5), (16, 1), (30, 20), (144, 130)])
def test_gradients_of_joined_batches_go_to_their_own_half_only(n: int, split: int) -> None:
    results = []
    for chosen in ("numba", "numpy"):
        with backend.using(chosen):
            weight, bias = Tensor(normal(0, 20, 20), requires_grad=True), Tensor(normal(1, 20), requires_grad=True)
            filters = Tensor(normal(2, 4, 3, 3, 3), requires_grad=True)
            halves = ops.linear(normal(3, split, 20), weight, bias), ops.linear(normal(4, n - split, 20), normal(5, 20, 20))
            ops.linear(ops.concat(halves, axis=0), normal(5, 20, 20)).backward(normal(6, n, 20))
            images = ops.conv2d(normal(7, split, 3, 6, 6), filters), ops.conv2d(normal(8, n - split, 3, 6, 6), normal(2, 4, 3, 3, 3))
            ops.relu(ops.concat(images, axis=0)).backward(in_lanes(normal(9, n, 4, 4, 4)))
            results.append((weight.grad, bias.grad, filters.grad))
    for fast, plain in zip(*results, strict=True):
        assert_same(fast, plain)


def test_a_confident_loss_keeps_its_digits() -> None:
    logits, labels = np.array([[30.0, 16.0], [1e6, 1e6 - 1]], np.float32), np.array([0, 0])
    for rows in ([0], [1]):
        (one, _), (other, _) = (
            family.cross_entropy(logits[rows], labels[rows])
            for family in map(importlib.import_module, ("minprune.fast.loss", "minprune.plain.loss"))
        )
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=0)


def test_a_float64_weight_takes_a_float32_input_along() -> None:
    x, w = np.ones((2, 3), np.float32), np.ones((4, 3))
    assert ops.linear(x, w).dtype == np.float64
    assert ops.conv2d(np.ones((2, 3, 4, 4), np.float32), np.ones((4, 3, 2, 2))).dtype == np.float64
