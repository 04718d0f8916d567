"""The same checks through every door: the notebook, pytest, the command line, nbgrader's cells."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from minprune.course import execute, explore, notebook, show
from minprune.course.export import assess, nbgrader_notebook
from minprune.course.lesson import Course, CourseError, Lesson

Run = Callable[..., str]
UNWRITTEN = """
def double_all(values):
    raise NotImplementedError
"""


# ---- the notebook


def test_check_in_a_notebook(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    for name in half.exercises:
        notebook.check(name)
    said = capsys.readouterr().out
    assert "✔ double: right." in said
    assert "✗ clear: wrong.\n  the array after the call should be [0.0, 0.0, 3.0]; yours is [0.0, 0.0, 0.0]." in said
    assert 'Stuck? 2 hints: hint("clear") in the notebook, or in a terminal\n    minprune check 03 clear --hint\n' in said
    assert "… mask: not attempted." in said


def test_use_takes_the_learners_own_only_if_it_passes(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    assert notebook.use("double").__code__.co_filename == str(half.exercises_path)
    assert notebook.use("clear").__code__.co_filename == str(half.folder / "solution.py")
    assert notebook.use("03_tiny/mask").__code__.co_filename == str(half.folder / "solution.py")
    said = capsys.readouterr().out
    assert "using your own double" in said
    assert "USING THE REFERENCE for clear: yours does not pass its check." in said
    assert "USING THE REFERENCE for mask: yours is not written yet." in said
    half.exercises_path.write_text(
        half.exercises_path.read_text(encoding="utf-8").replace("    raise NotImplementedError", "    return double_all(values)\n")
        + UNWRITTEN,
        encoding="utf-8",
    )
    notebook.use("mask")
    assert "USING THE REFERENCE for mask: yours waits for another." in capsys.readouterr().out


def test_a_saved_file_is_checked_anew(half: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.check("double")
    half.exercises_path.write_text(half.exercises_path.read_text(encoding="utf-8").replace("2 * values", "3 * values"), encoding="utf-8")
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


def test_a_name_that_no_exercise_has_is_told_without_a_traceback(half: Lesson) -> None:
    cells = [nbformat.v4.new_code_cell(f"from minprune.course import check, use\n{call}") for call in ("check('dubble')", "use('09/x')")]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=60, kernel_name="python3", allow_errors=True)
    client.resources = {"metadata": {"path": str(half.folder)}}
    outputs = [cell.outputs[0] for cell in client.execute().cells]
    assert outputs[0].traceback == ["unknown exercise of 03_tiny 'dubble': expected one of double, clear, mask; did you mean 'double'?"]
    assert outputs[1].traceback[0].startswith("no lesson '09' in ")


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
        if value == 0:
            raise KeyError("order")
        figure = Figure()
        figure.subplots().plot([0, value])
        return figure

    explore(draw, [0.0, 0.5, 0.9], "sparsity", alt="a line", start=0.5)
    slider_bundle, still_bundle = (args[0] for args, _ in shown)
    assert "application/vnd.jupyter.widget-view+json" in slider_bundle
    assert {"image/png", "text/plain"} == still_bundle.keys()  # of its own, so that it stays where the slider cannot be shown
    assert drawn == [0.5]
    widgets = ipywidgets.Widget._all_widgets if hasattr(ipywidgets.Widget, "_all_widgets") else ipywidgets.widgets.widget._instances
    slider = next(w for w in widgets.values() if isinstance(w, ipywidgets.SelectionSlider))
    picture = next(w for w in widgets.values() if isinstance(w, ipywidgets.Image))
    before = picture.value
    slider.value = 0.9
    assert drawn == [0.5, 0.9]
    assert picture.value != before
    trouble = next(w for w in widgets.values() if isinstance(w, ipywidgets.Label))
    slider.value = 0.0
    assert trouble.value == "The figure could not be drawn: KeyError: 'order'"
    slider.value = 0.5
    assert trouble.value == ""
    for values, start, alt in (([], None, "x"), ([0.1], 0.2, "x"), ([0.1], None, "")):
        with pytest.raises(ValueError, match="expected"):
            explore(draw, values, "sparsity", alt=alt, start=start)


# ---- whole notebooks


def test_both_editions_of_a_notebook_run(course: Course, tmp_path: Path) -> None:
    for edition in execute.EDITIONS:
        copies = execute.copy_lessons(course.lessons, tmp_path / edition, edition)
        done = execute.execute(copies.lessons[0], edition)
        assert done.complaints == []
        assert "[2. 2.]" in str(done.notebook)


def test_what_is_wrong_with_a_notebook_is_told(course: Course, tmp_path: Path) -> None:
    source = course.lessons[0].folder / "lesson.py"
    source.write_text(source.read_text(encoding="utf-8") + "\n\n# %%\nimport sys\n\nprint('careful', file=sys.stderr)\n", encoding="utf-8")
    copies = execute.copy_lessons(course.lessons, tmp_path / "copies", "learner")
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
    assert "the array after the call should be [0.0, 0.0, 3.0]; yours is [0.0, 0.0, 0.0]." in said
    assert "mask is not attempted yet" in said
    assert "Traceback" not in said
    assert "worker.py" not in said
    assert "1 passed, 2 deselected" in run_pytest(course, "03_tiny", "-k", "double")
    half.exercises_path.unlink()
    assert "3 failed" in run_pytest(course, "03_tiny")


def test_pytest_checks_the_other_lessons_when_one_is_broken(half: Lesson, course: Course) -> None:
    shutil.copytree(half.folder, course.folder / "02_broken")
    (course.folder / "02_broken" / "checks.py").write_text("import numpie\n", encoding="utf-8")
    said = run_pytest(course, ".")
    assert "2 failed, 1 passed, 1 skipped" in said
    assert "The lesson itself is broken: " in said
    assert "No module named 'numpie'" in said
    assert "Traceback" not in said


def test_a_learner_who_calls_pytest_is_not_told_durations() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "lessons/00_bonsai", "-k", "keep_count"]
    said = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True).stdout
    assert "1 selected" in said
    assert "slowest" not in said


# ---- teachers


def test_grading_a_class(half: Lesson, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    handed_in = tmp_path / "handed_in"
    (handed_in / "ada").mkdir(parents=True)
    (handed_in / "blaise" / half.name).mkdir(parents=True)
    (handed_in / "ada" / f"{half.name}.py").write_text((half.folder / "solution.py").read_text(encoding="utf-8"), encoding="utf-8")
    (handed_in / "blaise" / half.name / "exercises.py").write_text(half.exercises_path.read_text(encoding="utf-8"), encoding="utf-8")
    (handed_in / "nobody").mkdir()
    monkeypatch.chdir(course.folder)
    said = run("teach", "grade", str(handed_in), "--out", str(tmp_path / "grades.csv"))
    assert "15 of 15" in said
    assert "5 of 15" in said
    grades = pd.read_csv(tmp_path / "grades.csv")
    assert grades.groupby("learner")["points"].sum().to_dict() == {"ada": 15, "blaise": 5}
    assert grades["state"].tolist() == ["right"] * 3 + ["right", "wrong", "not attempted"]


def test_an_assignment_for_nbgrader(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
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

    def double(values: Any) -> Any:
        raise NotImplementedError

    with pytest.raises(AssertionError, match="Write it in its cell"):
        assess("03_tiny", "double", double)
    with pytest.raises(AssertionError, match="double should be a function"):
        assess("03_tiny", "double", 2)


def test_a_notebook_is_written_as_jupyter_would_write_it(lesson: Lesson) -> None:
    text = lesson.notebook_path.read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.reads(text, as_version=4)) + "\n" == text
    assert "BEGIN SOLUTION" not in text
    assert "2 * values" not in json.dumps(text)
