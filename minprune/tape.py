"""The tape: in which order things were made, and how gradients travel back along it.

A node knows its parents and a function ``grad -> one gradient per parent``; this file knows nothing else of it. The walks are loops, not
recursions, so that a chain of any length is fine, and each node is visited once, so that a graph with shared parts costs linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import numpy as np

from minprune import backend

Array = np.ndarray
Vjp = Callable[[Array], Sequence[Array | None]]  # vector-Jacobian product: gradient of the result -> gradients of the parents


class Node(Protocol):
    """What the tape needs of a tensor."""

    op: str
    requires_grad: bool
    parents: tuple
    vjp: Vjp | None

    def accumulate(self, grad: Array) -> None:
        """Take a finished gradient; only leaves are asked to."""


N = TypeVar("N", bound=Node)

_recording: ContextVar[bool] = ContextVar("minprune_recording", default=True)


def is_recording() -> bool:
    """Whether operations shall leave a tape."""
    return _recording.get()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record no tape inside this block: cheaper evaluation, and nothing to differentiate afterwards."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def tape(result: N) -> list[N]:
    """Every node that ``result`` depends on and that needs a gradient: parents before children, each once, ``result`` last."""
    order: list[N] = []
    seen: set[int] = {id(result)}
    stack: list[tuple[N, Iterator[N]]] = [(result, iter(result.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent.requires_grad and id(parent) not in seen:
                seen.add(id(parent))
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def backpropagate(result: Node, seed: Array) -> None:
    """Carry ``seed``, the gradient with respect to ``result``, back to every leaf; the only place where gradients are added up.

    The tape is used up on the way: each node lets go of its parents, so that memory falls as the walk proceeds.

    Raises:
        RuntimeError: a part of the tape was used up by an earlier walk.
    """
    order = tape(result)
    pending: dict[int, Array] = {id(result): seed}
    ours: set[int] = set()  # sums that this walk allocated, which may be added to in place
    while order:
        node = order.pop()
        grad = pending.pop(id(node), None)
        if grad is None:
            continue
        if node.op == "leaf":
            node.accumulate(grad)
            continue
        if node.vjp is None:
            raise RuntimeError(f"the tape of this {node.op!r} was used up by an earlier backward(); run the forward pass again")
        for parent, part in zip(node.parents, node.vjp(grad), strict=True):
            key = id(parent)
            if part is None or not parent.requires_grad:
                continue
            if key not in pending:
                pending[key] = part
            elif key in ours:
                pending[key] += part
            else:
                pending[key] = backend.implementation("arithmetic", part.dtype).add(pending[key], part)
                ours.add(key)
        node.vjp, node.parents = None, ()
