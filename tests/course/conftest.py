"""A course of one small lesson, for tests of the machinery that must not depend on the real lessons."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from minprune.cli import app
from minprune.course.build import write_lesson
from minprune.course.facts import Result
from minprune.course.lesson import Course, Lesson
from minprune.course.runner import check_lesson

HERE = Path(__file__).parent
HALF = """
def double(values):
    return 2 * values


def clear(values, below):
    values[:] = 0


def mask(values):
    raise NotImplementedError
"""


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


@pytest.fixture
def half(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """One exercise right, one wrong, one not attempted; the current folder is the lesson's."""
    lesson.exercises_path.write_text(HALF, encoding="utf-8")
    monkeypatch.chdir(lesson.folder)
    return lesson


@pytest.fixture
def run() -> Callable[..., str]:
    """Run the command line, expect the exit code ``code``, and return what it printed with single spaces."""

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output + repr(result.exception)
        return " ".join(result.output.split())

    return invoke
