"""One table that says how large, how much work and how fast a model is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from minprune.metrics.flops import macs
from minprune.metrics.latency import Latency, latency
from minprune.metrics.size import Size, saved_bytes, size
from minprune.nn import Module

COLUMNS = ("parameter", "shape", "total", "kept", "density", "MACs dense", "MACs sparse")


@dataclass(frozen=True)
class Summary:
    """The numbers behind the table; prints as text, shows as HTML in a notebook."""

    model_name: str
    size: Size
    saved_bytes: int
    macs: dict[str, tuple[int, int]] | None  # parameter -> (dense, sparse), per image
    latency: Latency | None

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells as text: a row per parameter, then the total."""
        rows = [(p.name, "x".join(map(str, p.shape)), *self._cells(p.total, p.kept, p.name)) for p in self.size.parameters]
        return [*rows, ("total", "", *self._cells(self.size.total, self.size.kept, None))]

    def footer(self) -> list[str]:
        """What is said of the model as a whole."""
        s = self.size
        lines = [
            f"compression {s.compression:.2f}x (parameters / kept)",
            f"bytes: dense {s.dense_bytes:,} | CSR {s.csr_bytes:,} | bitmask {s.bitmask_bytes:,} | saved to disk {self.saved_bytes:,}",
        ]
        if self.latency is None:
            return [*lines, "MACs and latency need an input shape: summary(model, input_shape=(C, H, W))"]
        return [*lines, f"latency, batch 1, as it is: {self.latency}; masks alone make nothing faster"]

    def _cells(self, total: int, kept: int, name: str | None) -> tuple[str, ...]:
        counts = f"{total:,}", f"{kept:,}", f"{kept / max(total, 1):.1%}"
        if self.macs is None:
            return *counts, "", ""
        if name is None:
            work = tuple(sum(pair[i] for pair in self.macs.values()) for i in (0, 1))
        elif name in self.macs:
            work = self.macs[name]
        else:
            return *counts, "", ""
        return *counts, f"{work[0]:,}", f"{work[1]:,}"

    def __str__(self) -> str:
        table = [COLUMNS, *self.rows()]
        widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
        lines = ["  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) for row in table]
        rule = "-" * len(lines[0])
        return "\n".join([self.model_name, lines[0], rule, *lines[1:-1], rule, lines[-1], *self.footer()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows())
        footer = "<br>".join(escape(line) for line in self.footer())
        head = f"<caption>{escape(self.model_name)}</caption><thead>{row(COLUMNS, 'th')}</thead>"
        return f"<table>{head}<tbody>{body}</tbody></table><p>{footer}</p>"


def summary(model: Module, input_shape: tuple[int, ...] | None = None) -> Summary:
    """Parameters, MACs, bytes and latency of ``model``, per layer and in all.

    Args:
        input_shape: (C, H, W) of one image; the networks of ``minprune.models`` know theirs.
    """
    shape = input_shape or getattr(model, "input_shape", None)
    work: dict[str, tuple[int, int]] | None = None
    if shape is not None:
        work = {}
        for layer in macs(model, shape):  # a weight that is used twice works twice
            dense, sparse = work.get(layer.name, (0, 0))
            work[layer.name] = dense + layer.dense, sparse + layer.sparse
    return Summary(type(model).__name__, size(model), saved_bytes(model), work, latency(model, shape) if shape else None)
