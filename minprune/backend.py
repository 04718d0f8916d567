"""Which implementation of the hot operations runs: ``plain`` NumPy, short enough to teach, or ``fast`` numba kernels.

The two packages have modules of the same names with functions of the same names, and the tests hold them equal. ``MINPRUNE_BACKEND`` says
which to take: "auto" (the default: kernels where numba works, else NumPy with one warning), "numba" (kernels, or an error) or "numpy".
The kernels know float32; everything else, such as gradient checks in float64, runs in NumPy.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import ModuleType

import numpy as np

from minprune.errors import BackendError, callers_level, check_name

BACKENDS = ("auto", "numba", "numpy")
_override: ContextVar[str | None] = ContextVar("backend", default=None)


class BackendWarning(UserWarning):
    """numba is missing or broken, and NumPy does its work."""


def name() -> str:
    """The backend asked for: by ``using``, else by MINPRUNE_BACKEND when the first operation ran, else "auto"."""
    return _override.get() or _from_environment()


@cache
def _from_environment() -> str:
    return check_name("MINPRUNE_BACKEND", os.environ.get("MINPRUNE_BACKEND") or "auto", BACKENDS)


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Inside this block, take ``backend``: for tests and for comparisons within one run. Other threads go on with theirs, new ones too."""
    token = _override.set(check_name("backend", backend, BACKENDS))
    try:
        yield
    finally:
        _override.reset(token)


@cache
def numba_fault() -> str:
    """Why the kernels cannot run, or "" if they can."""
    try:
        importlib.import_module("minprune.kernels.micro")
    except Exception as error:  # a broken numba or llvmlite fails in many ways, and NumPy can do the work in all of them
        return f"{type(error).__name__}: {error}"
    return "NUMBA_DISABLE_JIT is set" if importlib.import_module("numba.core.config").DISABLE_JIT else ""


def kernels_run() -> bool:
    """Whether the kernels are to be taken.

    Raises:
        BackendError: the backend is "numba", but numba does not work.
    Warns:
        BackendWarning: once, where the backend is "auto" and numba does not work.
    """
    wanted = name()
    if wanted == "numpy":
        return False
    fault = numba_fault()
    if fault and wanted == "numba":
        raise BackendError(f"MINPRUNE_BACKEND is 'numba', but numba does not work ({fault}); mend it, or set MINPRUNE_BACKEND=numpy")
    if fault:
        _warn_once(fault)
    return not fault


@cache
def _warn_once(fault: str) -> None:
    warnings.warn(
        f"numba does not work ({fault}): NumPy does all the work. What is lost: training is several times slower, and sparse engines "
        "run as ordinary matrix products, no faster for their zeros. pip install numba mends it; MINPRUNE_BACKEND=numpy silences this.",
        BackendWarning,
        stacklevel=callers_level(),
    )


def implementation(family: str, dtype: np.dtype) -> ModuleType:
    """``minprune.fast.<family>`` or ``minprune.plain.<family>``, whichever is to work on arrays of ``dtype``."""
    return _module("fast" if dtype == np.float32 and kernels_run() else "plain", family)


@cache
def _module(package: str, family: str) -> ModuleType:
    return importlib.import_module(f"minprune.{package}.{family}")
