"""The loop keeps its floors, stops at its goals, holds its masks, rewinds as told, and never touches the model it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minprune import prune
from minprune.data import Splits
from minprune.metrics import Latency, saved_bytes
from minprune.nn import BatchNorm2d, Conv2d, Flatten, Linear, Module, ReLU, Sequential
from minprune.prune import Cubic, Cut, Geometric, GuardWarning, Levels, OneShot, Remainder, Rewind, Run, Stop
from minprune.train import Recipe, evaluate, fit_recipe
from tests.data_sets import clusters, small_net, trained

SPLITS = clusters()
DENSE = trained(SPLITS)
PRUNABLE = 1284
OF_OUTPUTS = {"geometric_median", "bn_scale"}  # they give all weights of a channel one score
NO_TRAINING, SHORT = Recipe(epochs=0), Recipe(epochs=1, lr=0.02)
COLLAPSE = Levels([0.3, 0.6, 0.9, 0.97, 0.99])  # the last rounds are more than the network can bear
COLUMNS = ["round", "sparsity", "prunable", "kept", "macs", "bytes", "ms", "accuracy_cut", "accuracy", "loss", "seconds"]


def iterate(
    model: Module = DENSE, *, schedule: prune.pipeline.Schedule, recipe: Recipe = NO_TRAINING, seed: int = 0, **options: object
) -> Run:
    return prune.iterate(model, SPLITS, schedule=schedule, recipe=recipe, rng=np.random.default_rng(seed), progress=False, **options)


def gradual(model: Module = DENSE, *, schedule: Cubic, recipe: Recipe, seed: int = 0, **options: object) -> Run:
    return prune.gradual(model, SPLITS, schedule=schedule, recipe=recipe, rng=np.random.default_rng(seed), progress=False, **options)


def pruned(model: Module) -> int:
    return sum(int((~mask).sum()) for mask in prune.current_masks(model).values())


def assert_masks_hold(model: Module) -> None:
    masks = prune.current_masks(model)
    assert prune.prunable_parameters(model).keys() <= masks.keys()
    for name, p in prune.prunable_parameters(model).items():
        assert (p.data[~masks[name]] == 0).all()
        assert (p.data[masks[name]] != 0).all()


def assert_same_weights(one: Module, other: Module) -> None:
    other_state = other.state_dict()
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other_state[name], err_msg=name)


# --- rounds -----------------------------------------------------------------------------------------------------------------------


def test_rounds_reach_the_schedules_targets_and_are_recorded() -> None:
    run = iterate(schedule=Geometric(0.9, 3), recipe=SHORT)
    assert list(run.history.columns) == COLUMNS
    assert list(run.history["round"]) == [0, 1, 2, 3]
    counts = [0, *(round(t * PRUNABLE) for t in Geometric(0.9, 3).targets())]
    assert list(run.history["sparsity"] * PRUNABLE) == pytest.approx(counts)
    assert list(run.history["prunable"]) == [PRUNABLE] * 4
    assert list(run.history["kept"]) == [PRUNABLE + 4 + 12 + 4 - k for k in counts]  # and three layers' biases
    assert (run.chosen, run.reason) == (3, "the schedule ended")
    assert pruned(run.model) == counts[-1]
    assert_masks_hold(run.model)
    for column in ("macs", "bytes"):
        assert run.history[column].is_monotonic_decreasing
        assert run.history[column].is_unique
    assert (run.history["ms"] > 0).all()


def test_the_last_row_describes_the_model_that_is_handed_out() -> None:
    run = iterate(schedule=Remainder([0.5, 0.5]), recipe=SHORT)
    row, report = run.history.iloc[-1], evaluate(run.model, SPLITS.val)
    assert (row["accuracy"], row["loss"], row["bytes"]) == (report.accuracy, report.loss, saved_bytes(run.model))
    assert run.history["accuracy"].iloc[0] == run.history["accuracy_cut"].iloc[0] == evaluate(DENSE, SPLITS.val).accuracy


def test_accuracy_is_recorded_after_the_cut_and_again_after_fine_tuning() -> None:
    run = iterate(schedule=OneShot(0.8), recipe=Recipe(epochs=3, lr=0.05), cut=Cut(scope="layer"))
    by_hand = DENSE.copy()
    prune.cut(by_hand, 0.8, scope="layer")
    row = run.history.iloc[1]
    assert row["accuracy_cut"] == evaluate(by_hand, SPLITS.val).accuracy
    assert row["accuracy"] > row["accuracy_cut"]


def test_a_round_is_a_cut_and_the_recipe() -> None:
    run = iterate(schedule=OneShot(0.7), recipe=SHORT, cut=Cut(scope="erk"))
    by_hand = DENSE.copy()
    prune.cut(by_hand, 0.7, scope="erk")
    fit_recipe(by_hand, SPLITS, SHORT, rng=np.random.default_rng(0), progress="")
    assert_same_weights(run.model, by_hand)


@pytest.mark.parametrize("scope", prune.SCOPES)
@pytest.mark.parametrize("criterion", sorted(prune.CRITERIA.keys() - OF_OUTPUTS))
def test_every_criterion_and_scope_goes_through_all_rounds(criterion: str, scope: str) -> None:
    run = iterate(schedule=Levels([0.4, 0.6, 0.8]), cut=Cut(criterion, scope), recipe=SHORT)
    assert run.chosen == 3
    assert run.history["sparsity"].iloc[-1] == pytest.approx(0.8, abs=2 / PRUNABLE)
    assert_masks_hold(run.model)


@pytest.mark.parametrize("scope", prune.SCOPES)
@pytest.mark.parametrize("criterion", sorted(OF_OUTPUTS))
def test_every_criterion_of_outputs_takes_channels_in_all_rounds(criterion: str, scope: str) -> None:
    rng = np.random.default_rng(0)
    layers = [Conv2d(1, 6, 3, rng=rng), BatchNorm2d(6), ReLU(), Conv2d(6, 9, 2, rng=rng), BatchNorm2d(9), ReLU(), Flatten()]
    model = Sequential(*layers, Linear(36, 4, rng=rng))
    fit_recipe(model, SPLITS, SHORT, rng=rng, progress="")
    run = iterate(model, schedule=Levels([0.2, 0.4, 0.6]), cut=Cut(criterion, scope, "channel"), recipe=SHORT)
    assert run.chosen == 3
    assert prune.unit_sparsity(run.model, "channel", SPLITS.image_shape) == (pytest.approx(0.6, abs=1 / 15), 15)
    assert_masks_hold(run.model)
    again = iterate(run.model, schedule=Levels([0.4, 0.6]), cut=Cut(criterion, scope, "channel"))
    assert again.chosen == 0, "0.6 of the channels, as nearly as whole ones allow, are gone already"


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    one, same, other = (iterate(schedule=Levels([0.5]), recipe=SHORT, cut=Cut("random"), seed=seed).model for seed in (0, 0, 1))
    assert_same_weights(one, same)
    assert not np.array_equal(one[3].weight.mask, other[3].weight.mask)


def test_rounds_that_a_pruned_model_has_behind_it_are_left_out() -> None:
    model = DENSE.copy()
    prune.cut(model, 0.6)
    run = iterate(model, schedule=Levels([0.3, 0.6, 0.8]))
    assert list(run.history["round"]) == [0, 1]
    assert list(run.history["sparsity"]) == pytest.approx([0.6, 0.8], abs=1 / PRUNABLE)
    assert not (run.model[3].weight.mask & ~model[3].weight.mask).any()
    ended = iterate(model, schedule=Levels([0.3, 0.5]))
    assert (len(ended.history), ended.chosen, ended.reason) == (1, 0, "the schedule ended")


@pytest.mark.parametrize(
    "call",
    [
        lambda model: iterate(model, schedule=Levels([0.5, 0.9]), recipe=SHORT, cut=Cut("taylor")),
        lambda model: iterate(model, schedule=COLLAPSE, stop=Stop(max_drop=0.0)),
        lambda model: gradual(model, schedule=Cubic(0.9, cuts=2), recipe=SHORT, cut=Cut("taylor")),
    ],
)
def test_the_model_that_comes_in_is_never_changed_and_shares_nothing_with_the_one_that_goes_out(call: Callable[[Module], Run]) -> None:
    model = DENSE.copy().train()
    model.zero_grad()
    prune.cut(model, 0.1)
    model[0].bias.grad = np.ones(4, np.float32)
    before, masks = model.state_dict(), prune.current_masks(model)
    run = call(model)
    for _, p in run.model.named_parameters():
        p.data[...] = 7
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    for name, mask in prune.current_masks(model).items():
        np.testing.assert_array_equal(mask, masks[name])
    assert model.training
    assert model[3].weight.grad is None
    np.testing.assert_array_equal(model[0].bias.grad, 1)


# --- floors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::minprune.prune.GuardWarning")
@pytest.mark.parametrize("stop", [Stop(min_accuracy=0.9), Stop(max_drop=0.05), Stop(min_accuracy=0.5, max_drop=0.02)])
@pytest.mark.parametrize("recipe", [NO_TRAINING, Recipe(epochs=1, lr=0)])
def test_a_round_that_falls_below_the_floor_is_recorded_and_rolled_back(stop: Stop, recipe: Recipe) -> None:
    run = iterate(schedule=COLLAPSE, recipe=recipe, stop=stop)
    accuracy = run.history["accuracy"]
    floor = stop.floor(accuracy[0])
    assert accuracy.iloc[-1] < floor
    assert (accuracy.iloc[:-1] >= floor).all()
    assert run.chosen == len(run.history) - 2 > 0
    assert run.reason.endswith(f"below the floor of {floor:.4f}; rolled back to round {run.chosen}")
    assert evaluate(run.model, SPLITS.val).accuracy == accuracy[run.chosen] >= floor
    assert pruned(run.model) == round(run.history["sparsity"][run.chosen] * PRUNABLE)
    assert_masks_hold(run.model)


@pytest.mark.filterwarnings("ignore::minprune.prune.GuardWarning")
@settings(deadline=None, max_examples=12)
@given(st.integers(0, 99), st.floats(0, 0.6), st.sampled_from([NO_TRAINING, Recipe(epochs=1, lr=0.5, momentum=0)]))
def test_no_model_below_the_floor_is_ever_handed_out(seed: int, max_drop: float, recipe: Recipe) -> None:
    dense = evaluate(DENSE, SPLITS.val).accuracy
    run = iterate(schedule=Levels([0.3, 0.8, 0.99]), recipe=recipe, cut=Cut("random"), stop=Stop(max_drop=max_drop), seed=seed)
    accuracy = evaluate(run.model, SPLITS.val).accuracy
    assert accuracy >= dense - max_drop
    assert accuracy == run.history["accuracy"][run.chosen]


def test_where_the_first_round_fails_the_dense_model_comes_back() -> None:
    run = iterate(schedule=OneShot(0.95), cut=Cut(scope="layer"), stop=Stop(max_drop=0.0))
    assert (run.chosen, len(run.history)) == (0, 2)
    assert run.reason.startswith("round 1 fell to ")
    assert prune.current_masks(run.model) == {}
    assert_same_weights(run.model, DENSE)


def test_the_floor_goes_before_a_goal_that_the_same_round_reaches() -> None:
    run = iterate(schedule=OneShot(0.95), cut=Cut(scope="layer"), stop=Stop(max_drop=0.0, target_sparsity=0.95))
    assert run.chosen == 0
    assert "rolled back" in run.reason


def test_a_dense_model_below_the_floor_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"validation accuracy of 0\.\d{4} is below the floor of 0\.9000 before any cut; train it longer or lower"
    ):
        iterate(small_net(seed=3), schedule=OneShot(0.5), stop=Stop(min_accuracy=0.9))


@pytest.mark.parametrize(
    ("stop", "floor"),
    [
        (Stop(), -np.inf),
        (Stop(min_accuracy=0.9), 0.9),
        (Stop(max_drop=0.25), 0.7),
        (Stop(min_accuracy=0.9, max_drop=0.25), 0.9),
        (Stop(min_accuracy=0.5, max_drop=0.25), 0.7),
    ],
)
def test_of_two_floors_the_higher_counts(stop: Stop, floor: float) -> None:
    assert stop.floor(0.95) == pytest.approx(floor)


# --- goals ------------------------------------------------------------------------------------------------------------------------

ROW = {"sparsity": 0.5, "prunable": 100, "bytes": 2_000, "ms": 0.25}


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop(), None),
        (Stop(min_accuracy=0.0, max_drop=1.0), None),
        (Stop(target_sparsity=0.5), "target sparsity 50.00% reached"),
        (Stop(target_sparsity=0.504), "target sparsity 50.40% reached"),  # 50.4 of 100 weights are 50
        (Stop(target_sparsity=0.51), None),
        (Stop(max_bytes=2_000), "2,000 bytes, at most 2,000 wanted"),
        (Stop(max_bytes=1_999), None),
        (Stop(max_ms=0.25), "0.250 ms, at most 0.250 wanted"),
        (Stop(max_ms=0.249), None),
        (Stop(target_sparsity=0.9, max_bytes=1, max_ms=1.0), "0.250 ms, at most 1.000 wanted"),
    ],
)
def test_a_goal_is_reached_exactly_at_its_bound(stop: Stop, reason: str | None) -> None:
    assert stop.reached(ROW) == reason


@pytest.mark.parametrize("goal", [0.5, 0.77, 0.9])
def test_a_target_sparsity_is_hit_exactly_where_the_schedule_would_overshoot(goal: float) -> None:
    run = iterate(schedule=Geometric(0.95, 4), stop=Stop(target_sparsity=goal))
    assert pruned(run.model) == round(goal * PRUNABLE)
    assert run.reason == f"target sparsity {goal:.2%} reached"
    below = [t for t in Geometric(0.95, 4).targets() if t < goal]
    assert list(run.history["sparsity"]) == pytest.approx([0, *below, goal], abs=1 / PRUNABLE)


def test_a_target_sparsity_beyond_the_schedule_is_not_reached() -> None:
    run = iterate(schedule=Levels([0.2, 0.4]), stop=Stop(target_sparsity=0.9))
    assert (pruned(run.model), run.reason) == (round(0.4 * PRUNABLE), "the schedule ended")


def test_the_first_round_whose_file_is_small_enough_is_the_last() -> None:
    everything = iterate(schedule=Levels([0.3, 0.5, 0.7, 0.9])).history["bytes"]
    run = iterate(schedule=Levels([0.3, 0.5, 0.7, 0.9]), stop=Stop(max_bytes=int(everything[2])))
    assert (run.chosen, len(run.history)) == (2, 3)
    assert saved_bytes(run.model) == everything[2] < everything[1]
    assert run.reason == f"{everything[2]:,} bytes, at most {everything[2]:,} wanted"


def test_the_first_round_that_is_fast_enough_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5.0, 4.0, 3.0, 2.0])
    monkeypatch.setattr("minprune.prune.pipeline.latency", lambda model, shape: Latency(next(times), 0.0, 9.0, 1))
    run = iterate(schedule=Levels([0.3, 0.5, 0.7, 0.9]), stop=Stop(max_ms=3.5))
    assert list(run.history["ms"]) == [5.0, 4.0, 3.0]
    assert (run.chosen, run.reason) == (2, "3.000 ms, at most 3.500 wanted")


@pytest.mark.parametrize("stop", [Stop(max_bytes=10**9), Stop(max_ms=1e9), Stop(target_sparsity=0.0)])
def test_a_goal_that_is_reached_already_means_no_round(stop: Stop) -> None:
    run = iterate(schedule=OneShot(0.9), stop=stop)
    assert (len(run.history), run.chosen) == (1, 0)
    assert run.reason == stop.reached(run.history.to_dict("records")[0])
    assert_same_weights(run.model, DENSE)


# --- rewinding --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [OneShot(0.8), Geometric(0.8, 3)])
def test_weight_rewinding_returns_the_surviving_weights(schedule: prune.pipeline.Schedule) -> None:
    start = small_net(seed=0).state_dict()
    run = iterate(schedule=schedule, rewind=Rewind(0, start))
    masks = prune.current_masks(run.model)
    assert pruned(run.model) == round(0.8 * PRUNABLE)
    for name, array in run.model.state_dict().items():
        np.testing.assert_array_equal(array, np.where(masks[name], start[name], 0) if name in masks else start[name])


def test_a_ticket_is_chosen_by_the_trained_weights_not_by_those_it_returns_to() -> None:
    run = iterate(schedule=OneShot(0.8), rewind=Rewind(0, small_net(seed=0).state_dict()))
    trained_model = DENSE.copy()
    prune.cut(trained_model, 0.8)
    np.testing.assert_array_equal(run.model[3].weight.mask, trained_model[3].weight.mask)


@pytest.mark.parametrize("state", [None, small_net(seed=0).state_dict()])
def test_rewinding_repeats_the_end_of_the_recipe_from_its_epoch_on(state: dict | None) -> None:
    recipe = Recipe(epochs=3, lr=0.05, lr_schedule="step")
    run = iterate(schedule=OneShot(0.7), recipe=recipe, rewind=Rewind(1, state))
    by_hand = DENSE.copy()
    prune.cut(by_hand, 0.7)
    if state is not None:
        by_hand.load_state_dict(state)
    fit_recipe(by_hand, SPLITS, recipe, rng=np.random.default_rng(0), first_epoch=1, progress="")
    assert_same_weights(run.model, by_hand)
    assert_masks_hold(run.model)


def test_rewinding_the_learning_rate_alone_keeps_the_weights() -> None:
    run = iterate(schedule=OneShot(0.7), rewind=Rewind(0))
    by_hand = DENSE.copy()
    prune.cut(by_hand, 0.7)
    assert_same_weights(run.model, by_hand)


def test_rewinding_beyond_the_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="rewind expected an epoch of at most the recipe's 1, got 2"):
        iterate(schedule=OneShot(0.5), recipe=SHORT, rewind=Rewind(2))


# --- gradually --------------------------------------------------------------------------------------------------------------------

NINE_STEPS = Recipe(epochs=3, lr=0.02)  # 160 images in batches of 64


@dataclass(frozen=True)
class Noted(Cut):
    """A Cut that notes what it was asked for."""

    asked: list[float] = field(default_factory=list)

    def apply(self, model: Module, sparsity: float, splits: Splits, rng: np.random.Generator) -> None:
        self.asked.append(sparsity)
        super().apply(model, sparsity, splits, rng)
        assert pruned(model) == round(sparsity * PRUNABLE)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (Cubic(0.9, cuts=4, every=2), (2, 4, 6, 8)),
        (Cubic(0.9, cuts=2, every=3, start=1, initial=0.2), (1, 4, 7)),
        (Cubic(0.9, cuts=3, every=3, initial=0.2), (0, 3, 6, 9)),
    ],
)
def test_gradual_cuts_on_the_schedules_steps_and_ends_at_exactly_the_final_sparsity(schedule: Cubic, steps: tuple[int, ...]) -> None:
    cut = Noted()
    run = gradual(schedule=schedule, recipe=NINE_STEPS, cut=cut)
    assert cut.asked == [schedule.at(step) for step in steps]
    assert pruned(run.model) == round(0.9 * PRUNABLE)
    assert_masks_hold(run.model)


@pytest.mark.parametrize(("criterion", "scope"), [("magnitude", "layer"), ("taylor", "erk"), ("random", "lamp"), ("snip", "global")])
def test_gradual_takes_every_kind_of_cut(criterion: str, scope: str) -> None:
    run = gradual(schedule=Cubic(0.8, cuts=8), recipe=NINE_STEPS, cut=Cut(criterion, scope))
    assert pruned(run.model) == sum(round(0.8 * n) for n in (36, 1200, 48)) if scope == "layer" else round(0.8 * PRUNABLE)
    assert_masks_hold(run.model)


def test_gradual_records_before_and_after_and_recovers() -> None:
    run = gradual(schedule=Cubic(0.8, cuts=3), recipe=NINE_STEPS)
    assert list(run.history.columns) == COLUMNS
    assert list(run.history["round"]) == [0, 1]
    assert list(run.history["sparsity"]) == [0, round(0.8 * PRUNABLE) / PRUNABLE]
    assert (run.chosen, run.reason) == (1, "the recipe ended")
    assert run.history["accuracy"].iloc[1] == evaluate(run.model, SPLITS.val).accuracy > 0.9
    assert not run.model.training


def test_gradual_pruning_of_a_pruned_model_skips_what_is_behind_it() -> None:
    model = DENSE.copy()
    prune.cut(model, 0.6)
    schedule, cut = Cubic(0.8, cuts=4), Noted()
    run = gradual(model, schedule=schedule, recipe=NINE_STEPS, cut=cut)
    assert cut.asked == [t for t in schedule.targets() if t > 0.6]
    assert not (run.model[3].weight.mask & ~model[3].weight.mask).any()


@pytest.mark.parametrize(
    ("schedule", "said", "last_cut"),
    [
        (Cubic(0.8, cuts=10, every=2), r"last cut falls on step 20, but training has only 9 steps: 5 of 11 cuts happen", 8),
        (Cubic(0.8, cuts=3, every=4), r"last cut falls on step 12, but training has only 9 steps: 3 of 4 cuts happen", 8),
        (Cubic(0.8, cuts=1, start=9), r"last cut falls on step 10, but training has only 9 steps: 1 of 2 cuts happen", 9),
        (Cubic(0.8, cuts=5, start=50, initial=0.3), r"last cut falls on step 55, but training has only 9 steps: 0 of 6 cuts happen", None),
    ],
)
def test_fewer_steps_than_the_schedule_needs_are_warned_of_with_the_sparsity_they_end_at(
    schedule: Cubic, said: str, last_cut: int | None
) -> None:
    end = 0.0 if last_cut is None else schedule.at(last_cut)
    with pytest.warns(UserWarning, match=f"{said}, and the sparsity ends at {end:.1%}"):
        run = gradual(schedule=schedule, recipe=NINE_STEPS)
    assert run.history["sparsity"].iloc[-1] == pytest.approx(end, abs=0.5 / PRUNABLE)


def test_momentum_of_the_steps_before_a_cut_revives_nothing() -> None:
    run = gradual(schedule=Cubic(0.9, cuts=1, every=5), recipe=Recipe(epochs=3, lr=0.05, momentum=0.99, weight_decay=0.1))
    assert pruned(run.model) == round(0.9 * PRUNABLE)
    assert_masks_hold(run.model)


# --- refusals ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Cut("magntude"), ValueError, "unknown criterion.*did you mean 'magnitude'"),
        (lambda: Cut(scope="layr"), ValueError, "unknown scope.*did you mean 'layer'"),
        (lambda: Cut(scope={"0.weight": 0.5}), TypeError, "scope must be a string, one of .*; got dict"),
        (lambda: Cut(granularity="wieght"), ValueError, "unknown granularity.*did you mean 'weight'"),
        (lambda: Stop(min_accuracy=90.0), ValueError, r"min_accuracy as a fraction expected a number in \[0, 1\], got 90"),
        (lambda: Stop(max_drop=-0.01), ValueError, "max_drop as a fraction .* got -0.01"),
        (lambda: Stop(target_sparsity="0.9"), TypeError, "target_sparsity expected a fraction"),
        (lambda: Stop(target_sparsity=float("nan")), ValueError, "got nan"),
        (lambda: Stop(max_bytes=-1), ValueError, "max_bytes expected a finite number >= 0, got -1"),
        (lambda: Stop(max_ms=float("inf")), ValueError, "max_ms expected a finite number >= 0, got inf"),
        (lambda: Rewind(-1), ValueError, "epoch expected a whole number >= 0, got -1"),
        (lambda: Rewind(0.5), ValueError, "epoch expected a whole number >= 0, got 0.5"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(make: Callable[[], object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_the_guard_speaks_up_from_inside_the_loop_unless_it_is_off() -> None:
    model: Sequential = DENSE.copy()
    model[5].weight.data *= 1e-3  # a layer that a global ranking would take whole
    with pytest.warns(GuardWarning, match=r"^5\.weight would have kept fewer than 2"):
        run = iterate(model, schedule=OneShot(0.9), cut=Cut(min_per_layer=2))
    assert (int(run.model[5].weight.mask.sum()), pruned(run.model)) == (2, round(0.9 * PRUNABLE))
    off = iterate(model, schedule=OneShot(0.9), cut=Cut(min_per_layer=0))
    assert (int(off.model[5].weight.mask.sum()), pruned(off.model)) == (0, round(0.9 * PRUNABLE))
