"""``pytest lessons/04_masks``: the exercises of a lesson as pytest's items, checked just as ``check`` does in the notebook.

An exercise that is not attempted is skipped, a wrong one fails with the learner's message and without a traceback.
``lessons/conftest.py`` hands the hook to pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minprune.course.facts import Exercise, Result, Wrong
from minprune.course.lesson import CourseError, Lesson
from minprune.course.report import describe
from minprune.course.runner import check_lesson

RESULTS = pytest.StashKey[dict[Path, dict[str, Result]]]()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A lesson's ``exercises.py`` holds its items; where a learner has deleted it, ``checks.py`` stands in and says so."""
    stands_in = file_path.name == "checks.py" and not file_path.with_name("exercises.py").exists()
    if (file_path.name == "exercises.py" or stands_in) and file_path.with_name("lesson.py").exists():
        return LessonFile.from_parent(parent, path=file_path)
    return None


class LessonFile(pytest.File):
    """A lesson; its items are its exercises."""

    def collect(self) -> Iterator[pytest.Item]:
        lesson = Lesson(self.path.parent)
        try:
            exercises = lesson.exercises
        except CourseError as error:
            yield BrokenLesson.from_parent(self, name=lesson.name, reason=str(error))
            return
        for exercise in exercises.values():
            yield ExerciseItem.from_parent(self, name=exercise.name, lesson=lesson, exercise=exercise)


class ToldItem(pytest.Item):
    """An item that fails with a message instead of a traceback."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return excinfo.value.message if isinstance(excinfo.value, Wrong) else super().repr_failure(excinfo, style)


class BrokenLesson(ToldItem):
    """Stands for the exercises of a lesson whose checks cannot be loaded, so that other lessons are checked all the same."""

    def __init__(self, *, reason: str, **options: Any) -> None:
        super().__init__(**options)
        self.reason = reason

    def runtest(self) -> None:
        raise Wrong(f"The lesson itself is broken: {self.reason}")


class ExerciseItem(ToldItem):
    """An exercise; all chosen ones of a lesson are checked in one process, when the first of them is run."""

    def __init__(self, *, lesson: Lesson, exercise: Exercise, **options: Any) -> None:
        super().__init__(**options)
        self.lesson, self.exercise = lesson, exercise

    def runtest(self) -> None:
        found = self.session.stash.setdefault(RESULTS, {})
        if self.lesson.folder not in found:
            items = [item for item in self.session.items if isinstance(item, ExerciseItem)]
            chosen = [item.name for item in items if item.lesson.folder == self.lesson.folder]
            found[self.lesson.folder] = {result.exercise: result for result in check_lesson(self.lesson, chosen)}
        result = found[self.lesson.folder][self.name]
        if result.state == "not attempted":
            pytest.skip(result.message or f"{self.name} is not attempted yet")
        if result.state == "wrong":
            raise Wrong(describe(result, self.lesson))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.lesson.name}: {self.name}"
