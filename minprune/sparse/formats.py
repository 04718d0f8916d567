"""Ways to store a matrix most of whose entries are zero, each of which knows its size in bytes.

    dense     4 bytes for every weight, zero or not
    bitmask   one bit for every weight, 4 bytes for each that is kept
    CSR       for each that is kept its value (4 bytes) and its column (2 bytes where they fit), and where each row starts

A bit per weight is the cheaper index until about one weight in sixteen is left; then columns are.
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


def smallest_format(weight: Array, mask: Array) -> CSR | Bitmask | None:
    """The cheaper of the two for this weight and mask; None where plain dense storage is no larger."""
    best = min((f.from_dense(weight, mask) for f in (Bitmask, CSR)), key=lambda f: f.nbytes)
    return best if best.nbytes < weight.nbytes else None
