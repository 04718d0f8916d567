"""The ``minprune bench`` commands: our times beside those of other libraries, as ratios within one run."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from minprune import parallel
from minprune.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

bench_app = typer.Typer(
    help="Measure this machine: our times beside those of other libraries, as ratios within one run.", no_args_is_help=True
)
console = Console()

ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads for every library.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
THREADS = min(2, parallel.available())


@bench_app.command("train")
def bench_train(
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 64,
    threads: ThreadsOption = THREADS,
    as_json: JsonOption = False,
) -> None:
    """One training step (SGD with momentum) of each network: ours, on NumPy alone, pruned to 95 %, and PyTorch eager where installed."""
    from minprune.experiments.bench.train import has_torch, time_training

    timings = list(time_training(batch_size, threads))
    if as_json:
        typer.echo(json.dumps([t.as_dict() for t in timings], indent=2))
        return
    table = Table(title=f"Training step, batch {batch_size}, {threads} threads, medians in one run, milliseconds")
    for column in (
        "model",
        "ours",
        "NumPy",
        "PyTorch",
        "PyTorch / ours",
        "ours, 95 % pruned",
        "dense / pruned",
        "ours, MiB",
        "PyTorch, MiB",
    ):
        table.add_column(column, justify="left" if column == "model" else "right")
    for t in timings:
        cells = (t.ours_ms, t.numpy_ms, t.torch_ms, t.speedup, t.pruned_ms, t.ours_ms / t.pruned_ms, t.ours_mib, t.torch_mib)
        table.add_row(t.model, *("-" if value is None else f"{value:.2f}" for value in cells))
    console.print(table)
    console.print(
        "PyTorch / ours, dense / pruned: above 1, ours (the pruned one) is faster. MiB: by how much training makes the peak memory grow."
    )
    if not has_torch():
        console.print("PyTorch is not installed; pip install 'minprune[oracle]' adds its columns.")


@bench_app.command("sparse")
def bench_sparse(
    threads: ThreadsOption = THREADS,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Draw LeNet-5's times here (.png, .svg, .pdf), the data beside it as CSV, e.g. figures/lenet5_speed.png."),
    ] = None,
) -> None:
    """Inference with pruned networks, one image and a batch of 256: our engine, ONNX Runtime, OpenVINO and PyTorch where installed."""
    import pandas as pd

    from minprune.experiments.bench.sparse import peers, time_engines
    from minprune.speed_plots import describe_engines, engine_speed

    _check(out)
    timings = time_engines(threads)
    if as_json:
        typer.echo(json.dumps([t.as_dict() for t in timings], indent=2))
    else:
        table = Table(title=f"Milliseconds per batch, {threads} threads, medians in one run; in brackets the time / ours")
        for column in ("network", "batch", "ours", *peers()):
            table.add_column(column, justify="left" if column == "network" else "right", no_wrap=True)
        for t in timings:
            faster = t.speedups()
            others = (f"{t.ms[name]:.3f} ({faster[name]:.1f})" for name in peers())
            table.add_row(t.network, str(t.batch_size), f"{t.ms['ours']:.3f}", *others)
        console.print(table)
    rows = pd.DataFrame([(t.network, t.batch_size, name, ms) for t in timings for name, ms in t.ms.items()])
    rows.columns = pd.Index(["network", "batch_size", "library", "ms"])
    _save(out, rows, engine_speed, describe_engines(rows))


@bench_app.command("layers")
def bench_layers(
    threads: ThreadsOption = THREADS,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None, typer.Option(help="Draw the crossover here (.png, .svg, .pdf), the data beside it as CSV, e.g. figures/crossover.png.")
    ] = None,
) -> None:
    """A Dense layer's product at growing sparsity: from where on does leaving out the zeros pay? Ours, NumPy, SciPy, PyTorch's CSR."""
    import pandas as pd

    from minprune.experiments.bench.layers import LAYERS, SPARSITIES, Product, libraries, time_products
    from minprune.speed_plots import crossover, describe_crossover

    _check(out)
    found = []
    for o, k, n in LAYERS:
        products = [Product(o, k, n, 1 - s) for s in SPARSITIES]
        for s, times in zip(SPARSITIES, time_products(products, threads, libraries()), strict=True):
            found.append({"outputs": o, "inputs": k, "batch_size": n, "sparsity": s} | times)
    rows = pd.DataFrame(found)
    if as_json:
        typer.echo(rows.to_json(orient="records", indent=2))
    else:
        table = Table(
            title=f"Weights (O, K) times inputs (K, batch), {threads} threads, milliseconds; in brackets NumPy's dense time / that"
        )
        for column in ("O x K", "batch", "sparsity", *libraries()):
            table.add_column(column, justify="right", no_wrap=True)
        for row in found:
            cells = (f"{row[name]:.3f} ({row['numpy'] / row[name]:.2f})" for name in libraries())
            table.add_row(f"{row['outputs']} x {row['inputs']}", str(row["batch_size"]), f"{row['sparsity']:.0%}", *cells)
        console.print(table)
    _save(out, rows, crossover, describe_crossover(rows))


@bench_app.command("patterns")
def bench_patterns(
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch, rounded up to whole panels of 64.")] = 256,
    as_json: JsonOption = False,
) -> None:
    """LeNet-5's largest layer with n of every m weights kept: the engine's dense, CSR and n:m kernels, one thread."""
    from minprune.experiments.bench.patterns import LAYER, time_patterns

    timings = time_patterns(batch_size)
    if as_json:
        typer.echo(json.dumps([t.as_dict() for t in timings], indent=2))
        return
    table = Table(title=f"{LAYER[0]} x {LAYER[1]}, batch {timings[0].batch_size}, one thread, medians in one run, milliseconds")
    for column in ("kept", "dense", "CSR", "n:m", "dense / n:m", "CSR / n:m"):
        table.add_column(column, justify="right")
    for t in timings:
        row = t.dense_ms, t.sparse_ms, t.pattern_ms, t.dense_ms / t.pattern_ms, t.sparse_ms / t.pattern_ms
        table.add_row(t.pattern, *(f"{value:.2f}" for value in row))
    console.print(table)


@bench_app.command("compact")
def bench_compact(
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 64,
    threads: ThreadsOption = THREADS,
    as_json: JsonOption = False,
) -> None:
    """The ResNet with half its channels: dense, masked and compacted, forward and training step, and how long compacting takes."""
    from minprune.experiments.bench.compaction import seconds_to_compact, time_compaction

    timings, seconds = time_compaction(batch_size, threads), seconds_to_compact()
    if as_json:
        typer.echo(json.dumps([t.as_dict() for t in timings] + [{"seconds_to_compact": seconds}], indent=2))
        return
    table = Table(title=f"ResNet, half of its channels cut, batch {batch_size}, {threads} threads, medians in one run, milliseconds")
    for column in ("", "dense", "masked", "compacted", "masked / compacted", "dense / compacted"):
        table.add_column(column, justify="right" if column else "left")
    for t in timings:
        row = t.dense_ms, t.masked_ms, t.compacted_ms, t.masked_ms / t.compacted_ms, t.dense_ms / t.compacted_ms
        table.add_row(t.work, *(f"{value:.2f}" for value in row))
    console.print(table)
    console.print(f"compacting took {seconds:.2f} s")


def _check(out: Path | None) -> None:
    from minprune.plots import check_figure_path

    if out is not None:
        check_figure_path(out)
        check_writable(out)


def _save(out: Path | None, rows: pd.DataFrame, draw: object, description: str) -> None:
    from minprune.experiments import save_points
    from minprune.plots import save_figure

    if out is None:
        return
    save_points(rows, out.with_suffix(".csv"), shlex.join(["minprune", *sys.argv[1:]]), description)
    save_figure(draw(rows), out, description)  # type: ignore[operator]
    console.print(f"drew {out}, its data are in {out.with_suffix('.csv')}")
