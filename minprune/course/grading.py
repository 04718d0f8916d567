"""Grading many learners' files at once: the same checks, one row per learner and exercise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from minprune.course.lesson import Course, Lesson, UsageError
from minprune.course.runner import check_lesson

if TYPE_CHECKING:
    import pandas as pd


def grade(folder: Path, course: Course) -> pd.DataFrame:
    """Check all files that learners handed in.

    Args:
        folder: one folder per learner, in which a lesson's file is ``04_masks.py`` or ``04_masks/exercises.py``.
        course: the lessons.

    Returns:
        columns learner, lesson, exercise, state, points, of, message. A right answer gives a point per minute that the exercise takes.

    Raises:
        UsageError: the folder does not exist, or holds no file of any lesson.
    """
    import pandas as pd

    if not folder.is_dir():
        raise UsageError(f"expected a folder with one folder per learner; {folder} is none")
    rows = [
        {
            "learner": learner,
            "lesson": lesson.name,
            "exercise": result.exercise,
            "state": result.state,
            "points": lesson.exercises[result.exercise].minutes if result.state == "right" else 0,
            "of": lesson.exercises[result.exercise].minutes,
            "message": result.message,
        }
        for learner, lesson, path in _handed_in(folder, course)
        for result in check_lesson(lesson, path=path)
    ]
    if not rows:
        raise UsageError(f"found no answers in {folder}; expected files such as NAME/04_masks.py or NAME/04_masks/exercises.py")
    return pd.DataFrame(rows)


def _handed_in(folder: Path, course: Course) -> Iterator[tuple[str, Lesson, Path]]:
    for learner in sorted(path for path in folder.iterdir() if path.is_dir()):
        for lesson in course.lessons:
            for path in (learner / f"{lesson.name}.py", learner / lesson.name / "exercises.py"):
                if path.is_file():
                    yield learner.name, lesson, path
