"""From the one source of a lesson to everything a learner sees: notebook, skeleton and solution.

``lesson.py`` is a notebook in jupytext's percent format, after a header of a few lines. Its cells are told apart by tags:

    # %% [markdown]                 text, for the notebook
    # %%                            code, for the notebook
    # %% tags=["shared"]            imports that exercises need, for exercises.py and solution.py
    # %% tags=["exercise"]          one function: with its solution in solution.py, without it in exercises.py; in the notebook a call of check

What lies between the lines ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is the solution; the skeleton raises NotImplementedError there.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

from minprune.course.lesson import CourseError, Lesson

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION\n", re.DOTALL | re.MULTILINE)
STARS = ("●○○", "●●○", "●●●")


@dataclass(frozen=True)
class Generated:
    """The texts generated from one lesson."""

    notebook: str
    skeleton: str
    solution: str


def generate(lesson: Lesson) -> Generated:
    """Read ``lesson.py`` and make the notebook, the skeleton and the solution.

    Raises:
        CourseError: an exercise cell that does not hold exactly one function with a docstring and one solution, or exercises that are not those
            of ``checks.py`` in its order.
    """
    import jupytext

    source = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
    body = source.split("# ---\n", 2)[2]
    cells: list[dict[str, Any]] = []
    shared: list[str] = []
    skeletons: list[str] = []
    solutions: list[str] = []
    names: list[str] = []
    for cell in jupytext.reads(body, fmt="py:percent").cells:
        tags = cell.metadata.get("tags", [])
        text = cell.source.strip("\n") + "\n"
        if "shared" in tags:
            shared.append(text)
        elif "exercise" in tags:
            name, task = _read_exercise(lesson, text)
            names.append(name)
            skeletons.append(SOLUTION.sub(rf'\1raise NotImplementedError("write {name} here")\n', text))
            solutions.append(SOLUTION.sub(r"\2", text))
            cells += [_markdown(_task(lesson, name, task, len(names))), _code(f'check("{name}")')]
        else:
            cells.append(_markdown(text) if cell.cell_type == "markdown" else _code(text))
    if names != list(lesson.exercises):
        raise CourseError(f"{lesson.name}: lesson.py has the exercises {names}, checks.py has {list(lesson.exercises)}")
    for number, made in enumerate(cells):
        made["id"] = f"{lesson.name.split('_')[0]}-{number:03d}"
    files = ("\n\n".join([_opening(lesson, kind) + "\n" + "".join(shared), *texts]) for kind, texts in (("skeleton", skeletons), ("solution", solutions)))
    return Generated(_notebook(cells), *files)


def _read_exercise(lesson: Lesson, text: str) -> tuple[str, str]:
    """Name and docstring of an exercise cell's function."""
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or not ast.get_docstring(functions[0]) or len(SOLUTION.findall(text)) != 1:
        raise CourseError(f"{lesson.name}: an exercise cell should hold one function with a docstring and one marked solution; got\n{text}")
    return functions[0].name, str(ast.get_docstring(functions[0]))


def _opening(lesson: Lesson, kind: str) -> str:
    number = lesson.name.split("_")[0]
    if kind == "solution":
        return f'"""Lesson {number}, {lesson.title}: the reference solution. Generated from lesson.py by `make lessons`."""\n'
    return (
        f'"""Lesson {number}, {lesson.title}: your answers go into this file.\n\n'
        f"Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:\n\n"
        f"    minprune check {number}           # all exercises of this lesson\n"
        f"    minprune check {number} --hint    # the next hint\n"
        f'    minprune check {number} --reset   # start again; your file is kept beside\n"""\n'
    )


def _task(lesson: Lesson, name: str, docstring: str, number: int) -> str:
    exercise = lesson.exercises[name]
    first = docstring.split("\n\n")[0].replace("\n", " ")
    return (
        f"### Exercise {number}: `{name}`\n\n"
        f"{STARS[exercise.difficulty - 1]} about {exercise.minutes} minutes\n\n"
        f"{first}\n\nWrite it in [exercises.py](exercises.py), save, and run this cell. Stuck? `hint(\"{name}\")`.\n"
    )


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _lines(text)}


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").splitlines(keepends=True)


def _notebook(cells: list[dict[str, Any]]) -> str:
    """A notebook of format 4.5 as Jupyter itself would write it, so that opening and saving it changes nothing."""
    ordered = [{key: cell[key] for key in ("cell_type", "execution_count", "id", "metadata", "outputs", "source") if key in cell} for cell in cells]
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return json.dumps({"cells": ordered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"
