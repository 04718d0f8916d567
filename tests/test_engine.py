"""A compiled engine computes what its model computes: any network, mask, batch, path and layout; and it refuses what it cannot take."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minprune as mp
from minprune import Tensor, backend, nn, ops, parallel
from minprune.errors import ShapeError
from minprune.nn import Module
from tests.data_sets import small_net
from tests.oracles import oracle

oracle("numba")
from minprune.kernels import engine as machine  # noqa: E402 (needs numba)
from minprune.kernels.fields import KIND, KINDS  # noqa: E402
from minprune.sparse import measure  # noqa: E402
from minprune.sparse.engine import Engine  # noqa: E402
from minprune.sparse.machine import KernelEngine  # noqa: E402
from minprune.sparse.matrices import PlainEngine  # noqa: E402
from minprune.sparse.measure import WIDTHS  # noqa: E402
from minprune.sparse.plan import make_program  # noqa: E402
from minprune.sparse.trace import Layer, trace  # noqa: E402

Array = np.ndarray
Shape = tuple[int, ...]
MOST = parallel.available()
BATCHES = (1, 2, 3, 16, 17, 37, 64, 130)
DENSITIES = (1.0, 0.5, 0.1, 0.01, 0.0)
PATHS: dict[str, Callable[[Layer], str]] = {
    "dense": lambda _: "dense",
    "sparse": lambda _: "sparse",
    "mixed": lambda layer: ("sparse", "dense")[layer.output % 2],
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """As many threads again as there were, when a test is over."""
    limit, before = parallel._limit, parallel.threads()
    yield
    parallel.threads(before)
    parallel._limit = limit


# --- what the tests are made of ---------------------------------------------------------------------------------------------------


class Function(Module):
    """A layer that is a mere function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def __call__(self, *x: Any) -> Any:
        return self.function(*x)


class Graph(Module):
    """Steps (layer, which of the values so far it reads), each of which makes one more value; returns the values ``results``.

    Value 0 is the input. With one number as ``results`` it returns a tensor, with a tuple of numbers a tuple.
    """

    def __init__(self, steps: list[tuple[Module, tuple[int, ...]]], results: int | tuple[int, ...] = -1) -> None:
        super().__init__()
        for i, (layer, _) in enumerate(steps):
            setattr(self, f"step{i}", layer)
        self.reads, self.results = [reads for _, reads in steps], results

    def forward(self, x: Tensor) -> Any:
        values: list[Tensor] = [x]
        for (_, layer), reads in zip(self.children(), self.reads, strict=True):
            values.append(layer(*(values[i] for i in reads)))
        return values[self.results] if isinstance(self.results, int) else tuple(values[i] for i in self.results)


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def join(*parts: Tensor) -> Tensor:
    return ops.concat(parts)


def images(n: int, shape: Shape, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, *shape), np.float32)


def liven(model: Module, rng: np.random.Generator) -> Module:
    """The model in evaluation mode with random biases and running statistics, as if it had been trained."""
    for name, p in model.named_parameters():
        if p.data.ndim == 1:
            p.data = rng.standard_normal(p.shape, np.float32) + np.float32(name.endswith("weight"))
    for _, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = rng.standard_normal(module.running_mean.shape, np.float32)
            module.running_var = rng.random(module.running_var.shape, np.float32) + np.float32(0.3)
    return model.eval()


def prune(model: Module, density: float, rng: np.random.Generator) -> Module:
    """The model with random masks on all its convolutions and Dense layers."""
    for p in model.parameters():
        if p.data.ndim > 1:
            p.set_mask(rng.random(p.shape) < density)
    return model


def network(name: str, density: float = 0.3, shape: tuple[int, int, int] | None = None) -> Module:
    """One of ``mp.models.MODELS``, alive and pruned."""
    rng = np.random.default_rng(3)
    model = mp.models.create(name, rng=rng, **({} if shape is None else {"input_shape": shape}))
    return prune(liven(model, rng), density, rng)


def own(model: Module, x: Array) -> tuple[Array, ...]:
    """The model's own results, by NumPy."""
    with backend.using("numpy"):
        y: Any = model(Tensor(x))
    return tuple(part.data for part in (y if isinstance(y, tuple) else (y,)))


def engines(model: Module, shape: Shape, widths: tuple[int, ...] = WIDTHS, paths: tuple[str, ...] = tuple(PATHS)) -> dict[str, Engine]:
    """An engine for each path that all layers are made to take, and each layout."""
    traced = trace(model, shape)
    programs = {path: make_program(traced, PATHS[path]) for path in paths}
    return {f"{path}, {width}": KernelEngine(traced, programs[path], (), {width: 1.0}) for path, width in product(programs, widths)}


def assert_close(found: Array, expected: Array, what: str = "") -> None:
    """Equal to 1e-4 of the largest output."""
    assert (found.shape, found.dtype) == (expected.shape, np.dtype(np.float32)), what
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max(initial=0) + 1e-6, err_msg=what)


def assert_computes(engine: Engine, x: Array, expected: tuple[Array, ...], what: str = "") -> None:
    y = engine(x)
    for found, wanted in zip(y if isinstance(y, tuple) else (y,), expected, strict=True):
        assert_close(found, wanted, what)


def assert_engines_equal(model: Module, shape: Shape, batches: tuple[int, ...] = (1, 17, 37), widths: tuple[int, ...] = WIDTHS) -> None:
    """Each path and layout computes what the model does, also in memory that it has used before."""
    x = images(max(batches), shape)
    expected = own(model, x)
    for forced, engine in (engines(model, shape, widths) | {"NumPy": PlainEngine(trace(model, shape))}).items():
        for n in batches:
            assert_computes(engine, x[:n], tuple(y[:n] for y in expected), f"{forced}, batch {n}")


# --- it computes what the model computes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("name", mp.models.MODELS)
def test_every_model_at_every_density_path_layout_and_batch(name: str, density: float) -> None:
    model = network(name, density)
    assert_engines_equal(model, model.input_shape, BATCHES)


@pytest.mark.parametrize("density", [0.5, 0.02])
@pytest.mark.parametrize(("name", "shape"), [("resnet", (3, 12, 9)), ("smallconvnet", (3, 8, 8)), ("smallconvnet", (1, 9, 7))])
def test_models_for_other_images(name: str, shape: tuple[int, int, int], density: float) -> None:
    assert_engines_equal(network(name, density, shape), shape, (1, 19, 66))


@pytest.mark.parametrize("name", mp.models.MODELS)
def test_compiled_with_measured_paths_and_layouts(name: str) -> None:
    model = network(name, 0.1)
    engine = mp.sparse.compile(model, model.input_shape)
    assert set(engine.widths) == set(WIDTHS)
    assert min(engine.widths.values()) > 0
    x = images(max(BATCHES), model.input_shape)
    (expected,) = own(model, x)
    for n in BATCHES:
        assert_close(engine(x[:n]), expected[:n], f"batch {n}")


def test_a_model_in_training_mode_is_compiled_for_evaluation_and_stays_in_training() -> None:
    model = network("resnet")
    expected = own(model, images(2, (1, 28, 28)))
    engine = mp.sparse.compile(model.train(), (1, 28, 28))
    assert all(module.training for _, module in model.named_modules())
    assert_computes(engine, images(2, (1, 28, 28)), expected)


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_layers_of_which_nothing_is_left_pass_on_their_biases(name: str) -> None:
    model = network(name, 1.0)
    layers = [p for p in model.parameters() if p.data.ndim > 1]
    for p in layers[1::2]:
        p.set_mask(np.zeros(p.shape, bool))
    assert_engines_equal(model, model.input_shape, (3, 17))
    engine = mp.sparse.compile(model, model.input_shape)
    assert [p.path for p in engine.paths if p.density == 0] == ["sparse"] * len(layers[1::2])
    assert_computes(engine, images(3, model.input_shape), own(model, images(3, model.input_shape)))


def test_weights_that_are_zero_without_a_mask_are_not_visited_and_kept_zeros_are() -> None:
    rng = np.random.default_rng(0)
    model = liven(nn.Sequential(nn.Linear(40, 30, rng=rng), nn.ReLU(), nn.Linear(30, 5, rng=rng)), rng)
    first, second = (p for p in model.parameters() if p.data.ndim > 1)
    first.data = first.data * (rng.random(first.shape) < 0.2)
    second.set_mask(rng.random(second.shape) < 0.5)
    second.data[0] = 0  # kept or not, all are zero
    assert 0 < np.count_nonzero(second.data) < second.mask.sum()
    assert_engines_equal(model, (40,))
    (engine,) = engines(model, (40,), (16,), ("sparse",)).values()
    assert engine._program.arrays.narrow.size == np.count_nonzero(first.data) + second.mask.sum()


# --- random networks --------------------------------------------------------------------------------------------------------------

dims = st.integers(1, 12)
batches = st.sampled_from(BATCHES)
seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from(DENSITIES)


def pruned_at_random(draw: st.DrawFn, model: Module) -> Module:
    """Alive, and each layer with a mask of its own density or none; without a mask, some weights may be zero."""
    rng = np.random.default_rng(draw(seeds))
    liven(model, rng)
    for p in model.parameters():
        if p.data.ndim > 1:
            kept = rng.random(p.shape) < draw(densities)
            if draw(st.booleans()):
                p.set_mask(kept)
            elif draw(st.booleans()):
                p.data = p.data * kept
    return model


def convolution(draw: st.DrawFn, shape: Shape) -> Module:
    """With a kernel that fits the image with its padding."""
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    kernel = tuple(draw(st.integers(1, min(5, size + 2 * p))) for size, p in zip(shape[1:], padding, strict=True))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return nn.Conv2d(shape[0], draw(st.integers(1, 20)), kernel, stride, padding, bias=draw(st.booleans()), rng=rng)


def pooling(draw: st.DrawFn, shape: Shape) -> Module:
    """Side by side, overlapping or with gaps; rows and columns may be left over."""
    kernel = tuple(draw(st.integers(1, min(4, size))) for size in shape[1:])
    stride = draw(st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    if draw(st.sampled_from(["max", "max", "mean"])) == "max":
        return nn.MaxPool2d(kernel, stride)
    return Function(lambda x: ops.avg_pool2d(x, kernel, stride))


def layer_for(draw: st.DrawFn, shape: Shape) -> Module:
    """Any layer that takes images of ``shape``."""
    kind = draw(st.sampled_from(["conv", "conv", "pool", "norm", "relu"]))
    if kind == "conv":
        return convolution(draw, shape)
    if kind == "pool":
        return pooling(draw, shape)
    return nn.BatchNorm2d(shape[0]) if kind == "norm" else nn.ReLU()


def result_shape(layer: Module, *shapes: Shape) -> Shape:
    return layer(*(Tensor(np.zeros((1, *shape), np.float32)) for shape in shapes)).shape[1:]


@st.composite
def chains(draw: st.DrawFn) -> tuple[Module, Shape]:
    """Layers one after another in any order; half of them end in Dense layers."""
    start = shape = draw(st.tuples(st.integers(1, 5), dims, dims))
    layers: list[Module] = []
    for _ in range(draw(st.integers(1, 6))):
        layers.append(layer_for(draw, shape))
        shape = result_shape(layers[-1].eval(), shape)
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        hidden = draw(st.integers(1, 40))
        layers += [nn.Flatten(), nn.Linear(math.prod(shape), hidden, bias=draw(st.booleans()), rng=rng)]
        layers += [nn.ReLU()] * draw(st.booleans()) + [nn.Linear(hidden, draw(st.integers(1, 12)), rng=rng)]
    return pruned_at_random(draw, nn.Sequential(*layers)), start


@settings(deadline=None, max_examples=150)
@given(chains(), batches)
def test_random_chains_of_layers(model_and_shape: tuple[Module, Shape], n: int) -> None:
    assert_engines_equal(*model_and_shape, (n,))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Module, Shape]:
    """Steps that read any earlier value, sums and concatenations of them, and any of the values as results."""
    start = draw(st.tuples(st.integers(1, 4), st.integers(2, 9), st.integers(2, 9)))
    shapes: list[Shape] = [start]
    steps: list[tuple[Module, tuple[int, ...]]] = []
    for _ in range(draw(st.integers(2, 9))):
        source = draw(st.integers(0, len(shapes) - 1))
        same_image = [i for i, shape in enumerate(shapes) if shape[1:] == shapes[source][1:]]
        same = [i for i in same_image if shapes[i] == shapes[source]]
        kind = draw(st.sampled_from(["add", "concat", "same", "flatten", "any", "any"]))
        reads: tuple[int, ...] = (source,)
        layer: Module
        if kind == "add":
            layer, reads = Function(add), (source, draw(st.sampled_from(same)))
        elif kind == "concat":
            layer, reads = Function(join), tuple(draw(st.lists(st.sampled_from(same_image), min_size=1, max_size=3)))
        elif kind == "flatten" or len(shapes[source]) == 1:
            layer = nn.Flatten() if draw(st.booleans()) else nn.ReLU()
        elif kind == "same":  # keeps the image, so that there is something to add and to join
            c, (r, s) = shapes[source][0], draw(st.sampled_from([(3, 3), (1, 1), (3, 1), (1, 3), (5, 3)]))
            layer = nn.Conv2d(c, draw(st.sampled_from([c, 2])), (r, s), padding=(r // 2, s // 2), rng=np.random.default_rng(c))
        else:
            layer = layer_for(draw, shapes[source])
        shapes.append(result_shape(layer.eval(), *(shapes[i] for i in reads)))
        steps.append((layer, reads))
    results = draw(st.just(-1) | st.lists(st.integers(0, len(steps)), min_size=1, max_size=3).map(tuple))
    return pruned_at_random(draw, Graph(steps, results)), start


@settings(deadline=None, max_examples=300)
@given(graphs(), batches)
def test_random_graphs_of_layers(model_and_shape: tuple[Module, Shape], n: int) -> None:
    assert_engines_equal(*model_and_shape, (n,))


# --- structures that deserve a name -----------------------------------------------------------------------------------------------


class DenseNet(Module):
    """Each layer reads all before it, joined two and three at a time; a BatchNorm follows a joint, so that nobody can take it in."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 5, 3, padding=1, rng=rng)
        self.one = nn.Conv2d(5, 4, 3, padding=1, rng=rng)
        self.bn = nn.BatchNorm2d(9)
        self.two = nn.Conv2d(9, 3, (1, 3), padding=(0, 1), rng=rng)
        self.three = nn.Conv2d(17, 6, 1, rng=rng)
        self.fc = nn.Linear(23, 4, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        a = ops.relu(self.stem(x))
        b = ops.concat([a, self.one(a)])
        c = ops.concat([self.two(ops.relu(self.bn(b))), a, b])
        d = ops.concat([c, self.three(c)])
        return self.fc(ops.global_avg_pool2d(d))


def conv(c: int, o: int, kernel: int | tuple[int, int] = 3, **arguments: Any) -> nn.Conv2d:
    return nn.Conv2d(c, o, kernel, **arguments, rng=np.random.default_rng(c + o))


def dense(c: int, o: int) -> nn.Linear:
    return nn.Linear(c, o, rng=np.random.default_rng(c + o))


STRUCTURES: dict[str, tuple[Callable[[], Module], Shape]] = {
    "densely connected": (lambda: DenseNet(np.random.default_rng(0)), (2, 7, 6)),
    "average pooling": (lambda: nn.Sequential(conv(1, 5), Function(lambda x: ops.avg_pool2d(x, (2, 3))), nn.ReLU()), (1, 9, 9)),
    "overlapping average": (lambda: nn.Sequential(conv(1, 5), Function(lambda x: ops.avg_pool2d(x, 3, 1)), conv(5, 3)), (1, 9, 9)),
    "global average": (lambda: nn.Sequential(conv(2, 5), Function(ops.global_avg_pool2d), nn.ReLU(), dense(5, 3)), (2, 6, 5)),
    "norm of a sum": (
        lambda: Graph([(conv(2, 4), (0,)), (conv(2, 4), (0,)), (Function(add), (1, 2)), (nn.BatchNorm2d(4), (3,)), (nn.ReLU(), (4,))]),
        (2, 6, 5),
    ),
    "pooled after a stride downwards": (lambda: nn.Sequential(conv(2, 4, stride=(2, 1)), nn.MaxPool2d(2)), (2, 13, 9)),
    "norm of the input": (lambda: nn.Sequential(nn.BatchNorm2d(2), conv(2, 4, padding=1)), (2, 6, 5)),
    "norm of a rectified": (lambda: nn.Sequential(conv(2, 4), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 2)), (2, 6, 7)),
    "norm of a pooled": (lambda: nn.Sequential(conv(2, 4), nn.MaxPool2d(2), nn.BatchNorm2d(4)), (2, 6, 7)),
    "two norms": (lambda: nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU()), (2, 6, 7)),
    "two poolings": (lambda: nn.Sequential(conv(2, 4), nn.MaxPool2d(2), nn.MaxPool2d((2, 1)), nn.ReLU()), (2, 11, 12)),
    "relu of a sum": (
        lambda: Graph([(conv(2, 4, padding=1), (0,)), (conv(4, 4, padding=1), (1,)), (Function(add), (1, 2)), (nn.ReLU(), (3,))]),
        (2, 6, 5),
    ),
    "twice itself": (lambda: Graph([(conv(2, 4), (0,)), (Function(add), (1, 1)), (Function(join), (2, 1, 2))]), (2, 6, 5)),
    "an inner value is read by others": (
        lambda: Graph([(conv(2, 4), (0,)), (nn.ReLU(), (1,)), (nn.MaxPool2d(2), (1,)), (conv(4, 3, 2), (2,))], (1, 2, 3, 4)),
        (2, 7, 6),
    ),
    "two outputs": (
        lambda: Graph([(conv(1, 4, padding=1), (0,)), (nn.Flatten(), (1,)), (dense(100, 3), (2,)), (conv(4, 2, 2), (1,))], (3, 4)),
        (1, 5, 5),
    ),
    "an output twice, and the input": (lambda: Graph([(conv(1, 4, padding=1), (0,))], (1, 0, 1)), (1, 5, 5)),
    "an output with a border": (lambda: Graph([(conv(1, 4), (0,)), (conv(4, 2, padding=2), (1,))], (1, 2)), (1, 5, 5)),
    "flattened and read by a padded convolution": (
        lambda: Graph([(conv(1, 3), (0,)), (nn.Flatten(), (1,)), (conv(3, 2, padding=1), (1,)), (dense(27, 4), (2,))], (4, 3)),
        (1, 5, 5),
    ),
    "an input flattened and read by a padded convolution": (
        lambda: Graph([(nn.Flatten(), (0,)), (conv(1, 2, padding=2), (0,)), (dense(30, 4), (1,)), (nn.ReLU(), (1,))], (2, 3, 4)),
        (1, 5, 6),
    ),
    "borders of different widths": (
        lambda: Graph(
            [(conv(2, 3), (0,)), *((conv(3, 2, 5, padding=p), (1,)) for p in (2, (0, 2), (1, 0), 1))],
            (2, 3, 4, 5),
        ),
        (2, 9, 8),
    ),
    "pooled into a border above and below": (
        lambda: nn.Sequential(conv(2, 5), nn.MaxPool2d(2), conv(5, 4, (3, 1), padding=(1, 0))),
        (2, 12, 10),
    ),
    "pooled into a border left and right": (
        lambda: nn.Sequential(conv(2, 5), nn.MaxPool2d(2), conv(5, 4, (1, 3), padding=(0, 1))),
        (2, 12, 10),
    ),
    "vectors": (lambda: nn.Sequential(dense(7, 33), nn.ReLU(), dense(33, 5)), (7,)),
    "a single number": (lambda: nn.Sequential(dense(1, 1)), (1,)),
    "vectors joined and added": (
        lambda: Graph([(dense(7, 9), (0,)), (dense(7, 9), (0,)), (Function(add), (1, 2)), (Function(join), (3, 0)), (dense(16, 3), (4,))]),
        (7,),
    ),
    "no weights": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), (2, 5, 5)),
    "nothing but another shape": (lambda: nn.Sequential(nn.Flatten()), (2, 5, 5)),
    "nothing at all": (lambda: nn.Sequential(), (2, 5, 5)),
    "dropout, which rests": (lambda: nn.Sequential(conv(2, 3), nn.Dropout(0.9, rng=np.random.default_rng(0))), (2, 5, 5)),
}


@pytest.mark.parametrize("density", [1.0, 0.3])
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, density: float) -> None:
    make, shape = STRUCTURES[name]
    rng = np.random.default_rng(1)
    assert_engines_equal(prune(liven(make(), rng), density, rng), shape, (1, 3, 17, 66))


@pytest.mark.parametrize("name", ["no weights", "nothing but another shape", "nothing at all", "two outputs", "vectors"])
def test_structures_compile_with_measured_layouts(name: str) -> None:
    make, shape = STRUCTURES[name]
    model = liven(make(), np.random.default_rng(1))
    assert_computes(mp.sparse.compile(model, shape), images(18, shape), own(model, images(18, shape)))


def test_several_outputs_come_as_a_tuple_of_their_own_shapes() -> None:
    make, shape = STRUCTURES["two outputs"]
    engine = mp.sparse.compile(make(), shape)
    assert engine.output_shapes == ((3,), (2, 4, 4))
    y = engine(images(5, shape))
    assert isinstance(y, tuple)
    assert [part.shape for part in y] == [(5, 3), (5, 2, 4, 4)]
    with pytest.raises(ValueError, match="one output; this one has 2"):
        engine(images(5, shape), out=np.empty((5, 3), np.float32))


@pytest.mark.parametrize(
    "layers",
    [
        lambda rng: [nn.Conv2d(3, 2, 3, stride=3, rng=rng)],
        lambda rng: [nn.Conv2d(3, 2, 3, rng=rng), nn.MaxPool2d(2)],
        lambda rng: [nn.Conv2d(3, 2, 3, padding=1, rng=rng), nn.MaxPool2d(8), nn.Flatten(), nn.Linear(1250, 3, rng=rng)],
        lambda rng: [nn.Flatten(), nn.Linear(120_000, 3, rng=rng)],
    ],
    ids=["strided", "pooled by two", "padded and pooled", "Dense"],
)
def test_offsets_that_sixteen_bits_cannot_hold(layers: Callable[[np.random.Generator], list[Module]]) -> None:
    rng = np.random.default_rng(0)
    model = prune(liven(nn.Sequential(*layers(rng)), rng), 0.3, rng)
    assert_engines_equal(model, (3, 200, 200), (1, 2), widths=(1, 16))
    (engine,) = engines(model, (3, 200, 200), (1,), ("sparse",)).values()
    arrays = engine._program.arrays
    assert arrays.wide.size > 0
    assert arrays.wide_offsets.max() >= 1 << 16
    assert arrays.narrow.size + arrays.wide.size == sum(p.mask.sum() for p in model.parameters() if p.mask is not None)


# --- what it refuses to compile ---------------------------------------------------------------------------------------------------

PER_CHANNEL = np.array([0.5, -2.0], np.float32).reshape(1, 2, 1, 1)
REFUSED: dict[str, Callable[..., Tensor]] = {
    "log": lambda x: (x + 1).log(),
    "mul": lambda x: x * np.arange(72, dtype=np.float32).reshape(1, 2, 6, 6),
    "div": lambda x: x / (x + 1),
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(),
    "transpose": lambda x: x.transpose(0, 1, 3, 2),
    "reshape": lambda x: x.reshape(1, 4, 2, 9),
    "concat": lambda x: ops.concat([x, x], axis=2),
    "add": lambda x: x + np.arange(6, dtype=np.float32),
}
ARITHMETIC: dict[str, Callable[..., Tensor]] = {
    "sums": lambda x: 3 - (1 - (x + PER_CHANNEL)) + (x - PER_CHANNEL),
    "products": lambda x: x * PER_CHANNEL * x / 2,
    "quotients": lambda x: PER_CHANNEL / (x + 3),
    "exponentials": lambda x: ops.relu((x * -0.5).exp() - 1),
    "gates": lambda x: x * (1 / (1 + (-x.mean(axis=(-2, 3))).exp())).reshape(len(x), 2, 1, 1),
    "gates on the other side": lambda x: ops.global_avg_pool2d(x).reshape(len(x), 2, 1, 1) * ops.relu(x),
    "matmul with a constant": lambda x: ops.flatten(x) @ np.linspace(-1, 1, 72 * 5, dtype=np.float32).reshape(72, 5),
}


@pytest.mark.parametrize("layout", ["as it comes", "padded"])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name: str, layout: str) -> None:
    rng = np.random.default_rng(0)
    padded = layout == "padded"
    head = [nn.Conv2d(2, 2, 3, padding=1, rng=rng), nn.ReLU()] if padded else [nn.ReLU()]
    tail = [nn.Conv2d(2, 3, 3, padding=1, rng=rng)] if padded and "matmul" not in name else []
    assert_engines_equal(nn.Sequential(*head, Function(ARITHMETIC[name]), *tail), (2, 6, 6), (1, 3, 70))


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_that_is_not_known_is_named(name: str) -> None:
    model = nn.Sequential(nn.ReLU(), Function(REFUSED[name]), nn.ReLU())
    with pytest.raises(NotImplementedError, match=rf"does not know the operation '{name}' on shapes \[\(1, 2, 6, 6\).*it knows conv2d"):
        mp.sparse.compile(model, (2, 6, 6))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (network("lenet5"), (1, 27, 28)),
        (network("resnet"), (28, 28)),
        (small_net(), (2, 5, 5)),
        (small_net(), (1, 6, 5)),
        (small_net(), (25,)),
        (nn.Sequential(dense(7, 3)), (8,)),
        (nn.Sequential(nn.ReLU()), (2, 3)),  # neither images nor vectors
    ],
)
def test_a_shape_that_the_model_does_not_take_is_refused(model: Module, shape: Shape) -> None:
    with pytest.raises(ShapeError, match="expected"):
        mp.sparse.compile(model, shape)


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        *[(wrong, TypeError) for wrong in (784, 6.0, None, "x", b"\x06", {6}, (6.0,))],
        *[(wrong, ShapeError) for wrong in ((-6,), (0,), (), (1, 6))],
    ],
)
def test_what_is_no_shape_is_refused(shape: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"input_shape expected \(C, H, W\) or \(C,\).*, got"):
        mp.sparse.compile(nn.Sequential(dense(6, 3)), shape)


@pytest.mark.parametrize("shape", [[6], (np.int64(6),), np.array([6])])
def test_a_shape_may_be_a_list_and_of_numpys_numbers(shape: Any) -> None:
    assert mp.sparse.compile(nn.Sequential(dense(6, 3)), shape).input_shape == (6,)


@pytest.mark.parametrize(("model", "found"), [(nn.Linear, "the class Linear"), (None, "NoneType"), (own, "function")])
def test_what_is_no_module_is_refused(model: Any, found: str) -> None:
    with pytest.raises(TypeError, match=f"expected a minprune Module, got {found}"):
        mp.sparse.compile(model, (6,))


@pytest.mark.parametrize(
    ("forward", "error", "message"),
    [
        (lambda h: None, TypeError, "a tuple of them, got NoneType"),
        (lambda h: {"y": h}, TypeError, "a tuple of them, got dict"),
        (lambda h: h.data, TypeError, "a tuple of them, got ndarray"),
        (lambda h: (h, (h, h)), TypeError, r"got \(Tensor, tuple\)"),
        (lambda h: (), TypeError, r"got \(\)"),
        (lambda h: h.detach(), ValueError, "every output of the model to depend on its input"),
        (lambda h: (h, Tensor(np.ones((1, 3), np.float32))), ValueError, "every output of the model to depend on its input"),
        (lambda h: h + Tensor(np.tanh(h.data)), ValueError, "could not follow the model: .* differ by"),
        (lambda h: h / Tensor(np.abs(h.data).max(axis=1, keepdims=True)), ValueError, "could not follow the model: .* differ by nan"),
        (lambda h: h.reshape((1, -1)), ValueError, r"for two images it returns shapes \[\(1, 6\)\], not \[\(2, 3\)\]"),
        (lambda h: h.reshape((1, 3)), ValueError, "it takes one image but not two"),
        (lambda h: (h,) * len(h.data), ValueError, "for two images it returns shapes"),
        (lambda h: h if float(h.data.mean()) < 0 else -h, ValueError, "could not follow the model: .* differ by"),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "numpy"])
def test_a_model_that_cannot_be_followed_is_refused(forward: Any, error: type[Exception], message: str, kind: str) -> None:
    with backend.using(kind), pytest.raises(error, match=message):
        mp.sparse.compile(nn.Sequential(dense(6, 3), Function(forward)), (6,))


def test_weights_behind_a_mask_must_be_zero() -> None:
    model = prune(nn.Sequential(dense(6, 3)), 0.5, np.random.default_rng(0))
    model[0].weight.data[...] = 1
    with pytest.raises(ValueError, match=r"0\.weight is not zero where its mask prunes"):
        mp.sparse.compile(model, (6,))


# --- how it is called -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lenet() -> Module:
    return network("lenet5", 0.1)


@pytest.fixture(scope="module")
def engine(lenet: Module) -> Engine:
    return mp.sparse.compile(lenet, (1, 28, 28))


@pytest.mark.parametrize("shape", [(0, 1, 28, 28), (1, 28, 28), (28,), (), (2, 3, 28, 28), (2, 1, 28, 27), (2, 784), (1, 2, 1, 28, 28)])
def test_another_shape_is_refused(engine: Engine, shape: Shape) -> None:
    with pytest.raises(ShapeError) as error:
        engine(np.zeros(shape, np.float32))
    assert str(error.value) == f"the engine expected a batch of shape (N, 1, 28, 28) with N >= 1, got {shape}"


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool, np.complex64])
def test_another_dtype_is_refused(engine: Engine, dtype: type) -> None:
    with pytest.raises(TypeError, match=f"expected an array of float32, got dtype {np.dtype(dtype)}"):
        engine(np.zeros((2, 1, 28, 28), dtype))


@pytest.mark.parametrize("x", [[[[[0.0] * 28] * 28]], None, 3.0, "x", memoryview(np.zeros((1, 1, 28, 28), np.float32))])
def test_what_is_no_array_is_refused(engine: Engine, x: object) -> None:
    with pytest.raises(TypeError, match=f"expected an array of float32, got {type(x).__name__}"):
        engine(x)


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


ORDERS: dict[str, Callable[[Array], Any]] = {
    "contiguous": np.ascontiguousarray,
    "column-major": np.asfortranarray,
    "batch innermost": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0),
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "read-only": read_only,
    "a tensor": Tensor,
    "a tensor with a gradient": lambda x: Tensor(x, requires_grad=True),
}


@pytest.mark.parametrize("n", [1, 37])
@pytest.mark.parametrize("order", ORDERS)
def test_memory_order_does_not_matter_and_the_input_is_left_alone(engine: Engine, order: str, n: int) -> None:
    x = images(n, (1, 28, 28))
    if order == "broadcast":
        x[:] = x[0]
    given_x = ORDERS[order](x)
    result = engine(given_x)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, engine(x.copy()))
    np.testing.assert_array_equal(given_x.data if isinstance(given_x, Tensor) else given_x, x)


@pytest.mark.parametrize("n", [1, 5, 64])
def test_out_is_filled_and_returned(engine: Engine, n: int) -> None:
    x = images(n, (1, 28, 28))
    out = np.full((n, 10), np.nan, np.float32)
    assert engine(x, out=out) is out
    np.testing.assert_array_equal(out, engine(x))
    whole = np.full((n + 2, 10), np.nan, np.float32)
    engine(x, out=whole[1:-1])
    np.testing.assert_array_equal(whole[1:-1], out)
    assert np.isnan(whole[[0, -1]]).all()


@pytest.mark.parametrize("shift", [-3, 0, 5])
def test_out_may_lie_over_the_input(shift: int) -> None:
    model = prune(nn.Sequential(dense(64, 64)), 0.5, np.random.default_rng(0))
    memory = images(90, (64,))
    x, out = memory[10:75], memory[10 + shift : 75 + shift]
    expected = own(model, x.copy())
    mp.sparse.compile(model, (64,))(x, out=out)
    assert_close(out, expected[0])


def test_out_may_have_more_than_two_axes() -> None:
    model = prune(liven(nn.Sequential(conv(1, 4), nn.ReLU()), np.random.default_rng(0)), 0.5, np.random.default_rng(0))
    x, out = images(18, (1, 6, 5)), np.empty((18, 4, 4, 3), np.float32)
    assert mp.sparse.compile(model, (1, 6, 5))(x, out=out) is out
    assert_close(out, own(model, x)[0])


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty((4, 10), np.float32), ShapeError, r"out expected shape \(5, 10\), got \(4, 10\)"),
        (np.empty((5, 9), np.float32), ShapeError, r"out expected shape \(5, 10\), got \(5, 9\)"),
        (np.empty(50, np.float32), ShapeError, r"out expected shape \(5, 10\), got \(50,\)"),
        (np.empty((5, 10)), TypeError, "array of float32, got float64"),
        (np.empty((5, 10), np.int32), TypeError, "array of float32, got int32"),
        (read_only(np.empty((5, 10), np.float32)), TypeError, "got a read-only one"),
        (np.empty((10, 5), np.float32).T, TypeError, "contiguous, writable array, got one in another order"),
        (np.empty((5, 20), np.float32)[:, ::2], TypeError, "contiguous, writable array, got one in another order"),
        ([[0.0] * 10] * 5, TypeError, "array of float32, got list"),
        (Tensor(np.empty((5, 10), np.float32)), TypeError, "out expected"),
    ],
)
def test_a_wrong_out_is_refused(engine: Engine, out: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        engine(images(5, (1, 28, 28)), out=out)


@pytest.mark.parametrize("name", mp.models.MODELS)
def test_a_nan_reaches_its_own_image_only_and_leaves_nothing_behind(name: str) -> None:
    model = network(name, 0.5)
    x = images(35, model.input_shape)
    broken = x.copy()
    broken[20] = np.nan
    for forced, made in engines(model, model.input_shape).items():
        before = made(x)
        y = made(broken)
        assert np.isnan(y[20]).all(), forced
        np.testing.assert_array_equal(np.delete(y, 20, axis=0), np.delete(before, 20, axis=0), err_msg=forced)
        np.testing.assert_array_equal(made(x), before, err_msg=forced)


def test_an_image_gets_the_same_result_whatever_stands_beside_it(lenet: Module) -> None:
    x = images(70, (1, 28, 28))
    for forced, made in engines(lenet, (1, 28, 28)).items():
        together = made(x)
        for n in (1, 15, 33, 64):
            np.testing.assert_array_equal(made(x[:n]), together[:n], err_msg=forced)


def test_results_are_new_arrays(engine: Engine) -> None:
    x = images(3, (1, 28, 28))
    first = engine(x)
    kept = first.copy()
    second = engine(x[::-1])
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, kept[::-1])


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_an_engine_is_a_snapshot(name: str) -> None:
    model = network(name, 0.5)
    x = images(17, model.input_shape)
    with backend.using("numpy"):
        plain = mp.sparse.compile(model, model.input_shape)
    made = [*engines(model, model.input_shape, (1, 16)).values(), mp.sparse.compile(model, model.input_shape), plain]
    before = [e(x) for e in made]
    for p in model.parameters():
        p.data[...] = 7  # in place
        p.set_mask(np.zeros(p.shape, bool))
    for _, buffer in model.named_buffers():
        buffer[...] = 5
    for e, y in zip(made, before, strict=True):
        np.testing.assert_array_equal(e(x), y)
    assert not np.allclose(own(model, x)[0], before[0])


# --- what it tells ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.5, 0.1, 0.01, 0.0])
@pytest.mark.parametrize("name", mp.models.MODELS)
def test_a_kept_weight_takes_six_bytes_beside_the_starts_of_rows_and_the_biases(name: str, density: float) -> None:
    model = network(name, density)
    layers = [p for p in model.parameters() if p.data.ndim > 1]
    nonzeros, outputs = sum(int(p.mask.sum()) for p in layers), sum(p.shape[0] for p in layers)
    (made,) = engines(model, model.input_shape, (16,), ("sparse",)).values()
    assert made.nbytes == 6 * nonzeros + 4 * (outputs + len(layers)) + 4 * outputs
    (heavy,) = engines(model, model.input_shape, (16,), ("dense",)).values()
    assert heavy.nbytes >= 4 * sum(p.size for p in layers)


@pytest.mark.parametrize("path", ["dense", "sparse"])
def test_each_layer_takes_the_path_that_was_quicker(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_of = {name: {KINDS.index(f"{name}_conv"), KINDS.index(f"{name}_linear")} for name in ("dense", "sparse")}
    monkeypatch.setattr(measure, "_measured", {})
    monkeypatch.setattr(measure, "_time", lambda program, steps, width: 1.5 if {*steps[:, KIND]} & steps_of[path] else 2.5)
    model = network("resnet", 0.5)
    model.stem.weight.set_mask(None)
    model.stem.weight.data = np.ones(model.stem.weight.shape, np.float32)  # nothing is pruned
    model.fc.weight.set_mask(np.zeros(model.fc.weight.shape, bool))  # nothing is left
    made = mp.sparse.compile(model, (1, 28, 28))
    chosen = {p.name: p.path for p in made.paths}
    assert chosen == {p.name: path for p in made.paths} | {"stem.weight": "dense", "fc.weight": "sparse"}
    kinds = [KINDS[kind] for kind in made._program.steps[:, KIND]]
    assert [kind.split("_")[0] for kind in kinds if kind.endswith(("_conv", "_linear"))] == list(chosen.values())
    assert_computes(made, images(17, (1, 28, 28)), own(model, images(17, (1, 28, 28))))


def test_the_layout_is_the_one_that_was_measured_to_take_least_time(engine: Engine) -> None:
    e = pickle.loads(pickle.dumps(engine))
    e.widths, e._layouts = {1: 1.0, 16: 8.0, 64: 25.0}, {}
    assert [e._layout(n, 1) for n in (1, 7, 9, 49, 128)] == [(1, 1), (1, 1), (16, 1), (64, 1), (64, 1)]
    assert [e._layout(n, 2) for n in (1, 2, 16, 32, 128)] == [(1, 1), (1, 2), (1, 2), (16, 2), (64, 2)]


def test_the_report_names_every_layer_its_path_and_why() -> None:
    model = network("resnet", 0.1)
    model.stem.weight.set_mask(None)
    model.stem.weight.data += 10  # nothing is pruned
    model.fc.weight.set_mask(np.zeros(model.fc.weight.shape, bool))
    made = mp.sparse.compile(model, (1, 28, 28))
    weights = {name: p for name, p in model.named_parameters() if p.data.ndim > 1}
    assert [p.name for p in made.paths] == list(weights)
    header, *lines = made.report().splitlines()
    assert header.split() == ["layer", "shape", "density", "path", "because"]
    for line, path in zip(lines, made.paths, strict=False):
        p = weights[path.name]
        kept = 1.0 if p.mask is None else p.mask.mean()
        assert path.shape == p.shape
        assert path.density == pytest.approx(kept)
        assert line.split()[:4] == [path.name, "x".join(map(str, p.shape)), f"{kept:.1%}", path.path]
        reason = "nothing is pruned" if kept == 1 else "nothing is left" if kept == 0 else r"dense \d+\.\d µs, sparse \d+\.\d µs"
        assert path.reason in line
        assert re.fullmatch(reason, path.reason)
    panels, size = lines[len(weights) :]
    assert all(f"{width} image" in panels for width in WIDTHS)
    assert size == f"{made.nbytes:,} bytes"


# --- who calls it -----------------------------------------------------------------------------------------------------------------


def test_a_pickled_engine_is_the_same_and_carries_no_memory_along(engine: Engine) -> None:
    x = images(37, (1, 28, 28))
    expected = engine(x)  # it has memory lying idle now
    data = pickle.dumps(engine)
    assert len(data) < engine.nbytes + 20_000
    assert engine.__getstate__()["_code"] is None  # another process has its machine code elsewhere
    again = pickle.loads(data)
    np.testing.assert_array_equal(again(x), expected)
    assert (again.report(), again.nbytes, again.input_shape) == (engine.report(), engine.nbytes, engine.input_shape)


def test_without_kernels_the_engine_is_numpys_and_otherwise_the_same(lenet: Module, engine: Engine) -> None:
    with backend.using("numpy"):
        made = mp.sparse.compile(lenet, (1, 28, 28))
    assert isinstance(made, PlainEngine)
    x, out = images(37, (1, 28, 28)), np.empty((37, 10), np.float32)
    assert made(x, out=out) is out
    assert_close(out, engine(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made))(x), out)
    assert [(p.name, p.shape, p.density) for p in made.paths] == [(p.name, p.shape, p.density) for p in engine.paths]
    assert made.report().count("no kernels: every weight is multiplied") == len(made.paths)
    assert made.nbytes == sum(p.data.nbytes for p in lenet.parameters())
    with pytest.raises(ShapeError, match="the engine expected a batch of shape"):
        made(x[:, :, 1:])


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    model = network(name, 0.2)
    x = images(130, model.input_shape)
    (expected,) = own(model, x)
    for forced, made in engines(model, model.input_shape, paths=("mixed",)).items():
        mp.threads(1)
        alone = made(x)
        assert_close(alone, expected, forced)
        mp.threads(MOST)
        np.testing.assert_array_equal(made(x), alone, err_msg=forced)


@pytest.mark.parametrize("n", sorted({1, MOST}))
def test_several_python_threads_share_one_engine(engine: Engine, n: int) -> None:
    mp.threads(n)
    x = images(140, (1, 28, 28))
    expected = engine(x)
    start = threading.Barrier(8)

    def stress(number: int) -> int:
        rng = np.random.default_rng(number)
        start.wait(timeout=60)
        right = 0
        for _ in range(50):
            first, size = rng.integers(100), rng.choice([1, 2, 3, 8, 16, 17, 33, 40])
            y = engine(x[first : first + size])
            right += bool(np.abs(y - expected[first : first + size]).max() <= 1e-4 * np.abs(expected).max())
        return right

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(stress, range(8))) == [50] * 8
    finally:
        sys.setswitchinterval(before)


def compute(made: Engine, x: Array) -> tuple[Array, bool]:
    return made(x), parallel.may_run_parallel()


def _compute_and_send(connection: Connection, made: Engine, x: Array) -> None:
    connection.send(compute(made, x))
    connection.close()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_computes_the_same_on_one_thread(lenet: Module) -> None:
    mp.threads(MOST)
    (made,) = engines(lenet, (1, 28, 28), (16,), ("mixed",)).values()
    x = images(130, (1, 28, 28))
    expected = made(x)  # the parent's thread pool is at work before it forks
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_compute_and_send, args=(sender, made, x))
    child.start()
    sender.close()
    try:
        assert receiver.poll(120), "the child hangs"
        result, on_threads = receiver.recv()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert not on_threads
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(made(x), expected)


def test_machine_code_is_loaded_for_what_the_program_has(engine: Engine) -> None:
    steps = engine._program.steps
    assert set(np.flatnonzero(machine.load_code(steps))) == set(steps[:, KIND])
    assert set(machine.CODE) == set(KINDS)


@pytest.mark.parametrize("name", ["lenet5", "lenet300100"])  # the second has more than 1 MiB of weights: joblib hands on a file
def test_joblibs_workers_compute_the_same(name: str) -> None:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    x, engine = images(70, (1, 28, 28)), mp.sparse.compile(network(name, 1.0), (1, 28, 28))
    try:
        results = Parallel(n_jobs=2, backend="loky")(delayed(compute)(engine, x[i:]) for i in range(4))
    finally:
        get_reusable_executor().shutdown(wait=True)
    for i, (result, _) in enumerate(results):
        assert_close(result, engine(x[i:]))


# --- our peers compute the same network -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mp.models.MODELS)
def test_the_onnx_twin_of_a_model_computes_the_same(name: str) -> None:
    onnxruntime = oracle("onnxruntime")
    oracle("onnx")
    from minprune.experiments.bench.onnx_models import to_onnx

    model = network(name, 0.3)
    x = images(5, model.input_shape)
    session = onnxruntime.InferenceSession(to_onnx(model, model.input_shape, 5), providers=["CPUExecutionProvider"])
    assert_close(session.run(["y"], {"x": x})[0], own(model, x)[0])
