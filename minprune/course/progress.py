"""Hints one after another, and the difference between an answer and the reference.

The only thing that is stored about a learner is how many hints of an exercise were asked for, in ``.hints.json`` beside the exercises.
Progress itself is never stored: it is recomputed from the answers.
"""

from __future__ import annotations

import ast
import difflib
import json

from minprune.course.facts import Exercise
from minprune.course.lesson import CourseError, Lesson
from minprune.files import write_text


def next_hint(lesson: Lesson, exercise: Exercise) -> str:
    """The next hint, with its number; after the last one it begins again at the first."""
    path = lesson.folder / ".hints.json"
    try:
        seen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        number = int(seen.get(exercise.name, 0)) % len(exercise.hints)
    except (ValueError, AttributeError) as error:
        raise CourseError(f"{path} is damaged ({error}); delete it, and the hints begin again") from error
    write_text(path, json.dumps(seen | {exercise.name: number + 1}) + "\n")
    return f"Hint {number + 1} of {len(exercise.hints)} for {exercise.name}: {exercise.hints[number]}"


def solution_difference(lesson: Lesson, exercise: Exercise) -> str:
    """What changes from the learner's function to the reference, line by line and docstrings apart; empty if they are the same text."""
    path = lesson.exercises_path
    mine = _function_lines(path.read_text(encoding="utf-8-sig"), exercise.name) if path.exists() else []
    reference = _function_lines((lesson.folder / "solution.py").read_text(encoding="utf-8"), exercise.name)
    changes = difflib.unified_diff(mine, reference, "yours", "reference", lineterm="", n=len(reference) + len(mine))
    return "\n".join(line for line in changes if not line.startswith("@@"))  # the line numbers would be those of no file


def _function_lines(source: str, name: str) -> list[str]:
    """The lines of a function without its docstring."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno} of exercises.py, `{(error.text or '').strip()}`"
        raise CourseError(f"{where}: {error.msg}; as long as Python cannot read the file, it cannot be compared") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            told = range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1) if ast.get_docstring(node) else ()
            lines = enumerate(source.splitlines()[: node.end_lineno], start=1)
            return [line for number, line in lines if number >= node.lineno and number not in told]
    return []
