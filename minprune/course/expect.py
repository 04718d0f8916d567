"""The vocabulary of checks: each function returns if an answer is as it should be, and raises Wrong, with a message for a learner, if not.

``mistakes`` maps the likely cause to what an answer with that mistake would give. If the learner's answer is that, the cause is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minprune.course.facts import Picture, Wrong
from minprune.tensor import Tensor


def expect(condition: bool, message: str, cause: str = "") -> None:
    """``condition`` holds, or else ``message``."""
    if not condition:
        raise Wrong(message, cause)


def expect_type(got: Any, kind: type | tuple[type, ...], what: str) -> None:
    """``got`` is an instance of ``kind``; ``what`` names it, such as "the mask"."""
    if not isinstance(got, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise Wrong(f"{what} should be of type {names}; yours is of type {type(got).__name__}.")


def expect_array(got: Any, shape: tuple[int, ...], dtype: Any, what: str) -> None:
    """``got`` is an array of ``shape`` and of a kind of ``dtype``: float for any float, int for any integer, bool for bool."""
    kinds = {float: np.floating, int: np.integer, bool: np.bool_}
    expect_type(got, np.ndarray, what)
    if got.shape != shape:
        raise Wrong(f"{what} should have the shape {shape}; yours has {got.shape}.")
    if not np.issubdtype(got.dtype, kinds.get(dtype, dtype)):
        name = dtype.__name__ if isinstance(dtype, type) else str(dtype)
        raise Wrong(f"{what} should hold values of type {name}; yours holds {got.dtype}.")


def expect_close(
    got: Any,
    expected: Any,
    what: str,
    *,
    mistakes: Mapping[str, Any] | None = None,
    cause: str = "",
    rtol: float = 1e-5,
    atol: float = 1e-6,
    picture: bool = False,
) -> None:
    """``got`` equals ``expected`` within a tolerance: numbers, arrays, or lists of numbers.

    Args:
        got: the learner's value.
        expected: the right one.
        what: names it and says for which input, such as "the loss of logits [[1, 2]] with label 1".
        mistakes: {likely cause: the value that an answer with this mistake gives}.
        cause: the likely cause if none of the mistakes fits.
        rtol: relative tolerance.
        atol: absolute tolerance.
        picture: show both to the learner as curves (one axis) or images (two).
    """
    right = np.asarray(expected)
    try:
        value = np.asarray(got)
        numeric = np.issubdtype(value.dtype, np.number) or value.dtype == bool
    except ValueError:  # a ragged list
        numeric = False
    if not numeric:
        raise Wrong(f"{what} should be {_kind(right)}; yours is of type {type(got).__name__}: {as_text(got)}.")
    if value.shape != right.shape:
        raise Wrong(f"{what} should have the shape {right.shape}; yours has {value.shape}.", _cause(value, mistakes, cause, rtol, atol))
    if np.allclose(value, right, rtol=rtol, atol=atol, equal_nan=True):
        return
    image = Picture(right.astype(float).tolist(), value.astype(float).tolist()) if picture and right.ndim in (1, 2) else None
    raise Wrong(_difference(what, right, value), _cause(value, mistakes, cause, rtol, atol), image)


def expect_equal(
    got: Any, expected: Any, what: str, *, mistakes: Mapping[str, Any] | None = None, cause: str = "", picture: bool = False
) -> None:
    """``got`` equals ``expected`` exactly: arrays (masks, positions), or plain values, lists, tuples, sets and dictionaries of them."""
    if isinstance(expected, np.ndarray):
        expect_type(got, np.ndarray, what)
        if expected.dtype == bool and got.dtype != bool:
            raise Wrong(f"{what} should be a boolean array (True where a weight stays); yours holds {got.dtype}.")
        expect_close(got, expected, what, mistakes=mistakes, cause=cause, rtol=0, atol=0, picture=picture)
    elif not _same(got, expected):
        named = [name for name, value in (mistakes or {}).items() if _same(got, value)]
        raise Wrong(f"{what} should be {as_text(expected)}; yours is {as_text(got)}.", named[0] if named else cause)


def _same(a: Any, b: Any) -> bool:
    """Equal values of compatible types, arrays inside included."""
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return bool(a == b)


def _cause(value: np.ndarray, mistakes: Mapping[str, Any] | None, otherwise: str, rtol: float, atol: float) -> str:
    for name, mistaken in (mistakes or {}).items():
        wrong = np.asarray(mistaken)
        if wrong.shape == value.shape and np.allclose(value, wrong, rtol=rtol, atol=atol, equal_nan=True):
            return name
    return otherwise


def _difference(what: str, expected: np.ndarray, got: np.ndarray) -> str:
    if expected.size <= 12:
        return f"{what} should be {as_text(expected)}; yours is {as_text(got)}."
    apart = ~np.isclose(got, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
    apart = apart if apart.any() else got != expected
    first = tuple(int(i) for i in np.argwhere(apart)[0])
    where = first[0] if len(first) == 1 else first
    return (
        f"{what} differs in {int(apart.sum())} of {expected.size} places: at {where}, for one, it should be {as_text(expected[first])} "
        f"and yours is {as_text(got[first])}."
    )


def _kind(expected: np.ndarray) -> str:
    return "a number" if expected.ndim == 0 else f"an array of shape {expected.shape}"


def as_text(value: Any) -> str:
    """A short form of a value on one line, as one would write it: 1.0 and 0.5, arrays as lists, a long one by its shape."""
    if isinstance(value, Tensor):
        return f"Tensor({as_text(value.data)})"
    if isinstance(value, (np.ndarray, np.generic)):
        return as_text(value.tolist()) if value.size <= 24 else f"an array of shape {value.shape}, {value.dtype}"
    if isinstance(value, float):
        whole = abs(value) < 1e15 and (value.is_integer() or abs(value) >= 1e5)
        return f"{value + 0.0:.1f}" if whole else f"{value:.6g}"
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key!r}: {as_text(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, (list, tuple)) and value:
        inner = ", ".join(map(as_text, value))
        text = f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    else:
        text = " ".join(repr(value).split())
        if text.startswith("<"):  # where it lies in memory tells nobody anything
            text = getattr(value, "__name__", f"a {type(value).__name__}")
    return text if len(text) <= 300 else text[:297] + "…"
