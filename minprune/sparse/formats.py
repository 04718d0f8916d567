"""Ways to store a matrix most of whose entries are zero, each of which knows its size in bytes.

    dense     4 bytes for every weight, zero or not
    bitmask   one bit for every weight, 4 bytes for each that is kept
    CSR       for each that is kept its value (4 bytes) and its column (2 bytes where they fit), and where each row starts
    n:m       for each that is kept its value (4 bytes) and its position within its group (1 byte); rows start at known places

A bit per weight is the cheaper index until about one weight in sixteen is left; then columns are. The last is for speed: its fixed count
spares a product the starts of rows, and its positions the half of CSR's columns.
What is kept is what the *mask* keeps: a kept weight that happens to be 0.0 is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from minprune.errors import ShapeError
from minprune.tensor import Array


def as_rows(weight: Array) -> Array:
    """(O, ...) -> (O, everything else): a convolution's filter is a row of C·R·S weights."""
    if weight.ndim < 2:
        raise ShapeError(f"expected a weight with two axes or more, got shape {weight.shape}")
    return weight.reshape(weight.shape[0], -1)


def check_mask(weight: Array, mask: Array) -> None:
    """An error that says why, unless ``mask`` is an array of bool of the weight's shape."""
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        found = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"a mask expected an array of bool, got {found}")
    if mask.shape != weight.shape:
        raise ShapeError(f"a mask expected the weight's shape {weight.shape}, got {mask.shape}")


@dataclass(frozen=True)
class CSR:
    """Compressed sparse rows of a weight of ``shape``, flattened to (O, K).

    Row o holds ``values[start[o]:start[o+1]]`` at the columns ``offsets[start[o]:start[o+1]]``, ascending.
    ``start`` is int32 (O + 1,), ``offsets`` uint16 where K allows, else int32, ``values`` the weight's dtype.
    """

    shape: tuple[int, ...]
    start: Array
    offsets: Array
    values: Array

    @classmethod
    def from_dense(cls, weight: Array, mask: Array) -> Self:
        """Keep the entries of ``weight`` at which ``mask`` (bool, same shape) is True."""
        check_mask(weight, mask)
        kept = as_rows(mask)
        rows, columns = np.nonzero(kept)
        start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
        offsets = columns.astype(np.uint16 if kept.shape[1] <= 1 << 16 else np.int32)
        return cls(weight.shape, start, offsets, as_rows(weight)[rows, columns])

    def mask(self) -> Array:
        """Bool, of ``shape``: True where a value is stored."""
        out = np.zeros(self._rows_shape(), bool)
        out[self._rows(), self.offsets] = True
        return out.reshape(self.shape)

    def to_dense(self) -> Array:
        """The weight of ``shape``, zero where nothing is stored."""
        out = np.zeros(self._rows_shape(), self.values.dtype)
        out[self._rows(), self.offsets] = self.values
        return out.reshape(self.shape)

    def arrays(self) -> dict[str, Array]:
        """What has to be stored beside the shape."""
        return {"start": self.start, "offsets": self.offsets, "values": self.values}

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.arrays().values())

    def _rows(self) -> Array:
        return np.repeat(np.arange(self.shape[0]), np.diff(self.start))

    def _rows_shape(self) -> tuple[int, int]:
        return self.shape[0], math.prod(self.shape[1:])


@dataclass(frozen=True)
class Bitmask:
    """One bit per weight in memory order (1 = kept, first weight in the highest bit of ``bits[0]``), and the kept ``values``."""

    shape: tuple[int, ...]
    bits: Array
    values: Array

    @classmethod
    def from_dense(cls, weight: Array, mask: Array) -> Self:
        """Keep the entries of ``weight`` at which ``mask`` (bool, same shape) is True."""
        check_mask(weight, mask)
        return cls(weight.shape, np.packbits(mask.ravel()), weight[mask])

    def mask(self) -> Array:
        """Bool, of ``shape``: True where a value is stored."""
        return np.unpackbits(self.bits, count=math.prod(self.shape)).astype(bool).reshape(self.shape)

    def to_dense(self) -> Array:
        """The weight of ``shape``, zero where nothing is stored."""
        out = np.zeros(self.shape, self.values.dtype)
        out[self.mask()] = self.values
        return out

    def arrays(self) -> dict[str, Array]:
        """What has to be stored beside the shape."""
        return {"bits": self.bits, "values": self.values}

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.arrays().values())


MOST_OF = 16  # the widest groups that are looked for


@dataclass(frozen=True)
class Pattern:
    """A weight of ``shape``, flattened to (O, K), of which in every row each ``of`` neighbours keep exactly ``keep``.

    Where ``of`` does not divide K, the last group is shorter and keeps min(keep, its length). ``values`` (O, kept) are the kept weights in
    order; value p of a row is at column p // keep · of + ``positions[row, p]`` (uint8). Source: Mishra et al. 2021 for 2:4.
    """

    shape: tuple[int, ...]
    keep: int
    of: int
    values: Array
    positions: Array

    @classmethod
    def from_dense(cls, weight: Array, mask: Array) -> Self:
        """Keep the entries of ``weight`` at which ``mask`` (bool, same shape) is True.

        Raises:
            ValueError: the mask is no pattern n:m.
        """
        check_mask(weight, mask)
        found = find_pattern(mask)
        if found is None:
            raise ValueError(f"expected a mask that keeps n of every m neighbours (m up to {MOST_OF}), got one that does not")
        keep, of = found
        rows = as_rows(mask)
        columns = np.nonzero(rows)[1].reshape(len(rows), -1)
        return cls(weight.shape, keep, of, as_rows(weight)[rows].reshape(columns.shape), (columns % of).astype(np.uint8))

    @property
    def kept(self) -> int:
        """How many weights each row keeps."""
        return self.values.shape[1]

    def mask(self) -> Array:
        """Bool, of ``shape``: True where a value is stored."""
        out = np.zeros((self.shape[0], math.prod(self.shape[1:])), bool)
        np.put_along_axis(out, self._columns(), True, axis=1)
        return out.reshape(self.shape)

    def to_dense(self) -> Array:
        """The weight of ``shape``, zero where nothing is stored."""
        out = np.zeros((self.shape[0], math.prod(self.shape[1:])), self.values.dtype)
        np.put_along_axis(out, self._columns(), self.values, axis=1)
        return out.reshape(self.shape)

    def multiply(self, x: Array) -> Array:
        """y (O, N) = weight · x for x (K, N), over kept weights only: what the engine's kernel computes, in NumPy."""
        return np.einsum("op,opn->on", self.values, x[self._columns()])

    def arrays(self) -> dict[str, Array]:
        """What has to be stored beside the shape and the pattern."""
        return {"values": self.values, "positions": self.positions}

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.arrays().values())

    def _columns(self) -> Array:
        return np.arange(self.kept) // self.keep * self.of + self.positions.astype(np.int64)


def find_pattern(mask: Array) -> tuple[int, int] | None:
    """(n, m), m the smallest up to ``MOST_OF``, such that in every row each m neighbours keep exactly n, 0 < n < m; None if there is none.

    A shorter group at the end keeps min(n, its length), as ``prune.NM`` makes it.
    """
    rows = as_rows(mask)
    total, k = int(rows.sum()), rows.shape[1]
    for of in range(2, min(MOST_OF, k) + 1):
        groups, rest = divmod(k, of)
        keep = int(rows[0, :of].sum())
        if not 0 < keep < of or total != len(rows) * (groups * keep + min(keep, rest)):
            continue
        whole = rows[:, : groups * of].reshape(len(rows), groups, of)
        if (whole.sum(axis=-1) == keep).all() and (rows[:, groups * of :].sum(axis=-1) == min(keep, rest)).all():
            return keep, of
    return None


def smallest_format(weight: Array, mask: Array) -> CSR | Bitmask | None:
    """The cheaper of the two for this weight and mask; None where plain dense storage is no larger."""
    best = min((f.from_dense(weight, mask) for f in (Bitmask, CSR)), key=lambda f: f.nbytes)
    return best if best.nbytes < weight.nbytes else None
