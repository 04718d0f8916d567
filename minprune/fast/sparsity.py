"""Which weights a mask keeps, written down for the kernels that visit only those; and when it pays to take them.

A mask never changes once it is set, so its pattern is worked out when it is first met and remembered as long as the mask lives.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray

# The largest density at which each sparse product is taken. Measured for the convolutions of LeNet-5 at batch 64; a Dense layer of that
# batch breaks even at a lower one, 0.16 to 0.24 (``minprune bench layers``).
FORWARD, INPUT_GRAD, WEIGHT_GRAD = 0.35, 0.25, 0.25


@dataclass(frozen=True)
class Pattern:
    """The kept weights of a mask (O, K), by rows and by columns.

    ``row_index`` are their places in the flat weight, row after row; ``taps`` their columns; ``row_starts`` (O + 1,) where each row begins.
    ``column_index``, ``outputs`` and ``column_starts`` (K + 1,) are the same column after column. ``looked_up`` remembers ``positions``.
    """

    density: float
    row_index: Array
    taps: Array
    row_starts: Array
    column_index: Array
    outputs: Array
    column_starts: Array
    looked_up: dict[tuple[int, bool], tuple[Array, Array]] = field(default_factory=dict)

    def positions(self, table: Array, *, by_column: bool = False) -> Array:
        """The entries of ``table`` (kept alive, see ``tables``) for each kept weight: of its tap, or by columns of its output."""
        key = id(table), by_column
        if key not in self.looked_up:
            self.looked_up[key] = table, table[self.outputs if by_column else self.taps]
        return self.looked_up[key][1]


_known: dict[int, tuple[weakref.ref, Pattern]] = {}


def lean(mask: Array | None, most: float) -> Pattern | None:
    """The pattern of ``mask`` where its density is at most ``most``, so that the sparse way is the faster; else None."""
    if mask is None:
        return None
    pattern = pattern_of(mask)
    return pattern if pattern.density <= most else None


def pattern_of(mask: Array) -> Pattern:
    """The pattern of a mask of any shape (O, ...)."""
    key = id(mask)
    found = _known.get(key)
    if found is not None and found[0]() is mask:
        return found[1]
    pattern = _work_out(mask.reshape(len(mask), -1))
    _known[key] = weakref.ref(mask, lambda _: _known.pop(key, None)), pattern
    return pattern


def _work_out(rows: Array) -> Pattern:
    outputs, taps = np.nonzero(rows)
    by_tap, by_output = np.nonzero(rows.T)
    k = rows.shape[1]
    return Pattern(
        density=outputs.size / max(rows.size, 1),
        row_index=outputs * k + taps,
        taps=taps,
        row_starts=_starts(rows.sum(axis=1)),
        column_index=by_output * k + by_tap,
        outputs=by_output,
        column_starts=_starts(rows.sum(axis=0)),
    )


def _starts(counts: Array) -> Array:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
