"""What authors run: a lesson that is broken does not stop the others, and what learners have written outlives a new build."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minprune.course import build, execute
from minprune.course.build import BEGIN, END, write_lesson
from minprune.course.lesson import Course, Lesson
from minprune.course.source import fault, generate, is_untouched

BREAKS = {
    "checks.py": (
        "import numpy as np\n",
        "import numpie as np\n",
        "checks.py cannot be run: ModuleNotFoundError: No module named 'numpie'",
    ),
    "lesson.py": ("# minutes: 15\n", "# minutes: many\n", "should give minutes as a number"),
}


@pytest.fixture(params=BREAKS)
def broken(request: pytest.FixtureRequest, course: Course, monkeypatch: pytest.MonkeyPatch) -> tuple[Course, str]:
    """Two lessons, of which the first is broken, and what is to be said about it."""
    shutil.copytree(course.folder / "03_tiny", course.folder / "02_broken")
    path = course.folder / "02_broken" / request.param
    right, wrong, reason = BREAKS[request.param]
    path.write_text(path.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    (course.folder / "README.md").write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    return Course(course.folder), reason


def test_the_others_are_built(broken: tuple[Course, str], capsys: pytest.CaptureFixture[str]) -> None:
    course, reason = broken
    (course.folder / "03_tiny" / "solution.py").unlink()
    assert build.main() == 1
    printed = capsys.readouterr()
    assert reason in printed.err
    assert (course.folder / "03_tiny" / "solution.py").exists()
    assert str(course.folder / "03_tiny" / "solution.py") in printed.out
    shutil.rmtree(course.folder / "02_broken")
    assert build.main() == 0
    assert f"wrote {course.folder / 'README.md'}" in capsys.readouterr().out


def test_the_others_are_executed(broken: tuple[Course, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["execute", "--edition", "learner"])
    assert execute.main() == 1
    said = capsys.readouterr().out
    assert "broken  02_broken" in said
    assert broken[1] in said
    assert "learner   03_tiny" in said
    monkeypatch.setattr(sys, "argv", ["execute", "--edition", "learner", "03"])
    assert execute.main() == 0


def test_the_others_are_checked(broken: tuple[Course, str], run: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    said = run("check", code=1)
    assert "02_broken broken" in said
    assert "… … …" in said
    assert "0 of 3 exercises are right." in said
    assert broken[1] in " ".join((said + capsys.readouterr().err).split())


def test_a_fault_is_told_in_one_line(lesson: Lesson) -> None:
    assert fault(lesson) == ""
    path = lesson.folder / "lesson.py"
    path.write_text(path.read_text(encoding="utf-8").replace("return 2 * values", "return 2 * (values"), encoding="utf-8")
    assert fault(Lesson(lesson.folder)).startswith(f"{path}: SyntaxError: '(' was never closed")


# ---- a new build


def change_the_lesson(lesson: Lesson) -> None:
    """New words and another solution, as authors change a lesson."""
    path = lesson.folder / "lesson.py"
    text = path.read_text(encoding="utf-8").replace("# title: Tiny", "# title: Small").replace("Return twice `values`.", "Double `values`.")
    path.write_text(text.replace("return 2 * values", "return values + values"), encoding="utf-8")


def kept(lesson: Lesson) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(lesson.folder.glob("exercises-kept-*.py"))]


def test_an_untouched_skeleton_is_not_kept(lesson: Lesson) -> None:
    change_the_lesson(lesson)
    assert lesson.exercises_path in write_lesson(Lesson(lesson.folder))
    assert "Double `values`." in lesson.exercises_path.read_text(encoding="utf-8")
    assert kept(lesson) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('raise NotImplementedError("write double here")', "return 2 * values"),  # letter by letter the reference
        ('raise NotImplementedError("write double here")', '# twice?\n    raise NotImplementedError("write double here")'),
        ('raise NotImplementedError("write double here")', 'raise NotImplementedError("later")'),
        ("import numpy as np", "import numpy as np\n# a note"),
        ("your answers go into this file.", "my answers."),
        ("values: array of floats.", "values: what I double."),
    ],
)
def test_whatever_a_learner_wrote_is_kept(lesson: Lesson, old: str, new: str) -> None:
    mine = lesson.exercises_path.read_text(encoding="utf-8").replace(old, new, 1)
    lesson.exercises_path.write_text(mine, encoding="utf-8")
    change_the_lesson(lesson)
    write_lesson(Lesson(lesson.folder))
    assert kept(lesson) == [mine]
    write_lesson(Lesson(lesson.folder))
    assert kept(lesson) == [mine]


def test_a_file_that_is_no_text_is_kept_as_it_is(lesson: Lesson) -> None:
    lesson.exercises_path.write_bytes(b"\xff\xfe\x00")
    write_lesson(lesson)
    assert (lesson.folder / "exercises-kept-1.py").read_bytes() == b"\xff\xfe\x00"


@pytest.mark.parametrize(
    "lesson", [pytest.param(e, id=e.name) for e in Course(Path(__file__).parents[2] / "lessons").lessons if not fault(e)]
)
def test_every_skeleton_is_known_as_untouched(lesson: Lesson) -> None:
    made = generate(lesson)
    assert is_untouched(made.skeleton, made.solution)
    assert not is_untouched(made.solution, made.solution)
    assert not is_untouched(made.skeleton, "")
