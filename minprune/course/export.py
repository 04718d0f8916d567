"""A lesson's exercises as an assignment for nbgrader: a notebook with a solution cell and a graded test cell for each.

nbgrader takes away what stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` when it releases the assignment; the marks in
``lesson.py`` are its own. The test cells call ``assess``, which runs the course's checks on the function defined in the notebook.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minprune import backend
from minprune.course.answer import Answers
from minprune.course.lesson import Lesson, find_course
from minprune.course.report import describe
from minprune.course.source import read_cells
from minprune.course.worker import check_answer


def assess(lesson_name: str, name: str, function: Callable) -> None:
    """Check a function that was defined in a notebook; an AssertionError with the learner's message unless it is right.

    The lesson is that of ``MINPRUNE_LESSONS`` or of the repository this package is run from, not one handed in beside the notebook.

    Args:
        lesson_name: such as "04_masks".
        name: of the exercise.
        function: the answer.
    """
    lesson = find_course(Path(__file__).parent).find(lesson_name)
    exercise = lesson.find_exercise(name)
    code = getattr(inspect.unwrap(function), "__code__", None)
    answers = Answers(Path(code.co_filename if code else "notebook"), {name: function}, ())
    with backend.using("numpy"):  # as `minprune check` does: nothing is compiled while a kernel's time runs
        result = check_answer(lesson, exercise, answers)
    assert result.state == "right", describe(result, lesson, file="its cell")


def nbgrader_notebook(lesson: Lesson) -> Any:
    """The assignment as a notebook (nbformat 4.5) with nbgrader's metadata, schema version 3; an exercise gives a point per minute."""
    from nbformat import v4

    parts = read_cells(lesson)
    shared = "".join(part.text for part in parts if part.kind == "shared").rstrip()
    cells = [_locked(v4.new_markdown_cell(f"# {lesson.title}"), "title"), _locked(v4.new_code_cell(shared), "imports")]
    for part in parts:
        if part.kind == "exercise":
            solution = v4.new_code_cell(part.text.rstrip())
            solution.metadata["nbgrader"] = _marks(part.name, solution=True)
            test = v4.new_code_cell(f'from minprune.course.export import assess\n\nassess("{lesson.name}", "{part.name}", {part.name})')
            points = lesson.exercises[part.name].minutes
            test.metadata["nbgrader"] = _marks(f"{part.name}_check", grade=True, locked=True, points=points)
            cells += [solution, test]
    for number, made in enumerate(cells):
        made["id"] = f"assignment-{number:03d}"
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _locked(cell: Any, name: str) -> Any:
    cell.metadata["nbgrader"] = _marks(name, locked=True)
    return cell


def _marks(name: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: int | None = None) -> dict[str, Any]:
    marks = {"grade": grade, "grade_id": name, "locked": locked, "schema_version": 3, "solution": solution, "task": False}
    return marks if points is None else marks | {"points": points}
