"""Figures of speed: where sparse begins to pay, and how long a pruned network takes in several engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minprune.experiments.bench.layers import break_even
from minprune.plots import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LIBRARY_NAMES = {"ours": "minprune", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "PyTorch"}


def crossover(rows: pd.DataFrame) -> Figure:
    """Speed-up of our sparse product over NumPy's dense one against sparsity: a line per layer, break-even marked, the ideal dashed.

    Args:
        rows: columns outputs, inputs, batch_size, sparsity, ours, numpy (milliseconds), and scipy for the first layer.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

    with style():
        figure = Figure()
        axes = figure.subplots()
        sparsities = sorted(rows["sparsity"].unique())
        axes.plot(sparsities, [1 / (1 - s) for s in sparsities], color="0.45", ls="--", lw=1.5, marker="", zorder=2)
        at = sparsities[-4]
        axes.annotate(
            "ideal: time in\nproportion to what is kept", (at, 1 / (1 - at)), (-8, 8), textcoords="offset points", ha="right", color="0.35"
        )
        axes.axhline(1, color="0.25", lw=1.2, marker="", zorder=2)
        axes.axhspan(0.05, 1, color="0.94", lw=0, zorder=0)
        axes.text(0.01, 0.9, "sparse is slower", color="0.35", va="top", transform=axes.get_yaxis_transform())
        for (outputs, inputs, batch), group in rows.groupby(["outputs", "inputs", "batch_size"], sort=False):
            ordered = group.sort_values("sparsity")
            speedups = list(ordered["numpy"] / ordered["ours"])
            start = break_even(list(ordered["sparsity"]), speedups)
            pays = "never pays" if start is None else f"pays from {start:.0%}"
            axes.plot(ordered["sparsity"], speedups, label=f"{outputs} x {inputs}, batch {batch}: {pays}", zorder=4)
            if start is not None:
                axes.plot([start], [1], marker="|", ms=16, mew=2.5, color=axes.lines[-1].get_color(), zorder=5)
        first = rows[(rows["batch_size"] == rows["batch_size"].iloc[0]) & (rows["inputs"] == rows["inputs"].iloc[0])].sort_values(
            "sparsity"
        )
        name = f"SciPy's CSR, {first['outputs'].iloc[0]} x {first['inputs'].iloc[0]}, batch {first['batch_size'].iloc[0]}"
        axes.plot(first["sparsity"], first["numpy"] / first["scipy"], label=name, color="0.55", marker="x", lw=1.5, zorder=3)
        axes.set_yscale("log")
        axes.set_ylim(0.05, 60)
        ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("sparsity: share of the weights that is zero")
        axes.set_ylabel("NumPy's dense time / time of the sparse product")
        axes.set_title("When leaving out zeros pays: a Dense layer's product")
        axes.legend(loc="upper left", fontsize=9.5, frameon=False)
    return figure


def engine_speed(rows: pd.DataFrame) -> Figure:
    """Time of LeNet-5, dense and pruned, in several engines: a panel per batch size, a group of bars per pruning, times written on them.

    Args:
        rows: columns network, batch_size, library, ms.
    """
    from matplotlib.figure import Figure

    rows = rows[rows["network"].str.startswith("LeNet-5") & rows["library"].isin(list(LIBRARY_NAMES))]
    batches = sorted(rows["batch_size"].unique())
    with style():
        figure = Figure(figsize=(9, 4.6))
        for axes, batch in zip(figure.subplots(1, len(batches), squeeze=False)[0], batches, strict=True):
            part = rows[rows["batch_size"] == batch]
            networks, libraries = list(dict.fromkeys(part["network"])), [n for n in LIBRARY_NAMES if n in set(part["library"])]
            for i, library in enumerate(libraries):
                times = [float(part[(part["network"] == n) & (part["library"] == library)]["ms"].iloc[0]) for n in networks]
                places = [g * (len(libraries) + 1) + i for g in range(len(networks))]
                axes.barh(places, times, 0.85, label=LIBRARY_NAMES[library], hatch=("", "//", "..", "xx")[i], edgecolor="white")
                for place, ms in zip(places, times, strict=True):
                    axes.text(ms * 1.06, place, f"{ms:.3g}", va="center", fontsize=9)
            axes.set_yticks([g * (len(libraries) + 1) + (len(libraries) - 1) / 2 for g in range(len(networks))], networks)
            axes.invert_yaxis()
            axes.set_xlim(0, float(part["ms"].max()) * 1.2)
            axes.grid(axis="y", visible=False)
            axes.set_xlabel("milliseconds (shorter is faster)")
            axes.set_title(f"batch of {batch}" if batch > 1 else "a single image")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=10.5, frameon=False)
    return figure


def describe_crossover(rows: pd.DataFrame) -> str:
    """Alternative text of ``crossover``."""
    sentences = ["Speed-up of the sparse product over NumPy's dense one against sparsity, on logarithmic scale."]
    for (outputs, inputs, batch), group in rows.groupby(["outputs", "inputs", "batch_size"], sort=False):
        ordered = group.sort_values("sparsity")
        speedups = list(ordered["numpy"] / ordered["ours"])
        start = break_even(list(ordered["sparsity"]), speedups)
        pays = "never pays" if start is None else f"pays from {start:.0%}"
        sentences.append(
            f"{outputs} x {inputs}, batch {batch}: {pays}, and is {speedups[-1]:.1f} times as fast at {ordered['sparsity'].iloc[-1]:.0%}."
        )
    return " ".join(sentences)


def describe_engines(rows: pd.DataFrame) -> str:
    """Alternative text of ``engine_speed``."""
    sentences = ["Time of LeNet-5, dense and pruned, by engine."]
    for (network, batch), group in rows[rows["network"].str.startswith("LeNet-5")].groupby(["network", "batch_size"], sort=False):
        times = ", ".join(f"{LIBRARY_NAMES[row.library]} {row.ms:.3g} ms" for row in group.itertuples() if row.library in LIBRARY_NAMES)
        sentences.append(f"{network}, batch {batch}: {times}.")
    return " ".join(sentences)
