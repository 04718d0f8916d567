"""Sparse storage of pruned weights."""

from minprune.sparse.formats import CSR, Bitmask, smallest_format

__all__ = ["CSR", "Bitmask", "smallest_format"]
