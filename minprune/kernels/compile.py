"""From Python functions to machine code: compiled when first called, kept on disk, run on one thread or on all.

A kernel is written once, as a loop over independent tasks with ``prange``, and compiled in two forms: ``parallel`` spreads the tasks over
the threads, ``serial`` does them one after another. A call takes the first where that is allowed, else the second.

What a task does is mostly written as a function ``apart``: machine code of its own, compiled once, that both forms call by its name. (A
helper that is merely inlined is optimised anew in everything it ends up in, which for a parallel loop is five layers of numba's.)

Compiled code is kept in a folder whose name is a digest of these sources: numba itself would notice a change in the file of a kernel, but
not in a file that it calls into.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import cgutils, config
from numba.core.errors import TypingError
from numba.extending import intrinsic

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
        "no folder for compiled kernels can be written, so they are compiled anew in every process (half a minute); "
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
            f"minprune {__version__}: compiling kernels for this processor; that happens once and takes half a minute or so",
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
        self._function, self._fastmath = function, fastmath

    @cached_property
    def serial(self) -> Any:
        """The form for one thread."""
        return self._form("serial")

    @cached_property
    def _parallel(self) -> Any:
        return self._form("parallel")

    def _form(self, form: str) -> Any:
        _load_apart(self._function)
        return _compile(self._function, form, self._fastmath)

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


def apart(*signatures: tuple[types.Type, ...]) -> Callable[[Callable[..., None]], Any]:
    """Make a function that kernels call, for arguments of these types, machine code of its own; see above."""

    def decorate(function: Callable[..., None]) -> Any:
        symbols = {signature: f"{function.__module__}.{function.__name__} {signature}" for signature in signatures}

        @cache
        def load() -> Any:
            """Compile it, or load it from the cache, and make its addresses known by their names."""
            _load_apart(function)
            dispatcher = _compile(function, "apart", set())
            for signature, symbol in symbols.items():
                dispatcher.compile(types.void(*signature))
                compiled = dispatcher.overloads[signature]
                llvm.add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
            return dispatcher  # keeps the machine code alive

        def call(typing: Any, *given: Any) -> Any:
            wanted = next((s for s in signatures if all(_fits(typing, g, w) for g, w in zip(given, s, strict=True))), None)
            if wanted is None:
                raise TypingError(f"{function.__name__} takes {' or '.join(map(str, signatures))}, got {given}")

            def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
                convention = context.call_conv
                prototype = convention.get_function_type(types.none, wanted)
                callee = cgutils.get_or_insert_function(builder.module, prototype, symbols[wanted])
                convention.call_function(builder, callee, types.none, wanted, values)
                return context.get_dummy_value()

            return types.void(*(g if _is_read_only(g, w) else w for g, w in zip(given, wanted, strict=True))), generate

        names = ("typing", *inspect.signature(function).parameters)
        call.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])  # type: ignore[attr-defined]
        callable_by_kernels = intrinsic(call)
        callable_by_kernels.load_apart, callable_by_kernels.__doc__ = load, function.__doc__
        return callable_by_kernels

    return decorate


def _load_apart(function: Callable[..., None]) -> None:
    """Load the functions apart that this one calls, itself or by helpers: its machine code will look them up by name."""
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if hasattr(called, "load_apart"):
            called.load_apart()
        elif hasattr(called, "py_func"):
            _load_apart(called.py_func)


def _fits(typing: Any, given: types.Type, wanted: types.Type) -> bool:
    return _is_read_only(given, wanted) or typing.can_convert(given, wanted) is not None


def _is_read_only(given: types.Type, wanted: types.Type) -> bool:
    """Whether they are the same kind of array, but that one may not be written to; which is the same to machine code."""
    return isinstance(given, types.Array) and not given.mutable and given.copy(readonly=False) == wanted


def inline(function: Callable[..., Any]) -> Any:
    """A helper that kernels call."""
    return numba.njit(nogil=True, error_model="numpy")(function)


def summing_inline(function: Callable[..., Any]) -> Any:
    """A helper whose sums may be taken in any order; see ``summing_kernel``."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=ANY_ORDER)(function)


# Types of arguments, for ``apart``: flat arrays of float32, int32, 16 bits and bytes, a matrix of int32, a mask; whole numbers, alone or
# several of them; a float32 number.
F, I, H, B, I2, MASK = types.float32[::1], types.int32[::1], types.uint16[::1], types.uint8[::1], types.int32[:, ::1], types.boolean[::1]
N, X = types.intp, types.float32
PAIR, FOUR = types.UniTuple(N, 2), types.UniTuple(N, 4)
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
