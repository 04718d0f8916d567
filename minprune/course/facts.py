"""What a course consists of: exercises with their checks, and the results of checking them. Facts only, nothing runs here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["not attempted", "wrong", "right"]
SIGNS: dict[State, str] = {"not attempted": "…", "wrong": "✗", "right": "✔"}


class Wrong(Exception):  # noqa: N818  (a verdict, not an error)
    """A check's verdict on an answer: what was expected and what came, the likely cause, and perhaps a picture of both.

    Args:
        message: one or two sentences: what was expected, what came.
        cause: the likely mistake, if the check knows it.
        picture: two arrays of one shape to be drawn side by side (masks, images) or over one another (curves).
    """

    def __init__(self, message: str, cause: str = "", picture: Picture | None = None) -> None:
        super().__init__(message)
        self.message, self.cause, self.picture = message, cause, picture


class NotAttempted(Exception):  # noqa: N818
    """The answer is still the skeleton's, or it calls a function that is: then the message says which."""


@dataclass(frozen=True)
class Picture:
    """What was expected and what came, as nested lists of numbers: one-dimensional for a curve, two-dimensional for a mask or image."""

    expected: list
    got: list


@dataclass(frozen=True)
class Exercise:
    """A function that the learner writes, and how it is checked.

    Attributes:
        name: of the function in ``exercises.py``.
        check: called with the learner's function and the reference; raises Wrong.
        minutes: how long it takes a learner.
        difficulty: 1, 2 or 3.
        hints: from a nudge to nearly the answer, at least two.
        forbids: library functions that do what is to be written; an answer must not call them.
        changes: names of parameters that the answer is meant to change in place; all others must stay as they are.
        returns_none: whether the answer may return None: it works by changing its arguments, or there is not always a result.
        limit: seconds after which an answer is taken to hang.
    """

    name: str
    check: Callable[[Callable, Callable], None]
    minutes: int
    difficulty: int
    hints: tuple[str, ...]
    forbids: tuple[Callable, ...] = ()
    changes: tuple[str, ...] = ()
    returns_none: bool = False
    limit: float = 10.0


@dataclass(frozen=True)
class Result:
    """What checking one exercise gave.

    Attributes:
        exercise: the name of the function.
        state: "not attempted", "wrong" or "right".
        message: what was expected and what came; of what is not attempted, which unwritten function it calls, if it does; else empty.
        cause: the likely mistake, or "".
        picture: of both, or None.
        printed: what the answer printed while it was checked.
        seconds: how long the check took.
    """

    exercise: str
    state: State
    message: str = ""
    cause: str = ""
    picture: Picture | None = None
    printed: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Result:
        """The inverse of ``to_dict``."""
        picture = values["picture"]
        return Result(**{**values, "picture": None if picture is None else Picture(**picture)})


@dataclass(frozen=True)
class WrongAnswer:
    """A mistake that people make, kept to prove that the check of ``exercise`` catches it and says why.

    Attributes:
        exercise: the name of the exercise.
        function: the mistaken answer; its name says what is wrong with it.
        says: words that the learner must read in the message or the likely cause.
    """

    exercise: str
    function: Callable
    says: str = field(compare=False)


def exercise(
    *,
    minutes: int,
    difficulty: int,
    hints: tuple[str, ...],
    forbids: tuple[Callable, ...] = (),
    changes: tuple[str, ...] = (),
    returns_none: bool = False,
    limit: float = 10.0,
) -> Callable[[Callable], Exercise]:
    """Make an exercise of a check ``f(answer, reference)``: the exercise has the name of the check. See ``Exercise`` for the rest."""

    def make(check: Callable) -> Exercise:
        return Exercise(check.__name__, check, minutes, difficulty, hints, forbids, changes, returns_none, limit)

    return make


def wrong(exercise: str, says: str) -> Callable[[Callable], WrongAnswer]:
    """Enter a function into the bank of wrong answers of ``exercise``; its check must answer with the words ``says``."""
    return lambda function: WrongAnswer(exercise, function, says)
