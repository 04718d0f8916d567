"""The vocabulary of checks says what was expected, what came, and which known mistake it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minprune.course import Wrong, expect, expect_array, expect_close, expect_equal, expect_type
from minprune.course.expect import as_text
from minprune.course.facts import Picture
from minprune.course.report import draw
from minprune.nn import ReLU
from minprune.tensor import Tensor


def told(function: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    with pytest.raises(Wrong) as caught:
        function(*args, **kwargs)
    return caught.value.message, caught.value.cause


def test_what_is_right_passes() -> None:
    expect(True, "never said")
    expect_type(3, (int, float), "it")
    expect_array(np.zeros((2, 3), np.float32), (2, 3), float, "it")
    expect_array(np.zeros(2, bool), (2,), bool, "it")
    expect_close(0.1 + 0.2, 0.3, "it")
    expect_close([1, 2], np.array([1.0, 2.0]), "it")
    expect_close(np.array([np.nan]), [np.nan], "it")
    expect_equal(np.array([True]), np.array([True]), "it")
    expect_equal({"a": [1, (2, "x")], "b": np.arange(3)}, {"a": [1, (2, "x")], "b": np.arange(3)}, "it")
    expect_equal(np.int64(3), 3, "it")


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (expect, (False, "no"), "no"),
        (expect_type, ("x", (int, float), "it"), "it should be of type int or float; yours is of type str."),
        (expect_array, ([1.0], (1,), float, "it"), "it should be of type ndarray; yours is of type list."),
        (expect_array, (np.zeros(2), (3,), float, "it"), "it should have the shape (3,); yours has (2,)."),
        (expect_array, (np.zeros(2), (2,), bool, "it"), "it should hold values of type bool; yours holds float64."),
        (expect_close, (None, 1.0, "it"), "it should be a number; yours is of type NoneType: None."),
        (expect_close, (1.0, 2.0, "it"), "it should be 2.0; yours is 1.0."),
        (expect_close, ([1.0], [1.0, 2.0], "it"), "it should have the shape (2,); yours has (1,)."),
        (
            expect_equal,
            (np.array([1, 0]), np.array([True, False]), "it"),
            "it should be a boolean array (True where a weight stays); yours holds int64.",
        ),
        (expect_equal, ([1, 2], (1, 2), "it"), "it should be (1, 2); yours is [1, 2]."),
        (expect_equal, ({"a": 1}, {"b": 1}, "it"), "it should be {'b': 1}; yours is {'a': 1}."),
        (expect_equal, ([np.zeros(1)], [np.ones(1)], "it"), "it should be [[1.0]]; yours is [[0.0]]."),
    ],
)
def test_what_is_wrong_is_told(function: Any, args: tuple, message: str) -> None:
    assert told(function, *args) == (message, "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (-0.0, "0.0"),
        (0.5, "0.5"),
        (1 / 3, "0.333333"),
        (2.5e-7, "2.5e-07"),
        (123456.75, "123456.8"),
        (1e6, "1000000.0"),
        (float("inf"), "inf"),
        (np.float32(0.1), "0.1"),
        (np.int64(3), "3"),
        (np.array([1.0, 0.25, -3.0]), "[1.0, 0.25, -3.0]"),
        (np.array([[1, 20]]), "[[1, 20]]"),
        (np.array([True, False]), "[True, False]"),
        (np.zeros((5, 6), np.float32), "an array of shape (5, 6), float32"),
        (Tensor(np.ones(2)), "Tensor([1.0, 1.0])"),
        ({"w": np.zeros(1), "n": (2,)}, "{'w': [0.0], 'n': (2,)}"),
        (ReLU(), "a ReLU"),
        (told, "told"),
    ],
)
def test_values_are_shown_as_one_would_write_them(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_a_known_mistake_is_named_and_an_unknown_one_gets_the_general_cause() -> None:
    mistakes = {"the square": 9.0, "the negative": -3.0}
    assert told(expect_close, -3.0, 3.0, "it", mistakes=mistakes)[1] == "the negative"
    assert told(expect_close, 4.0, 3.0, "it", mistakes=mistakes, cause="something else")[1] == "something else"
    assert told(expect_equal, "b", "a", "it", mistakes={"the next letter": "b"})[1] == "the next letter"
    assert told(expect_close, [1.0, 2.0], 3.0, "it", mistakes={"not summed": [1.0, 2.0]})[1] == "not summed"


def test_of_a_large_array_one_place_is_shown() -> None:
    got = np.zeros((5, 5))
    got[3, 1] = 2
    message, _ = told(expect_close, got, np.zeros((5, 5)), "it")
    assert message == "it differs in 1 of 25 places: at (3, 1), for one, it should be 0.0 and yours is 2.0."


def test_a_picture_is_made_of_masks_only_where_asked_for() -> None:
    with pytest.raises(Wrong) as caught:
        expect_equal(np.array([[True, True]]), np.array([[True, False]]), "it", picture=True)
    assert caught.value.picture == Picture([[1.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(Wrong) as caught:
        expect_equal(np.array([[True, True]]), np.array([[True, False]]), "it")
    assert caught.value.picture is None


def test_a_picture_in_characters() -> None:
    assert draw(Picture([[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 0.5]])).splitlines() == [
        "  expected   yours",
        "  ██         ████",
        "    ██         ▒▒",
        "  (blank is 0.0, █ is 1.0: the darker, the larger)",
    ]


def test_a_large_picture_fits_in_80_columns_and_says_that_it_is_a_part() -> None:
    lines = draw(Picture(np.full((20, 50), -2.0).tolist(), np.full((20, 50), 3.5).tolist())).splitlines()
    assert len(lines) == 1 + 16 + 2
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == ["  (blank is -2.0, █ is 3.5: the darker, the larger)", "  (only the upper left corner is drawn)"]
