"""Each granularity cuts whole pieces, as many as asked, by scores that can be compared between pieces of different sizes."""

from __future__ import annotations

import numpy as np
import pytest

import minprune as mp
from minprune import backend, ops
from minprune.gradcheck import gradcheck
from minprune.nn import BatchNorm2d, Conv2d, GroupedConv2d, Linear, ReLU, Sequential
from minprune.prune import NM, Block, granularity, make_masks, score, unit_sparsity
from tests import slow
from tests.data_sets import clusters, small_net

RNG = np.random.default_rng(0)
PATTERNS = ("kernel", "3x2", "row", "column")


def weight(name: str) -> np.ndarray:
    return RNG.random((5, 4, 3, 3) if name == "kernel" else (7, 5))


@pytest.mark.parametrize(
    ("name", "shape", "pieces"),
    [
        ("row", (2, 3), [[0, 0, 0], [1, 1, 1]]),
        ("column", (2, 3), [[0, 1, 2], [0, 1, 2]]),
        ("kernel", (2, 2, 1, 2), [[[[0, 0]], [[1, 1]]], [[[2, 2]], [[3, 3]]]]),
        ("2x2", (3, 5), [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]),  # the last blocks are smaller
    ],
)
def test_pieces_by_hand(name: str, shape: tuple, pieces: list) -> None:
    np.testing.assert_array_equal(granularity.get(name).pieces(shape), pieces)


def test_a_granularity_is_a_name_or_an_object() -> None:
    assert granularity.get("2:4") == NM(keep=2, of=4)
    assert granularity.get("3x2") == Block(3, 2)
    for name in (*granularity.GRANULARITIES, "2:4", "3x2"):
        assert str(granularity.get(name)) == name
        assert granularity.get(granularity.get(name)) == granularity.get(name)


@pytest.mark.parametrize(("keep", "of"), [(2, 4), (1, 4), (4, 4), (1, 3), (3, 5)])
@pytest.mark.parametrize("shape", [(3, 8), (3, 10), (2, 3, 3, 3), (1, 2)])
def test_nm_keeps_the_best_of_every_group_and_no_more_of_a_shorter_last_one(keep: int, of: int, shape: tuple) -> None:
    scores = np.round(RNG.random(shape) * 4)  # with ties
    rows, expected = scores.reshape(shape[0], -1), []
    for row in rows:
        for start in range(0, row.size, of):
            group = row[start : start + of]
            expected += (~slow.smallest(group, max(group.size - keep, 0))).tolist()
    masks = make_masks({"w": scores}, granularity=NM(keep, of))
    np.testing.assert_array_equal(masks["w"].ravel(), expected)


def test_nm_never_revives_and_keeps_its_count_where_it_can() -> None:
    scores = np.arange(1.0, 9.0).reshape(1, 8)
    previous = np.array([[True, True, True, False, True, False, False, False]])
    masks = make_masks({"w": scores}, granularity="2:4", previous={"w": previous})
    np.testing.assert_array_equal(masks["w"], [[False, True, True, False, True, False, False, False]])


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("pool", ["rms", "mean"])
def test_exactly_the_weakest_pieces_go_and_go_whole(name: str, pool: str) -> None:
    scores = weight(name)
    pieces = granularity.get(name).pieces(scores.shape)
    values = np.array(
        [np.sqrt(np.mean(scores[pieces == i] ** 2)) if pool == "rms" else scores[pieces == i].mean() for i in range(pieces.max() + 1)]
    )
    for k in (0, 1, 3, values.size - 1):
        mask = make_masks({"w": scores}, k, granularity=name, pool=pool)["w"]
        np.testing.assert_array_equal(mask, ~np.isin(pieces, np.argsort(values)[:k]))


def test_pieces_of_different_sizes_are_ranked_by_their_average_weight() -> None:
    scores = {"long": np.full((2, 100), 0.5), "short": np.full((2, 4), 0.6)}
    masks = make_masks(scores, 2, granularity="row", min_per_layer=0)  # by plain norms, 5 and 1.2, the short rows would go
    assert not masks["long"].any()
    assert masks["short"].all()


@pytest.mark.parametrize("name", PATTERNS)
def test_pruning_again_counts_pieces_of_which_nothing_is_left(name: str) -> None:
    scores = {"w": weight(name)}
    first = make_masks(scores, 2, granularity=name)
    second = make_masks(scores, 4, granularity=name, previous=first)
    remainder = make_masks(scores, amount=2, granularity=name, previous=first)
    pieces = granularity.get(name).pieces(scores["w"].shape)
    assert len(set(pieces[~second["w"]])) == 4
    assert not (second["w"] & ~first["w"]).any()
    np.testing.assert_array_equal(remainder["w"], second["w"])


def test_kept_pieces_are_rounded_up_to_a_multiple_and_the_best_come_back() -> None:
    scores = np.arange(10.0).repeat(2).reshape(10, 2)
    mask = make_masks({"w": scores}, 7, granularity="row", round_to=4)["w"]
    np.testing.assert_array_equal(mask[:, 0], np.arange(10) >= 6)
    previous = {"w": np.repeat(np.arange(10) >= 7, 2).reshape(10, 2)}
    again = make_masks({"w": scores}, 8, granularity="row", round_to=4, previous=previous)["w"]
    np.testing.assert_array_equal(again, previous["w"])  # 3 of 4: what an earlier cut took does not come back


def test_cut_leaves_alone_what_cannot_have_the_granularity() -> None:
    model = small_net()
    masks = mp.prune.cut(model, 0.5, granularity="kernel")
    assert set(masks) == {"0.weight"}
    assert unit_sparsity(model, "kernel")[0] == 0.5
    assert mp.prune.cut(model, granularity="2:4").keys() == {"0.weight", "3.weight", "5.weight"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"granularity": "kernl", "sparsity": 0.5}, "did you mean 'kernel'"),
        ({"granularity": "5:4"}, "1 <= n <= m, got 5:4"),
        ({"granularity": "0:4"}, "1 <= n <= m, got 0:4"),
        ({"granularity": "0x4", "sparsity": 0.5}, "at least one row and one column, got 0x4"),
        ({"granularity": "2:4", "sparsity": 0.7}, "2:4 prunes 0.5 of every layer"),
        ({"granularity": "2:4", "scope": "erk"}, "leave sparsity, amount and scope out"),
        ({"granularity": "row", "sparsity": 0.5, "scope": {"3.weight": 0.5}}, "leave sparsity and amount out"),
        (
            {"granularity": "row", "scope": {"0.weight": 0.5}},
            r"0.weight of shape \(4, 1, 3, 3\) cannot have granularity 'row': only a Linear",
        ),
        (
            {"granularity": "kernel", "scope": {"3.weight": 0.5}},
            r"3.weight of shape \(12, 100\) cannot have granularity 'kernel': only a Conv2d",
        ),
    ],
)
def test_a_granularity_that_makes_no_sense_is_refused(arguments: dict, message: str) -> None:
    model = small_net()
    with pytest.raises(ValueError, match=message):
        mp.prune.cut(model, **arguments)
    assert mp.prune.current_masks(model) == {}


def test_masks_of_single_parameters_cannot_be_of_channels() -> None:
    with pytest.raises(ValueError, match="reaches over more than the"):
        make_masks({"w": np.ones((2, 2))}, 0.5, granularity="channel")


def test_no_parameter_that_can_have_it_is_an_error_that_says_why() -> None:
    with pytest.raises(ValueError, match="no parameter of LeNet300100 can have granularity 'kernel': only a Conv2d weight"):
        mp.prune.cut(mp.models.LeNet300100(rng=RNG), 0.5, granularity="kernel")


def test_scores_with_a_sign_are_not_squared() -> None:
    with pytest.raises(ValueError, match="rms expected scores >= 0"):
        make_masks({"w": np.array([[-1.0, 1.0]])}, 1, granularity="row")
    assert not make_masks({"w": np.array([[-1.0, 1.0], [1.0, 1.0]])}, 1, granularity="row", pool="mean")["w"][0].any()


def test_geometric_median_is_the_sum_of_distances() -> None:
    model = small_net()
    found = score(model, "geometric_median")["3.weight"]
    w = model[3].weight.data.astype(np.float64)
    by_hand = [sum(np.linalg.norm(a - b) for b in w) / np.sqrt(w.shape[1]) for a in w]
    np.testing.assert_allclose(found, np.repeat(by_hand, w.shape[1]).reshape(w.shape), rtol=1e-4)


def test_scores_of_ones_own_decide_in_place_of_a_criterion() -> None:
    model = small_net()
    own = {name: np.arange(p.size, dtype=float).reshape(p.shape) for name, p in mp.prune.prunable_parameters(model).items()}
    mp.prune.cut(model, scope={"3.weight": 5}, granularity="row", scores=own)
    np.testing.assert_array_equal(model[3].weight.mask[:, 0], np.arange(12) >= 5)
    with pytest.raises(ValueError, match="did you mean 'magnitude'"):
        mp.prune.cut(model, 0.5, criterion="magnitud", scores=own)


def test_random_draws_one_lot_per_piece() -> None:
    scores = score(small_net(), "random", rng=np.random.default_rng(3))
    rows = make_masks({"w": scores["3.weight"]}, 6, granularity="row", pool=mp.prune.CRITERIA["random"].pool)["w"]
    np.testing.assert_array_equal(np.sort(np.argsort(scores["3.weight"][:, 0])[:6]), np.flatnonzero(~rows[:, 0]))


def test_mean_taylor_is_the_mean_over_the_piece() -> None:
    splits, model = clusters(), small_net()
    saliencies = score(model, "taylor", data=splits.train)
    mp.prune.cut(model, scope={"3.weight": 4, "5.weight": 0}, criterion="taylor", granularity="row", data=splits.train)
    weakest = np.sort(np.argsort(saliencies["3.weight"].mean(axis=1))[:4])
    np.testing.assert_array_equal(np.flatnonzero(~model[3].weight.mask[:, 0]), weakest)


def slimmed(penalty: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 6, 3, rng=rng), BatchNorm2d(6), ReLU(), mp.nn.Flatten(), Linear(54, 4, rng=rng))
    recipe = mp.train.Recipe(epochs=4, lr=0.05, scale_penalty=penalty)
    mp.train.fit_recipe(model, clusters(), recipe, rng=rng, progress="")
    return np.abs(model[1].weight.data)


def test_slimming_shrinks_batch_norm_scales_while_training() -> None:
    assert slimmed(1.0).sum() < 0.6 * slimmed(0.0).sum()


def test_the_penaltys_gradient_is_the_sign_and_masked_scales_stay_masked() -> None:
    norm = BatchNorm2d(3)
    norm.weight.data[:] = (2, -3, 5)
    norm.weight.set_mask(np.array([True, True, False]))
    mp.train.penalise_scales(norm, 0.1)
    np.testing.assert_allclose(norm.weight.grad, [0.1, -0.1, 0])


@pytest.mark.parametrize(("groups", "stride", "padding"), [(1, 1, 0), (2, 2, 1), (4, (1, 2), (0, 1))])
def test_grouped_convolution_is_one_convolution_per_group(groups: int, stride, padding) -> None:
    x, w, b = RNG.standard_normal((2, 4, 6, 6)), RNG.standard_normal((8, 4 // groups, 3, 3)), RNG.standard_normal(8)
    pair = tuple(ops.as_pair("", v, 0) for v in (stride, padding))
    pieces = zip(np.split(x, groups, 1), np.split(w, groups), np.split(b, groups), strict=True)
    parts = [slow.conv2d(*piece, *pair) for piece in pieces]
    np.testing.assert_allclose(ops.grouped_conv2d(x, w, b, stride, padding).data, np.concatenate(parts, axis=1))
    gradcheck(lambda *a: ops.grouped_conv2d(*a, stride, padding), x, w, b, rng=RNG)


@pytest.mark.parametrize("groups", [1, 2, 6, 12])
@pytest.mark.parametrize("density", [None, 0.6, 0.2])
def test_grouped_convolution_and_its_gradients_are_the_same_on_every_backend(groups: int, density: float | None) -> None:
    rng = np.random.default_rng(5)
    layer = GroupedConv2d(12, 24, 3, groups=groups, stride=(1, 2), padding=1, rng=rng)
    if density is not None:
        layer.weight.set_mask(rng.random(layer.weight.shape) < density)
    x, dy = rng.standard_normal((5, 12, 7, 6)).astype(np.float32), rng.standard_normal((5, 24, 7, 3)).astype(np.float32)
    found = {}
    for name in ("numpy", "auto", "auto"):  # the second time with what is remembered of the mask
        with backend.using(name):
            layer.zero_grad()
            image = mp.Tensor(x, requires_grad=True)
            y = layer(image)
            (y * dy).sum().backward()
            found[name] = y.data, image.grad, layer.weight.grad, layer.bias.grad
    for a, b in zip(found["numpy"], found["auto"], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4 * np.abs(a).max())
    if density is not None:
        assert not layer.weight.grad[~layer.weight.mask].any()


def test_many_groups_take_the_kernels_for_pruned_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    if not backend.kernels_run():
        pytest.skip("needs the kernels")
    from minprune.fast import conv

    calls, original = [], conv.sparse_forward
    monkeypatch.setattr(conv, "sparse_forward", lambda *a: calls.append(1) or original(*a))
    x, layer = np.ones((2, 16, 5, 5), np.float32), GroupedConv2d(16, 16, 3, groups=16, rng=RNG)
    layer(mp.Tensor(x))
    assert len(calls) == 1
    pair = GroupedConv2d(16, 16, 3, groups=2, rng=RNG)
    pair(mp.Tensor(x))
    assert len(calls) == 1  # half full: a dense convolution per group
    pair.weight.set_mask(RNG.random(pair.weight.shape) < 0.2)
    pair(mp.Tensor(x))
    assert len(calls) == 2


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(mp.errors.ShapeError, match="groups of 3 channels that divide"):
        ops.grouped_conv2d(np.ones((1, 4, 3, 3)), np.ones((2, 3, 3, 3)))
    with pytest.raises(ValueError, match="groups that divide in- and out-channels, got 3 for 4 and 6"):
        GroupedConv2d(4, 6, 3, groups=3, rng=RNG)
