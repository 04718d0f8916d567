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
    """The unified difference from the learner's function to the reference; empty if they are the same text."""
    path = lesson.exercises_path
    mine = _function_lines(path.read_text(encoding="utf-8-sig"), exercise.name) if path.exists() else []
    reference = _function_lines((lesson.folder / "solution.py").read_text(encoding="utf-8"), exercise.name)
    return "\n".join(difflib.unified_diff(mine, reference, "yours", "reference", lineterm="", n=20))


def _function_lines(source: str, name: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise CourseError(f"line {error.lineno} of exercises.py has a syntax error, so that it cannot be compared: {error.msg}") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return source.splitlines()[node.lineno - 1 : node.end_lineno]
    return []
