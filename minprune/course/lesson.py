"""Where the course lies, and what belongs to a lesson.

A course is a folder of lesson folders ``NN_title``. A lesson folder holds what its author writes (``lesson.py``, the one source of all
texts; ``checks.py``; ``wrong_answers.py``) and what is generated from it (the notebook, ``exercises.py``, ``solution.py``).
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from minprune.course.facts import Exercise, WrongAnswer
from minprune.errors import check_name

NAME = re.compile(r"\d\d_\w+")
COURSE_MAP = "README.md"


class CourseError(ValueError):
    """A lesson that cannot be used: a file of it is missing or broken, or its files do not fit together."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback: the message, which says all."""
        return [str(self)]


class UsageError(CourseError):
    """A course, lesson or exercise that is not there, or wishes that do not go together: a mistake of whoever asks."""


@dataclass(frozen=True)
class Lesson:
    """A lesson's folder, and what it says about itself in the first lines of ``lesson.py``."""

    folder: Path

    @property
    def name(self) -> str:
        """Number and short title, such as ``04_masks``: the folder's name."""
        return self.folder.name

    @property
    def number(self) -> str:
        """The two digits that the folder's name begins with, such as ``04``."""
        return self.name.partition("_")[0]

    @property
    def exercises_path(self) -> Path:
        """The file that the learner writes."""
        return self.folder / "exercises.py"

    @property
    def notebook_path(self) -> Path:
        """The generated notebook."""
        return self.folder / f"{self.name}.ipynb"

    @cached_property
    def header(self) -> dict[str, str]:
        """The lines ``# key: value`` between the first two ``# ---`` of ``lesson.py``: title, minutes, difficulty, needs, afterwards."""
        source = (self.folder / "lesson.py").read_text(encoding="utf-8")
        match = re.match(r"# ---\n(.*?)# ---\n", source, re.DOTALL)
        if match is None:
            raise CourseError(f"{self.folder / 'lesson.py'} should begin with a header between two lines '# ---'")
        pairs = [line.removeprefix("#").split(":", 1) for line in match[1].splitlines()]
        found = {key.strip(): value.strip() for key, value in pairs}
        missing = {"title", "minutes", "difficulty", "needs", "afterwards"} - found.keys()
        if missing:
            raise CourseError(f"the header of {self.folder / 'lesson.py'} lacks {', '.join(sorted(missing))}")
        if not found["minutes"].isdecimal() or found["difficulty"] not in ("1", "2", "3"):
            raise CourseError(f"the header of {self.folder / 'lesson.py'} should give minutes as a number and a difficulty of 1, 2 or 3")
        return found

    @property
    def title(self) -> str:
        """In words, such as "Masks"."""
        return self.header["title"]

    @property
    def minutes(self) -> int:
        """How long the whole lesson takes a learner, exercises included."""
        return int(self.header["minutes"])

    @property
    def difficulty(self) -> int:
        """1, 2 or 3."""
        return int(self.header["difficulty"])

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        """The exercises of ``checks.py`` by name, in their order."""
        return {v.name: v for v in vars(self._module("checks")).values() if isinstance(v, Exercise)}

    @cached_property
    def reference(self) -> ModuleType:
        """The reference solution."""
        return self._module("solution")

    @cached_property
    def wrong_answers(self) -> list[WrongAnswer]:
        """The bank of wrong answers."""
        return [v for v in vars(self._module("wrong_answers")).values() if isinstance(v, WrongAnswer)]

    def find_exercise(self, name: str) -> Exercise:
        """The exercise ``name``; UsageError, with a suggestion, if there is none."""
        exercises = self.exercises
        try:
            return exercises[check_name(f"exercise of {self.name}", name, exercises)]
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from error

    def _module(self, name: str) -> ModuleType:
        path = self.folder / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"lesson_{self.name}_{name}", path)
        if spec is None or spec.loader is None or not path.exists():
            raise CourseError(f"{path} is missing")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise CourseError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
        return module


@dataclass(frozen=True)
class Course:
    """A folder of lessons."""

    folder: Path

    @cached_property
    def lessons(self) -> list[Lesson]:
        """All lessons, in their order."""
        return [Lesson(path) for path in sorted(self.folder.iterdir()) if NAME.fullmatch(path.name) and (path / "lesson.py").exists()]

    def find(self, name: str) -> Lesson:
        """The lesson with this number or name: "4", "04", "masks" or "04_masks"."""
        for lesson in self.lessons:
            title = lesson.name.partition("_")[2]
            if name.strip("/") in (lesson.name, lesson.number, title) or (name.isdigit() and int(name) == int(lesson.number)):
                return lesson
        raise UsageError(f"no lesson {name!r} in {self.folder}; there are {', '.join(lesson.name for lesson in self.lessons)}")


def find_course(start: Path | None = None) -> Course:
    """The course around ``start`` (by default the current folder), or else that of the repository this package is run from.

    Raises:
        UsageError: there is none; ``MINPRUNE_LESSONS`` may name its folder.
    """
    named = os.environ.get("MINPRUNE_LESSONS")
    if named:
        course = Course(Path(named).resolve())
        if not course.folder.is_dir() or not course.lessons:
            raise UsageError(f"MINPRUNE_LESSONS names {named}, where there are no lessons")
        return course
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        for candidate in (folder, folder / "lessons"):
            if candidate.is_dir() and Course(candidate).lessons:
                return Course(candidate)
    raise UsageError(
        f"found no lessons around {here}; they come with the project's repository: work in a clone of it, or set MINPRUNE_LESSONS"
    )
