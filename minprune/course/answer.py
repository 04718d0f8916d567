"""A learner's file, and a learner's function, handled with care.

``load_answers`` reads a file of which any part may be broken: what can run, runs, and what cannot is reported with its line. ``Answer``
wraps a function so that a check can call it as if nothing could go wrong: an exception, a call of a forbidden library function, a change
of an argument and a forgotten ``return`` each become a message for the learner.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import difflib
import inspect
import io
import linecache
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from minprune.course.expect import as_text
from minprune.course.facts import Exercise, NotAttempted, Wrong
from minprune.tensor import Tensor


@dataclass(frozen=True)
class Problem:
    """Something in a learner's file that could not run.

    Attributes:
        line: where, counted from 1.
        message: what Python said, with the line's text.
        names: of the functions and variables that are missing because of it.
    """

    line: int
    message: str
    names: frozenset[str]


@dataclass(frozen=True)
class Answers:
    """What a learner's file defines, and what in it could not run."""

    path: Path
    names: dict[str, Any]
    problems: tuple[Problem, ...]

    def find(self, name: str) -> Callable:
        """The function ``name``; Wrong if the file has none, with the likely reason."""
        found = self.names.get(name)
        if callable(found):
            return found
        for problem in self.problems:
            if name in problem.names:
                raise Wrong(f"{self.path.name} has an error that hides {name}: {problem.message}")
        if found is not None:
            raise Wrong(f"{name} should be a function; in {self.path.name} it is of type {type(found).__name__}.")
        mine = [n for n, value in self.names.items() if inspect.isfunction(value) and value.__code__.co_filename == str(self.path)]
        near = difflib.get_close_matches(name, mine, n=1, cutoff=0.6)
        cause = f"It has {near[0]}: was it renamed?" if near else "Was it deleted or renamed?"
        if self.problems:
            raise Wrong(f"{self.path.name} has no function {name}, and not all of the file could run: {self.problems[0].message}")
        raise Wrong(f"{self.path.name} has no function {name}.", cause)


def load_answers(path: Path) -> Answers:
    """Run a learner's file statement by statement, so that one broken piece leaves the others usable.

    A syntax error costs only the top-level piece that it stands in. An import that fails costs only what needs it.
    """
    source = path.read_text(encoding="utf-8-sig")
    linecache.checkcache(str(path))
    module = ModuleType(f"exercises_of_{path.parent.name}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    problems: list[Problem] = []
    with contextlib.redirect_stdout(io.StringIO()):
        for piece in _pieces(source):
            try:
                tree = ast.parse(piece.text, str(path))
            except SyntaxError as error:
                problems.append(_problem(path, error.lineno or piece.start, f"{type(error).__name__}: {error.msg}", piece.names))
                continue
            for node in tree.body:
                try:
                    exec(compile(ast.Module([node], []), str(path), "exec"), module.__dict__)
                except Exception as error:
                    problems.append(
                        _problem(path, _line_in(error, path) or node.lineno, f"{type(error).__name__}: {error}", _defined(node))
                    )
    return Answers(path, module.__dict__, tuple(problems))


class Answer:
    """A learner's function, to be called by a check.

    Args:
        function: what the learner wrote.
        reference: the right one, whose parameters the answer must have.
        exercise: what the answer may and must not do.
        path: the learner's file, whose lines are told.
    """

    def __init__(self, function: Callable, reference: Callable, exercise: Exercise, path: Path) -> None:
        self.function, self.exercise, self.path = function, exercise, path
        self.printed = self.call = ""
        self.parameters = list(inspect.signature(reference).parameters)
        self._check_parameters()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; raises Wrong or NotAttempted for whatever goes wrong with it."""
        given = dict(zip(self.parameters, args, strict=False)) | kwargs
        before = {name: copy.deepcopy(_contents(value)) for name, value in given.items() if name not in self.exercise.changes}
        self.call = f"{self.exercise.name}({', '.join(f'{name}={as_text(value)}' for name, value in given.items())})"
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), self._forbidding():
                result = self.function(*args, **kwargs)
        except NotImplementedError as error:
            raise self._unwritten(error) from error
        except Wrong:
            raise
        except Exception as error:
            raise self.blame(error) from error
        finally:
            self.printed += output.getvalue()
        for name, value in before.items():
            if not _unchanged(value, _contents(given[name])):
                message = f"{self.exercise.name} should leave its argument {name} as it was; yours changes it in place."
                raise Wrong(message, _instead_of_changing(name, given[name]))
        if result is None and not self.exercise.returns_none:
            self._forgot_return(output.getvalue())
        return result

    def blame(self, error: BaseException) -> Wrong:
        """The learner's own exception, with the learner's own line and the last call."""
        line = _line_in(error, self.path)
        where = "" if line is None else f" in line {line} of {self.path.name}, `{_line_text(self.path, line)}`"
        call = f" The call: {self.call}" if self.call else ""
        said = f": {str(error).rstrip('.')}" if str(error) else ""
        return Wrong(f"{self.exercise.name} raised {type(error).__name__}{where}{said}.{call}")

    def _unwritten(self, error: NotImplementedError) -> Exception:
        """What a NotImplementedError means: nothing is written yet, here or in a function called, or the skeleton's line was left."""
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename != str(self.path) or "NotImplementedError" not in _line_text(self.path, line):
            return self.blame(error)
        if frame.f_code is not getattr(self.function, "__code__", None):
            return NotAttempted(f"{self.exercise.name} calls {frame.f_code.co_name}, which is not written yet.")
        if not _has_own_statements(self.function):
            return NotAttempted()
        message = f"{self.exercise.name} came to line {line} of {self.path.name}, `{_line_text(self.path, line)}`, and ended there."
        return Wrong(message, "The skeleton's line was left in. Delete that line; what the function finds, it should return.")

    def _check_parameters(self) -> None:
        mine = list(inspect.signature(self.function).parameters)
        if mine != self.parameters:
            raise Wrong(
                f"{self.exercise.name} should take ({', '.join(self.parameters)}); yours takes ({', '.join(mine)}).",
                "The check calls it with the skeleton's parameters; keep its first line as it was.",
            )

    def _forgot_return(self, printed: str) -> None:
        if printed.strip():
            raise Wrong(
                f"{self.exercise.name} printed {printed.strip().splitlines()[-1][:80]!r}, but it returned None.",
                "print shows a value to you; return hands it to whoever called the function.",
            )
        raise Wrong(f"{self.exercise.name} returned None.", "Does every way through the function end with return?")

    @contextlib.contextmanager
    def _forbidding(self) -> Iterator[None]:
        """While the answer runs, a call from the learner's file to a forbidden library function is an error that says so."""
        forbidden = {function.__code__: function.__name__ for function in self.exercise.forbids}

        def watch(frame: FrameType, event: str, _: Any) -> None:
            if event == "call" and frame.f_code in forbidden and frame.f_back and frame.f_back.f_code.co_filename == str(self.path):
                raise Wrong(
                    f"{self.exercise.name} calls the library's own {forbidden[frame.f_code]}.",
                    "That is the thing to write here: do it with NumPy, and you will know what is inside.",
                )

        previous = sys.getprofile()
        if forbidden:
            sys.setprofile(watch)
        try:
            yield
        finally:
            sys.setprofile(previous)


@dataclass(frozen=True)
class _Piece:
    start: int  # the line that it begins with, from 1
    text: str  # behind as many empty lines as stand before it, so that Python counts lines as the learner does
    names: tuple[str, ...]


def _problem(path: Path, line: int, what: str, names: Iterable[str]) -> Problem:
    return Problem(line, f"line {line}, `{_line_text(path, line)}`: {what}", frozenset(names))


def _pieces(source: str) -> list[_Piece]:
    """The whole file if Python can parse it; otherwise its top-level pieces, each from one unindented line to the next."""
    try:
        ast.parse(source)
        return [_Piece(1, source, ())]
    except SyntaxError:
        lines = source.splitlines()
    openers = ("def ", "class ", "import ", "from ", "@", "async def ")
    starts = [i for i, line in enumerate(lines) if line.startswith(openers) and not (i and lines[i - 1].startswith("@"))]
    bounds = sorted({0, *starts, len(lines)})
    found = []
    for start, end in pairwise(bounds):
        names = tuple(line.split("(")[0].split(":")[0].split()[-1] for line in lines[start:end] if line.startswith(("def ", "class ")))
        found.append(_Piece(start + 1, "\n" * start + "\n".join(lines[start:end]), names))
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _line_in(error: BaseException, path: Path) -> int | None:
    """The innermost line of ``path`` that an exception passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _line_text(path: Path, line: int) -> str:
    return linecache.getline(str(path), line).strip()


def _has_own_statements(function: Callable) -> bool:
    """Whether a function holds more than a docstring and one ``raise``."""
    body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body  # type: ignore[attr-defined]
    return len(body) > 1 + (ast.get_docstring(ast.Module(body, [])) is not None) or not isinstance(body[-1], ast.Raise)


def _instead_of_changing(name: str, argument: Any) -> str:
    """What to do rather than change an argument in place."""
    if isinstance(argument, dict):
        return f"Fill a new dictionary with new arrays: {name}.copy() is a new dictionary, but it holds the same arrays."
    if isinstance(argument, list):
        return f"Work on a copy ({name}.copy()), or use sorted(...)."
    return f"Work on a copy ({name}.copy()), or write a = a * b instead of a *= b."


def _contents(value: Any) -> Any:
    """The arrays in an argument, as far as one can see them from outside."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, dict):
        return {key: _contents(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_contents(item) for item in value]
    if hasattr(value, "state_dict"):
        return value.state_dict()
    return value if isinstance(value, (np.ndarray, int, float, str, bool)) else None


def _unchanged(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return (
            isinstance(after, np.ndarray)
            and before.dtype == after.dtype
            and np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
        )
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_unchanged(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    return before is after or before == after
