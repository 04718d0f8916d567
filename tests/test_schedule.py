"""Schedules follow their formulas, cut only where they say, and refuse what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minprune.prune import Cubic, Geometric, Levels, OneShot, Remainder
from minprune.prune.schedule import Schedule

NAN = float("nan")


@pytest.mark.parametrize(
    ("schedule", "targets"),
    [
        (OneShot(0.9), [0.9]),
        (OneShot(1), [1.0]),  # a schedule has no counts: 1 means all
        (OneShot(0), [0.0]),
        (Remainder([0.2, 0.1]), [0.2, 0.28]),
        (Remainder([0.5, 0.5, 0.5]), [0.5, 0.75, 0.875]),
        (Remainder((0.3,)), [0.3]),
        (Remainder([0.5, 0, 1]), [0.5, 0.5, 1.0]),
        (Geometric(0.75, 2), [0.5, 0.75]),
        (Geometric(0.936, 3), [0.6, 0.84, 0.936]),  # 40 % of the remainder stays, each time
        (Geometric(0.9, 1), [0.9]),
        (Geometric(0, 2), [0.0, 0.0]),
        (Levels([0.5, 0.8, 0.8, 1]), [0.5, 0.8, 0.8, 1.0]),
        (Cubic(0.8, cuts=2), [0.8 * (1 - 0.5**3), 0.8]),
        (Cubic(0.9, cuts=3, every=10, start=5, initial=0.3), [0.9 - 0.6 * 8 / 27, 0.9 - 0.6 / 27, 0.9]),
    ],
)
def test_targets_by_hand(schedule: Schedule, targets: list[float]) -> None:
    assert schedule.targets() == pytest.approx(targets, abs=1e-12)
    assert all(type(t) is float for t in schedule.targets())


@pytest.mark.parametrize(
    ("step", "sparsity"),
    [
        (0, 0.2),  # before t₀
        (100, 0.2),  # t₀
        (110, 0.8 - 0.6 * 0.9**3),
        (150, 0.8 - 0.6 / 8),  # the middle
        (199, 0.8 - 0.6 * 0.01**3),
        (200, 0.8),  # the end, t₀ + n Δt
        (201, 0.8),
        (10**9, 0.8),
    ],
)
def test_cubic_by_hand(step: int, sparsity: float) -> None:
    assert Cubic(0.8, cuts=10, every=10, start=100, initial=0.2).at(step) == pytest.approx(sparsity, abs=1e-12)


def test_cubic_ends_at_exactly_the_final_sparsity() -> None:
    for final in (0.1, 0.3, 0.7, 0.9, 0.99):
        schedule = Cubic(final, cuts=7, every=3, start=2, initial=0.1)
        assert schedule.at(schedule.last_step) == schedule.targets()[-1] == final


def test_cubic_cuts_at_multiples_only_and_not_after_the_end() -> None:
    schedule = Cubic(0.8, cuts=3, every=10, start=5)
    assert [step for step in range(-20, 100) if schedule.is_cut(step)] == [5, 15, 25, 35]
    assert schedule.last_step == 35


fractions = st.floats(0, 0.99)


@settings(deadline=None)
@given(
    st.one_of(
        st.builds(OneShot, fractions),
        st.builds(Remainder, st.lists(st.floats(0, 1), min_size=1, max_size=8)),
        st.builds(Geometric, fractions, st.integers(1, 20)),
        st.builds(lambda levels: Levels(sorted(levels)), st.lists(st.floats(0, 1), min_size=1, max_size=8)),
        st.builds(
            lambda ends, cuts, every: Cubic(max(ends), cuts, every, initial=min(ends)),
            st.tuples(fractions, fractions),
            *[st.integers(1, 20)] * 2,
        ),
    )
)
def test_every_schedule_ascends_within_its_bounds(schedule: Schedule) -> None:
    targets = schedule.targets()
    assert all(0 <= t <= 1 for t in targets)
    assert all(after >= before - 1e-12 for before, after in pairwise(targets))


@settings(deadline=None)
@given(st.floats(0, 0.99), st.integers(2, 12))
def test_each_geometric_round_leaves_the_same_share_of_what_remains(sparsity: float, rounds: int) -> None:
    targets = [0.0, *Geometric(sparsity, rounds).targets()]
    shares = [(1 - after) / (1 - before) for before, after in pairwise(targets)]
    assert shares == pytest.approx([(1 - sparsity) ** (1 / rounds)] * rounds, rel=1e-9)
    assert targets[-1] == sparsity


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: OneShot(1.5), ValueError, r"sparsity as a fraction expected a number in \[0, 1\], got 1.5"),
        (lambda: OneShot(-1), ValueError, r"got -1"),
        (lambda: OneShot(2), ValueError, r"in \[0, 1\], got 2"),
        (lambda: OneShot(NAN), ValueError, "got nan"),
        (lambda: OneShot("0.5"), TypeError, "got str '0.5'"),
        (lambda: OneShot(True), TypeError, "got bool"),
        (lambda: Remainder([]), ValueError, "at least one share of the remainder, got none"),
        (lambda: Remainder([0.2, 1.1]), ValueError, r"amounts\[1\] as a fraction .* got 1.1"),
        (lambda: Remainder([0.2, "0.1"]), TypeError, r"amounts\[1\] expected"),
        (lambda: Geometric(1.0, 3), ValueError, "sparsity below 1, which it can never reach"),
        (lambda: Geometric(-0.1, 3), ValueError, "got -0.1"),
        (lambda: Geometric(0.9, 0), ValueError, "rounds expected a whole number >= 1, got 0"),
        (lambda: Geometric(0.9, 2.5), ValueError, "rounds expected a whole number >= 1, got 2.5"),
        (lambda: Geometric(0.9, True), ValueError, "rounds expected a whole number >= 1, got True"),
        (lambda: Geometric(0.9, "3"), ValueError, "rounds expected a whole number >= 1, got '3'"),
        (lambda: Levels([]), ValueError, r"one number or more, ascending, got \[\]"),
        (lambda: Levels([0.5, 0.4]), ValueError, r"ascending, got \[0.5, 0.4\]"),
        (lambda: Levels([0.5, 1.2]), ValueError, r"sparsities\[1\] as a fraction .* got 1.2"),
        (lambda: Cubic(1.2, 3), ValueError, "final as a fraction .* got 1.2"),
        (lambda: Cubic(0.5, 3, initial=-0.5), ValueError, "initial as a fraction .* got -0.5"),
        (lambda: Cubic(0.5, 3, initial=0.6), ValueError, "initial expected a sparsity of at most final=0.5, got 0.6"),
        (lambda: Cubic(0.5, 0), ValueError, "cuts expected a whole number >= 1, got 0"),
        (lambda: Cubic(0.5, 2.5), ValueError, "cuts expected a whole number >= 1, got 2.5"),
        (lambda: Cubic(0.5, 3, every=0), ValueError, "every expected a whole number >= 1, got 0"),
        (lambda: Cubic(0.5, 3, start=-1), ValueError, "start expected a whole number >= 0, got -1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(make: Callable[[], Schedule], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
