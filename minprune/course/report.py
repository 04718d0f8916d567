"""Results as text: the same words in a notebook, in a terminal and from pytest, the message first."""

from __future__ import annotations

import textwrap

import numpy as np

from minprune.course.facts import SIGNS, Exercise, Picture, Result

SHADES = " ░▒▓█"


def describe(result: Result, exercise: Exercise, picture: bool = True, file: str = "exercises.py") -> str:
    """A result for a learner: the verdict, what came, the likely cause, a picture, and where to find a hint.

    Args:
        result: of checking ``exercise``.
        exercise: for its file and hints.
        picture: draw the picture with characters; a notebook draws it better itself.
        file: where the answer belongs.
    """
    head = f"{SIGNS[result.state]} {result.exercise}: {result.state}"
    if result.state == "right":
        return f"{head}."
    if result.state == "not attempted":
        return f"{head}. Write it in {file} (about {exercise.minutes} minutes), save, and check again."
    parts = [f"{head}.", _fold(result.message)]
    if result.cause:
        parts.append(_fold(f"Likely cause: {result.cause}"))
    if picture and result.picture:
        parts.append(draw(result.picture))
    if result.printed.strip():
        parts.append(_fold("It printed: " + " / ".join(result.printed.strip().splitlines()[-3:])))
    parts.append(
        f"  Stuck? There are {len(exercise.hints)} hints: hint({result.exercise!r}) in the notebook, or `minprune check` with --hint."
    )
    return "\n".join(parts)


def draw(picture: Picture) -> str:
    """Both arrays of a picture in block characters, dark where the values are large; at most 40 columns and 16 rows of each."""
    arrays = [np.atleast_2d(np.asarray(values, dtype=float))[:16, :40] for values in (picture.expected, picture.got)]
    finite = [a[np.isfinite(a)] for a in arrays]
    low, high = min(f.min(initial=0) for f in finite), max(f.max(initial=1) for f in finite)
    blocks = []
    for title, values in zip(("expected", "yours"), arrays, strict=True):
        levels = (np.nan_to_num((values - low) / (high - low)).clip(0, 1) * (len(SHADES) - 1)).tolist()
        rows = ["".join(SHADES[round(level)] * (2 if values.shape[1] <= 20 else 1) for level in row) for row in levels]
        width = max(len(title), len(rows[0]))
        blocks.append([title.ljust(width), *(row.ljust(width) for row in rows)])
    return "\n".join("  " + "   ".join(pair).rstrip() for pair in zip(*blocks, strict=True))


def _fold(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="  ")
