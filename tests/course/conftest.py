"""A course of one small lesson, for tests of the machinery that must not depend on the real lessons."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from minprune.course.build import write_lesson
from minprune.course.facts import Result
from minprune.course.lesson import Course, Lesson
from minprune.course.runner import check_lesson

HERE = Path(__file__).parent


@pytest.fixture
def course(tmp_path: Path) -> Course:
    folder = tmp_path / "lessons"
    shutil.copytree(HERE / "tiny_course", folder, ignore=shutil.ignore_patterns("__pycache__"))
    found = Course(folder)
    for lesson in found.lessons:
        write_lesson(lesson)
    return found


@pytest.fixture
def lesson(course: Course) -> Lesson:
    return course.find("tiny")


@pytest.fixture
def check_text(lesson: Lesson) -> Callable[[str], dict[str, Result]]:
    """Write a learner's file, check it in a process of its own, and return the results by name."""

    def check(text: str) -> dict[str, Result]:
        lesson.exercises_path.write_text(text, encoding="utf-8")
        return {result.exercise: result for result in check_lesson(lesson)}

    return check
