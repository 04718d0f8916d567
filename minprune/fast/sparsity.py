"""Which weights a mask keeps, written down for the kernels that visit only those; and when it pays to take them.

A mask never changes once it is set, so its pattern is worked out when it is first met.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minprune.fast.once import once

Array = np.ndarray

# The largest density at which each sparse product is taken: of a convolution (measured for those of LeNet-5 at batch 64), and of a Dense
# layer (``minprune bench layers``).
FORWARD, INPUT_GRAD, WEIGHT_GRAD = 0.35, 0.25, 0.25


@dataclass(frozen=True)
class Lines:
    """The kept weights of a matrix line after line, a line being a row or a column.

    ``index`` int32 are their places in the flat weight, ``along`` int32 how far along its line each lies, and ``starts`` int32 (lines + 1,)
    where each line begins. ``looked_up`` and ``cut`` remember what was worked out from them.
    """

    index: Array
    along: Array
    starts: Array
    looked_up: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    cut: dict[int, Lines] = field(default_factory=dict)

    def positions(self, table: Array) -> Array:
        """For each kept weight the entry of ``table`` (kept alive, see ``tables``) that belongs to where it lies along its line."""
        if id(table) not in self.looked_up:
            self.looked_up[id(table)] = table, table[self.along]
        return self.looked_up[id(table)][1]

    def blocked(self, length: int, block: int) -> Lines:
        """The same weights with every line of ``length`` cut into blocks: first what lies in the first ``block`` of each line, then in the
        next, and so on. Its lines are those pieces."""
        if length <= block:
            return self
        if block not in self.cut:
            lines, blocks = self.starts.size - 1, -(-length // block)
            piece = self.along // block * lines + np.repeat(np.arange(lines), np.diff(self.starts))
            order = np.argsort(piece, kind="stable")
            self.cut[block] = _lines(self.index[order], self.along[order], np.bincount(piece, minlength=blocks * lines))
        return self.cut[block]


@dataclass(frozen=True)
class Pattern:
    """Which weights (O, K) a mask keeps, by rows and by columns; ``density`` is their share."""

    density: float
    rows: Lines
    columns: Lines


def lean(mask: Array | None, most: float) -> Pattern | None:
    """The pattern of ``mask`` where its density is at most ``most``, so that the sparse way is the faster; else None."""
    if mask is None:
        return None
    pattern = pattern_of(mask)
    return pattern if pattern.density <= most else None


@once
def pattern_of(mask: Array) -> Pattern:
    """The pattern of a mask of any shape (O, ...)."""
    rows = mask.reshape(len(mask), -1)
    outputs, taps = np.nonzero(rows)
    by_tap, by_output = np.nonzero(rows.T)
    k = rows.shape[1]
    return Pattern(
        density=outputs.size / max(rows.size, 1),
        rows=_lines(outputs * k + taps, taps, rows.sum(axis=1)),
        columns=_lines(by_output * k + by_tap, by_output, rows.sum(axis=0)),
    )


def _lines(index: Array, along: Array, counts: Array) -> Lines:
    return Lines(index.astype(np.int32), along.astype(np.int32), np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
