"""Sizes, work and times are those counted by hand; sparse storage gives back what was put in and knows its bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minprune as mp
from minprune import checkpoint
from minprune.errors import ShapeError
from minprune.metrics import Latency, latency, macs, measure, saved_bytes, size
from minprune.nn import Conv2d, Flatten, Linear, Module, Parameter, ReLU, Sequential
from minprune.sparse import CSR, Bitmask, Pattern, smallest_format
from tests.data_sets import small_net

RNG = np.random.default_rng(0)


def first(count: int, *shape: int) -> np.ndarray:
    """A mask that keeps the first ``count`` weights."""
    return (np.arange(np.prod(shape)) < count).reshape(shape)


# Sparse storage

FORMATS = {"csr": CSR, "bitmask": Bitmask}


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=80)
@given(
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=4).map(tuple),
    density=st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    transposed=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_is_kept_comes_back_and_the_rest_is_zero(
    name: str, shape: tuple[int, ...], density: float, dtype: type, transposed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal(shape).astype(dtype)
    weight[rng.random(shape) < 0.3] = 0.0  # some of which are kept
    mask = np.ones(shape, bool) if density == 1 else rng.random(shape) < density
    if transposed:
        weight, mask = weight.T, mask.T
    stored = FORMATS[name].from_dense(weight, mask)
    assert (stored.shape, stored.values.size) == (weight.shape, mask.sum())
    np.testing.assert_array_equal(stored.mask(), mask)
    assert (stored.mask().dtype, stored.to_dense().dtype) == (bool, dtype)
    np.testing.assert_array_equal(stored.to_dense(), np.where(mask, weight, 0))
    rebuilt = FORMATS[name](weight.shape, **stored.arrays())
    np.testing.assert_array_equal(rebuilt.to_dense(), stored.to_dense())

    kept, rows = int(mask.sum()), weight.shape[0]
    index = 4 * (rows + 1) + 2 * kept if name == "csr" else -(-mask.size // 8)
    assert stored.nbytes == index + kept * np.dtype(dtype).itemsize


def test_csr_by_hand() -> None:
    weight = np.array([[5, 0, 6, 0], [0, 0, 0, 0], [0, 7, 0, 0]], np.float32)
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], bool)  # keeps a zero
    stored = CSR.from_dense(weight, mask)
    assert stored.start.tolist() == [0, 3, 3, 4]
    assert stored.offsets.tolist() == [0, 2, 3, 1]
    assert stored.values.tolist() == [5, 6, 0, 7]
    assert [a.dtype for a in stored.arrays().values()] == [np.int32, np.uint16, np.float32]
    assert stored.nbytes == 4 * 4 + 4 * 2 + 4 * 4


def test_bitmask_by_hand() -> None:
    mask = np.array([[1, 0, 0, 0, 1], [0, 0, 0, 1, 1]], bool)
    stored = Bitmask.from_dense(np.arange(10, dtype=np.float32).reshape(2, 5), mask)
    assert stored.bits.tolist() == [0b10001000, 0b11000000]
    assert stored.values.tolist() == [0, 4, 8, 9]
    assert stored.nbytes == 2 + 4 * 4


@pytest.mark.parametrize(("columns", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.int32)])
def test_columns_take_two_bytes_where_they_fit(columns: int, dtype: type) -> None:
    mask = np.zeros((2, columns), bool)
    mask[1, -1] = True
    stored = CSR.from_dense(np.full((2, columns), 3, np.float32), mask)
    assert stored.offsets.dtype == dtype
    np.testing.assert_array_equal(stored.mask(), mask)


@pytest.mark.parametrize(
    ("kept", "kind", "nbytes"),
    [
        (0, CSR, 164),  # 41 starts of rows
        (17, CSR, 266),
        (18, Bitmask, 272),  # 200 bytes of bits: no larger than CSR
        (1549, Bitmask, 6396),
        (1550, None, 6400),  # no smaller than dense
        (1600, None, 6400),
    ],
)
def test_the_smallest_form_is_chosen(kept: int, kind: type | None, nbytes: int) -> None:
    weight = np.ones((40, 40), np.float32)
    best = smallest_format(weight, first(kept, 40, 40))
    assert best is None if kind is None else type(best) is kind
    assert (weight.nbytes if best is None else best.nbytes) == nbytes


def test_a_vector_has_no_rows() -> None:
    with pytest.raises(ShapeError, match=r"two axes or more, got shape \(3,\)"):
        CSR.from_dense(np.ones(3), np.ones(3, bool))


# Size


def masked_layer() -> Sequential:
    """A weight (3, 4) of which 5 are kept, a bias of which 2 of 3 are kept, and a Linear without mask."""
    model = Sequential(Linear(4, 3, rng=RNG), Linear(3, 2, bias=False, rng=RNG))
    model[0].weight.set_mask(first(5, 3, 4))
    model[0].bias.set_mask(first(2, 3))
    return model


def test_size_by_hand() -> None:
    s = size(masked_layer())
    assert [(p.name, p.shape, p.total, p.kept) for p in s.parameters] == [
        ("0.weight", (3, 4), 12, 5),
        ("0.bias", (3,), 3, 2),
        ("1.weight", (2, 3), 6, 6),
    ]
    assert (s.total, s.kept, s.compression) == (21, 13, 21 / 13)
    assert s.dense_bytes == 4 * 21
    assert s.csr_bytes == (4 * 4 + 2 * 5 + 4 * 5) + 4 * 3 + 4 * 6
    assert s.bitmask_bytes == (2 + 4 * 5) + 4 * 3 + 4 * 6


def test_a_dense_model_is_one_times_as_large_in_every_form() -> None:
    s = size(mp.models.LeNet300100(rng=RNG))
    assert s.total == s.kept == 266_610
    assert s.compression == 1
    assert s.dense_bytes == s.csr_bytes == s.bitmask_bytes == 4 * 266_610


def test_a_model_with_nothing_left_has_a_finite_compression() -> None:
    model = Sequential(Linear(4, 3, bias=False, rng=RNG))
    model[0].weight.set_mask(first(0, 3, 4))
    assert (size(model).kept, size(model).compression) == (0, 12)


@pytest.mark.parametrize("make", [small_net, masked_layer])
def test_saved_bytes_are_those_of_the_file(tmp_path: Path, make: Callable[[], Module]) -> None:
    checkpoint.save(make(), tmp_path / "model")
    assert saved_bytes(make()) == (tmp_path / "model").stat().st_size


# Work

LENET5 = {"conv1.weight": 20 * 25 * 24 * 24, "conv2.weight": 50 * 20 * 25 * 8 * 8, "fc1.weight": 800 * 500, "fc2.weight": 500 * 10}
RESNET = {  # on 28x28 images: 28x28 positions in the first stage, then 14x14, then 7x7
    "stem.weight": 16 * 1 * 9 * 784,
    "stage1_block1.conv1.weight": 16 * 16 * 9 * 784,
    "stage1_block1.conv2.weight": 16 * 16 * 9 * 784,
    "stage2_block1.conv1.weight": 32 * 16 * 9 * 196,
    "stage2_block1.conv2.weight": 32 * 32 * 9 * 196,
    "stage2_block1.projection.weight": 32 * 16 * 196,
    "stage3_block1.conv1.weight": 64 * 32 * 9 * 49,
    "stage3_block1.conv2.weight": 64 * 64 * 9 * 49,
    "stage3_block1.projection.weight": 64 * 32 * 49,
    "fc.weight": 64 * 10,
}


def test_macs_of_lenet5_by_hand() -> None:
    assert LENET5 == {"conv1.weight": 288_000, "conv2.weight": 1_600_000, "fc1.weight": 400_000, "fc2.weight": 5_000}
    counted = macs(mp.models.LeNet5(rng=RNG), (1, 28, 28))
    assert [(layer.name, layer.dense, layer.sparse) for layer in counted] == [(n, work, work) for n, work in LENET5.items()]


def test_macs_of_resnet_by_hand() -> None:
    counted = macs(mp.models.ResNet(rng=RNG), (1, 28, 28))
    assert len(counted) == len(RESNET)
    assert {layer.name: layer.dense for layer in counted} == RESNET
    assert all(layer.sparse == layer.dense for layer in counted)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.37, 1.0])
def test_sparse_macs_are_positions_times_kept_weights(density: float) -> None:
    model = mp.models.LeNet5(rng=RNG)
    positions = {"conv1.weight": 24 * 24, "conv2.weight": 8 * 8, "fc1.weight": 1, "fc2.weight": 1}
    kept = {}
    for name, p in model.named_parameters():
        if p.ndim > 1:
            kept[name] = round(density * p.size)
            p.set_mask(first(kept[name], *p.shape))
    counted = {layer.name: (layer.dense, layer.sparse) for layer in macs(model, (1, 28, 28))}
    assert counted == {name: (LENET5[name], positions[name] * kept[name]) for name in LENET5}


class Product(Module):
    """x W for W (C, K), with no layer around it; ``twice`` uses the weight a second time, transposed to no effect on the count."""

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self.w = Parameter(np.ones((4, 4), np.float32))
        self.twice = twice

    def forward(self, x: mp.Tensor) -> mp.Tensor:
        return (x @ self.w) @ self.w if self.twice else x @ self.w


def test_a_plain_product_with_a_weight_counts() -> None:
    model = Product()
    model.w.set_mask(first(5, 4, 4))
    (layer,) = macs(model, (4,))
    assert (layer.name, layer.dense, layer.sparse) == ("w", 16, 5)


def test_a_weight_that_is_used_twice_works_twice() -> None:
    assert [(layer.name, layer.dense) for layer in macs(Product(twice=True), (4,))] == [("w", 16), ("w", 16)]
    assert mp.summary(Product(twice=True), (4,)).macs == {"w": (32, 32)}


def test_macs_are_the_same_inside_no_grad_and_with_weights_that_are_not_trained() -> None:
    model = mp.models.LeNet5(rng=RNG)
    model.conv1.weight.requires_grad = model.conv1.bias.requires_grad = False
    with mp.no_grad():
        assert {layer.name: layer.dense for layer in macs(model, (1, 28, 28))} == LENET5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("measure_it", [macs, lambda model, shape: latency(model, shape, warmup=0, repeats=1)], ids=["macs", "latency"])
def test_measuring_leaves_the_model_as_it_was(measure_it: Callable, training: bool) -> None:
    model = mp.models.ResNet((1, 8, 8), rng=RNG).train(training)
    before = model.state_dict()
    measure_it(model, (1, 8, 8))
    with pytest.raises(ShapeError, match="expected images"):
        measure_it(model, (1, 9, 9))
    assert all(module.training is training for _, module in model.named_modules())
    assert all(p.grad is None for p in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# Time


def test_latency_is_a_median_between_its_quartiles_over_the_calls_after_warm_up() -> None:
    calls: list[int] = []
    result = measure(lambda: calls.append(sum(range(len(calls) * 100))), warmup=3, repeats=8)
    assert len(calls) == 11
    assert 0 < result.low <= result.median <= result.high
    assert result.repeats == 8


def test_warm_up_does_not_count() -> None:
    seconds = iter(np.cumsum([0, 0.001, 0, 0.002, 0, 0.003, 0, 0.004, 0, 0.100]))  # start and end of five calls
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("time.perf_counter", lambda: next(seconds))
        result = measure(lambda: None, warmup=7, repeats=5)
    assert (result.low, result.median, result.high) == pytest.approx((2, 3, 4))
    assert str(Latency(2.0, 1.5, 4.25, 5)) == "2.000 ms (1.500-4.250, n=5)"


def test_latency_runs_the_model_in_evaluation_mode_on_batches_without_a_tape() -> None:
    seen = []

    class Spy(Module):
        def forward(self, x: mp.Tensor) -> mp.Tensor:
            seen.append((x.shape, x.dtype, self.training, (x * Parameter(np.ones(1))).requires_grad))
            return x

    result = latency(Spy(), (2, 3, 4), batch_size=5, warmup=1, repeats=2)
    assert seen == [((5, 2, 3, 4), np.float32, False, False)] * 3
    assert result.repeats == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repeats": 0}, "repeats >= 1 and warmup >= 0, got 0 and 5"),
        ({"warmup": -1}, "repeats >= 1 and warmup >= 0, got 30 and -1"),
        ({"batch_size": 0}, "batch_size expected a whole number >= 1, got 0"),
    ],
)
def test_a_measurement_of_nothing_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        latency(Sequential(ReLU()), (3,), **arguments)


# The table


def cells(text: str, name: str) -> list[str]:
    """The cells of the row of ``name``."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return line.split()[1:]


def test_the_summary_says_what_was_counted() -> None:
    model = mp.models.LeNet5(rng=RNG)
    model.conv2.weight.set_mask(first(1250, 50, 20, 5, 5))
    text = str(mp.summary(model))
    assert text.splitlines()[0] == "LeNet5"
    assert cells(text, "conv2.weight") == ["50x20x5x5", "25,000", "1,250", "5.0%", "1,600,000", "80,000"]
    assert cells(text, "conv2.bias") == ["50", "50", "50", "100.0%"]
    assert cells(text, "fc2.weight") == ["10x500", "5,000", "5,000", "100.0%", "5,000", "5,000"]
    assert cells(text, "total") == ["431,080", "407,330", "94.5%", "2,293,000", "773,000"]
    s = size(model)
    assert f"compression {431_080 / 407_330:.2f}x" in text
    assert f"dense {4 * 431_080:,} | CSR {s.csr_bytes:,} | bitmask {s.bitmask_bytes:,} | saved to disk {saved_bytes(model):,}" in text
    assert re.search(r"latency, batch 1, as it is: \d+\.\d{3} ms \(\d+\.\d{3}-\d+\.\d{3}, n=30\); masks alone make nothing faster", text)


def test_the_columns_of_the_text_line_up() -> None:
    lines = str(mp.summary(small_net(), (1, 5, 5))).splitlines()
    table = lines[1 : 1 + 1 + 1 + 6 + 1 + 1]  # header, rule, six parameters, rule, total
    assert len({len(line) for line in table}) == 1
    assert [set(line) == {"-"} for line in table] == [False, True, *[False] * 6, True, False]


def test_without_an_input_shape_the_summary_counts_what_it_can() -> None:
    summary = mp.summary(small_net())
    assert (summary.macs, summary.latency) == (None, None)
    assert cells(str(summary), "3.weight") == ["12x100", "1,200", "1,200", "100.0%"]
    assert "MACs and latency need an input shape: summary(model, input_shape=(C, H, W))" in str(summary)
    assert "MACs and latency need an input shape" in summary._repr_html_()


def test_a_given_input_shape_counts_for_models_that_know_none() -> None:
    model = Sequential(Conv2d(1, 2, 3, rng=RNG), Flatten(), Linear(2 * 4 * 3, 5, rng=RNG))
    summary = mp.summary(model, (1, 6, 5))
    assert summary.macs == {"0.weight": (2 * 9 * 12, 2 * 9 * 12), "2.weight": (120, 120)}
    assert summary.latency is not None


def test_a_model_without_parameters_has_a_summary() -> None:
    assert cells(str(mp.summary(Sequential(ReLU()), (3,))), "total") == ["0", "0", "0.0%", "0", "0"]


def test_html_shows_the_same_cells_and_escapes_names() -> None:
    model = type("A<b>&", (Sequential,), {})()
    setattr(model, "<script>", Linear(3, 2, rng=RNG))
    summary = mp.summary(model, (3,))
    html = summary._repr_html_()
    assert "<caption>A&lt;b&gt;&amp;</caption>" in html
    assert "<td>&lt;script&gt;.weight</td><td>2x3</td><td>6</td><td>6</td><td>100.0%</td><td>6</td><td>6</td>" in html
    assert "<script>" not in html
    assert html.count("<td>") == 7 * 3
    assert repr(summary) == str(summary)
    assert summary.footer()[1] in html


@pytest.mark.parametrize("stored", [CSR, Bitmask, Pattern])
def test_a_mask_that_does_not_fit_is_refused(stored: type[CSR] | type[Bitmask] | type[Pattern]) -> None:
    weight, mask = np.ones((4, 6), np.float32), np.arange(24).reshape(4, 6) % 2 == 0
    for wrong in (mask[:, :3], mask[:, :1], mask[:2], mask.reshape(4, 3, 2)):
        with pytest.raises(ShapeError, match=r"a mask expected the weight's shape \(4, 6\), got"):
            stored.from_dense(weight, wrong)
    with pytest.raises(TypeError, match="a mask expected an array of bool, got int64"):
        stored.from_dense(weight, mask.astype(np.int64))
