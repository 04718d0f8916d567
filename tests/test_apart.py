"""Functions with machine code of their own, which kernels call by name: the arguments they take, and that the cache finds them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core.errors import TypingError
from numba.core.registry import CPUDispatcher

from minprune import kernels
from minprune.kernels.compile import PAIR, F, H, I, N, apart, inline
from minprune.kernels.crew import kernel, share


@apart((F, I, N, F), (F, H, N, F))
def pick(x, index, row, out):
    """out[row] = Σ x[index]."""
    total = np.float32(0)
    for i in range(index.size):
        total += x[index[i]]
    out[row] = total


@apart((F, PAIR))
def fill(out, edges):
    """Ones between the edges."""
    for i in range(edges[0], edges[1]):
        out[i] = 1


@inline
def through_a_helper(out, row):
    """The row-th two."""
    fill(out, (2 * row, 2 * row + 2))


@kernel
def picks(turn, x, index, out):
    """pick, for each row."""
    for row in share(turn, out.size):
        pick(x, index, row, out)


@kernel
def fills(turn, out):
    """All twos."""
    for row in share(turn, out.size // 2):
        through_a_helper(out, row)


@kernel
def mistaken(turn, x, index, out):
    """Gives pick its arguments in a wrong order."""
    for row in share(turn, out.size):
        pick(index, x, row, out)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("work", [0.0, np.inf])
def test_every_signature_serial_and_parallel_and_with_what_may_not_be_written_to(dtype: type, writable: bool, work: float) -> None:
    x, index, out = np.arange(10, dtype=np.float32), np.array([1, 3, 9], dtype), np.zeros(5, np.float32)
    x.flags.writeable = index.flags.writeable = writable
    picks(x, index, out, work=work)
    assert out.tolist() == [13.0] * 5


def test_a_function_apart_may_be_called_by_a_helper() -> None:
    out = np.zeros(8, np.float32)
    fills(out)
    assert out.tolist() == [1.0] * 8


def test_arguments_that_no_signature_takes_are_told() -> None:
    with pytest.raises(TypingError, match=r"pick takes .* or .*, got"):
        mistaken(np.zeros(3, np.float32), np.zeros(3, np.int32), np.zeros(2, np.float32))


def test_another_process_finds_a_cached_kernel_and_what_it_calls(tmp_path: Path) -> None:
    script = "import numpy as np; from test_apart import fills; out = np.zeros(6, np.float32); fills(out); print(out.sum())"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "6.0"
    kept = {path.parent.parent.name for path in tmp_path.rglob("*fill*.nbi")}
    assert "apart" in kept
    assert "kernel" in kept


def closing_over(helper):
    """A helper that knows another from where it was made."""

    def closed(out, row):
        helper(out, row)

    closed.__qualname__ = "closed_over_a_helper"
    return inline(closed)


enclosing = closing_over(through_a_helper)


@kernel
def fills_from_within(turn, out):
    """All twos."""
    for row in share(turn, out.size // 2):
        enclosing(out, row)


def test_a_function_apart_is_found_behind_a_closure() -> None:
    script = "import numpy as np; from test_apart import *; out = np.zeros(6, np.float32); fills_from_within(out); print(out.sum())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6.0"


def test_no_two_helpers_have_the_same_name_for_the_linker() -> None:
    """Processes that compile at the same time give equal numbers to what they made; only the names keep it apart in the shared cache."""
    modules = [importlib.import_module(f"{kernels.__name__}.{found.name}") for found in pkgutil.iter_modules(kernels.__path__)]
    helpers = {id(value): value.py_func for module in modules for value in vars(module).values() if isinstance(value, CPUDispatcher)}
    names = [f"{function.__module__}.{function.__qualname__}" for function in helpers.values()]
    assert len(names) > 20
    assert sorted(set(names)) == sorted(names)
