"""Sparse storage of pruned weights, and the engine that runs them faster."""

from minprune.sparse.formats import CSR, Bitmask, Pattern, smallest_format

__all__ = ["CSR", "Bitmask", "Engine", "Pattern", "compile", "smallest_format"]


def __getattr__(name: str) -> object:
    """``compile`` and ``Engine`` when first asked for: they need models, which this folder's formats do not."""
    if name == "Engine":
        from minprune.sparse.engine import Engine

        return Engine
    if name == "compile":
        from minprune.sparse.compiler import compile as compile_engine

        return compile_engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
