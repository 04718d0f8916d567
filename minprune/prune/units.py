"""Units: which entries along which axes must be cut together. A union-find, and what is known of each set.

Every index along every axis of a parameter starts as a unit of its own. The rules in ``labels`` unite those that the network ties together,
and pin those that must stay.
"""

from __future__ import annotations

import numpy as np

from minprune.tensor import Array


class Units:
    """Disjoint sets of whole numbers; ``pins`` maps a member to the reason why its set is never cut."""

    def __init__(self) -> None:
        self._parent: Array = np.zeros(0, np.int64)
        self.pins: dict[int, str] = {}

    def __len__(self) -> int:
        return self._parent.size

    def fresh(self, count: int) -> Array:
        """``count`` new units, each alone in its set."""
        ids = np.arange(len(self), len(self) + count)
        self._parent = np.concatenate([self._parent, ids])
        return ids

    def find(self, ids: Array) -> Array:
        """The representative of each unit's set: its smallest member."""
        roots = self._parent[ids]
        while True:
            above = self._parent[roots]
            if np.array_equal(above, roots):
                return roots
            roots = above

    def unite(self, a: Array, b: Array) -> None:
        """Unite the sets of a[i] and b[i], for every i."""
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            low, high = sorted((self._root(i), self._root(j)))
            self._parent[high] = low

    def _root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]  # halve the path on the way
            i = int(self._parent[i])
        return i

    def pin(self, ids: Array | None, reason: str) -> None:
        """Never cut the sets of these units; the first reason is kept."""
        for i in () if ids is None else ids.tolist():
            self.pins.setdefault(i, reason)

    def reasons(self) -> dict[int, str]:
        """{representative of a pinned set: reason}."""
        found: dict[int, str] = {}
        for i, reason in self.pins.items():
            found.setdefault(self._root(i), reason)
        return found
