"""The errors that minprune raises on bad input; each message names what was expected and what came."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = str(Path(__file__).parent)


class ShapeError(ValueError):
    """Arrays whose shapes do not fit together."""


class NonFiniteError(ValueError):
    """NaN or infinity where a finite number is needed; the message names the parameter."""


class CheckpointError(ValueError):
    """A file that is not a complete, unaltered minprune checkpoint."""


class DataError(RuntimeError):
    """A data set that could not be found, fetched or read; the message says how to place it by hand."""


class BackendError(RuntimeError):
    """The kernels were asked for, and numba does not work."""


class BenchError(RuntimeError):
    """A contestant of a benchmark failed in its process."""


def callers_level() -> int:
    """The ``stacklevel`` at which a warning, given by who asks, points at the line outside this package that led there."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    return level


def check_name(kind: str, name: object, known: Iterable[str]) -> str:
    """``name`` if it is one of ``known``, else a ValueError that lists them and suggests the nearest."""
    names = list(known)
    if isinstance(name, str) and name in names:
        return name
    if not isinstance(name, str):
        raise TypeError(f"{kind} must be a string, one of {', '.join(names)}; got {type(name).__name__}")
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = f"; did you mean {next(n for n in names if n.lower() == near[0])!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(names)}{hint}")
