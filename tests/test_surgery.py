"""A compacted model computes what the masked one does, is an ordinary model, and brings masks and optimizer state along."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minprune as mp
from minprune import ops
from minprune.nn import Conv2d, Flatten, Linear, Module, Sequential
from minprune.prune import GuardWarning, UnstructuredWarning, compact, cut, plan
from tests.topologies import TOPOLOGIES

pytestmark = pytest.mark.filterwarnings("ignore::minprune.prune.UnstructuredWarning", "ignore::minprune.prune.GuardWarning")

GRANULARITIES = ("weight", "2:4", "kernel", "2x2", "row", "column", "channel", "layer", "filters, but not their biases")
COUPLED = ("channel", "layer")


def possible(name: str, granularity: str) -> bool:
    topology = TOPOLOGIES[name]
    return {"kernel": topology.convolutions, "layer": topology.branches > 0}.get(granularity, True)


CASES = [(name, g) for name in TOPOLOGIES for g in GRANULARITIES if possible(name, g)]


def outputs(model: Module, x: np.ndarray) -> list[mp.Tensor]:
    out = model(x)
    return list(out) if isinstance(out, tuple) else [out]


def gradients(model: Module, x: np.ndarray) -> dict[str, np.ndarray]:
    """Of a weighted sum of all outputs."""
    model.zero_grad()
    total = mp.Tensor(np.zeros((), x.dtype))
    for out in outputs(model, x):
        total = total + (out * np.cos(np.arange(out.size)).reshape(out.shape)).sum()
    total.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def prune_half(model: Module, granularity: str, shape: tuple) -> None:
    rng = np.random.default_rng(1)
    if granularity.startswith("filters"):
        weights = mp.prune.prunable_parameters(model)
        masks = {n: np.ones(p.shape, bool) for n, p in weights.items()}
        for n, p in weights.items():
            masks[n][rng.permutation(len(masks[n]))[: len(masks[n]) // 2]] = "head" in n or p.shape[0] <= 3
        mp.prune.apply_masks(model, masks)
        return
    amount = {"2:4": None, "weight": 0.9}.get(granularity, 0.5)
    scope = "global" if granularity in ("layer", "2:4") else "layer"
    cut(model, amount, criterion="random", rng=rng, granularity=granularity, scope=scope, input_shape=shape)


@pytest.mark.parametrize(("name", "granularity"), CASES)
def test_masked_and_compacted_agree(name: str, granularity: str) -> None:
    topology = TOPOLOGIES[name]
    masked = topology.build()
    prune_half(masked, granularity, topology.shape)
    before = masked.state_dict()
    how, small = plan(masked, topology.shape), compact(masked, topology.shape)
    x = np.random.default_rng(2).standard_normal((3, *topology.shape))
    for a, b in zip(outputs(masked, x), outputs(small, x), strict=True):
        np.testing.assert_allclose(b.data, a.data, rtol=1e-9, atol=1e-9)
    wanted, found = gradients(masked, x), gradients(small, x)
    assert found
    for parameter in found.keys() & wanted.keys():
        np.testing.assert_allclose(found[parameter], wanted[parameter][np.ix_(*how.kept[parameter])], rtol=1e-9, atol=1e-9)
    for key, array in masked.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    assert {n: p.shape for n, p in small.named_parameters() if n in how.kept} == {
        n: tuple(i.size for i in axes) for n, axes in how.kept.items()
    }
    again = plan(small, topology.shape)
    assert again.gone.size == 0  # nothing was left for a second operation
    if granularity in COUPLED:
        assert how.still_masked == 0
        assert mp.metrics.size(small).total < mp.metrics.size(masked).total
        for a, b in zip(outputs(masked.train(), x), outputs(small.train(), x), strict=True):
            np.testing.assert_allclose(b.data, a.data, rtol=1e-9, atol=1e-9)


def trained_steps(model: Module, optimizer: mp.optim.Optimizer, shape: tuple, steps: int = 3) -> None:
    rng = np.random.default_rng(3)
    for _ in range(steps):
        optimizer.zero_grad()
        ops.cross_entropy(model(rng.standard_normal((8, *shape))), rng.integers(3, size=8)).backward()
        optimizer.step()


@pytest.mark.parametrize("make", [lambda m: mp.optim.SGD(m, 0.05, momentum=0.9, weight_decay=1e-3), lambda m: mp.optim.Adam(m, 0.01)])
@pytest.mark.parametrize("name", ["plain", "ResNet with projections", "transposed"])
def test_fine_tuning_goes_on_as_if_nothing_had_happened(name: str, make) -> None:
    topology = TOPOLOGIES[name]
    masked = topology.build().train()
    optimizer = make(masked)
    trained_steps(masked, optimizer, topology.shape)
    prune_half(masked, "channel", topology.shape)
    how, old = plan(masked, topology.shape), make(masked)
    old.state, old.ages = {n: {k: a.copy() for k, a in s.items()} for n, s in optimizer.state.items()}, dict(optimizer.ages)
    small = compact(masked, topology.shape, optimizer=optimizer)
    assert optimizer.model is small
    trained_steps(masked, old, topology.shape)
    trained_steps(small, optimizer, topology.shape)
    for parameter, p in small.named_parameters():
        np.testing.assert_allclose(p.data, masked.state_dict()[parameter][np.ix_(*how.kept[parameter])], rtol=1e-8, atol=1e-10)


def test_masks_come_along_and_stay_in_force() -> None:
    model = TOPOLOGIES["plain"].build()
    cut(model, 0.3, scope="layer")
    cut(model, 0.5, granularity="channel", scope="layer", input_shape=(2, 8, 8))
    how = plan(model, (2, 8, 8))
    small = compact(model, (2, 8, 8))
    assert 0 < how.still_masked < how.masked
    for name, p in small.named_parameters():
        full = dict(model.named_parameters())[name]
        if full.mask is not None:
            part = full.mask[np.ix_(*how.kept[name])]
            assert p.mask is None if part.all() else (p.mask == part).all()


def a_network(name: str) -> Module:
    rng = np.random.default_rng(0)
    shapes = {"lenet5": (1, 28, 28), "lenet300100": (1, 8, 8), "smallconvnet": (1, 8, 8), "resnet": (3, 8, 8)}
    return mp.models.create(name, input_shape=shapes[name], rng=rng).eval()


@pytest.mark.parametrize("granularity", COUPLED)
@pytest.mark.parametrize("name", list(mp.models.MODELS))
def test_the_result_saves_loads_trains_and_compacts_again(tmp_path, name: str, granularity: str) -> None:
    model = a_network(name)
    if granularity == "layer" and name != "resnet":
        with pytest.raises(ValueError, match="no residual sum"):
            cut(model, 0.5, granularity="layer")
        return
    cut(model, 0.5, granularity=granularity)
    small = compact(model)
    mp.checkpoint.save(small, tmp_path / "small.safetensors")
    loaded = mp.checkpoint.load(tmp_path / "small.safetensors")
    x = np.random.default_rng(1).random((2, *model.input_shape), dtype=np.float32)
    np.testing.assert_array_equal(loaded(x).data, small(x).data)
    assert mp.metrics.saved_bytes(small) < mp.metrics.saved_bytes(a_network(name))
    before = loaded.state_dict()
    optimizer = mp.optim.SGD(loaded.train(), 0.1, momentum=0.9)
    ops.cross_entropy(loaded(x), np.array([0, 1])).backward()
    optimizer.step()
    assert any(not np.array_equal(a, before[n]) for n, a in loaded.state_dict().items())
    cut(loaded, 0.5, granularity="channel")
    smaller = compact(loaded, optimizer=optimizer)
    mp.checkpoint.save(smaller, tmp_path / "smaller.safetensors")
    np.testing.assert_array_equal(mp.checkpoint.load(tmp_path / "smaller.safetensors")(x).data, smaller.eval()(x).data)
    assert mp.metrics.size(smaller).total < mp.metrics.size(small).total


def test_a_channel_cut_equals_a_network_made_smaller_by_hand() -> None:
    model, rng = a_network("smallconvnet"), np.random.default_rng(1)
    full = model.state_dict()

    def strongest(name: str, count: int) -> np.ndarray:
        norms = np.sqrt((full[f"{name}.weight"].reshape(len(full[f"{name}.weight"]), -1) ** 2).sum(axis=1))
        return np.sort(np.argsort(norms)[-count:])

    first, second, hidden = strongest("conv1", 10), strongest("conv2", 20), strongest("fc1", 40)
    flat = (second[:, None] * 16 + np.arange(16)).ravel()  # a channel's 4x4 positions in the flattened image
    by_hand = mp.models.SmallConvNet((1, 8, 8), widths=(10, 20, 40), rng=rng).eval()
    by_hand.load_state_dict(
        {
            "conv1.weight": full["conv1.weight"][first],
            "conv1.bias": full["conv1.bias"][first],
            "conv2.weight": full["conv2.weight"][second][:, first],
            "conv2.bias": full["conv2.bias"][second],
            "fc1.weight": full["fc1.weight"][hidden][:, flat],
            "fc1.bias": full["fc1.bias"][hidden],
            "fc2.weight": full["fc2.weight"][:, hidden],
            "fc2.bias": full["fc2.bias"],
        }
    )
    cut(model, scope={"conv1.weight": 6, "conv2.weight": 12, "fc1.weight": 24}, granularity="channel")
    small = compact(model)
    for name, array in small.state_dict().items():
        np.testing.assert_array_equal(array, by_hand.state_dict()[name], err_msg=name)
    x = rng.random((5, 1, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(small(x).data, by_hand(x).data, rtol=1e-5, atol=1e-6)


def constant_channel(padding: int, bias: bool = True) -> Sequential:
    """The first convolution's channel 0 is 2 everywhere, since its weights are zero and its bias is not."""
    rng = np.random.default_rng(0)
    model = Sequential(
        Conv2d(1, 3, 3, rng=rng),
        Conv2d(3, 4, 3, padding=padding, bias=bias, rng=rng),
        Flatten(),
        Linear(4 * (2 + 2 * padding) ** 2, 2, rng=rng),
    )
    model[0].weight.data[0], model[0].bias.data[:] = 0, (2, 0, 1)
    return model.eval()


def test_a_constant_goes_into_the_bias_of_what_reads_it() -> None:
    model = constant_channel(padding=0)
    small = compact(model, (1, 6, 6))
    assert small[0].weight.shape == (2, 1, 3, 3)
    np.testing.assert_allclose(small[1].bias.data, 2 * model[1].weight.data[:, 0].sum(axis=(1, 2)), rtol=1e-5)
    x = np.random.default_rng(0).random((2, 1, 6, 6), dtype=np.float32)
    np.testing.assert_allclose(small(x).data, model(x).data, rtol=1e-4, atol=1e-5)


def test_a_reader_without_a_bias_gets_one() -> None:
    small = compact(constant_channel(padding=0, bias=False), (1, 6, 6))
    assert small[1].bias is not None
    assert small[1].config()["bias"]


def test_a_constant_that_a_padded_convolution_reads_stays_since_the_border_sees_zeros() -> None:
    how = plan(constant_channel(padding=1), (1, 6, 6))
    assert (how.gone.size, how.stuck) == (0, 1)
    assert "1 constant units stay: a padded convolution" in str(how)


def test_a_batch_norm_takes_a_constant_into_its_running_mean() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(
        Conv2d(1, 3, 3, rng=rng), Conv2d(3, 4, 1, bias=False, rng=rng), mp.nn.BatchNorm2d(4), Flatten(), Linear(64, 2, rng=rng)
    ).eval()
    model[0].weight.data[0], model[0].bias.data[0] = 0, 2
    small = compact(model, (1, 6, 6))
    assert small[1].weight.shape == (4, 2, 1, 1)
    assert small[1].bias is None
    np.testing.assert_allclose(small[2].running_mean, -2 * model[1].weight.data[:, 0, 0, 0], rtol=1e-6)


def test_a_layer_cut_leaves_the_shortcut() -> None:
    model = a_network("resnet")
    cut(model, 2, granularity="layer")
    small = compact(model)
    paths = [path for path, m in small.named_modules() if m.removed]
    assert len(paths) == 2
    for path in paths:
        assert not any(name.startswith((f"{path}.conv", f"{path}.bn")) for name, _ in small.named_parameters())
    x = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(small(x).data, model(x).data, rtol=1e-5, atol=1e-6)


def test_a_layer_of_which_nothing_is_left_keeps_one_unit() -> None:
    model = TOPOLOGIES["plain"].build()
    cut(model, 1.0, granularity="channel", min_per_layer=0, input_shape=(2, 8, 8))
    small = compact(model, (2, 8, 8))
    assert [p.shape[0] for p in small.parameters() if p.ndim > 1] == [1, 1, 1, 3]
    x = np.random.default_rng(0).standard_normal((2, 2, 8, 8))
    np.testing.assert_allclose(small(x).data, model(x).data)


def test_masks_without_structure_are_said_to_remain() -> None:
    model = a_network("lenet300100")
    cut(model, 0.5)
    with pytest.warns(UnstructuredWarning, match=r"\d+ of 25,1\d\d masked weights stay in the compacted LeNet300100"):
        compact(model)


def test_a_model_without_zeros_stays_as_it_is() -> None:
    model = a_network("resnet")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnstructuredWarning)
        small = compact(model)
    assert mp.nn.describe(small) == mp.nn.describe(model)
    assert plan(model).gone.size == 0


class CountsChannels(Module):
    def __init__(self, index: bool) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.index = index
        self.conv, self.head = Conv2d(1, 6, 3, rng=rng), Linear(96 if not index else 64, 2, rng=rng)

    def forward(self, x: mp.Tensor) -> mp.Tensor:
        x = self.conv(x)
        return self.head(ops.flatten(x[:, :4]) if self.index else x.reshape(x.shape[0], 6 * 16))


def test_a_forward_that_counts_channels_is_refused_and_nothing_changes() -> None:
    model = CountsChannels(index=False)
    optimizer = mp.optim.SGD(model, 0.1)
    cut(model, 0.5, granularity="channel", input_shape=(1, 6, 6))
    with pytest.raises(ValueError, match="its forward counts on a number of channels"):
        compact(model, (1, 6, 6), optimizer=optimizer)
    assert optimizer.model is model
    assert model.conv.weight.shape[0] == 6


def test_channels_that_an_index_picks_are_never_cut() -> None:
    with pytest.raises(ValueError, match=r"no channel that can be cut: .*an index in the forward pass counts on it"):
        cut(CountsChannels(index=True), 0.5, granularity="channel", input_shape=(1, 6, 6))


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="got one of another model"):
        compact(a_network("lenet5"), optimizer=mp.optim.SGD(a_network("lenet5"), 0.1))


def test_all_channels_asked_away_leaves_one_and_says_so() -> None:
    model = a_network("lenet5")
    with pytest.warns(GuardWarning, match="conv1.weight, conv2.weight, fc1.weight would have kept fewer than 1"):
        cut(model, 1.0, granularity="channel")
    assert [p.shape[0] for p in compact(model).parameters() if p.ndim > 1] == [1, 1, 1, 10]


def test_a_constant_goes_even_into_a_bias_that_was_masked() -> None:
    model = constant_channel(padding=0)
    model[1].bias.data[:] = 1
    model[1].bias.set_mask(np.array([False, True, True, True]))
    small = compact(model, (1, 6, 6))
    x = np.random.default_rng(0).random((2, 1, 6, 6), dtype=np.float32)
    np.testing.assert_allclose(small(x).data, model(x).data, rtol=1e-4, atol=1e-5)
    assert small[1].bias.data[0] != 0


@pytest.mark.parametrize("bias", [True, False])
def test_a_constant_does_not_go_into_a_layer_that_others_use_too(bias: bool) -> None:
    class Twice(Module):
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(0)
            self.stem, self.twice, self.head = Linear(3, 4, rng=rng), Linear(4, 4, bias, rng=rng), Linear(4, 2, rng=rng)

        def forward(self, x: mp.Tensor) -> mp.Tensor:
            x = ops.relu(self.stem(x))
            return self.head(ops.relu(self.twice(x)) + self.twice(x * 2.0))

    model = Twice().eval()
    model.stem.weight.data[0], model.stem.bias.data[0] = 0, 1
    how = plan(model, (3,))
    assert (how.gone.size, how.stuck) == (0, 1)  # what it contributes differs between the two uses
    model.twice.weight.data[:, 0] = 0
    assert plan(model, (3,)).gone.size == 1  # where nothing is contributed, nothing has to go anywhere


def test_a_scale_of_zero_makes_a_channel_that_is_its_shift() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 3, 3, rng=rng), mp.nn.BatchNorm2d(3), Flatten(), Linear(48, 2, rng=rng)).eval()
    model[1].weight.data[1], model[1].bias.data[1] = 0, 0.5
    small = compact(model, (1, 6, 6))
    assert small[0].weight.shape[0] == 2
    x = rng.random((2, 1, 6, 6), dtype=np.float32)
    np.testing.assert_allclose(small(x).data, model(x).data, rtol=1e-5, atol=1e-6)


def test_a_channel_that_its_own_group_does_not_read_can_go() -> None:
    model = TOPOLOGIES["grouped"].build()
    model[2].weight.data[:, 1] = 0  # channel 1 of both groups: 1 and 5 of the stem
    small = compact(model, (2, 6, 6))
    assert small[0].weight.shape[0] == 6
    assert small[2].config()["in_channels"] == 6


def test_a_depthwise_filter_of_zeros_takes_its_input_along() -> None:
    model = TOPOLOGIES["depthwise-separable"].build()
    model[3].weight.data[4:6] = 0  # both outputs of channel 2; the 1x1 convolution after it takes their shifts in
    small = compact(model, (2, 6, 6))
    assert small[0].weight.shape[0] == 5
    assert small[3].weight.shape[0] == 10


@pytest.mark.parametrize(("name", "at"), [("depthwise-separable", 3), ("grouped", 2)])
def test_groups_are_saved_as_they_are(tmp_path, name: str, at: int) -> None:
    model = TOPOLOGIES[name].build(dtype=np.float32)
    cut(model, 0.5, scope="layer", granularity="channel", input_shape=(2, 6, 6))
    small = compact(model, (2, 6, 6))
    mp.checkpoint.save(small, tmp_path / "small.safetensors")
    loaded = mp.checkpoint.load(tmp_path / "small.safetensors")
    x = np.random.default_rng(0).random((2, 2, 6, 6), dtype=np.float32)
    np.testing.assert_array_equal(loaded(x).data, small(x).data)
    assert mp.nn.describe(loaded) == mp.nn.describe(small)
    assert small[at].config()["in_channels"] == small[0].weight.shape[0] < model[0].weight.shape[0]


def test_split_sizes_travel_with_a_checkpoint(tmp_path) -> None:
    topology = TOPOLOGIES["unequal split"]
    model = topology.build(dtype=np.float32)
    cut(model, 0.5, scope="layer", granularity="channel", input_shape=topology.shape)
    small, twin = compact(model, topology.shape), compact(model, topology.shape)
    assert small.split.sizes.tolist() == [1, 3]
    mp.checkpoint.save(small, tmp_path / "small.safetensors")
    twin.split.sizes[:] = 0
    mp.checkpoint.load(tmp_path / "small.safetensors", into=twin)
    np.testing.assert_array_equal(twin.split.sizes, small.split.sizes)


def test_the_optimizer_forgets_what_is_gone() -> None:
    model = a_network("resnet").train()
    optimizer = mp.optim.SGD(model, 0.1, momentum=0.9)
    ops.cross_entropy(model(np.random.default_rng(0).random((4, 3, 8, 8), dtype=np.float32)), np.arange(4)).backward()
    optimizer.step()
    cut(model, 1, granularity="layer")
    names = {name for name, _ in compact(model, optimizer=optimizer).named_parameters()}
    assert optimizer.state.keys() == optimizer.ages.keys() == names
