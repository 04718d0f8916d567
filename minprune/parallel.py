"""One thread policy, in one place.

Who computes on many cores, and when:

* the kernels (``MINPRUNE_BACKEND`` "auto" or "numba") run on numba's threads; a network's whole training step stays on them, so that they
  never take turns with another pool. Two pools that alternate fight, since each keeps spinning for a moment after its work: measured,
  a training step became three to four times slower;
* NumPy's BLAS threads serve the NumPy backend and your own matrix products;
* experiments run many networks at once in processes, one thread each.

``threads(n)`` limits the first two together. The start value is the number of cores this process may use, or what ``NUMBA_NUM_THREADS``
or ``OMP_NUM_THREADS`` says.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from numbers import Integral
from typing import Any

_limit: int | None = None
_blas: Any = None  # threadpoolctl's limiter, kept alive: it restores the old limit when it goes
_forked = False


@cache
def _most() -> tuple[int, str]:
    """(the most threads there are, what limits them)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numba, openmp = (os.environ.get(variable, "") for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"))
    if numba.isdecimal():
        return max(int(numba), 1), "what NUMBA_NUM_THREADS allows"
    if openmp.isdecimal() and int(openmp) < cores:
        return max(int(openmp), 1), "what OMP_NUM_THREADS allows"
    return cores, "the cores this process may use"


def available() -> int:
    """The most threads there are: the cores this process may use, or fewer if the environment says so (numba's variable may say more)."""
    return _most()[0]


def threads(n: int | None = None) -> int:
    """Use ``n`` threads from now on, in the kernels and in NumPy's BLAS; without ``n``, change nothing. Returns the number in force.

    Raises:
        TypeError, ValueError: ``n`` is not a whole number from 1 to the number of cores.
    """
    global _limit, _blas
    if n is not None:
        if isinstance(n, bool) or not isinstance(n, Integral):
            raise TypeError(f"threads expected a whole number, got {type(n).__name__} {n!r}")
        most, why = _most()
        if not 1 <= n <= most:
            raise ValueError(f"threads expected a number from 1 to {most}, {why}, got {n}")
        from threadpoolctl import threadpool_limits

        _limit = int(n)
        _blas = threadpool_limits(_limit, user_api="blas")
    return _limit or available()


def may_run_parallel() -> bool:
    """Whether a kernel may use several threads: not with one thread, and not in a forked child, where GNU's OpenMP would abort."""
    return not _forked and threads() > 1


def parts() -> int:
    """Into how many tasks to cut the work of a kernel: a few for each thread, so that all are busy to the end; one for a single thread."""
    n = threads()
    return 4 * n if n > 1 else 1


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

pool_lock = threading.Lock()  # held where numba's own pool is used: unlike OpenMP, it must not be entered by two threads at once
