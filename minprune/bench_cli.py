"""The ``minprune bench`` commands: our times beside those of other libraries, as ratios within one run."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minprune import parallel
from minprune.files import check_writable
from minprune.terminal import console, errors, light_table, three_digits

if TYPE_CHECKING:
    import pandas as pd

bench_app = typer.Typer(
    help="Measure this machine: our times beside those of other libraries, as ratios within one run.", no_args_is_help=True
)

ThreadsOption = Annotated[int, typer.Option(min=1, max=parallel.available(), help="Threads for every library.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
THREADS = min(2, parallel.available())
PRODUCTS = {"ours": "ours\nsparse", "ours_dense": "ours\ndense", "scipy": "SciPy\nCSR", "torch_csr": "PyTorch\nCSR"}  # beside NumPy's dense


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
    console.print(f"Training step, batch {batch_size}, {threads} threads, medians in one run")
    heads = "ours\nms", "NumPy\nms", "PyTorch\nms", "PyTorch\n/ ours", "pruned\n95 %\nms", "ours /\npruned", "ours\nMiB", "PyTorch\nMiB"
    table = light_table("model", *heads)
    for t in timings:
        cells = (t.ours_ms, t.numpy_ms, t.torch_ms, t.speedup, t.pruned_ms, t.ours_ms / t.pruned_ms, t.ours_mib, t.torch_mib)
        table.add_row(t.model, *map(three_digits, cells))
    console.print(table)
    console.print(
        "PyTorch / ours above 1: ours is faster. ours / pruned above 1: ours is faster with 95 % of its weights pruned. "
        "MiB: by how much training makes the peak memory grow."
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

    from minprune.experiments.bench.sparse import time_engines
    from minprune.speed_plots import LIBRARY_NAMES, describe_engines, engine_speed

    _check(out)
    timings = time_engines(threads)
    if as_json:
        typer.echo(json.dumps([t.as_dict() for t in timings], indent=2))
    else:
        console.print(f"Inference with pruned networks, {threads} threads, medians in one run; ms per batch\n")
        heads = [head for name in timings[0].speedups() for head in (LIBRARY_NAMES[name].replace(" ", "\n") + "\nms", "/ ours")]
        for batch_size in dict.fromkeys(t.batch_size for t in timings):
            table = light_table("network", "ours\nms", *heads, title=f"batch {batch_size}")
            for t in timings:
                if t.batch_size == batch_size:
                    others = (value for name, ratio in t.speedups().items() for value in (t.ms[name], ratio))
                    table.add_row(t.network, *map(three_digits, (t.ms["ours"], *others)))
            console.print(table)
        console.print("/ ours: the time to its left divided by ours; above 1, ours is faster.")
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
        console.print(f"Dense layers, outputs x inputs, with zeros: {threads} threads, medians in one run\n")
        names = [name for name in libraries() if name != "numpy"]
        heads = [head for name in names for head in (PRODUCTS[name] + "\nms", "speed-\nup")]
        for (o, k, n), layer in rows.groupby(["outputs", "inputs", "batch_size"], sort=False):
            table = light_table("zeros", "NumPy\ndense\nms", *heads, title=f"{o} x {k}, batch {n}")
            for row in layer.to_dict("records"):
                others = (value for name in names for value in (row[name], row["numpy"] / row[name]))
                table.add_row(f"{row['sparsity']:4.0%}", *map(three_digits, (row["numpy"], *others)))
            console.print(table)
        console.print(
            "zeros: the share of the weights that is zero. speed-up: NumPy's time divided by the one to its left; "
            "above 1, that is faster than NumPy."
        )
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
    console.print(f"A Dense layer, {LAYER[0]} x {LAYER[1]}, batch {timings[0].batch_size}, one thread, medians in one run")
    table = light_table("kept", "dense\nms", "CSR\nms", "n:m\nms", "dense\n/ n:m", "CSR\n/ n:m")
    for t in timings:
        row = t.dense_ms, t.sparse_ms, t.pattern_ms, t.dense_ms / t.pattern_ms, t.sparse_ms / t.pattern_ms
        table.add_row(t.pattern, *map(three_digits, row))
    console.print(table)
    console.print("dense / n:m and CSR / n:m above 1: the kernel for n:m is faster.")


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
    console.print(f"ResNet, half of its channels cut, batch {batch_size}, {threads} threads, medians in one run")
    table = light_table("", "dense\nms", "masked\nms", "compacted\nms", "masked /\ncompacted", "dense /\ncompacted")
    for t in timings:
        row = t.dense_ms, t.masked_ms, t.compacted_ms, t.masked_ms / t.compacted_ms, t.dense_ms / t.compacted_ms
        table.add_row(t.work, *map(three_digits, row))
    console.print(table)
    console.print("masked / compacted and dense / compacted above 1: the compacted one is faster.")
    console.print(f"compacting took {three_digits(seconds)} s")


def _check(out: Path | None) -> None:
    from minprune.plots import check_figure_path

    if out is not None:
        check_figure_path(out)
        check_writable(out)
        check_writable(out.with_suffix(".csv"))


def _save(out: Path | None, rows: pd.DataFrame, draw: object, description: str) -> None:
    from minprune.experiments import save_points
    from minprune.plots import save_figure

    if out is None:
        return
    save_points(rows, out.with_suffix(".csv"), shlex.join(["minprune", *sys.argv[1:]]), description)
    save_figure(draw(rows), out, description)  # type: ignore[operator]
    errors.print(f"drew {out}, its data are in {out.with_suffix('.csv')}")
