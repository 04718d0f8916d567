"""From Python functions to machine code: compiled when first called, kept on disk, run on one thread or on all.

A kernel is written once, as a loop over independent tasks with ``prange``, and compiled in two forms: ``parallel`` spreads the tasks over
the threads, ``serial`` does them one after another. A call takes the first where that is allowed, else the second.

Compiled code is kept in a folder whose name is a digest of these sources: numba itself would notice a change in the file of a kernel, but
not in a file that it calls into.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from minprune import parallel
from minprune.version import __version__

ANY_ORDER = {"reassoc", "contract"}  # of additions: sums run in vectors; NaN and infinity stay what they are
WORTH_SHARING = 20_000  # nanoseconds of work

if "OMP_WAIT_POLICY" not in os.environ:
    # GNU's OpenMP lets a thread that waits for another spin for milliseconds. Where another program has the other's core, every launch
    # then takes as long (measured: 5 ms instead of 0.002); after about half a millisecond it had better sleep and give its core away.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``NUMBA_CACHE_DIR``, else beside the sources, else the user's cache; None if none can be written."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    content = b"".join(path.read_bytes() for path in sources) + numba.__version__.encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    given = os.environ.get("NUMBA_CACHE_DIR")
    for place in [Path(given)] if given else [Path(__file__).parent / "__pycache__", Path(home) / "minprune"]:
        folder = place / f"kernels-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    warnings.warn(
        "no folder for compiled kernels can be written, so they are compiled anew in every process (about 15 s); "
        "set NUMBA_CACHE_DIR to a folder that can",
        stacklevel=2,
    )
    return None


@cache
def _announce() -> None:
    """Say once what is taking so long, when nothing has been compiled for this machine yet."""
    folder = cache_folder()
    if folder is None or not any(folder.rglob("*.nbi")):
        print(
            f"minprune {__version__}: compiling kernels for this processor; that happens once and takes about 15 s",
            file=sys.stderr,
            flush=True,
        )


def _compile(function: Callable[..., None], form: str, fastmath: set[str]) -> Any:
    """``function`` in the given form, with its own folder in the cache (numba's index does not tell the two forms apart)."""
    folder = cache_folder()
    kept, config.CACHE_DIR = config.CACHE_DIR, str(folder / form) if folder else config.CACHE_DIR
    try:
        return numba.njit(parallel=form == "parallel", nogil=True, cache=folder is not None, error_model="numpy", fastmath=fastmath)(
            function
        )
    finally:
        config.CACHE_DIR = kept


class Kernel:
    """A function of flat arrays and numbers, in its serial and its parallel form; see ``kernel``."""

    def __init__(self, function: Callable[..., None], fastmath: set[str]) -> None:
        self.__doc__ = function.__doc__
        self.serial = _compile(function, "serial", fastmath)
        self._parallel = _compile(function, "parallel", fastmath)

    def __call__(self, *arguments: Any, work: float = math.inf) -> None:
        """Run on all threads, or on one where the ``work`` (in nanoseconds of one core, roughly) is not worth waking the others."""
        _announce()
        if work < WORTH_SHARING or not parallel.may_run_parallel():
            self.serial(*arguments)
            return
        _tell_numba(parallel.threads())
        if _pool_is_shared():
            self._parallel(*arguments)
            return
        with parallel.pool_lock:
            self._parallel(*arguments)


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a kernel of a function that writes its results into arrays it is given, in a ``prange`` over independent tasks."""
    return Kernel(function, fastmath=set())


def summing_kernel(function: Callable[..., None]) -> Kernel:
    """The same for a function whose sums may be taken in any order, so that they run in vectors. NaN and infinity stay what they are."""
    return Kernel(function, fastmath=ANY_ORDER)


def inline(function: Callable[..., Any]) -> Any:
    """A helper that kernels call."""
    return numba.njit(nogil=True, error_model="numpy")(function)


def summing_inline(function: Callable[..., Any]) -> Any:
    """A helper whose sums may be taken in any order; see ``summing_kernel``."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=ANY_ORDER)(function)


_told = threading.local()


def _tell_numba(n: int) -> None:
    """How many threads to use; numba keeps that per Python thread, and so does what it was told last."""
    if getattr(_told, "threads", None) != n:
        numba.set_num_threads(n)
        _told.threads = n


def _pool_is_shared() -> bool:
    """Whether several Python threads may be in the thread pool at once; unknown, and so no, before its first use."""
    try:
        return _shared_layer()
    except ValueError:
        return False


@cache
def _shared_layer() -> bool:
    return numba.threading_layer() != "workqueue"
