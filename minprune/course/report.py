"""Results as text: the same words in a notebook, in a terminal and from pytest, the message first."""

from __future__ import annotations

import textwrap

import numpy as np

from minprune.course.expect import as_text
from minprune.course.facts import SIGNS, Picture, Result
from minprune.course.lesson import Lesson

SHADES = " ░▒▓█"
ROWS, COLUMNS = 16, 36  # of an array drawn with characters: two of them fit beside one another on 80 columns


def describe(result: Result, lesson: Lesson, picture: bool = True, file: str = "exercises.py") -> str:
    """A result for a learner: the verdict, what came, the likely cause, a picture, and where to find a hint.

    Args:
        result: of checking an exercise.
        lesson: that the exercise belongs to.
        picture: draw the picture with characters; a notebook draws it better itself.
        file: where the answer belongs.
    """
    exercise, head = lesson.exercises[result.exercise], f"{SIGNS[result.state]} {result.exercise}: {result.state}"
    if result.state == "right":
        return f"{head}."
    if result.state == "not attempted" and result.message:
        return f"{SIGNS[result.state]} {result.exercise}: waiting.\n" + _fold(f"{result.message} Write that first, then check again.")
    if result.state == "not attempted":
        return _fold(f"{head}. Write it in {file} (about {exercise.minutes} minutes), save, and check again.", indent="")
    parts = [f"{head}.", _fold(result.message)]
    if result.cause:
        parts.append(_fold(f"Likely cause: {result.cause}"))
    if picture and result.picture:
        parts.append(draw(result.picture))
    if result.printed.strip():
        parts.append(_fold("It printed: " + " / ".join(result.printed.strip().splitlines()[-3:])))
    parts.append(_fold(f'Stuck? {len(exercise.hints)} hints: hint("{exercise.name}") in the notebook, or in a terminal'))
    parts.append(f"    minprune check {lesson.number} {exercise.name} --hint")
    return "\n".join(parts)


def draw(picture: Picture) -> str:
    """Both arrays of a picture in block characters with a legend, at most 36 columns and 16 rows of each."""
    whole = [np.atleast_2d(np.asarray(values, dtype=float)) for values in (picture.expected, picture.got)]
    arrays = [values[:ROWS, :COLUMNS] for values in whole]
    finite = [a[np.isfinite(a)] for a in arrays]
    low, high = min(f.min(initial=0) for f in finite), max(f.max(initial=1) for f in finite)
    blocks = []
    for title, values in zip(("expected", "yours"), arrays, strict=True):
        levels = (np.nan_to_num((values - low) / (high - low)).clip(0, 1) * (len(SHADES) - 1)).tolist()
        rows = ["".join(SHADES[round(level)] * (2 if values.shape[1] <= COLUMNS // 2 else 1) for level in row) for row in levels]
        width = max(len(title), len(rows[0]))
        blocks.append([title.ljust(width), *(row.ljust(width) for row in rows)])
    lines = ["   ".join(pair).rstrip() for pair in zip(*blocks, strict=True)]
    lines.append(f"(blank is {as_text(low)}, █ is {as_text(high)}: the darker, the larger)")
    if whole[0].shape != arrays[0].shape:
        lines.append("(only the upper left corner is drawn)")
    return "\n".join(f"  {line}" for line in lines)


def _fold(text: str, indent: str = "  ") -> str:
    return textwrap.fill(text, 80, initial_indent=indent, subsequent_indent="  ", break_on_hyphens=False)
