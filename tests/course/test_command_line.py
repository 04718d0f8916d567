"""``minprune check``: what it prints, what it keeps, and its exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from minprune.cli import app, main
from minprune.course.build import BEGIN, write_map
from minprune.course.lesson import Course, CourseError, Lesson, UsageError, find_course
from minprune.course.runner import check_lesson

Run = Callable[..., str]


@pytest.mark.usefixtures("half")
def test_the_course_in_a_table(run: Run) -> None:
    said = run("check", code=1)
    assert "03_tiny" in said
    assert "✔ ✗ …" in said
    assert "1 of 3 exercises are right." in said


def test_the_course_fails_if_an_answer_is_wrong_and_only_then(half: Lesson, run: Run) -> None:
    half.exercises_path.write_text(
        half.exercises_path.read_text(encoding="utf-8").replace("values[:] = 0", "values[values < below] = 0"), encoding="utf-8"
    )
    assert "✔ ✔ …" in run("check", code=0)


@pytest.mark.usefixtures("half")
def test_a_lesson_and_one_exercise(run: Run) -> None:
    assert "1 of 3 right." in run("check", "03", code=1)
    assert run("check", "tiny", "double").endswith("✔ double: right. 1 of 1 right.")
    assert "✗" not in run("check", "3", "mask")


@pytest.mark.usefixtures("half")
def test_hints_on_the_command_line(run: Run) -> None:
    assert run("check", "03", "--hint") == "Hint 1 of 2 for clear: Index with a mask."
    assert run("check", "03", "mask", "--hint") == "Hint 1 of 2 for mask: Compare."


def test_the_solution_is_shown_after_passing_or_by_name(half: Lesson, run: Run) -> None:
    said = run("check", "03", "--solution")
    assert "clear" not in said
    assert "values[values < below] = 0" in run("check", "03", "clear", "--solution")
    long = "def double(values):\n    # why\n    return " + " + ".join(["values"] * 20) + "\n"
    half.exercises_path.write_text(long, encoding="utf-8")
    shown = CliRunner().invoke(app, ["check", "03", "double", "--solution"], env={"COLUMNS": "80"}).output.splitlines()
    assert shown == [
        "--- yours",
        "+++ reference",
        " def double(values):",
        *(f"-{line}" for line in long.splitlines()[1:]),
        "+    return 2 * values",
    ]
    half.exercises_path.write_text("def double(values):\n    return 2 * values\n", encoding="utf-8")
    assert run("check", "03", "double", "--solution") == "double is the reference, letter by letter"
    half.exercises_path.write_text("", encoding="utf-8")
    assert "Nothing of 03_tiny is right yet." in run("check", "03", "--solution")
    half.exercises_path.write_text("def double(:\n", encoding="utf-8")
    failed = CliRunner().invoke(app, ["check", "03", "double", "--solution"]).exception
    assert isinstance(failed, CourseError)
    assert "line 1 of exercises.py, `def double(:`: invalid syntax" in str(failed)


def test_reset_keeps_the_answers(half: Lesson, run: Run) -> None:
    before = half.exercises_path.read_text(encoding="utf-8")
    assert "kept your answers in" in run("check", "03", "--reset")
    assert (half.folder / "exercises-kept-1.py").read_text(encoding="utf-8") == before
    assert [result.state for result in check_lesson(half)] == ["not attempted"] * 3
    assert "already as new" in run("check", "03", "--reset")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "--hint"), "--hint needs a lesson"),
        (("check", "77"), "no lesson '77' in"),
        (("check", "03", "dubble"), "did you mean 'double'"),
        (("check", "03", "--hint", "--reset"), "expected one of --hint, --reset at a time"),
        (("check", "03", "double", "--reset"), "leave the exercise out"),
        (("teach", "grade", "nowhere"), "expected a folder with one folder per learner"),
        (("teach", "grade", "."), "found no answers in"),
    ],
)
@pytest.mark.usefixtures("half")
def test_what_cannot_be_done_is_told(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check", "03", "double"), 0),
        (("check", "03", "mask"), 0),
        (("check", "03", "clear"), 1),
        (("check", "03", "dubble"), 2),
        (("check", "03", "--hint", "--reset"), 2),
        (("check", "--nothing-like-it"), 2),
        (("teach", "grade", "."), 2),
    ],
)
@pytest.mark.usefixtures("half")
def test_exit_codes(arguments: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["minprune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code


def test_help_shows_examples_and_exit_codes_each_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    helps = {
        name: [line.strip() for line in CliRunner().invoke(app, [name, "--help"]).output.splitlines()]
        for name in ("check", "lessons", "teach")
    }
    assert all("Examples" in lines for lines in helps.values())
    assert "minprune check 04 exact_k --hint      the next hint for it" in helps["check"]
    assert "2  a lesson, exercise or option that does not exist or does not fit" in helps["check"]
    assert "minprune lessons --no-browser  prints the address only" in helps["lessons"]
    assert "minprune teach grade handed_in --out marks.csv  a row per exercise" in helps["teach"]


def test_watching_checks_again_when_the_file_is_saved(half: Lesson) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "minprune", "check", "03", "--watch"], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert worker.stdout is not None
    said: list[str] = []
    listener = threading.Thread(target=lambda: said.extend(worker.stdout or []), daemon=True)
    try:
        time.sleep(0.1)
        listener.start()
        deadline = time.monotonic() + 60
        while "1 of 3 right" not in "".join(said) and time.monotonic() < deadline:
            time.sleep(0.1)
        half.exercises_path.write_text(
            half.exercises_path.read_text(encoding="utf-8").replace("    raise NotImplementedError", "    return values > 0"),
            encoding="utf-8",
        )
        while "2 of 3 right" not in "".join(said) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()
        listener.join()
        worker.stdout.close()
    assert "2 of 3 right" in "".join(said)
    assert len([line for line in said if re.fullmatch(r"─+ \d\d:\d\d:\d\d ─+", line.strip())]) == 2


def test_where_there_is_no_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_course(tmp_path).folder == Path(__file__).parents[2] / "lessons"  # an editable installation has its own
    monkeypatch.setenv("MINPRUNE_LESSONS", str(tmp_path))
    with pytest.raises(CourseError, match="MINPRUNE_LESSONS names"):
        find_course()


def test_the_course_map_lists_the_lessons(course: Course) -> None:
    path = course.folder / "README.md"
    path.write_text("no marks here", encoding="utf-8")
    with pytest.raises(CourseError, match="expected the lines"):
        write_map(course)
    path.write_text(f"before\n{BEGIN}\n<!-- end of the table -->\nafter\n", encoding="utf-8")
    assert write_map(course) == [path]
    text = path.read_text(encoding="utf-8")
    assert "| 03 | [Tiny](03_tiny/03_tiny.ipynb) | 15 | ●○○ | nothing | test the machinery |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert write_map(course) == []
