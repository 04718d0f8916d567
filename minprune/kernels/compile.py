"""From Python functions to machine code: compiled when first called, kept on disk, and shared between kernels.

What several kernels share can be a function ``apart``: machine code of its own, compiled once, that they call by its name (or by its
address, where only the program tells which; see ``engine``). A helper that is merely inlined is optimised anew in each.

Compiled code is kept in a folder whose name is a digest of these sources and the processor: numba itself would notice a change in the file
of a kernel, but not in a file that it calls into.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import cgutils, config
from numba.core.errors import TypingError
from numba.extending import intrinsic

from minprune.version import __version__

ANY_ORDER = {"reassoc", "contract"}  # of additions: sums run in vectors; NaN and infinity stay what they are
# Types of arguments, for ``apart``: flat arrays of float32, int32, 16 bits and bytes, a mask; whole numbers, alone or several of them; a
# float32 number.
F, I, H, B, MASK = types.float32[::1], types.int32[::1], types.uint16[::1], types.uint8[::1], types.boolean[::1]
N, X = types.intp, types.float32
PAIR, FOUR = types.UniTuple(N, 2), types.UniTuple(N, 4)

PICKLED = b"\x80"  # with which files of numba's cache begin

_cache_dir = threading.Lock()  # over numba's setting


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``NUMBA_CACHE_DIR``, else beside the sources, else the user's cache; None if none can be written."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    processor = f"{config.CPU_NAME or llvm.get_host_cpu_name()} {config.CPU_FEATURES or ''}"
    content = b"".join(path.read_bytes() for path in sources) + f"{numba.__version__} {processor}".encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    given = os.environ.get("NUMBA_CACHE_DIR")
    for place in [Path(given)] if given else [Path(__file__).parent / "__pycache__", Path(home) / "minprune"]:
        folder = place / f"kernels-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            _drop_if_broken(folder)
            return folder
        except OSError:
            continue
    warnings.warn(
        "no folder for compiled kernels can be written, so they are compiled anew in every process (half a minute in all); "
        "set NUMBA_CACHE_DIR to a folder that can",
        stacklevel=2,
    )
    return None


@cache
def _compiled_before() -> set[tuple[str, str]]:
    """(kind, "module.function-line") of what lay in the cache when this process began."""
    folder = cache_folder()
    found = folder.rglob("*.nbi") if folder else ()
    return {(path.relative_to(folder).parts[0], path.name.rpartition(".py")[0]) for path in found}


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


def _drop_if_broken(folder: Path) -> None:
    """Empty the folder if a power cut left files in it that are empty, or zeros: numba would stumble over them in every process."""
    kept = list(folder.rglob("*.nb[ci]"))
    try:
        whole = all(_first_byte(path) == PICKLED for path in kept)
    except FileNotFoundError:  # another process empties it
        return
    for path in [] if whole else kept:
        path.unlink(missing_ok=True)


@cache
def announce() -> None:
    """Say what is taking so long; once in a process."""
    print(
        f"minprune {__version__}: compiling kernels for this processor, which happens once and takes up to a quarter of a minute",
        file=sys.stderr,
        flush=True,
    )


def compiled(function: Callable[..., None], kind: str, **options: Any) -> Any:
    """``function``, with its own folder in the cache for every ``kind`` (numba's index does not tell apart what has the same name)."""
    folder = cache_folder()
    module, line = function.__module__.rpartition(".")[2], function.__code__.co_firstlineno
    if (kind, f"{module}.{function.__qualname__}-{line}") not in _compiled_before():
        announce()
    with _cache_dir:
        kept, config.CACHE_DIR = config.CACHE_DIR, str(folder / kind) if folder else config.CACHE_DIR
        try:
            return numba.njit(nogil=True, cache=folder is not None, error_model="numpy", **options)(function)
        finally:
            config.CACHE_DIR = kept


def name_machine_code(dispatcher: Any, signature: tuple[types.Type, ...], symbol: str) -> int:
    """Compile a function for these types, or load it, and make its address known by a name; returns the address."""
    dispatcher.compile(types.void(*signature))
    made = dispatcher.overloads[signature]
    address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    llvm.add_symbol(symbol, address)
    return address


def apart(*signatures: tuple[types.Type, ...]) -> Callable[[Callable[..., None]], Any]:
    """Make a function that kernels call, for arguments of these types, machine code of its own; see above."""

    def decorate(function: Callable[..., None]) -> Any:
        symbols = {signature: f"{function.__module__}.{function.__name__} {signature}" for signature in signatures}

        @cache
        def load() -> tuple[dict[tuple[types.Type, ...], int], Any]:
            """Compile it, or load it from the cache, and make its addresses known by their names.

            Returns {signature: address}, and what keeps the machine code alive.
            """
            load_apart(function)
            dispatcher = compiled(function, "apart")
            return {signature: name_machine_code(dispatcher, signature, symbol) for signature, symbol in symbols.items()}, dispatcher

        def call(typing: Any, *given: Any) -> Any:
            wanted = next((s for s in signatures if all(_fits(typing, g, w) for g, w in zip(given, s, strict=True))), None)
            if wanted is None:
                raise TypingError(f"{function.__name__} takes {' or '.join(map(str, signatures))}, got {given}")

            def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
                call_by_name(context, builder, symbols[wanted], wanted, values)
                return context.get_dummy_value()

            return types.void(*(g if _is_read_only(g, w) else w for g, w in zip(given, wanted, strict=True))), generate

        names = ("typing", *inspect.signature(function).parameters)
        call.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])  # type: ignore[attr-defined]
        callable_by_kernels = intrinsic(call)
        callable_by_kernels.load_apart, callable_by_kernels.__doc__ = load, function.__doc__
        return callable_by_kernels

    return decorate


def address_of(called: Any, signature: tuple[types.Type, ...]) -> int:
    """The address of the machine code of a function ``apart`` for arguments of these types; compiles or loads it."""
    addresses, _ = called.load_apart()
    return int(addresses[signature])


def call_by_name(context: Any, builder: Any, symbol: str, wanted: tuple[types.Type, ...], values: list[Any]) -> None:
    """Write a call of what ``name_machine_code`` named."""
    convention = context.call_conv
    callee = cgutils.get_or_insert_function(builder.module, convention.get_function_type(types.none, wanted), symbol)
    convention.call_function(builder, callee, types.none, wanted, values)


def call_by_address(context: Any, builder: Any, address: Any, wanted: tuple[types.Type, ...], values: list[Any]) -> None:
    """Write a call of the function apart whose address is the value ``address``."""
    convention = context.call_conv
    callee = builder.inttoptr(address, convention.get_function_type(types.none, wanted).as_pointer())
    convention.call_function(builder, callee, types.none, wanted, values)


def load_apart(function: Any) -> None:
    """Load the functions apart that this one calls, itself or by helpers: its machine code will look them up by name."""
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    for called in (*map(function.__globals__.get, function.__code__.co_names), *cells):
        if hasattr(called, "load_apart"):
            called.load_apart()
        elif hasattr(called, "py_func"):
            load_apart(called.py_func)


def _fits(typing: Any, given: types.Type, wanted: types.Type) -> bool:
    return _is_read_only(given, wanted) or typing.can_convert(given, wanted) is not None


def _is_read_only(given: types.Type, wanted: types.Type) -> bool:
    """Whether they are the same kind of array, but that one may not be written to; which is the same to machine code."""
    return isinstance(given, types.Array) and not given.mutable and given.copy(readonly=False) == wanted


def inline(function: Callable[..., Any]) -> Any:
    """A helper that kernels call. One made by another function needs a ``__qualname__`` of its own: the linker goes by that."""
    return numba.njit(nogil=True, error_model="numpy")(function)


def pasted(function: Callable[..., Any]) -> Any:
    """A helper that numba copies into its caller before LLVM sees it. (LLVM inlines by itself, but not what it thinks too large.)"""
    return numba.njit(nogil=True, error_model="numpy", inline="always")(function)


def summing_inline(function: Callable[..., Any]) -> Any:
    """A helper whose sums may be taken in any order; see ``crew.summing_kernel``."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=ANY_ORDER)(function)
