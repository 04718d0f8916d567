"""The same checks through every door: the notebook, pytest, the command line, nbgrader's cells."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from typer.testing import CliRunner

from minprune.cli import app
from minprune.course import execute, explore, notebook, show
from minprune.course.build import BEGIN, write_map
from minprune.course.export import assess, nbgrader_notebook
from minprune.course.lesson import Course, CourseError, Lesson, find_course
from minprune.course.runner import check_lesson

HALF = """
def double(values):
    return 2 * values


def clear(values, below):
    values[:] = 0


def mask(values):
    raise NotImplementedError
"""


@pytest.fixture
def half(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """One exercise right, one wrong, one not attempted; the current folder is the lesson's."""
    lesson.exercises_path.write_text(HALF, encoding="utf-8")
    monkeypatch.chdir(lesson.folder)
    return lesson


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    return " ".join(result.output.split())


# ---- the notebook


def test_check_in_a_notebook(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    for name in half.exercises:
        notebook.check(name)
    said = capsys.readouterr().out
    assert "✔ double: right." in said
    assert "✗ clear: wrong.\n  the array after the call should be [0., 0., 3.]; yours is [0., 0., 0.]." in said
    assert "… mask: not attempted." in said


def test_use_takes_the_learners_own_only_if_it_passes(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    assert notebook.use("double").__code__.co_filename == str(half.exercises_path)
    assert notebook.use("clear").__code__.co_filename == str(half.folder / "solution.py")
    assert notebook.use("03_tiny/mask").__code__.co_filename == str(half.folder / "solution.py")
    said = capsys.readouterr().out
    assert "using your own double" in said
    assert "USING THE REFERENCE for clear: yours does not pass its check." in said
    assert "USING THE REFERENCE for mask: yours is not written yet." in said


def test_a_saved_file_is_checked_anew(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.check("double")
    half.exercises_path.write_text(HALF.replace("2 * values", "3 * values"), encoding="utf-8")
    notebook.check("double")
    said = capsys.readouterr().out
    assert "✔ double: right." in said
    assert "✗ double: wrong." in said


def test_hints_come_one_after_another_and_begin_again(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        notebook.hint("double")
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["Think of 2.", "2 * values", "Think of 2."]
    (half.folder / ".hints.json").write_text("{", encoding="utf-8")
    with pytest.raises(CourseError, match="is damaged"):
        notebook.hint("double")


def test_outside_of_a_lesson_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="expected to run in a lesson's folder"):
        notebook.check("double")


def test_a_figure_has_its_description_and_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython import display
    from matplotlib.figure import Figure

    shown: list[Any] = []
    monkeypatch.setattr(display, "display", lambda *args, **kwargs: shown.append((args, kwargs)))
    show(Figure(), alt="an empty figure", table=pd.DataFrame({"x": [1.5]}))
    assert shown[0][0][0]._repr_mimebundle_()[1]["image/png"]["alt"] == "an empty figure"
    assert "1.5" in shown[1][0][0].data
    with pytest.raises(ValueError, match="expected a description"):
        show(Figure(), alt=" ")


def test_a_slider_comes_with_a_picture_for_where_no_widgets_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import ipywidgets
    from IPython import display
    from matplotlib.figure import Figure

    shown: list[Any] = []
    drawn: list[float] = []
    monkeypatch.setattr(display, "display", lambda *args, **kwargs: shown.append((args, kwargs)))

    def draw(value: float) -> Figure:
        drawn.append(value)
        figure = Figure()
        figure.subplots().plot([0, value])
        return figure

    explore(draw, [0.0, 0.5, 0.9], "sparsity", alt="a line", start=0.5)
    bundle = shown[0][0][0]
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    assert drawn == [0.5]
    widgets = ipywidgets.Widget._all_widgets if hasattr(ipywidgets.Widget, "_all_widgets") else ipywidgets.widgets.widget._instances
    slider = next(w for w in widgets.values() if isinstance(w, ipywidgets.SelectionSlider))
    picture = next(w for w in widgets.values() if isinstance(w, ipywidgets.Image))
    before = picture.value
    slider.value = 0.9
    assert drawn == [0.5, 0.9]
    assert picture.value != before
    for values, start, alt in (([], None, "x"), ([0.1], 0.2, "x"), ([0.1], None, "")):
        with pytest.raises(ValueError, match="expected"):
            explore(draw, values, "sparsity", alt=alt, start=start)


# ---- whole notebooks


def test_both_editions_of_a_notebook_run(course: Course, tmp_path: Path) -> None:
    for edition in execute.EDITIONS:
        copies = execute.copy_course(course, tmp_path / edition, edition)
        done = execute.execute(copies.lessons[0], edition)
        assert done.complaints == []
        assert "[2. 2.]" in str(done.notebook)


def test_what_is_wrong_with_a_notebook_is_told(course: Course, tmp_path: Path) -> None:
    source = course.lessons[0].folder / "lesson.py"
    source.write_text(source.read_text(encoding="utf-8") + "\n\n# %%\nimport sys\n\nprint('careful', file=sys.stderr)\n", encoding="utf-8")
    copies = execute.copy_course(course, tmp_path / "copies", "learner")
    assert execute.execute(copies.lessons[0], "learner").complaints == ["on standard error: careful\n"]
    complaints = execute.execute(copies.lessons[0], "solution").complaints  # the skeletons do not pass
    assert "no '✔ double: right.' in the output" in complaints
    assert "the reference was used where the learner's own function passes" in complaints


# ---- pytest


def run_pytest(course: Course, *arguments: str) -> str:
    (course.folder / "conftest.py").write_text("from minprune.course.door import pytest_collect_file\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments]
    return subprocess.run(command, cwd=course.folder, capture_output=True, text=True).stdout


def test_pytest_has_an_item_per_exercise(half: Lesson, course: Course) -> None:
    said = run_pytest(course, "03_tiny")
    assert "1 failed, 1 passed, 1 skipped" in said
    assert "the array after the call should be [0., 0., 3.]; yours is [0., 0., 0.]." in said
    assert "mask is not attempted yet" in said
    assert "Traceback" not in said
    assert "worker.py" not in said
    assert "1 passed, 2 deselected" in run_pytest(course, "03_tiny", "-k", "double")
    half.exercises_path.unlink()
    assert "3 failed" in run_pytest(course, "03_tiny")


# ---- the command line


@pytest.mark.usefixtures("half")
def test_the_course_in_a_table() -> None:
    said = run("check")
    assert "03_tiny" in said
    assert "✔ ✗ …" in said
    assert "1 of 3 exercises are right." in said


@pytest.mark.usefixtures("half")
def test_a_lesson_and_one_exercise() -> None:
    assert "1 of 3 right." in run("check", "03", code=1)
    assert run("check", "tiny", "double").endswith("✔ double: right. 1 of 1 right.")
    assert "✗" not in run("check", "3", "mask")


@pytest.mark.usefixtures("half")
def test_hints_on_the_command_line() -> None:
    assert run("check", "03", "--hint") == "Hint 1 of 2 for clear: Index with a mask."
    assert run("check", "03", "mask", "--hint") == "Hint 1 of 2 for mask: Compare."


def test_the_solution_is_shown_after_passing_or_by_name(half: Lesson) -> None:
    said = run("check", "03", "--solution")
    assert "clear" not in said
    assert "values[values < below] = 0" in run("check", "03", "clear", "--solution")
    half.exercises_path.write_text("", encoding="utf-8")
    assert "Nothing of 03_tiny is right yet." in run("check", "03", "--solution")
    half.exercises_path.write_text("def double(:\n", encoding="utf-8")
    assert isinstance(CliRunner().invoke(app, ["check", "03", "double", "--solution"]).exception, CourseError)


def test_reset_keeps_the_answers(half: Lesson) -> None:
    assert "kept your answers in" in run("check", "03", "--reset")
    assert (half.folder / "exercises-kept-1.py").read_text(encoding="utf-8") == HALF
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
    assert isinstance(result.exception, CourseError)
    assert message in str(result.exception)


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
        half.exercises_path.write_text(HALF.replace("    raise NotImplementedError", "    return values > 0"), encoding="utf-8")
        while "2 of 3 right" not in "".join(said) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()
        listener.join()
        worker.stdout.close()
    assert "2 of 3 right" in "".join(said)


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


# ---- teachers


def test_grading_a_class(half: Lesson, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_in = tmp_path / "handed_in"
    (handed_in / "ada").mkdir(parents=True)
    (handed_in / "blaise" / half.name).mkdir(parents=True)
    (handed_in / "ada" / f"{half.name}.py").write_text((half.folder / "solution.py").read_text(encoding="utf-8"), encoding="utf-8")
    (handed_in / "blaise" / half.name / "exercises.py").write_text(HALF, encoding="utf-8")
    (handed_in / "nobody").mkdir()
    monkeypatch.chdir(course.folder)
    said = run("teach", "grade", str(handed_in), "--out", str(tmp_path / "grades.csv"))
    assert "15 of 15" in said
    assert "5 of 15" in said
    grades = pd.read_csv(tmp_path / "grades.csv")
    assert grades.groupby("learner")["points"].sum().to_dict() == {"ada": 15, "blaise": 5}
    assert grades["state"].tolist() == ["right"] * 3 + ["right", "wrong", "not attempted"]


def test_an_assignment_for_nbgrader(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.folder)
    out = tmp_path / "assignment.ipynb"
    assert "3 exercises, 15 points" in run("teach", "export", "03", "--out", str(out))
    assignment = nbformat.read(out, as_version=4)
    nbformat.validate(assignment)
    marks = [cell.metadata["nbgrader"] for cell in assignment.cells]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    assert {mark["schema_version"] for mark in marks} == {3}
    assert [(m["grade_id"], m["points"]) for m in marks if m["grade"]] == [("double_check", 5), ("clear_check", 5), ("mask_check", 5)]
    assert [m["grade_id"] for m in marks if m["solution"]] == ["double", "clear", "mask"]
    assert all(mark["locked"] for mark in marks if not mark["solution"])
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    NotebookClient(assignment, timeout=60, kernel_name="python3").execute()  # with the solutions, all tests pass


def test_an_unsolved_assignment_fails_with_the_learners_message(half: Lesson, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    assignment = nbgrader_notebook(half)
    for cell in assignment.cells:
        cell.source = cell.source.replace("return 2 * values", "return values * values")
    NotebookClient(assignment, timeout=60, kernel_name="python3", allow_errors=True).execute()
    errors = {cell.source.split()[-1]: o.evalue for cell in assignment.cells for o in cell.get("outputs", []) if o.output_type == "error"}
    assert list(errors) == ["double)"]
    assert "That is the square." in errors["double)"]


def test_an_assignment_is_checked_by_the_graders_lessons(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINPRUNE_LESSONS", raising=False)
    monkeypatch.chdir(course.folder)  # as if the learner had handed in a course of their own
    with pytest.raises(CourseError, match="no lesson '03_tiny'"):
        assess("03_tiny", "double", lambda values: values)


@pytest.mark.parametrize("right", [lambda values: 2 * values, functools.partial(lambda factor, values: factor * values, 2)])
def test_an_assignment_takes_any_callable(right: Any, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    assess("03_tiny", "double", right)


def test_what_is_no_answer_is_told_where_it_belongs(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    exec("def double(values): raise NotImplementedError", namespace := {})
    with pytest.raises(AssertionError, match="Write it in its cell"):
        assess("03_tiny", "double", namespace["double"])
    with pytest.raises(AssertionError, match="double should be a function"):
        assess("03_tiny", "double", 2)


def test_a_notebook_is_written_as_jupyter_would_write_it(lesson: Lesson) -> None:
    text = lesson.notebook_path.read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.reads(text, as_version=4)) + "\n" == text
    assert "BEGIN SOLUTION" not in text
    assert "2 * values" not in json.dumps(text)
