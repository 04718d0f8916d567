"""Kernels: the work of all threads, or of one.

A kernel's work falls into tasks that do not depend on one another. Every thread runs the same kernel with the same arguments, and takes
tasks until none is left:

    @kernel
    def scale(turn, x, factor):
        for task in share(turn, x.size):
            x[task] *= factor

    scale(x, factor)

``turn``, which the caller does not see, knows what is taken. Each thread has a range of the tasks for its own, the same in every call, so
that it finds in its cache what it wrote in the last; when that is done it takes what the others have not come to, so that none waits for
one whose core is busy elsewhere.

How the threads are called together is compiled once, for all kernels: ``_crew`` knows nothing but the address of a function and that of its
arguments. (With a parallel loop in each kernel, as numba offers, the kernels took three times as long to compile.)
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from functools import cache, cached_property
from types import FunctionType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minprune import parallel
from minprune.kernels.compile import N, call_by_name, compiled, inline, load_apart, name_machine_code, summing_inline
from minprune.kernels.ir import I64, constant

WORTH_SHARING = 20_000  # nanoseconds of work
TURN = types.UniTuple(N, 3)  # the address of the threads' counters, which thread this is, of how many
COUNTER = 8  # numbers from one counter to the next: each has a cache line to itself
CREW, CREW_TYPES = f"{__name__}.crew", (N, N, N)

if "OMP_WAIT_POLICY" not in os.environ:
    # GNU's OpenMP lets a thread that waits for another spin for milliseconds. Where another program has the other's core, every launch
    # then takes as long (measured: 5 ms instead of 0.002); after about half a millisecond it had better sleep and give its core away.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@inline
def part(i, parts, size):
    """Where the i-th of ``parts`` nearly equal parts of ``size`` things starts."""
    return i * size // parts


@inline
def ceil_div(a, b):
    """a / b, rounded up: how many parts of size b it takes."""
    return (a + b - 1) // b


@inline
def take(turn, tasks):
    """A task from 0 to tasks - 1 that no thread has taken yet; -1 where none is left."""
    counters, me, threads = turn
    for i in range(threads):
        whose = (me + i) % threads
        task = part(whose, threads, tasks) + _count(counters, whose)
        if task < part(whose + 1, threads, tasks):
            return task
    return -1


@inline
def share(turn, tasks):
    """The tasks that fall to this thread, one after another as it asks for them. A kernel shares out once."""
    task = take(turn, tasks)
    while task >= 0:
        yield task
        task = take(turn, tasks)


@intrinsic
def _count(typing, counters, whose):
    """The number at a thread's counter, which becomes one more."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        counters, whose = values
        counter = builder.gep(builder.inttoptr(counters, I64.as_pointer()), [builder.mul(whose, constant(COUNTER))])
        return builder.atomic_rmw("add", counter, constant(1), "monotonic")

    return N(N, N), generate


class Kernel:
    """A function of a turn, flat arrays and numbers; called without the turn. See ``kernel``."""

    def __init__(self, body: Any) -> None:
        self.__doc__ = body.__doc__
        self._body = body

    @cached_property
    def _launch(self) -> Any:
        """``_launch_form`` of this kernel, and under its name, by which the cache finds it."""
        _load_crew()
        function = self._body.py_func
        load_apart(function)
        here = function.__code__
        code = _launch_form.__code__.replace(co_filename=here.co_filename, co_firstlineno=here.co_firstlineno, co_name=here.co_name)
        launch = FunctionType(code, {"run": _runner(self._body)}, here.co_name)
        launch.__qualname__, launch.__module__ = function.__qualname__, function.__module__
        return compiled(launch, "kernel")

    def serial(self, *arguments: Any) -> None:
        """Run on this thread alone."""
        self._launch(1, *arguments)

    def __call__(self, *arguments: Any, work: float = math.inf, most: int | None = None) -> None:
        """Run on all threads, or on ``most``; on one where the ``work`` (nanoseconds of one core, roughly) is not worth waking others."""
        n = parallel.threads() if most is None else min(most, parallel.threads())
        if n == 1 or work < WORTH_SHARING or not parallel.may_run_parallel():
            self.serial(*arguments)
            return
        _tell_numba(n)
        if _pool_is_shared():
            self._launch(n, *arguments)
            return
        with parallel.pool_lock:
            self._launch(n, *arguments)


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a kernel of a function that writes its results into arrays it is given, task by task; see above."""
    return Kernel(inline(function))


def summing_kernel(function: Callable[..., None]) -> Kernel:
    """The same for a function whose sums may be taken in any order, so that they run in vectors. NaN and infinity stay what they are."""
    return Kernel(summing_inline(function))


def _launch_form(threads, *arguments):
    run(threads, arguments)  # noqa: F821 - each kernel has its own, see Kernel._launch


def _runner(body: Any) -> Any:
    """An intrinsic that runs ``body(turn, *arguments)`` on as many threads as are asked for."""

    @intrinsic
    def run(typing: Any, threads: Any, arguments: Any) -> Any:
        wanted = typing.resolve_function_type(types.Dispatcher(body), (TURN, *arguments), {}).args

        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            threads, arguments = values
            size = builder.mul(threads, constant(COUNTER))
            counters = builder.alloca(I64, size=size)
            cgutils.memset(builder, counters, builder.mul(size, constant(8)), 0)
            bag = cgutils.pack_struct(builder, [builder.ptrtoint(counters, I64), threads, arguments])
            bag_at = builder.ptrtoint(cgutils.alloca_once_value(builder, bag), I64)
            member = _member(context, builder, body.overloads[wanted], wanted, bag.type)
            with builder.if_else(builder.icmp_signed("==", threads, constant(1))) as (alone, together):
                with alone:
                    builder.call(member, [bag_at, constant(0)])
                with together:
                    call_by_name(context, builder, CREW, CREW_TYPES, [builder.ptrtoint(member, I64), bag_at, threads])
            return context.get_dummy_value()

        return types.void(N, arguments), generate

    return run


def _member(context: Any, builder: Any, body: Any, wanted: tuple[types.Type, ...], bag_type: Any) -> Any:
    """What each thread runs, in LLVM's language: a function of the address of the bag of arguments and the thread's number."""
    context.active_code_library.add_linking_library(body.library)
    member = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [I64, I64]), f"{builder.function.name}.member")
    member.linkage = "internal"
    inner, (bag_at, me) = ir.IRBuilder(member.append_basic_block()), member.args
    bag = inner.load(inner.inttoptr(bag_at, bag_type.as_pointer()))
    counters, threads, arguments = (inner.extract_value(bag, i) for i in range(3))
    values = [context.make_tuple(inner, TURN, [counters, me, threads]), *cgutils.unpack_tuple(inner, arguments, len(wanted) - 1)]
    context.call_conv.call_function(inner, context.declare_function(inner.module, body.fndesc), types.none, wanted, values)
    inner.ret_void()
    return member


@intrinsic
def _enter(typing, member, bag_at, me):
    """Call the function at the address ``member``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64, I64])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(N, N, N), generate


def _crew(member, bag_at, threads):
    for me in numba.prange(threads):
        _enter(member, bag_at, me)


@cache
def _load_crew() -> Any:
    """Compile ``_crew``, or load it, and make it known by its name."""
    dispatcher = compiled(_crew, "crew", parallel=True)
    name_machine_code(dispatcher, CREW_TYPES, CREW)
    return dispatcher  # keeps the machine code alive


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
