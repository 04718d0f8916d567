"""Figures: tables in, matplotlib figures out, all in one style, each saved with alternative text.

Nothing here trains or measures; whatever is drawn lies in a table that is saved beside the figure.
"""

from __future__ import annotations

import os
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from minprune.experiments import DENSE, as_good_as_dense, dense_control, summarise
from minprune.files import atomic_write
from minprune.models import MODELS
from minprune.tensor import Array

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_GAP = 0.055  # least distance between direct labels, as a share of the axis


def style() -> Any:
    """A context manager in which figures get the project's style."""
    from matplotlib import style as mpl_style

    return mpl_style.context(str(files("minprune") / "minprune.mplstyle"))


def pruning_curve(points: pd.DataFrame, num_classes: int, title: str = "") -> Figure:
    """Test accuracy against the weights that remain: a line, a marker and a band of ± one standard deviation per method.

    Args:
        points: the raw points of ``run_curve``.
        num_classes: for the line at chance level, 1 / num_classes.
        title: above the figure; by default model and data.

    The axis of weights is logarithmic and runs from 100 % down. The dense control is dashed, with its own band.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

    table = summarise(points)
    with style():
        figure = Figure()
        axes: Axes = figure.subplots()
        dense = dense_control(table)
        axes.axhspan(dense["accuracy"] - dense["std"], dense["accuracy"] + dense["std"], color="0.8", lw=0, zorder=1)
        axes.axhline(dense["accuracy"], color="0.25", ls="--", lw=1.5, marker="", zorder=2)
        axes.axhline(1 / num_classes, color="0.45", ls=":", lw=1.5, marker="", zorder=2)
        ends = []
        for method, rows in table[table["method"] != DENSE].groupby("method", sort=False):
            (line,) = axes.plot(rows["remaining"], rows["accuracy"], label=method, clip_on=False, zorder=4)
            low, high = rows["accuracy"] - rows["std"], (rows["accuracy"] + rows["std"]).clip(upper=1)
            axes.fill_between(rows["remaining"], low, high, color=line.get_color(), alpha=0.2, lw=0, zorder=3)
            ends.append((str(method), float(rows["accuracy"].iloc[-1]), str(line.get_color())))
        right = float(table["remaining"].min())
        axes.set_xscale("log")
        axes.set_xlim(1.15, right / 1.1)
        axes.set_ylim(0, 1.02)
        ticks = [t for t in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001) if t >= right * 0.99]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("weights remaining (logarithmic)")
        axes.set_ylabel("test accuracy")
        seeds = points["seed"].nunique()
        axes.set_title(title or f"{_model_name(points)} on {points['data'].iloc[0]}: mean ± 1 standard deviation, n = {seeds} seeds")
        ends += [("dense control", float(dense["accuracy"]), "0.25"), ("chance", 1 / num_classes, "0.45")]
        _label_ends(axes, ends)
    return figure


ACCURACIES = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)  # of which an axis is marked at those that it shows
COSTS = {"parameters": "parameters", "macs": "MACs per image", "ms": "milliseconds for 64 images, one thread"}


def cost_curves(points: pd.DataFrame, num_classes: int) -> Figure:
    """Test accuracy against parameters, MACs and measured time, side by side: a line, a marker and a band per method in each.

    Args:
        points: the raw points of ``run_curve`` with a ``timed`` config.
        num_classes: for the line at chance level.

    All axes of costs are logarithmic and run from dense on the left to small on the right. The axis of accuracy is logarithmic in the
    error, so that from 98 to 99 % is as far as from 80 to 90 %: good networks do not crowd at the top. Of points between which nothing was
    cut, as happens where there are few units, the last is drawn, which was trained longest.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    table = summarise(points)
    dense = dense_control(table)
    worst = float((table["accuracy"] - table["std"]).min())
    collapses = worst < 0.75  # else the empty half of the figure down to chance is left out, and its label says where that lies
    bottom = min(0.5 / num_classes, 0.05) if collapses else 1 - 1.3 * (1 - worst)
    chance = ("chance", 1 / num_classes, "0.45") if collapses else (f"(chance: {1 / num_classes:.0%})", bottom, "0.45")
    with style():
        figure = Figure(figsize=(15, 6))
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
            axes.axhspan(dense["accuracy"] - dense["std"], dense["accuracy"] + dense["std"], color="0.8", lw=0, zorder=1)
            axes.axhline(dense["accuracy"], color="0.25", ls="--", lw=1.5, marker="", zorder=2)
            axes.axhline(1 / num_classes, color="0.45", ls=":", lw=1.5, marker="", zorder=2)
            ends = [("dense control", float(dense["accuracy"]), "0.25"), chance]
            for method, rows in _distinct(table).groupby("method", sort=False):
                (line,) = axes.plot(rows[cost], rows["accuracy"], label=_short(points, str(method)), zorder=4)
                low, high = rows["accuracy"] - rows["std"], (rows["accuracy"] + rows["std"]).clip(upper=1)
                axes.fill_between(rows[cost], low, high, color=line.get_color(), alpha=0.15, lw=0, zorder=3)
                ends.append((_short(points, str(method)), float(rows["accuracy"].iloc[-1]), str(line.get_color())))
            axes.set_xscale("log")
            axes.invert_xaxis()
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", rotation=45)
            axes.set_xlabel(f"{label} (logarithmic)")
        panels[0].set_yscale("function", functions=(_from_error, _to_error))
        best = float((table["accuracy"] + table["std"]).max())
        panels[0].set_ylim(bottom, 1 - max(1 - best, 1e-3) / 1.3)
        panels[0].yaxis.set_major_locator(FixedLocator([a for a in ACCURACIES if bottom <= a <= panels[0].get_ylim()[1]]))
        panels[0].yaxis.set_minor_locator(NullLocator())
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        panels[0].set_ylabel("test accuracy (logarithmic in the error)")
        _label_ends(panels[-1], ends)
        about = f"mean ± 1 standard deviation, n = {points['seed'].nunique()} seeds"
        figure.suptitle(f"{_model_name(points)} on {points['data'].iloc[0]}, by what is cut in one piece: {about}", x=0.01, ha="left")
    return figure


def _from_error(accuracy: Array) -> Array:
    """Where an accuracy stands on an axis that is logarithmic in the error."""
    return -np.log10(np.clip(1 - np.asarray(accuracy), 1e-6, None))


def _to_error(height: Array) -> Array:
    """The accuracy that stands there."""
    return 1 - 10 ** -np.asarray(height)


def _distinct(table: pd.DataFrame) -> pd.DataFrame:
    """The pruned methods' rows of ``summarise``; of those between which nothing was cut, the last."""
    return table[table["method"] != DENSE].drop_duplicates(["method", "parameters"], keep="last")


def _short(points: pd.DataFrame, method: str) -> str:
    """The parts of a method's name that not all pruned methods share; "weight", the usual granularity, where nothing is left."""
    names = [set(name.split(", ")) for name in points["method"].unique() if name != DENSE]
    shared = set.intersection(*names) if len(names) > 1 else set()
    return ", ".join(part for part in method.split(", ") if part not in shared) or "weight"


def describe_costs(points: pd.DataFrame) -> str:
    """Alternative text of cost curves: what each method needs to be as good as dense."""
    table = summarise(points)
    dense, start = dense_control(table), table[table["density"] == 1].iloc[0]
    best = as_good_as_dense(table).set_index("method")
    said = [
        f"Test accuracy of {_model_name(points)} on {points['data'].iloc[0]} against parameters, MACs and measured milliseconds for 64 "
        f"images on one thread, mean of {points['seed'].nunique()} seeds. The dense network has {start['parameters']:,.0f} parameters, "
        f"{start['macs']:,.0f} MACs, {start['ms']:.2f} ms; its control reaches {dense['accuracy']:.2%} ± {dense['std']:.2%}."
    ]
    for method in table.loc[table["method"] != DENSE, "method"].unique():
        name = _short(points, str(method))
        if method not in best.index:
            said.append(f"{name}: never within one standard deviation of it.")
            continue
        row = best.loc[method]
        said.append(
            f"{name}: within one standard deviation of it with {row['parameters']:,.0f} parameters, {row['macs']:,.0f} MACs, "
            f"{row['ms']:.2f} ms."
        )
    return " ".join(said)


def _label_ends(axes: Axes, ends: list[tuple[str, float, str]]) -> None:
    """Write each line's name beside its right end, moved apart where ends lie close."""
    order = sorted(ends, key=lambda end: end[1])
    low, *at, high = axes.yaxis.get_transform().transform(np.array([axes.get_ylim()[0], *(y for _, y, _ in order), axes.get_ylim()[1]]))
    shares = [float((y - low) / (high - low)) for y in at]
    for (name, _, color), share, height in zip(order, shares, _spread_out(shares, LABEL_GAP), strict=True):
        axes.annotate(
            name,
            xy=(1.0, share),
            xytext=(1.035, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=color,
            fontweight="bold",
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.8, "shrinkA": 0, "shrinkB": 1},
        )


def _spread_out(heights: list[float], gap: float) -> list[float]:
    """Ascending heights in [0, 1], moved as little as a few sweeps need so that neighbours are at least ``gap`` apart."""
    spread = np.clip(heights, 0, 1)
    for _ in range(200):
        for i in range(len(spread) - 1):
            overlap = gap - (spread[i + 1] - spread[i])
            if overlap > 0:
                spread[i] -= overlap / 2
                spread[i + 1] += overlap / 2
    return [float(h) for h in spread]


def describe_curve(points: pd.DataFrame) -> str:
    """Alternative text of a pruning curve: what it shows, in sentences with numbers."""
    table = summarise(points)
    dense = dense_control(table)
    sentences = [
        f"Test accuracy of {_model_name(points)} on {points['data'].iloc[0]} against the share of weights remaining, mean of "
        f"{points['seed'].nunique()} seeds; the dense control reaches {dense['accuracy']:.1%} ± {dense['std']:.1%}."
    ]
    for method, rows in table[table["method"] != DENSE].groupby("method", sort=False):
        pruned = rows[rows["density"] < 1]
        as_good = pruned[pruned["accuracy"] >= dense["accuracy"] - 0.01]
        last = pruned.iloc[-1]
        reach = (
            f"comes within one point of dense down to {as_good['remaining'].min():.1%} of the weights"
            if len(as_good)
            else "is always more than one point below dense"
        )
        sentences.append(f"{method}: {reach}, and ends at {last['accuracy']:.1%} with {last['remaining']:.1%} remaining.")
    return " ".join(sentences)


def sensitivity(points: pd.DataFrame, budgets: dict[str, float], num_classes: int) -> Figure:
    """Accuracy when one layer alone is cut: a heat map of layers and sparsities, and a line with its band per layer.

    Args:
        points, budgets: what ``run_sensitivity`` returns; the budgets are outlined in the map and marked on the lines.
        num_classes: for the line at chance level.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    table = _by_layer(points)
    layers, sparsities = list(budgets), [float(s) for s in table["mean"].columns]
    with style():
        figure = Figure(figsize=(14, 1.6 + max(0.42 * len(layers), 3.4)))
        left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
        image = left.imshow(table["mean"].loc[layers], vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for y, layer in enumerate(layers):
            for x, sparsity in enumerate(sparsities):
                value = table["mean"].loc[layer, sparsity]
                weight = "bold" if sparsity == budgets[layer] else "normal"
                left.text(
                    x, y, f"{100 * value:.0f}", ha="center", va="center", color="black" if value > 0.5 else "white", fontweight=weight
                )
                if sparsity == budgets[layer]:
                    left.add_patch(_frame(x, y))
        left.set_xticks(range(len(sparsities)), [f"{100 * s:g}" for s in sparsities])
        left.set_yticks(range(len(layers)), layers)
        left.grid(False)
        left.set_xlabel("% removed from this layer alone (framed: suggested budget)")
        left.set_title("validation accuracy, %")
        figure.colorbar(image, ax=left, format=PercentFormatter(1, decimals=0), pad=0.02)
        ends = []
        for layer in layers:
            mean, std = table["mean"].loc[layer], table["std"].loc[layer].fillna(0)
            (line,) = right.plot(sparsities, mean, clip_on=False)
            right.fill_between(sparsities, mean - std, (mean + std).clip(upper=1), color=line.get_color(), alpha=0.15, lw=0)
            ends.append((layer, float(mean.iloc[-1]), str(line.get_color())))
        right.axhline(1 / num_classes, color="0.45", ls=":", lw=1.5, marker="")
        right.set_xlim(0, sparsities[-1])
        right.set_ylim(0, 1.02)
        right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        right.set_xlabel(f"{_unit(points)}s removed from one layer, no fine-tuning")
        right.set_title(f"mean ± 1 standard deviation, n = {points['seed'].nunique()} seeds")
        _label_ends(right, [*ends, ("chance", 1 / num_classes, "0.45")])
        figure.suptitle(f"{_model_name(points)} on {points['data'].iloc[0]}: which layer can lose how many {_unit(points)}s?")
    return figure


def _frame(x: int, y: int) -> Any:
    """A frame around one cell of a heat map."""
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, fill=False, edgecolor="#D55E00", lw=2.5)


def _by_layer(points: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{"mean", "std": table of validation accuracy over seeds, a row per layer, a column per sparsity}."""
    groups = points.dropna(subset=["sparsity"]).groupby(["layer", "sparsity"], sort=False)["val_accuracy"]
    return {what: getattr(groups, what)().unstack("sparsity").sort_index(axis=1) for what in ("mean", "std")}


def _unit(points: pd.DataFrame) -> str:
    granularity = str(points["granularity"].iloc[0])
    return f"{granularity} block" if granularity[0].isdigit() else granularity


def describe_sensitivity(points: pd.DataFrame, budgets: dict[str, float]) -> str:
    """Alternative text of a sensitivity figure."""
    mean = _by_layer(points)["mean"]
    falls = sorted(budgets, key=lambda layer: float(mean.loc[layer].iloc[-1]))
    together = points[points["sparsity"].isna()]["val_accuracy"].mean()
    said = ", ".join(f"{layer} {100 * s:g}%" for layer, s in budgets.items())
    return (
        f"Validation accuracy of {_model_name(points)} on {points['data'].iloc[0]} when {_unit(points)}s of one layer alone are removed, "
        f"mean of {points['seed'].nunique()} seeds, without fine-tuning. The dense network reaches {mean.iloc[0, 0]:.1%}. With "
        f"{mean.columns[-1]:.0%} removed, {falls[0]} hurts most ({mean.loc[falls[0]].iloc[-1]:.1%}) and {falls[-1]} least "
        f"({mean.loc[falls[-1]].iloc[-1]:.1%}). Suggested budgets: {said}; together they leave {together:.1%}."
    )


def _model_name(points: pd.DataFrame) -> str:
    return MODELS[points["model"].iloc[0]].__name__


def save_figure(figure: Figure, path: str | os.PathLike[str], description: str) -> None:
    """Write a PNG, SVG or PDF by the path's ending, atomically, with ``description`` as its embedded alternative text."""
    check_figure_path(path)
    key = "Subject" if os.fspath(path).lower().endswith(".pdf") else "Description"
    with style(), atomic_write(path) as temporary:
        figure.savefig(temporary, metadata={key: description})


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """A ValueError unless ``path`` ends as a figure's does."""
    if os.path.splitext(path)[1].lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"expected a path ending in .png, .svg or .pdf, got {os.fspath(path)!r}")
