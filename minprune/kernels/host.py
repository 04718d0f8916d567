"""What this processor's vectors look like, and the block sizes that suit them.

A block of accumulators should fill the registers and leave a few for what streams by. A processor with AVX-512 has 32 registers of 16
float32 lanes, one with AVX2 has 16 of 8, ARM's NEON has 32 of 4. ``NUMBA_CPU_NAME`` (and ``NUMBA_CPU_FEATURES``) choose another processor
than the host, as they do in numba: ``NUMBA_CPU_NAME=haswell`` tests the AVX2 path on a newer machine.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import llvmlite.binding as llvm
from numba.core import config


@dataclass(frozen=True)
class Host:
    """``lanes`` of a vector; the ``widest`` dense block, in vectors; accumulators that fit (``tile``); the most ``places`` of a sparse row;
    how many vectors of images a sparse Dense layer takes at once (``strip``), and how many floats of them stay ``near``, in a first-level
    cache; the largest block of a dot product (rows and taps)."""

    lanes: int
    widest: int
    tile: int
    places: int
    strip: int
    near: int
    dot_rows: int
    dot_taps: int

    def rows(self, vectors: int) -> int:
        """The most rows of a dense block that is ``vectors`` wide."""
        return min(6, self.tile // vectors)

    def windows(self, vectors: int) -> int:
        """The most windows of 2 x 2 places, each place ``vectors`` vectors wide, whose sums fit in registers at once; 1 for ``widest``."""
        return self.places // (4 * vectors)


def detect() -> Host:
    """The block sizes for the processor that numba compiles for."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return Host(lanes=4, widest=4, tile=24, places=16, strip=8, near=7680, dot_rows=5, dot_taps=5)
    named = config.CPU_NAME is not None
    wide = "+avx512f" in (config.CPU_FEATURES or "") if named else llvm.get_host_cpu_features().get("avx512f", False)
    if wide:
        return Host(lanes=16, widest=4, tile=24, places=16, strip=4, near=12288, dot_rows=5, dot_taps=5)
    return Host(lanes=8, widest=2, tile=12, places=8, strip=6, near=7680, dot_rows=3, dot_taps=3)


HOST = detect()
VECTORS = tuple(v for v in (4, 2, 1) if v <= HOST.widest)  # widths of a block, in vectors
