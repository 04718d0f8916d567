"""Granularity: what is cut in one piece. A parameter's shape goes in; out comes, for every weight, the number of the piece it belongs to.

    weight    each weight is a piece of its own ("leaves")
    n:m       weights, but of every m neighbours along the input exactly n stay: "2:4" is ``NM(keep=2, of=4)``
    kernel    the R·S weights of a convolution between one input and one output channel
    rxc       a block of r rows and c columns of a Linear layer: "4x4" is ``Block(4, 4)``
    row       all that one output of a Linear layer reads
    column    all that reads one input of a Linear layer
    channel   an output of any layer with all that makes and reads it, across parameters ("twigs"; needs the dependency graph)
    layer     the branch of a residual sum ("branches"; needs the dependency graph)

The score of a piece is pooled from the scores of its weights such that pieces of different sizes can be ranked together:
"rms" is the L2 norm divided by √size, "mean" is the L1 norm divided by the size, "first" is one weight's score (a lot drawn per piece).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minprune.errors import check_name
from minprune.tensor import Array

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Granularity:
    """A way to divide a parameter into pieces; every piece is kept or pruned as a whole."""

    def why_not(self, shape: Shape) -> str | None:
        """Why a parameter of this shape has no such pieces, or None if it has."""
        return None if len(shape) >= 2 else "it is no weight: it has a single axis"

    def pieces(self, shape: Shape) -> Array:
        """For each weight the number of its piece: an int array of ``shape`` with values 0, 1, … without gaps."""
        return np.arange(int(np.prod(shape))).reshape(shape)


@dataclass(frozen=True)
class Weight(Granularity):
    """Single weights."""

    def __str__(self) -> str:
        return "weight"


@dataclass(frozen=True)
class NM(Granularity):
    """Of every ``of`` neighbours along the input axis exactly ``keep`` stay.

    The input axis of a Linear weight (O, C) is C; that of a Conv2d weight (O, C, R, S) is C·R·S flattened, the row that im2col's matrix
    product multiplies. Where ``of`` does not divide the axis, the last group is shorter and keeps min(keep, its length).
    Source: Mishra et al. 2021 for 2:4.
    """

    keep: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.of:
            raise ValueError(f"n:m expected whole numbers 1 <= n <= m, got {self.keep}:{self.of}")

    @property
    def sparsity(self) -> float:
        """The share that goes where ``of`` divides the axis."""
        return 1 - self.keep / self.of

    def mask(self, scores: Array) -> Array:
        """True at the ``keep`` highest scores of each group; of equal scores the first goes first."""
        rows = scores.reshape(scores.shape[0], -1)  # (O, C·R·S)
        groups = -(-rows.shape[1] // self.of)
        padded = np.full((rows.shape[0], groups * self.of), -np.inf)
        padded[:, : rows.shape[1]] = rows
        order = np.argsort(padded.reshape(-1, groups, self.of), axis=-1, kind="stable")
        mask = np.zeros(order.shape, bool)
        np.put_along_axis(mask, order[..., self.of - self.keep :], True, axis=-1)
        return mask.reshape(padded.shape)[:, : rows.shape[1]].reshape(scores.shape)

    def __str__(self) -> str:
        return f"{self.keep}:{self.of}"


@dataclass(frozen=True)
class Kernel(Granularity):
    """One two-dimensional slice (R, S) of a Conv2d weight (O, C, R, S)."""

    def why_not(self, shape: Shape) -> str | None:
        return None if len(shape) == 4 else "only a Conv2d weight (O, C, R, S) has kernels"

    def pieces(self, shape: Shape) -> Array:
        o, c, r, s = shape
        return np.repeat(np.arange(o * c), r * s).reshape(shape)

    def __str__(self) -> str:
        return "kernel"


@dataclass(frozen=True)
class Block(Granularity):
    """``rows`` x ``columns`` neighbours of a Linear weight (O, C); where they do not divide O or C, the last blocks are smaller."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a block expected at least one row and one column, got {self}")

    def why_not(self, shape: Shape) -> str | None:
        return _only_linear("blocks", shape)

    def pieces(self, shape: Shape) -> Array:
        o, c = shape
        across = -(-c // self.columns)
        return (np.arange(o) // self.rows)[:, None] * across + np.arange(c) // self.columns

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


@dataclass(frozen=True)
class Row(Granularity):
    """One row of a Linear weight (O, C): the C weights of one output."""

    def why_not(self, shape: Shape) -> str | None:
        return _only_linear("rows", shape)

    def pieces(self, shape: Shape) -> Array:
        return np.repeat(np.arange(shape[0]), shape[1]).reshape(shape)

    def __str__(self) -> str:
        return "row"


@dataclass(frozen=True)
class Column(Granularity):
    """One column of a Linear weight (O, C): the O weights of one input."""

    def why_not(self, shape: Shape) -> str | None:
        return _only_linear("columns", shape)

    def pieces(self, shape: Shape) -> Array:
        return np.tile(np.arange(shape[1]), shape[0]).reshape(shape)

    def __str__(self) -> str:
        return "column"


@dataclass(frozen=True)
class Coupled(Granularity):
    """Pieces that reach over several parameters; the dependency graph knows them, a single shape does not."""

    def why_not(self, shape: Shape) -> str | None:
        return f"it reaches over more than the {shape} of one parameter; cut(model, granularity={str(self)!r}, input_shape=…) follows it"


@dataclass(frozen=True)
class Channel(Coupled):
    """An output unit of any layer, with everything that makes and reads it; never an output of the network."""

    def __str__(self) -> str:
        return "channel"


@dataclass(frozen=True)
class Layer(Coupled):
    """The branch of a residual sum: what remains is the shortcut."""

    def __str__(self) -> str:
        return "layer"


GRANULARITIES: dict[str, Granularity] = {str(g): g for g in (Weight(), Kernel(), Row(), Column(), Channel(), Layer())}


def get(granularity: str | Granularity) -> Granularity:
    """The granularity of that name: one of ``GRANULARITIES``, "n:m" such as "2:4", or a block "rxc" such as "4x4".

    Raises:
        ValueError, TypeError: there is no such granularity.
    """
    if isinstance(granularity, Granularity):
        return granularity
    if isinstance(granularity, str) and (found := re.fullmatch(r"(\d+)([:x])(\d+)", granularity)):
        first, second = int(found[1]), int(found[3])
        return NM(first, second) if found[2] == ":" else Block(first, second)
    return GRANULARITIES[check_name("granularity", granularity, [*GRANULARITIES, "n:m such as 2:4", "rxc such as 4x4"])]


def check_fits(granularity: Granularity, name: str, shape: Shape) -> None:
    """A ValueError that says why, unless a parameter of ``shape`` has pieces of this granularity."""
    reason = granularity.why_not(shape)
    if reason is not None:
        raise ValueError(f"{name} of shape {shape} cannot have granularity {str(granularity)!r}: {reason}")


def _only_linear(what: str, shape: Shape) -> str | None:
    return None if len(shape) == 2 else f"only a Linear weight (O, C) has {what}; a convolution has kernels and channels"


def rms(scores: Array, pieces: Array) -> Array:
    """√(Σ s² / size) of each piece: the L2 norm divided by √size."""
    if (scores < 0).any():
        raise ValueError("pooling by rms expected scores >= 0, which magnitudes are; pass pool='mean' for scores with a sign")
    return np.sqrt(mean(scores.astype(np.float64) ** 2, pieces))


def mean(scores: Array, pieces: Array) -> Array:
    """Σ s / size of each piece: of magnitudes, the L1 norm divided by the size."""
    return np.bincount(pieces.ravel(), scores.ravel()) / np.bincount(pieces.ravel())


def first(scores: Array, pieces: Array) -> Array:
    """The score of each piece's first weight."""
    return scores.ravel()[np.unique(pieces, return_index=True)[1]].astype(np.float64)


POOLS: dict[str, Callable[[Array, Array], Array]] = {"rms": rms, "mean": mean, "first": first}
