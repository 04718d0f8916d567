"""The dependency graph finds what must be cut together, says what must stay and why, and guesses nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minprune as mp
from minprune import ops
from minprune.errors import ShapeError
from minprune.nn import Linear, Module
from minprune.prune import GuardWarning, constancy, cut, graph, labels, unit_sparsity
from minprune.prune.units import Units
from minprune.tensor import record
from tests.topologies import TOPOLOGIES, SqueezeExcite

pytestmark = pytest.mark.filterwarnings("ignore::minprune.prune.GuardWarning")


def groups_of(name: str) -> dict[str, tuple[int, dict[str, set[str]]]]:
    """{group: (units, {role: members})} of the groups that can be cut."""
    network = graph(TOPOLOGIES[name].build(), TOPOLOGIES[name].shape)
    return {g.name: (g.size, {role: set(map(str, g.of_role(role))) for role in ("makes", "follows", "reads")}) for g in network.cuttable}


def test_units_unite_to_their_smallest_and_remember_why_they_stay() -> None:
    units = Units()
    a, b, c = units.fresh(2), units.fresh(2), units.fresh(2)
    units.unite(c, b)
    units.unite(b, a)
    units.pin(c[:1], "because")
    np.testing.assert_array_equal(units.find(np.concatenate([a, b, c])), [0, 1, 0, 1, 0, 1])
    assert units.reasons() == {0: "because"}


def test_a_residual_sum_ties_stem_branches_and_their_batch_norms() -> None:
    size, roles = groups_of("ResNet")["stem.weight"]
    assert size == 6
    assert roles["makes"] == {"stem.weight[0]", "stage1_block1.conv2.weight[0]", "stage1_block2.conv2.weight[0]"}
    norms = ("stem_bn", "stage1_block1.bn2", "stage1_block2.bn2")
    assert roles["follows"] == {f"{norm}.{what}[0]" for norm in norms for what in ("weight", "bias")}
    assert roles["reads"] == {"stage1_block1.conv1.weight[1]", "stage1_block2.conv1.weight[1]", "fc.weight[1]"}


def test_a_projection_starts_a_stream_of_its_own() -> None:
    found = groups_of("ResNet with projections")
    assert {name: size for name, (size, _) in found.items()} == {
        "stem.weight": 5,
        "stage1_block1.conv1.weight": 5,
        "stage2_block1.conv1.weight": 8,
        "stage2_block1.conv2.weight": 8,
    }
    assert found["stage2_block1.conv2.weight"][1]["makes"] == {"stage2_block1.conv2.weight[0]", "stage2_block1.projection.weight[0]"}


def test_a_concatenation_is_read_at_an_offset() -> None:
    network = graph(TOPOLOGIES["concat"].build(), (2, 6, 6))
    conv1, conv2 = network.axes["conv1.weight"][0], network.axes["conv2.weight"][0]
    np.testing.assert_array_equal(network.axes["conv3.weight"][1], [*conv1, *conv2])
    np.testing.assert_array_equal(network.axes["bn2.bias"][0], [*conv1, *conv2])
    np.testing.assert_array_equal(network.axes["head.weight"][1], [*conv1, *conv2, *network.axes["conv3.weight"][0]])


def test_flatten_gives_each_channel_as_many_columns_as_it_has_positions() -> None:
    network = graph(mp.models.LeNet5(rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(network.axes["fc1.weight"][1], np.repeat(network.axes["conv2.weight"][0], 16))


def test_a_split_divides_a_convolution_into_two_groups() -> None:
    found = groups_of("unequal split")
    assert found["stem.weight[0:3]"][0] == 3
    assert found["stem.weight[0:3]"][1]["reads"] == {"left.weight[1]"}
    assert found["stem.weight[3:10]"][1]["reads"] == {"right.weight[1]"}


def test_a_depthwise_convolution_goes_with_its_input_and_both_its_outputs() -> None:
    network = graph(TOPOLOGIES["depthwise-separable"].build(), (2, 6, 6))
    np.testing.assert_array_equal(network.axes["3.weight"][0], np.repeat(network.axes["0.weight"][0], 2))


def test_a_grouped_convolution_loses_the_same_positions_in_every_group() -> None:
    network = graph(TOPOLOGIES["grouped"].build(), (2, 6, 6))
    np.testing.assert_array_equal(network.axes["0.weight"][0], np.tile(network.axes["2.weight"][1], 2))
    np.testing.assert_array_equal(network.axes["2.weight"][0], np.tile(network.axes["2.weight"][0][:3], 2))


def test_a_gate_goes_with_the_channel_that_it_scales() -> None:
    assert groups_of("squeeze-and-excite")["conv1.weight"][1]["makes"] == {"conv1.weight[0]", "excite.weight[0]"}


def test_a_transposed_weight_makes_and_reads() -> None:
    found = groups_of("transposed")
    assert found["tied"][1]["makes"] == found["tied"][1]["reads"] == {"tied[0]"}
    assert found["stem.weight"][1]["makes"] == {"stem.weight[0]", "tied[1]"}


def test_a_weight_used_twice_ties_its_inputs_to_its_outputs_and_an_idle_one_is_named() -> None:
    network = graph(TOPOLOGIES["shared"].build(), (2, 6, 6))
    np.testing.assert_array_equal(*network.axes["twice.weight"][:2])
    assert network.unused == ("idle",)


def test_inputs_and_outputs_are_never_cut() -> None:
    network = graph(TOPOLOGIES["two heads"].build(), (2, 6, 6))
    assert {g.name: g.pinned for g in network.groups if g.pinned} == dict.fromkeys(("left.weight", "right.weight"), "the network's output")
    assert set(network.axes["conv1.weight"][1]) <= network.pinned.keys()


class TwoInputs(Module):
    """A sum of two inputs of different shapes, and a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.a, self.b, self.out = Linear(3, 5, rng=rng), Linear(4, 5, rng=rng), Linear(5, 2, rng=rng)

    def forward(self, x, y):
        hidden = ops.relu(self.a(x) + self.b(y))
        return {"logits": self.out(hidden), "list": [self.out(hidden * 2.0)]}


def test_several_inputs_and_outputs() -> None:
    network = graph(TwoInputs(), [(3,), (4,)])
    (group,) = network.cuttable
    assert {m.parameter for m in group.of_role("makes")} == {"a.weight", "b.weight"}
    model = TwoInputs()
    cut(model, 2, granularity="channel", input_shape=[(3,), (4,)])
    assert mp.prune.compact(model, [(3,), (4,)]).a.weight.shape == (3, 3)


def strange(x: mp.Tensor) -> mp.Tensor:
    return record("sinh", np.sinh(x.data), (x,), lambda g: (g * np.cosh(x.data),))


def test_an_unknown_operation_is_named() -> None:
    class Strange(Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = Linear(3, 2, rng=np.random.default_rng(0))

        def forward(self, x):
            return strange(self.fc(x))

    with pytest.raises(NotImplementedError, match="does not know the operation 'sinh'"):
        graph(Strange(), (3,))


def test_both_tables_of_rules_know_the_same_operations() -> None:
    assert labels.RULES.keys() == constancy.RULES.keys()


@pytest.mark.parametrize(
    ("make", "shape", "error", "message"),
    [
        (lambda: TOPOLOGIES["plain"].build(), None, ShapeError, "expected an input_shape, such as"),
        (lambda: TOPOLOGIES["plain"].build(), (3, 8, 8), ShapeError, "conv2d expected an input of shape"),
        (lambda: mp.models.LeNet5(rng=np.random.default_rng(0)), (1, 8, 8), ShapeError, "expected images of shape"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(make, shape, error: type, message: str) -> None:
    model = make().train()
    with pytest.raises(error, match=message):
        graph(model, shape)
    assert model.training


def test_a_model_that_returns_no_tensor_is_refused() -> None:
    class Odd(Module):
        def forward(self, x):
            return x.data

    with pytest.raises(TypeError, match="Odd expected to return tensors"):
        graph(Odd(), (3,))


def test_it_prints_readably_and_draws_a_mark_per_member() -> None:
    network = graph(TOPOLOGIES["two heads"].build(), (2, 6, 6))
    assert str(network).splitlines()[:3] == [
        "TwoHeads: 4 groups, 13 of 18 units can be cut",
        "  conv1.weight: 6 units",
        "      makes   conv1.weight[0]",
    ]
    axes = network.draw().axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list(network.axes)
    assert len(axes.get_lines()) == len(network.groups) + sum(len(g.members) for g in network.groups)


def reorder(model: Module, shape: tuple, rank) -> None:
    """Sort the units of every group by ``rank``: the slices of all parameters and buffers that carry them move along."""
    network = graph(model, shape)
    moved = {}
    for g in network.cuttable:
        moved |= dict(zip(g.units.tolist(), g.units[np.argsort(rank(network, g))].tolist(), strict=True))
    parameters, owners = dict(model.named_parameters()), dict(model.named_modules())
    for name, axes in network.axes.items():
        for axis, units in enumerate(axes):
            places = {u: np.flatnonzero(units == u) for u in dict.fromkeys(units.tolist())}
            order = np.empty(units.size, int)
            for u, where in places.items():
                order[where] = places[moved.get(u, u)]
            parameters[name].data = parameters[name].data.take(order, axis=axis)
            owner = owners[name.rpartition(".")[0]]
            for buffer in owner.buffer_names if name.endswith("weight") else ():
                setattr(owner, buffer, getattr(owner, buffer)[order])


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_sorting_channels_by_importance_leaves_the_outputs_unchanged(name: str) -> None:
    topology = TOPOLOGIES[name]
    model, x = topology.build(), np.random.default_rng(1).standard_normal((3, *topology.shape))
    before, state = model(x), model.state_dict()

    def weakest_first(network, group):
        maker = group.of_role("makes")[0]
        weight = np.moveaxis(dict(model.named_parameters())[maker.parameter].data, maker.axis, 0)
        units = network.axes[maker.parameter][maker.axis]
        return [np.linalg.norm(weight[units == u]) for u in group.units]

    reorder(model, topology.shape, weakest_first)
    assert any(not np.array_equal(array, state[key]) for key, array in model.state_dict().items())
    after = model(x)
    for a, b in zip(before, after, strict=True) if isinstance(before, tuple) else [(before, after)]:
        np.testing.assert_allclose(b.data, a.data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_coupled_channels_are_masked_alike_and_exactly_as_many_as_asked(name: str) -> None:
    topology = TOPOLOGIES[name]
    model = topology.build()
    masks = cut(model, 3, criterion="random", rng=np.random.default_rng(0), granularity="channel", input_shape=topology.shape)
    network = graph(model, topology.shape)
    gone = set()
    for parameter, axes in network.axes.items():
        mask = masks.get(parameter, np.ones([a.size for a in axes], bool))
        for axis, units in enumerate(axes):
            dead = ~np.moveaxis(mask, axis, 0).reshape(units.size, -1).any(axis=1)
            gone |= set(units[dead].tolist())
    assert len(gone) == 3
    assert not gone & network.pinned.keys()
    for parameter, mask in masks.items():
        for axis, units in enumerate(network.axes[parameter]):
            assert not np.moveaxis(mask, axis, 0)[np.isin(units, list(gone))].any()
    assert unit_sparsity(model, "channel", topology.shape)[0] == pytest.approx(3 / sum(g.size for g in network.cuttable))


def test_a_channels_score_is_pooled_from_all_that_make_it() -> None:
    model = TOPOLOGIES["ResNet"].build()
    makers = ("stem", "stage1_block1.conv2", "stage1_block2.conv2")
    weights = [model.state_dict()[f"{name}.weight"].reshape(6, -1) for name in makers]
    rms = np.sqrt(sum((w**2).sum(axis=1) for w in weights) / sum(w.shape[1] for w in weights))
    cut(model, scope={"stem.weight": 2}, granularity="channel")
    np.testing.assert_array_equal(np.flatnonzero(~model.stem.weight.mask.any(axis=(1, 2, 3))), np.sort(np.argsort(rms)[:2]))


def test_bn_scale_ranks_channels_by_their_batch_norms() -> None:
    model = mp.models.ResNet((2, 6, 6), 3, widths=(6,), rng=np.random.default_rng(0))
    model.stage1_block1.bn1.weight.data[:] = (3, -0.1, 2, 5, 0.2, 4)
    cut(model, scope={"stage1_block1.conv1.weight": 2}, criterion="bn_scale", granularity="channel")
    np.testing.assert_array_equal(model.stage1_block1.bn1.weight.mask, [True, False, True, True, False, True])
    with pytest.raises(ValueError, match="bn_scale expected a BatchNorm after some convolution"):
        cut(TOPOLOGIES["plain"].build(), 0.5, criterion="bn_scale", granularity="channel", input_shape=(2, 8, 8))


def test_channels_of_layers_with_smaller_weights_are_not_cut_first() -> None:
    model, shape = TOPOLOGIES["plain"].build(), {"input_shape": (2, 8, 8), "granularity": "channel"}
    scaled = model.copy()
    first = next(p for p in scaled.parameters() if p.ndim == 4)
    first.data *= np.float32(0.01)
    masks, same = (cut(m, 0.5, **shape) for m in (model, scaled))
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, same[name], err_msg=name)


def test_a_masked_and_a_compacted_network_lose_the_same_channels_next() -> None:
    model, shape = TOPOLOGIES["plain"].build(), {"input_shape": (2, 8, 8), "granularity": "channel"}
    cut(model, 6, **shape)
    small = mp.prune.compact(model, (2, 8, 8))
    cut(model, amount=4, **shape)
    cut(small, amount=4, **shape)
    sizes = [[p.shape for p in mp.prune.compact(m, (2, 8, 8)).parameters()] for m in (model, small)]
    assert sizes[0] == sizes[1]


def test_cutting_again_counts_what_is_gone() -> None:
    model = TOPOLOGIES["plain"].build()
    cut(model, 0.2, granularity="channel", input_shape=(2, 8, 8))
    first = {n: m.copy() for n, m in mp.prune.current_masks(model).items()}
    cut(model, 0.5, granularity="channel", input_shape=(2, 8, 8))
    assert unit_sparsity(model, "channel", (2, 8, 8))[0] == pytest.approx(round(0.5 * 19) / 19)
    for name, mask in first.items():
        assert not (mp.prune.current_masks(model)[name] & ~mask).any()
    with pytest.raises(ValueError, match="pruning never revives"):
        cut(model, 0.3, granularity="channel", input_shape=(2, 8, 8))


def test_kept_channels_can_be_rounded_to_a_multiple() -> None:
    model = mp.models.LeNet5(rng=np.random.default_rng(0))
    cut(model, 0.5, granularity="channel", round_to=8)
    kept = [g.size for g in graph(mp.prune.compact(model)).cuttable]
    assert all(n % 8 == 0 or n == full for n, full in zip(kept, (20, 50, 500), strict=True))
    assert sum(kept) in range(285, 285 + 3 * 8)  # half of 570, and at most 7 more in each layer


def test_with_a_guard_of_three_every_layer_keeps_three() -> None:
    model = TOPOLOGIES["plain"].build()
    with pytest.warns(GuardWarning, match="fewer than 3"):
        cut(model, 0.9, granularity="channel", min_per_layer=3, input_shape=(2, 8, 8))
    assert [g.size for g in graph(mp.prune.compact(model, (2, 8, 8)), (2, 8, 8)).cuttable] == [3, 3, 3]


def test_a_layer_is_the_branch_of_a_residual_sum() -> None:
    network = graph(TOPOLOGIES["ResNet with projections"].build(), (2, 6, 6))
    assert [b.name for b in network.branches] == ["stage1_block1", "stage2_block1"]
    assert "stage2_block1.projection.weight" not in network.branches[1].parameters
    model = TOPOLOGIES["residual MLP"].build()
    model.block1.fc1.weight.data *= 0.01
    model.block1.fc2.weight.data *= 0.01
    masks = cut(model, 1, granularity="layer", input_shape=(2, 6, 6))
    assert set(masks) == {f"block1.{fc}.{what}" for fc in ("fc1", "fc2") for what in ("weight", "bias")}
    assert not any(mask.any() for mask in masks.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"scope": {"conv9.weight": 0.5}},
            "unknown layer in scope 'conv9.weight': expected one of conv1.weight, conv2.weight, squeeze.weight",
        ),
        ({"sparsity": 0.5, "round_to": 0}, "round_to expected a whole number >= 1, got 0"),
        ({"sparsity": 0.5, "scope": "layer", "granularity": "layer"}, "has no residual sum"),
        ({"sparsity": 99}, "from 0 to 17, got 99"),
    ],
)
def test_a_cut_that_makes_no_sense_leaves_the_model_alone(arguments: dict, message: str) -> None:
    model = SqueezeExcite(np.random.default_rng(0))
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        cut(model, **{"granularity": "channel", "input_shape": (2, 6, 6)} | arguments)
    assert mp.prune.current_masks(model) == {}
