"""What a lesson's notebook calls: ``check``, ``hint``, ``use`` and ``show``.

``check("exact_k")`` runs the same checks as a terminal does, on the learner's ``exercises.py``. ``use("exact_k")`` gives the learner's own
function if it passes, and otherwise the reference, and says so. ``show(figure, alt=…)`` displays a figure with its alternative text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minprune.course.answer import load_answers
from minprune.course.facts import Picture, Result
from minprune.course.lesson import Lesson, UsageError, find_course
from minprune.course.progress import next_hint
from minprune.course.report import describe
from minprune.course.runner import check_lesson
from minprune.course.widgets import png

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_results: dict[tuple[Path, str, bytes], Result] = {}  # of the answers checked in this notebook, until a file changes


def check(name: str) -> None:
    """Check the exercise ``name`` and print the verdict; a picture is drawn where the answer is a mask, an image or a curve."""
    lesson, exercise_name = _find(name)
    result = _checked(lesson, exercise_name)
    print(describe(result, lesson, picture=False))
    if result.picture:
        show(_draw(result.picture), alt=f"The expected result of {exercise_name} beside yours.")


def hint(name: str) -> None:
    """Print the next hint for the exercise ``name``."""
    lesson, exercise_name = _find(name)
    print(next_hint(lesson, lesson.find_exercise(exercise_name)))


def use(name: str) -> Callable:
    """The learner's own function ``name`` if it passes its check, else the reference, with a notice.

    Args:
        name: of an exercise in this lesson, or in another one: ``"04_masks/exact_k"``.
    """
    lesson, exercise_name = _find(name)
    result = _checked(lesson, exercise_name)
    if result.state == "right":
        print(f"✔ using your own {exercise_name} from here on")
        return load_answers(lesson.exercises_path.resolve()).find(exercise_name)
    where = "" if lesson.folder == Path.cwd().resolve() else f" (lesson {lesson.name})"
    reason = "does not pass its check" if result.state == "wrong" else "waits for another" if result.message else "is not written yet"
    print(f"▶▶ USING THE REFERENCE for {exercise_name}: yours{where} {reason}.")
    return getattr(lesson.reference, exercise_name)


def show(figure: Figure, alt: str, table: pd.DataFrame | None = None) -> None:
    """Display a figure with its alternative text, and its data in a table that unfolds below.

    Args:
        figure: a matplotlib figure; it is drawn sharp enough for a screen of high resolution, and closed.
        alt: what the figure shows, for those who do not see it.
        table: the numbers that were drawn.
    """
    import html

    from IPython.display import HTML, Image, display

    if not alt.strip():
        raise ValueError("expected a description of the figure as alt text, got an empty one")
    pixels = figure.get_figwidth() * 100
    display(Image(png(figure), width=int(pixels), alt=alt))
    if table is not None:
        shown = table.to_html(index=False, float_format=lambda value: f"{value:.4g}", border=0)
        display(HTML(f"<details><summary>The numbers in a table</summary>{shown}</details><p hidden>{html.escape(alt)}</p>"))


def _find(name: str) -> tuple[Lesson, str]:
    lesson_name, _, exercise = name.rpartition("/")
    if lesson_name:
        return find_course().find(lesson_name), exercise
    lesson = Lesson(Path.cwd().resolve())
    if not (lesson.folder / "lesson.py").exists():
        raise UsageError(f"expected to run in a lesson's folder, such as lessons/04_masks; this is {lesson.folder}")
    return lesson, exercise


def _checked(lesson: Lesson, name: str) -> Result:
    path = lesson.exercises_path
    key = (path, name, path.read_bytes() if path.exists() else b"")
    if key not in _results:
        _results[key] = check_lesson(lesson, [name])[0]
    return _results[key]


def _draw(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    from minprune import plots

    expected, got = np.asarray(picture.expected), np.asarray(picture.got)
    with plots.style():
        if expected.ndim == 1:
            figure = Figure(figsize=(6, 3), layout="constrained")
            axes: Any = figure.subplots()
            axes.plot(expected, "o-", label="expected")
            axes.plot(got, "s--", label="yours")
            axes.legend()
            return figure
        figure = Figure(figsize=(6, 3), layout="constrained")
        for axes, values, title in zip(figure.subplots(1, 2), (expected, got), ("expected", "yours"), strict=True):
            axes.imshow(values, cmap="gray_r", vmin=min(expected.min(), 0), vmax=max(expected.max(), 1))
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
    return figure
