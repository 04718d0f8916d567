"""A few words of LLVM, enough to write a vector microkernel down.

numba compiles loops well, but it does not keep a block of accumulators in registers, and that is where the speed of a product lies. So the
innermost loops are written in LLVM's intermediate language, through the small vocabulary of this file: vectors, pointers, and a counted
loop that carries values from one turn to the next. ``micro``, ``maxima`` and ``pattern`` are written in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

F32, I8, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
Value = Any  # an LLVM value
Body = Callable[[Value, list[Value]], list[Value]]


class Emitter:
    """Writes instructions at the place where ``builder`` stands, on vectors of ``lanes`` float32 numbers."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes
        self.vector = ir.VectorType(F32, lanes)

    def pointer(self, context: Any, type_: Any, array: Value) -> Value:
        """The address of the first element of a numba array."""
        return context.make_array(type_)(context, self.builder, array).data

    def at(self, pointer: Value, *offsets: Value) -> Value:
        """The address of the element ``sum(offsets)`` places behind ``pointer``; offsets are ints or 64-bit values."""
        for offset in offsets:
            pointer = self.builder.gep(pointer, [constant(offset) if isinstance(offset, int) else offset])
        return pointer

    def times(self, a: Value, b: Value | int) -> Value:
        return self.builder.mul(a, constant(b) if isinstance(b, int) else b)

    def number(self, pointer: Value) -> Value:
        """The float32 at ``pointer``."""
        return self.builder.load(pointer)

    def index(self, pointer: Value) -> Value:
        """The whole number at ``pointer``, of 16 unsigned or 32 bits and never negative, as 64 bits."""
        return self.builder.zext(self.builder.load(pointer), I64)

    def splat(self, scalar: Value) -> Value:
        """A vector with ``scalar`` in every lane."""
        nothing = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(nothing, scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """The given lanes of a (0, 1, …) and b (counted on from there)."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, self.lanes), list(lanes)))

    def zero(self) -> Value:
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def load(self, pointer: Value) -> Value:
        """The vector that starts at ``pointer``, however it is aligned."""
        return self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()), align=4)

    def store(self, vector: Value, pointer: Value) -> None:
        self.builder.store(vector, self.builder.bitcast(pointer, self.vector.as_pointer()), align=4)

    def store_bytes(self, vector: Value, pointer: Value) -> None:
        """Store the lowest byte of each whole number."""
        narrow = ir.VectorType(I8, self.lanes)
        self.builder.store(self.builder.trunc(vector, narrow), self.builder.bitcast(pointer, narrow.as_pointer()), align=1)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c in every lane, in one instruction."""
        return self.builder.call(self._intrinsic(f"llvm.fma.v{self.lanes}f32", self.vector, [self.vector] * 3), [a, b, c])

    def clamp(self, vector: Value, floor: Value) -> Value:
        """``floor`` where the vector is below it; NaN stays NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", vector, floor), floor, vector)

    def larger(self, a: Value, b: Value) -> Value:
        """The larger of both in every lane; NaN wins."""
        b_wins = self.builder.fcmp_unordered(">", b, a)  # also where either is NaN
        return self.builder.select(self.builder.fcmp_unordered("uno", a, a), a, self.builder.select(b_wins, b, a))

    def beats(self, a: Value, b: Value) -> Value:
        """In which lanes a is larger than b, or NaN where b is not."""
        return self.builder.and_(self.builder.fcmp_unordered(">", a, b), self.builder.fcmp_ordered("ord", b, b))

    def total(self, vectors: Sequence[Value]) -> Value:
        """The lane-by-lane sum of several vectors."""
        total = vectors[0]
        for v in vectors[1:]:
            total = self.builder.fadd(total, v)
        return total

    def sum(self, vector: Value) -> Value:
        """The sum over the lanes."""
        add = self._intrinsic(f"llvm.vector.reduce.fadd.v{self.lanes}f32", F32, [F32, self.vector])
        return self.builder.call(add, [ir.Constant(F32, -0.0), vector], fastmath=("reassoc",))

    def loop(self, start: Value, stop: Value, step: int, carried: Sequence[Value], body: Body) -> list[Value]:
        """``for i in range(start, stop, step): carried = body(i, carried)``; returns what is carried at the end."""
        b = self.builder
        before = b.block
        head, inside, after = (b.function.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        values = [b.phi(v.type) for v in carried]
        b.cbranch(b.icmp_signed("<", i, stop), inside, after)
        b.position_at_end(inside)
        new = body(i, list(values))
        i.add_incoming(start, before)
        i.add_incoming(b.add(i, constant(step)), b.block)
        for phi, first, later in zip(values, carried, new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, b.block)
        b.branch(head)
        b.position_at_end(after)
        return list(values)

    def switch(self, key: Value, cases: Sequence[int], body: Callable[[int], None]) -> None:
        """Run ``body(case)`` for the case that ``key`` equals; each case has its own code. Another key does nothing."""
        b = self.builder
        blocks = [b.function.append_basic_block() for _ in cases]
        after = b.function.append_basic_block()
        switch = b.switch(key, after)
        for case, block in zip(cases, blocks, strict=True):
            switch.add_case(constant(case), block)
            b.position_at_end(block)
            body(case)
            b.branch(after)
        b.position_at_end(after)

    def either(self, condition: Value, yes: Callable[[], list[Value]], no: Callable[[], list[Value]]) -> list[Value]:
        """The values of ``yes()`` where ``condition`` holds, else those of ``no()``."""
        b = self.builder
        with b.if_else(condition) as (then, otherwise):
            with then:
                first, from_yes = yes(), b.block
            with otherwise:
                second, from_no = no(), b.block
        joined = []
        for one, other in zip(first, second, strict=True):
            phi = b.phi(one.type)
            phi.add_incoming(one, from_yes)
            phi.add_incoming(other, from_no)
            joined.append(phi)
        return joined

    def _intrinsic(self, name: str, returns: ir.Type, takes: list[ir.Type]) -> Value:
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(returns, takes), name)


def constant(n: int) -> ir.Constant:
    """A 64-bit whole number."""
    return ir.Constant(I64, n)
