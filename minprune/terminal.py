"""What the commands print: tables that are complete at 80 columns, those of curves and of rounds, and numbers with their spread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from minprune.experiments import DENSE, as_good_as_dense, dense_control, summarise

if TYPE_CHECKING:
    import pandas as pd

console = Console()
errors = Console(stderr=True)


def light_table(*heads: str, title: str | None = None, texts: int = 1) -> Table:
    """A table that awaits its rows: the first ``texts`` columns are text, the others numbers, to the right.

    Its only line is that below the heads, and a head in several lines saves width. What is too wide for the terminal all the same goes on
    in the next line and is never cut.
    """
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < texts else "right", overflow="fold")
    return table


def three_digits(value: float | None) -> str:
    """A number >= 0 to three significant digits, with four decimals at most and to the unit from 100 on: 0.0012, 0.0305, 41.3, 1235.

    None, for what was not measured, is "-".
    """
    if value is None:
        return "-"
    if value < 0.01:
        return f"{value:.4f}"
    return f"{value:#.3g}" if value < 99.95 else f"{value:.0f}"


def print_curve(points: pd.DataFrame) -> None:
    """A table of a pruning curve, a section per method."""
    title = "Test accuracy, mean ± standard deviation over seeds; sizes are means"
    table = light_table("weights left", "accuracy", "parameters", "MACs", "bytes\non disk", title=title)
    rows = summarise(points)
    last_dense = rows[rows["method"] == DENSE]["epochs"].max()
    for method, group in rows.groupby("method", sort=False):
        table.add_section()
        table.add_row(f"[bold]{'dense control' if method == DENSE else method}[/]")
        for _, row in group[(group["density"] < 1) | (group["epochs"] == last_dense)].iterrows():
            accuracy = f"{row['accuracy']:.1%} ± {row['std']:5.1%}"
            table.add_row(f"{row['remaining']:6.1%}", accuracy, f"{row['parameters']:,.0f}", f"{row['macs']:,.0f}", f"{row['bytes']:,.0f}")
    console.print(table)


def print_costs(points: pd.DataFrame) -> None:
    """A table of the dense control and, of each method, the smallest network that is within one standard deviation of the dense control.

    A method without such a network has a row that says "none".
    """
    table = summarise(points)
    title = "Within one standard deviation of the dense control, the smallest of each method"
    shown = light_table("method", "accuracy", "parameters", "MACs", "ms / 64\nimages", title=title)
    best = as_good_as_dense(table).set_index("method", drop=False)
    for method in table["method"].unique():
        if method != DENSE and method not in best.index:
            shown.add_row(method, "none")
            continue
        row = dense_control(table) if method == DENSE else best.loc[method]
        sizes = f"{row['parameters']:,.0f}", f"{row['macs']:,.0f}", three_digits(row["ms"])
        shown.add_row("dense control" if method == DENSE else method, f"{row['accuracy']:.2%} ± {row['std']:.2%}", *sizes)
    console.print(shown)


def print_history(history: pd.DataFrame, chosen: int, title: str) -> None:
    """A table of the rounds of a run."""
    table = light_table("round", "weights\nleft", "cut", "tuned", "MACs", "bytes", "ms /\nimage", "", title=title)
    for _, row in history.iterrows():
        cells = (
            f"{1 - row['sparsity']:.2%}",
            f"{row['accuracy_cut']:.2%}",
            f"{row['accuracy']:.2%}",
            f"{row['macs']:,.0f}",
            f"{row['bytes']:,.0f}",
        )
        table.add_row(f"{row['round']:.0f}", *cells, three_digits(row["ms"]), "chosen" if row["round"] == chosen else "")
    console.print(table)


def mean_std(values: Iterable[float]) -> str:
    """Mean ± sample standard deviation of fractions, in percent."""
    array = np.array(list(values))
    spread = f" ± {array.std(ddof=1):.2%} (n = {array.size})" if array.size > 1 else ""
    return f"{array.mean():.2%}{spread}"
