"""How large is a network? Parameters in all and kept, and bytes in each form of storage."""

from __future__ import annotations

from dataclasses import dataclass

from minprune import checkpoint
from minprune.nn import Module
from minprune.sparse.formats import CSR, Bitmask
from minprune.tensor import Array


@dataclass(frozen=True)
class ParameterSize:
    """One parameter: its name and shape, its elements, and those that its mask keeps (all without a mask)."""

    name: str
    shape: tuple[int, ...]
    total: int
    kept: int


@dataclass(frozen=True)
class Size:
    """A network's size; ``kept`` counts what the masks keep, biases included. Bytes count indices, not only values.

    ``dense_bytes`` stores everything, ``csr_bytes`` and ``bitmask_bytes`` store masked weights in that form and the rest dense.
    """

    parameters: tuple[ParameterSize, ...]
    dense_bytes: int
    csr_bytes: int
    bitmask_bytes: int

    @property
    def total(self) -> int:
        return sum(p.total for p in self.parameters)

    @property
    def kept(self) -> int:
        return sum(p.kept for p in self.parameters)

    @property
    def compression(self) -> float:
        """Original parameters / kept parameters, as Blalock et al. 2020 define it."""
        return self.total / max(self.kept, 1)


def size(model: Module) -> Size:
    """Count the parameters of ``model`` and the bytes to store them."""
    named = list(model.named_parameters())
    parameters = tuple(ParameterSize(n, p.shape, p.size, p.size if p.mask is None else int(p.mask.sum())) for n, p in named)

    def stored_as(kind: type[CSR] | type[Bitmask]) -> int:
        return sum(_stored(kind, p.data, p.mask) for _, p in named)

    return Size(parameters, sum(p.data.nbytes for _, p in named), stored_as(CSR), stored_as(Bitmask))


def _stored(kind: type[CSR] | type[Bitmask], data: Array, mask: Array | None) -> int:
    return data.nbytes if mask is None or data.ndim < 2 else kind.from_dense(data, mask).nbytes


def saved_bytes(model: Module) -> int:
    """The size of the file that ``checkpoint.save`` writes: values, indices, header and all."""
    return len(checkpoint.to_bytes(model))
