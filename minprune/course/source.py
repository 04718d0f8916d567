"""From the one source of a lesson to everything a learner sees: notebook, skeleton and solution.

``lesson.py`` is a notebook in jupytext's percent format, after a header of a few lines. Its cells are told apart by tags:

    # %% [markdown]                 text, for the notebook
    # %%                            code, for the notebook
    # %% tags=["shared"]            imports that exercises need, for exercises.py and solution.py
    # %% tags=["exercise"]          one function: with its solution in solution.py, without in exercises.py; in the notebook a check

Between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` lies the solution; the skeleton raises NotImplementedError there.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from minprune.course.lesson import CourseError, Lesson

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION\n", re.DOTALL | re.MULTILINE)
SKELETON = re.compile(r'^[ \t]*raise NotImplementedError\("write \w+ here"\)\n', re.MULTILINE)
STARS = ("●○○", "●●○", "●●●")


@dataclass(frozen=True)
class Cell:
    """A cell of ``lesson.py``: its kind, its text, and for an exercise the name and the task (the docstring's first paragraph)."""

    kind: Literal["markdown", "code", "shared", "exercise"]
    text: str
    name: str = ""
    task: str = ""


@dataclass(frozen=True)
class Generated:
    """The texts generated from one lesson."""

    notebook: str
    skeleton: str
    solution: str


def read_cells(lesson: Lesson) -> list[Cell]:
    """The cells of ``lesson.py`` in their order.

    Raises:
        CourseError: an exercise cell that does not hold exactly one function with a docstring and one solution, or exercises that are not
            those of ``checks.py`` in its order.
    """
    import jupytext

    body = (lesson.folder / "lesson.py").read_text(encoding="utf-8").split("# ---\n", 2)[2]
    cells = []
    for cell in jupytext.reads(body, fmt="py:percent").cells:
        tags, text = cell.metadata.get("tags", []), cell.source.strip("\n") + "\n"
        if not text.strip():
            continue  # what stands before the first mark
        if "exercise" in tags:
            cells.append(_read_exercise(lesson, text))
        else:
            cells.append(Cell("shared" if "shared" in tags else cell.cell_type, text))
    names = [cell.name for cell in cells if cell.kind == "exercise"]
    if names != list(lesson.exercises):
        raise CourseError(f"{lesson.name}: lesson.py has the exercises {names}, checks.py has {list(lesson.exercises)}")
    return cells


def generate(lesson: Lesson) -> Generated:
    """Make the notebook, the skeleton and the solution of ``lesson.py``; raises CourseError as ``read_cells`` does."""
    shared, skeletons, solutions, cells = "", [], [], []
    for cell in read_cells(lesson):
        if cell.kind == "shared":
            shared += cell.text
        elif cell.kind == "exercise":
            skeletons.append(SOLUTION.sub(rf'\1raise NotImplementedError("write {cell.name} here")\n', cell.text))
            solutions.append(SOLUTION.sub(r"\2", cell.text))
            cells += [_markdown(_task(lesson, cell, len(skeletons))), _code(f'check("{cell.name}")')]
        else:
            cells.append(_markdown(cell.text) if cell.kind == "markdown" else _code(cell.text))
    for number, made in enumerate(cells):
        made["id"] = f"{lesson.number}-{number:03d}"
    skeleton = "\n\n".join([_opening(lesson.number, lesson.title, "skeleton") + "\n" + shared, *skeletons])
    solution = "\n\n".join([_opening(lesson.number, lesson.title, "solution") + "\n" + shared, *solutions])
    return Generated(_notebook(cells), skeleton, solution)


def fault(lesson: Lesson) -> str:
    """What keeps the files of a lesson from being generated, or "" if nothing does; other lessons need not wait for it."""
    try:
        generate(lesson)
    except Exception as error:
        return str(error) if isinstance(error, CourseError) else f"{lesson.folder / 'lesson.py'}: {type(error).__name__}: {error}"
    return ""


def is_untouched(answers: str, solution: str) -> bool:
    """Whether ``answers`` is the skeleton that was generated together with ``solution``, whatever the lesson says by now.

    It is if it has the skeleton's opening, each of its functions still raises, and all else is the solution's, letter by letter.
    """
    head = re.match(r'"""Lesson (\d\d), (.*): the reference solution\..*\n', solution)
    opening = _opening(head[1], head[2], "skeleton") if head else ""
    pieces = SKELETON.split(answers.removeprefix(opening))
    if head is None or not answers.startswith(opening) or len(pieces) - 1 != len(re.findall("^def ", answers, re.MULTILINE)):
        return False
    return re.fullmatch(".*?".join(map(re.escape, pieces)), solution[head.end() :], re.DOTALL) is not None


def _read_exercise(lesson: Lesson, text: str) -> Cell:
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or not ast.get_docstring(functions[0]) or len(SOLUTION.findall(text)) != 1:
        raise CourseError(f"{lesson.name}: an exercise cell should hold one function with a docstring and one marked solution; got\n{text}")
    task = str(ast.get_docstring(functions[0])).split("\n\n")[0].replace("\n", " ")
    return Cell("exercise", text, functions[0].name, task)


def _opening(number: str, title: str, kind: str) -> str:
    if kind == "solution":
        return f'"""Lesson {number}, {title}: the reference solution. Generated from lesson.py by `make lessons`."""\n'
    return (
        f'"""Lesson {number}, {title}: your answers go into this file.\n\n'
        f"Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:\n\n"
        f"    minprune check {number}           # all exercises of this lesson\n"
        f"    minprune check {number} --hint    # the next hint\n"
        f'    minprune check {number} --reset   # start again; your file is kept beside\n"""\n'
    )


def _task(lesson: Lesson, cell: Cell, number: int) -> str:
    exercise = lesson.exercises[cell.name]
    return (
        f"### Exercise {number}: `{cell.name}`\n\n"
        f"{STARS[exercise.difficulty - 1]} about {exercise.minutes} minutes\n\n"
        f'{cell.task}\n\nWrite it in [exercises.py](exercises.py), save, and run this cell. Stuck? `hint("{cell.name}")`.\n'
    )


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _lines(text)}


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").splitlines(keepends=True)


def _notebook(cells: list[dict[str, Any]]) -> str:
    """A notebook of format 4.5 as Jupyter itself would write it, so that opening and saving it changes nothing."""
    ordered = [
        {key: cell[key] for key in ("cell_type", "execution_count", "id", "metadata", "outputs", "source") if key in cell} for cell in cells
    ]
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return json.dumps({"cells": ordered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"
