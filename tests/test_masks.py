"""Exactly as many weights are pruned as asked, the lowest first, old zeros persist, and a mistake leaves the model as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minprune as mp
from minprune import prune
from minprune.errors import NonFiniteError, ShapeError
from minprune.nn import Module
from minprune.prune.amounts import beyond, count_of
from minprune.prune.choice import GuardWarning, smallest
from tests import slow
from tests.data_sets import small_net

Arrays = dict[str, np.ndarray]
Amount = float | int

NAN = float("nan")
X, Y = np.random.default_rng(0).random((6, 1, 5, 5), dtype=np.float32), np.arange(6) % 4


# --- what the property tests draw -------------------------------------------------------------------------------------------------

shapes = st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple), min_size=1, max_size=3)


@st.composite
def networks(draw: st.DrawFn) -> tuple[Arrays, Arrays]:
    """Scores with many ties (a few small whole numbers), and masks of earlier cuts for some of the layers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top, density = draw(st.integers(1, 5)), draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    scores = {f"{i}.weight": rng.integers(0, top, shape).astype(np.float32) for i, shape in enumerate(draw(shapes))}
    earlier = {name: rng.random(s.shape) < density for name, s in scores.items() if draw(st.booleans())}
    return scores, earlier


def gone_of(scores: Arrays, earlier: Arrays) -> dict[str, int]:
    return {name: int((~earlier[name]).sum()) if name in earlier else 0 for name in scores}


def amounts_of(n: int) -> st.SearchStrategy[Amount]:
    return st.one_of(st.integers(0, n), st.floats(0, 1))


def by_hand(amount: Amount, n: int) -> int:
    return amount if isinstance(amount, int) else round(amount * n)


def flat(arrays: Arrays) -> np.ndarray:
    return np.concatenate([a.ravel() for a in arrays.values()])


def pruned(masks: Arrays) -> int:
    return sum(int((~m).sum()) for m in masks.values())


def ranked(scores: Arrays, earlier: Arrays) -> Arrays:
    """Scores (none is negative) in which what was pruned before ranks below everything else."""
    return {name: np.where(earlier[name], s, -1) if name in earlier else s for name, s in scores.items()}


def assert_kept_apart(masks: Arrays, scores: Arrays, earlier: Arrays) -> None:
    """Masks are bool arrays of the scores' shapes, and revive nothing."""
    assert list(masks) == list(scores)
    for name, mask in masks.items():
        assert (mask.dtype, mask.shape) == (bool, scores[name].shape)
        assert not mask[~earlier.get(name, np.ones(mask.shape, bool))].any()


# --- exactness --------------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.data())
def test_the_smallest_are_those_a_stable_sort_puts_first(values: list[int], data: st.DataObject) -> None:
    scores, k = np.array(values, np.float32), data.draw(st.integers(0, len(values)))
    chosen = smallest(scores, k)
    assert chosen.sum() == k
    np.testing.assert_array_equal(chosen, slow.smallest(scores, k))


@settings(deadline=None)
@given(networks(), st.booleans(), st.data())
def test_global_masks_are_exact_and_equal_the_slow_twin(network: tuple[Arrays, Arrays], of_whole: bool, data: st.DataObject) -> None:
    scores, earlier = network
    n, gone = flat(scores).size, sum(gone_of(scores, earlier).values())
    if of_whole:
        sparsity = data.draw(amounts_of(n).filter(lambda a: by_hand(a, n) >= gone))
        k, masks = by_hand(sparsity, n), prune.make_masks(scores, sparsity, previous=earlier, min_per_layer=0)
    else:
        amount = data.draw(amounts_of(n - gone))
        k, masks = gone + by_hand(amount, n - gone), prune.make_masks(scores, amount=amount, previous=earlier, min_per_layer=0)
    assert pruned(masks) == k
    assert_kept_apart(masks, scores, earlier)
    np.testing.assert_array_equal(~flat(masks), slow.smallest(flat(ranked(scores, earlier)), k))


@settings(deadline=None)
@given(networks(), st.floats(0, 1))
def test_layerwise_masks_are_exact_in_every_layer_and_equal_the_slow_twin(network: tuple[Arrays, Arrays], amount: float) -> None:
    scores, earlier = network
    masks = prune.make_masks(scores, amount=amount, scope="layer", previous=earlier, min_per_layer=0)
    assert_kept_apart(masks, scores, earlier)
    order = ranked(scores, earlier)
    for name, gone in gone_of(scores, earlier).items():
        k = gone + round(amount * (scores[name].size - gone))
        np.testing.assert_array_equal(~masks[name], slow.smallest(order[name], k), err_msg=name)


@settings(deadline=None)
@given(networks(), st.sampled_from(["erk", "lamp"]), st.data())
def test_budgets_add_up_to_exactly_the_whole_and_take_the_lowest_of_each_layer(
    network: tuple[Arrays, Arrays], scope: str, data: st.DataObject
) -> None:
    scores, earlier = network
    n, gone = flat(scores).size, sum(gone_of(scores, earlier).values())
    sparsity = data.draw(st.integers(gone, n))
    masks = prune.make_masks(scores, sparsity, scope, previous=earlier, min_per_layer=0)
    assert pruned(masks) == sparsity
    assert_kept_apart(masks, scores, earlier)
    for name, order in ranked(scores, earlier).items():
        np.testing.assert_array_equal(~masks[name], slow.smallest(order, int((~masks[name]).sum())), err_msg=name)


@settings(deadline=None)
@given(networks(), st.integers(0, 5), st.data())
def test_the_guard_keeps_its_share_of_every_layer_and_the_others_make_up_for_it(
    network: tuple[Arrays, Arrays], least: int, data: st.DataObject
) -> None:
    scores, earlier = network
    gone = gone_of(scores, earlier)
    n = flat(scores).size
    k = data.draw(st.integers(sum(gone.values()), n))
    floors = {name: min(least, s.size - gone[name]) for name, s in scores.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        masks = prune.make_masks(scores, k, previous=earlier, min_per_layer=least)
    unguarded = prune.make_masks(scores, k, previous=earlier, min_per_layer=0)
    assert_kept_apart(masks, scores, earlier)
    assert all(masks[name].sum() >= floor for name, floor in floors.items())
    assert pruned(masks) == min(k, n - sum(floors.values()))
    acted = any(unguarded[name].sum() < floor for name, floor in floors.items())
    assert [w.category for w in caught] == [GuardWarning] * acted
    if not acted:
        np.testing.assert_array_equal(flat(masks), flat(unguarded))


# --- amounts ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "n", "count"),
    [
        (1, 10, 1),
        (1.0, 10, 10),
        (0, 10, 0),
        (0.0, 10, 0),
        (10, 10, 10),
        (0.25, 10, 2),  # 2.5, half to even
        (0.35, 10, 4),  # 3.5, half to even
        (0.5, 1, 0),
        (0.5, 3, 2),
        (np.int64(3), 10, 3),
        (np.float32(0.5), 10, 5),
        (0, 0, 0),
        (1.0, 0, 0),
    ],
)
def test_a_float_is_a_fraction_an_int_a_count_and_halves_go_to_the_even(amount: Amount, n: int, count: int) -> None:
    assert count_of(amount, n) == count
    assert type(count_of(amount, n)) is int


REFUSED = [
    ("0.5", TypeError, r"got str '0.5'"),
    (True, TypeError, "got bool True"),
    (np.bool_(False), TypeError, "got bool"),
    ([0.5], TypeError, "got list"),
    (0.5j, TypeError, "got complex"),
    (NAN, ValueError, r"as a fraction expected a number in \[0, 1\], got nan"),
    (-0.1, ValueError, r"as a fraction expected a number in \[0, 1\], got -0.1"),
    (1.5, ValueError, r"as a fraction expected a number in \[0, 1\], got 1.5"),
    (float("inf"), ValueError, r"in \[0, 1\], got inf"),
    (-1, ValueError, "as a count expected a whole number from 0 to 6, got -1"),
    (7, ValueError, r"as a count expected a whole number from 0 to 6, got 7 \(a fraction is a float: 1.0 means all\)"),
]


@pytest.mark.parametrize("what", ["sparsity", "amount"])
@pytest.mark.parametrize("scope", prune.SCOPES)
@pytest.mark.parametrize(("bad", "error", "message"), REFUSED)
def test_an_amount_that_makes_no_sense_is_refused_in_every_scope(scope: str, what: str, bad: object, error: type, message: str) -> None:
    with pytest.raises(error, match=f"{what} of .*{message}"):
        prune.make_masks({"w": np.ones((2, 3))}, scope=scope, **{what: bad})


@pytest.mark.parametrize("both", [{}, {"sparsity": 0.5, "amount": 0.5}])
def test_either_the_whole_or_the_remainder_must_be_meant(both: dict) -> None:
    with pytest.raises(
        ValueError, match=r"either sparsity \(of the whole\) or amount \(of what remains\), got " + ("both" if both else "neither")
    ):
        prune.make_masks({"w": np.ones((2, 3))}, **both)


def test_an_amount_is_of_the_remainder_and_a_sparsity_of_the_whole() -> None:
    scores = {"w": np.arange(100.0).reshape(10, 10)}
    half = prune.make_masks(scores, 0.5)
    assert pruned(prune.make_masks(scores, 0.6, previous=half)) == 60
    assert pruned(prune.make_masks(scores, amount=0.6, previous=half)) == 50 + 30
    assert pruned(prune.make_masks(scores, 60, previous=half)) == 60
    assert pruned(prune.make_masks(scores, amount=10, previous=half)) == 60
    assert pruned(prune.make_masks(scores, 0.5, previous=half)) == 50
    assert pruned(prune.make_masks(scores, amount=0.0, previous=half)) == 50


@pytest.mark.parametrize("scope", [*prune.SCOPES, {"w": 0.4}])
def test_a_sparsity_below_what_is_pruned_already_is_refused(scope: str | dict) -> None:
    scores = {"w": np.arange(10.0).reshape(2, 5)}
    half = prune.make_masks(scores, 0.5)
    with pytest.raises(ValueError, match=r"at least 5/10, which is pruned already, got 4/10; pruning never revives"):
        prune.make_masks(scores, None if isinstance(scope, dict) else 0.4, scope, previous=half)


# --- scopes -----------------------------------------------------------------------------------------------------------------------

SMALL, LARGE = np.arange(1.0, 11).reshape(2, 5), np.arange(11.0, 21).reshape(2, 5)


def test_global_takes_the_lowest_wherever_they_are_and_layer_the_same_share_of_each() -> None:
    scores = {"small": SMALL, "large": LARGE}
    everywhere = prune.make_masks(scores, 0.4)
    assert [int((~m).sum()) for m in everywhere.values()] == [8, 0]
    each = prune.make_masks(scores, 0.4, "layer")
    assert [int((~m).sum()) for m in each.values()] == [4, 4]
    assert [int((~m).sum()) for m in prune.make_masks(scores, 3, "layer").values()] == [3, 3]


def test_between_equals_the_first_layer_and_the_first_weight_go_first() -> None:
    masks = prune.make_masks({"b": np.ones((2, 2)), "a": np.ones((2, 2))}, 5, min_per_layer=0)
    np.testing.assert_array_equal(masks["b"], False)
    np.testing.assert_array_equal(masks["a"], [[False, True], [True, True]])


def test_uniform_budgets_are_the_same_share_of_each_layer() -> None:
    scores = {"a": np.ones((4, 5)), "b": np.ones((1, 5))}
    assert prune.uniform(scores, 0.5) == {"a": 10, "b": 2}
    assert prune.uniform(scores, 4) == {"a": 4, "b": 4}
    with pytest.raises(ValueError, match="sparsity of b as a count expected a whole number from 0 to 5, got 6"):
        prune.uniform(scores, 6)


@pytest.mark.parametrize(
    ("sparsity", "kept"),
    [
        # densities ∝ (4+1+3+3)/36, (12+100)/1200, (4+12)/48, so kept weights ∝ 11 : 112 : 16, of which there are 139
        (0.9, (10, 103, 15)),  # 128 left: 10.13, 103.14, 14.73
        (0.7, (31, 310, 44)),  # 385 left: 30.47, 310.22, 44.32
        (0.5, (36, 558, 48)),  # 642 left: the first and last would have densities of 1.41 and 1.54, so they stay dense
        (0.0, (36, 1200, 48)),
        (1.0, (0, 0, 0)),
        (1283, (0, 1, 0)),  # one left: 0.08, 0.81, 0.12
    ],
)
def test_erk_budgets_by_hand(sparsity: Amount, kept: tuple[int, ...]) -> None:
    scores = prune.score(small_net())
    budgets = prune.erk(scores, sparsity)
    assert tuple(scores[name].size - k for name, k in budgets.items()) == kept
    masks = prune.make_masks(scores, sparsity, "erk", min_per_layer=0)
    assert tuple(int(m.sum()) for m in masks.values()) == kept


def test_what_a_dense_layer_cannot_take_goes_to_the_others_in_erks_proportions() -> None:
    """416 stay, ∝ 42 : 40 : 80; the first would need 108 of its 80, so the others share 336 as 40 : 80."""
    scores = {"a": np.ones((2, 40)), "b": np.ones((20, 20)), "c": np.ones((40, 40))}
    assert prune.erk(scores, 0.8) == {"a": 0, "b": 400 - 112, "c": 1600 - 224}


@pytest.mark.parametrize("scope", ["erk", "lamp"])
@settings(deadline=None, max_examples=30)
@given(network=networks(), seed=st.integers(0, 99))
def test_budgets_of_a_growing_total_never_revive_a_weight(scope: str, network: tuple[Arrays, Arrays], seed: int) -> None:
    """Rounding may give a layer one unit more although the total keeps less (the Alabama paradox), and scores change on the way."""
    scores, masks = network
    rng = np.random.default_rng(seed)
    for k in range(sum(gone_of(scores, masks).values()), flat(scores).size + 1):
        after = prune.make_masks({n: rng.integers(0, 3, s.shape) for n, s in scores.items()}, k, scope, previous=masks, min_per_layer=0)
        assert pruned(after) == k
        assert_kept_apart(after, scores, masks)
        masks = after


def test_a_layer_that_erk_would_revive_by_rounding_stays_and_the_others_make_up_for_it() -> None:
    model = small_net()
    before, after = (prune.erk(prune.score(model), k) for k in (1228, 1229))
    assert (before["0.weight"], after["0.weight"]) == (32, 31)  # the paradox: one weight more shall go, yet one comes back here
    first = prune.cut(model, 1228, scope="erk")
    second = prune.cut(model, 1229, scope="erk")
    assert [pruned(first), pruned(second)] == [1228, 1229]
    assert not (flat(second) & ~flat(first)).any()


def test_budgets_beyond_what_is_gone_by_hand() -> None:
    """a has lost 3 more than its share, so b and c, which had 4 and 2 still to lose, lose only half of that."""
    assert beyond({"a": 5, "b": 5, "c": 2}, {"a": 8, "b": 1, "c": 0}) == {"a": 8, "b": 3, "c": 1}
    assert beyond({"a": 5, "b": 5}, {"a": 1, "b": 2}) == {"a": 5, "b": 5}
    assert beyond({"a": 0, "b": 3}, {"a": 3, "b": 0}) == {"a": 3, "b": 0}


@settings(deadline=None, max_examples=40)
@given(shapes, st.floats(0, 1), st.integers(0, 99))
def test_lamp_equals_a_global_ranking_of_the_slow_twins_scores(layers: list[tuple[int, ...]], sparsity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = {str(i): rng.random(shape) + 0.01 for i, shape in enumerate(layers)}
    masks = prune.make_masks(scores, sparsity, "lamp", min_per_layer=0)
    n = flat(scores).size
    expected = slow.smallest(flat({name: slow.lamp_scores(s) for name, s in scores.items()}), round(sparsity * n))
    np.testing.assert_array_equal(~flat(masks), expected)


def test_lamp_by_hand() -> None:
    scores = {"a": np.array([[3.0, 4.0]]), "b": np.array([[1.0, 1.0]])}  # LAMP scores 9/25 and 1; 1/2 and 1
    assert prune.lamp(scores, 1) == {"a": 1, "b": 0}
    assert prune.lamp(scores, 2) == {"a": 1, "b": 1}
    assert prune.lamp({"a": np.zeros((2, 2)), "b": np.ones((1, 2))}, 3) == {"a": 4 - 1, "b": 0}


def test_lamp_takes_what_is_pruned_already_before_kept_weights_of_equal_score_zero() -> None:
    scores = {"a": np.array([[0.0, 0.0, 0.0, 1.0]]), "b": np.array([[3.0, 2.0, 1.0, 4.0]])}
    earlier = {"b": np.array([[True, False, False, True]])}
    masks = prune.make_masks(scores, 3, "lamp", previous=earlier)
    np.testing.assert_array_equal(masks["a"], [[False, True, True, True]])
    np.testing.assert_array_equal(masks["b"], earlier["b"])


def test_a_dict_scope_prunes_the_named_layers_and_leaves_the_others_alone() -> None:
    scores = {"a": SMALL, "b": LARGE, "c": SMALL}
    masks = prune.make_masks(scores, scope={"b": 0.5, "a": 1}, previous={"c": SMALL > 3})
    assert [int((~m).sum()) for m in masks.values()] == [1, 5, 3]
    np.testing.assert_array_equal(masks["b"], LARGE > 15)
    np.testing.assert_array_equal(masks["c"], SMALL > 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda s: prune.make_masks(s, scope={"fc.wieght": 0.5}),
            ValueError,
            "unknown layer in scope 'fc.wieght'.*did you mean 'fc.weight'",
        ),
        (lambda s: prune.make_masks(s, 0.5, {"fc.weight": 0.5}), ValueError, "leave sparsity and amount out"),
        (lambda s: prune.make_masks(s, amount=0.5, scope={"fc.weight": 0.5}), ValueError, "leave sparsity and amount out"),
        (lambda s: prune.make_masks(s, scope={"fc.weight": "half"}), TypeError, "sparsity of fc.weight expected .* got str 'half'"),
        (lambda s: prune.make_masks(s, 0.5, "gobal"), ValueError, "unknown scope 'gobal'.*did you mean 'global'"),
        (lambda s: prune.make_masks(s, 0.5, 3), TypeError, "scope must be a string"),
        (lambda s: prune.make_masks(s, 0.5, granularity="wieght"), ValueError, "unknown granularity.*did you mean 'weight'"),
        (lambda s: prune.make_masks({}, 0.5), ValueError, "scores of at least one parameter, got none"),
        (lambda s: prune.make_masks({"fc.weight": s["fc.weight"] * NAN}, 0.5), NonFiniteError, "scores of fc.weight .* got 10 NaN"),
        (lambda s: prune.make_masks(s, 0.5, previous={"fc.weigh": SMALL > 0}), ValueError, "parameter in masks.*did you mean 'fc.weight'"),
        (lambda s: prune.make_masks(s, 0.5, previous={"fc.weight": SMALL}), TypeError, "array of bool, got float64"),
        (lambda s: prune.make_masks(s, 0.5, previous={"fc.weight": SMALL.T > 0}), ShapeError, r"shape \(2, 5\), got \(5, 2\)"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Callable[[Arrays], Arrays], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call({"fc.weight": SMALL})


# --- the guard --------------------------------------------------------------------------------------------------------------------


def test_the_guard_names_the_layer_it_saved() -> None:
    with pytest.warns(GuardWarning, match=r"^small would have kept fewer than 1, the least that every layer keeps$"):
        masks = prune.make_masks({"small": SMALL, "large": LARGE}, 0.5)
    np.testing.assert_array_equal(masks["small"], SMALL == 10)  # its best weight
    np.testing.assert_array_equal(masks["large"], LARGE > 11)  # makes up for it


def test_the_guard_says_how_many_fewer_are_pruned_where_nothing_can_make_up_for_it() -> None:
    with pytest.warns(GuardWarning, match=r"^small, large would have kept fewer than 3, .*, so 6 fewer than asked are pruned$"):
        masks = prune.make_masks({"small": SMALL, "large": LARGE}, 1.0, min_per_layer=3)
    assert [int(m.sum()) for m in masks.values()] == [3, 3]


@pytest.mark.parametrize(("scope", "sparsity"), [("layer", 1.0), ("erk", 1.0), ({"small": 1.0}, None)])
def test_layers_with_a_budget_of_their_own_are_guarded_each_for_itself(scope: str | dict, sparsity: float | None) -> None:
    with pytest.warns(GuardWarning, match="so 1 fewer than asked"):
        masks = prune.make_masks({"small": SMALL}, sparsity, scope)
    np.testing.assert_array_equal(masks["small"], SMALL == 10)


def test_the_guard_does_not_revive_what_is_gone() -> None:
    """It neither warns of a layer that lost everything before, with the guard off, nor gives it anything back."""
    scores = {"small": SMALL, "large": LARGE}
    gone = prune.make_masks(scores, 0.5, min_per_layer=0)
    masks = prune.make_masks(scores, 0.75, previous=gone, min_per_layer=2)
    assert [int(m.sum()) for m in masks.values()] == [0, 5]


def test_zero_turns_the_guard_off() -> None:
    masks = prune.make_masks({"small": SMALL, "large": LARGE}, 0.5, min_per_layer=0)
    assert [int(m.sum()) for m in masks.values()] == [0, 10]


# --- on a model -------------------------------------------------------------------------------------------------------------------


def backward(model: Module) -> None:
    model.zero_grad()
    mp.ops.cross_entropy(model(X), Y).backward()


def snapshot(model: Module) -> dict[str, tuple[np.ndarray | None, ...]]:
    """Copies of weights, masks and gradients, and the mode."""
    copies = {n: tuple(None if a is None else a.copy() for a in (p.data, p.mask, p.grad)) for n, p in model.named_parameters()}
    return copies | {"mode": (np.array([m.training for _, m in model.named_modules()]),)}


def assert_unchanged(model: Module, before: dict[str, tuple[np.ndarray | None, ...]]) -> None:
    for name, arrays in snapshot(model).items():
        for now, then in zip(arrays, before[name], strict=True):
            np.testing.assert_array_equal(now, then, err_msg=name)


def halved() -> Module:
    """A network with masks and gradients, in training mode."""
    model = small_net()
    prune.cut(model, 0.5)
    backward(model)
    return model


def test_applied_masks_zero_the_weights_and_stack_with_earlier_ones() -> None:
    model, rng = small_net(), np.random.default_rng(1)
    one, other = ({n: rng.random(p.shape) < 0.5 for n, p in prune.prunable_parameters(model).items()} for _ in range(2))
    dense = model.state_dict()
    prune.apply_masks(model, one)
    prune.apply_masks(model, {"3.weight": other["3.weight"]})
    expected = one | {"3.weight": one["3.weight"] & other["3.weight"]}
    for name, mask in prune.current_masks(model).items():
        np.testing.assert_array_equal(mask, expected[name])
        np.testing.assert_array_equal(dict(model.named_parameters())[name].data, np.where(mask, dense[name], 0))


@pytest.mark.parametrize(
    ("name", "mask", "error", "message"),
    [
        ("5.wieght", np.zeros((4, 12), bool), ValueError, "unknown parameter in masks '5.wieght'.*did you mean '5.weight'"),
        ("5.bias", np.zeros(3, bool), ShapeError, r"mask of 5.bias expected shape \(4,\), got \(3,\)"),
        ("5.weight", np.zeros((12, 4), bool), ShapeError, r"mask of 5.weight expected shape \(4, 12\), got \(12, 4\)"),
        ("5.weight", np.zeros((4, 12)), TypeError, "mask of 5.weight expected an array of bool, got float64"),
        ("5.weight", [[False] * 12] * 4, TypeError, "mask of 5.weight expected an array of bool, got list"),
    ],
)
def test_one_mask_that_does_not_fit_and_none_is_applied(name: str, mask: object, error: type, message: str) -> None:
    model = halved()
    before = snapshot(model)
    with pytest.raises(error, match=message):
        prune.apply_masks(model, {"0.weight": np.zeros((4, 1, 3, 3), bool), name: mask})
    assert_unchanged(model, before)


def test_making_pruning_permanent_keeps_the_forward_result_and_frees_the_weights() -> None:
    model = halved()
    before, zeros = model(X).data, ~model[3].weight.mask
    prune.remove_masks(model)
    np.testing.assert_array_equal(model(X).data, before)
    assert prune.current_masks(model) == {}
    assert (model[3].weight.data[zeros] == 0).all()
    backward(model)
    assert (model[3].weight.grad[zeros] != 0).any()


def test_a_cut_of_nothing_changes_neither_forward_nor_backward() -> None:
    plain, masked = small_net(), small_net()
    masks = prune.cut(masked, 0.0)
    assert all(m.all() for m in masks.values())
    backward(plain)
    backward(masked)
    np.testing.assert_array_equal(plain(X).data, masked(X).data)
    for a, b in zip(plain.parameters(), masked.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


def test_masked_weights_have_no_gradient_and_the_others_that_of_the_network_with_zeros() -> None:
    masked = halved()
    with_zeros = masked.copy()
    prune.remove_masks(with_zeros)
    backward(with_zeros)
    for a, b in zip(masked.parameters(), with_zeros.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad if a.mask is None else np.where(a.mask, b.grad, 0))
    assert (masked[3].weight.grad[masked[3].weight.mask] != 0).any()


@pytest.mark.parametrize("scope", prune.SCOPES)
def test_a_cut_puts_on_the_model_what_it_returns(scope: str) -> None:
    model = small_net()
    expected = prune.make_masks(prune.score(model), 0.8, scope)
    masks = prune.cut(model, 0.8, scope=scope)
    np.testing.assert_array_equal(flat(masks), flat(expected))
    np.testing.assert_array_equal(flat(prune.current_masks(model)), flat(masks))
    again = prune.cut(model, amount=0.5, scope=scope)
    assert not (flat(again) & ~flat(masks)).any()
    assert flat(again).sum() == pytest.approx(flat(masks).sum() / 2, abs=2)  # a layer may round


def test_a_mask_on_a_bias_stays_and_is_in_no_cuts_way() -> None:
    model = small_net()
    model[0].bias.set_mask(np.array([True, False, True, True]))
    prune.cut(model, 0.5)
    masks = prune.cut(model, 0.7)
    assert (pruned(masks), set(masks)) == (round(0.7 * 1284), {"0.weight", "3.weight", "5.weight"})
    np.testing.assert_array_equal(model[0].bias.mask, [True, False, True, True])


def bad_second_batch() -> list:
    return [(X, Y), (X, Y + 10)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sparsity": 1.5}, ValueError, r"in \[0, 1\], got 1.5"),
        ({"sparsity": "0.5"}, TypeError, "got str"),
        ({"sparsity": 0.4}, ValueError, "pruning never revives"),
        ({"sparsity": 0.9, "scope": "lapm"}, ValueError, "did you mean 'lamp'"),
        ({"scope": {"0.weight": 0.9, "3.wieght": 0.9}}, ValueError, "did you mean '3.weight'"),
        ({"scope": {"0.weight": 0.9, "3.weight": 2.0}}, ValueError, "sparsity of 3.weight"),
        ({"sparsity": 0.9, "criterion": "magnitud"}, ValueError, "did you mean 'magnitude'"),
        ({"sparsity": 0.9, "criterion": "taylor"}, ValueError, "needs calibration data"),
        ({"sparsity": 0.9, "criterion": "taylor", "data": bad_second_batch()}, ValueError, r"labels expected values in \[0, 4\)"),
        ({"sparsity": 0.9, "criterion": "snip", "data": [(X[:, :, :4], Y)]}, ShapeError, "linear expected an input"),
        ({"sparsity": 1.0}, GuardWarning, "fewer than asked"),  # a warning that the tests turn into an error
    ],
)
def test_a_cut_that_fails_leaves_the_model_as_it_was(arguments: dict, error: type, message: str) -> None:
    model = halved()
    before = snapshot(model)
    with pytest.raises(error, match=message):
        prune.cut(model, **arguments)
    assert_unchanged(model, before)


def test_the_guards_warning_points_at_the_line_that_asked() -> None:
    model = mp.models.LeNet300100((1, 8, 8), 10, rng=np.random.default_rng(0))
    scores = mp.prune.score(model, "magnitude")
    for ask in (
        lambda: prune.make_masks(scores, 1.0),
        lambda: mp.prune.cut(model.copy(), 1.0),
        lambda: mp.prune.cut(model.copy(), 1.0, granularity="channel"),
    ):
        with pytest.warns(GuardWarning) as caught:
            ask()
        assert {w.filename for w in caught} == {__file__}
