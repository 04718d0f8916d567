"""What the commands print: tables of curves and of rounds, and numbers with their spread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from minprune.experiments import DENSE, as_good_as_dense, dense_control, summarise

if TYPE_CHECKING:
    import pandas as pd

console = Console()
errors = Console(stderr=True)


def print_curve(points: pd.DataFrame) -> None:
    """A table of a pruning curve, a section per method."""
    table = Table(title="Test accuracy, mean ± standard deviation over seeds; sizes are means")
    for column in ("weights left", "accuracy", "parameters", "MACs", "bytes on disk"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = summarise(points)
    last_dense = rows[rows["method"] == DENSE]["epochs"].max()
    for method, group in rows.groupby("method", sort=False):
        table.add_section()
        table.add_row("", f"[bold]{'dense control' if method == DENSE else method}[/]")
        for _, row in group[(group["density"] < 1) | (group["epochs"] == last_dense)].iterrows():
            accuracy = f"{row['accuracy']:.1%} ± {row['std']:5.1%}"
            table.add_row(f"{row['remaining']:.1%}", accuracy, f"{row['parameters']:,.0f}", f"{row['macs']:,.0f}", f"{row['bytes']:,.0f}")
    console.print(table)


def print_costs(points: pd.DataFrame) -> None:
    """A table of the dense control and, of each method, the smallest network that is within one standard deviation of the dense control.

    A method without such a network has a row that says "none".
    """
    table = summarise(points)
    shown = Table(title="Within one standard deviation of the dense control, the smallest of each method")
    for column in ("", "accuracy", "parameters", "MACs", "ms/64"):
        shown.add_column(column, justify="right" if column else "left", no_wrap=bool(column))
    best = as_good_as_dense(table).set_index("method", drop=False)
    for method in table["method"].unique():
        if method != DENSE and method not in best.index:
            shown.add_row(method, "none")
            continue
        row = dense_control(table) if method == DENSE else best.loc[method]
        sizes = f"{row['parameters']:,.0f}", f"{row['macs']:,.0f}", f"{row['ms']:.2f}"
        shown.add_row("dense control" if method == DENSE else method, f"{row['accuracy']:.2%} ± {row['std']:.2%}", *sizes)
    console.print(shown)


def print_history(history: pd.DataFrame, chosen: int, title: str) -> None:
    """A table of the rounds of a run."""
    table = Table(title=title)
    for column in ("round", "weights left", "cut", "tuned", "MACs", "bytes", "ms/image", ""):
        table.add_column(column, justify="right")
    for _, row in history.iterrows():
        cells = (
            f"{1 - row['sparsity']:.2%}",
            f"{row['accuracy_cut']:.2%}",
            f"{row['accuracy']:.2%}",
            f"{row['macs']:,.0f}",
            f"{row['bytes']:,.0f}",
        )
        table.add_row(f"{row['round']:.0f}", *cells, f"{row['ms']:.3f}", "chosen" if row["round"] == chosen else "")
    console.print(table)


def mean_std(values: Iterable[float]) -> str:
    """Mean ± sample standard deviation of fractions, in percent."""
    array = np.array(list(values))
    spread = f" ± {array.std(ddof=1):.2%} (n = {array.size})" if array.size > 1 else ""
    return f"{array.mean():.2%}{spread}"
