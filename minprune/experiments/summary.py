"""From raw points to what is said of them: mean ± sample standard deviation over seeds, in a table and in a CSV file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minprune.experiments.config import DENSE
from minprune.files import atomic_write
from minprune.version import __version__

if TYPE_CHECKING:
    import pandas as pd


def summarise(points: pd.DataFrame) -> pd.DataFrame:
    """A row per method and density: accuracy mean and sample standard deviation (n−1; 0 for one seed), n, mean sizes and milliseconds.

    ``density`` is what was asked for, in units of the method's granularity; ``remaining`` is the share of the weights that is left.
    """
    shares = points.assign(remaining=points["kept"] / points["prunable"])
    groups = shares.groupby(["method", "density", "epochs"], sort=False)
    table = groups.agg(
        accuracy=("test_accuracy", "mean"),
        std=("test_accuracy", "std"),
        n=("test_accuracy", "size"),
        remaining=("remaining", "mean"),
        parameters=("parameters", "mean"),
        macs=("macs", "mean"),
        bytes=("bytes", "mean"),
        guarded=("guarded", "sum"),
        **({"ms": ("ms", "mean")} if "ms" in points else {}),
    ).reset_index()
    table["std"] = table["std"].fillna(0.0)
    return table


def dense_control(table: pd.DataFrame) -> pd.Series:
    """The row of ``summarise`` for the dense network at the end of its further training: what pruned ones are compared with."""
    dense = table[table["method"] == DENSE]
    return dense.loc[dense["epochs"].idxmax()]


def as_good_as_dense(table: pd.DataFrame) -> pd.DataFrame:
    """The row of ``summarise`` for the smallest network of each method that is within one standard deviation of the dense control.

    A method none of whose pruned networks is that good has no row.
    """
    dense = dense_control(table)
    good = table[(table["method"] != DENSE) & (table["density"] < 1) & (table["accuracy"] >= dense["accuracy"] - dense["std"])]
    return good.loc[good.groupby("method", sort=False)["density"].idxmin()]


def save_points(points: pd.DataFrame, path: str | os.PathLike[str], command: str, description: str = "") -> None:
    """Write the raw points as CSV below comments with the command that made them and what the figure shows (its alternative text).

    ``pandas.read_csv(path, comment="#")`` reads it.
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(f"# {command}\n# minprune {__version__}\n" + (f"# {description}\n" if description else ""))
        points.to_csv(file, index=False, lineterminator="\n")


def load_points(path: str | os.PathLike[str]) -> pd.DataFrame:
    """What ``save_points`` wrote."""
    import pandas as pd

    return pd.read_csv(path, comment="#")
