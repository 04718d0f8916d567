"""The ``minprune`` command: train, prune, draw curves, measure. Each subcommand explains itself with ``--help``."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from minprune import checkpoint, course_cli, data
from minprune.bench_cli import bench_app
from minprune.errors import BackendError, BenchError, CheckpointError, DataError, check_name
from minprune.experiments import (
    RECIPES,
    CurveConfig,
    Interrupted,
    Method,
    SensitivityConfig,
    Workers,
    make_model,
    run_curve,
    run_sensitivity,
    save_points,
)
from minprune.files import check_writable
from minprune.metrics import summary
from minprune.nn import Module
from minprune.prune import Cubic, Cut, Geometric, OneShot, Rewind, Stop, iterate, unit_sparsity
from minprune.prune.schedule import Schedule
from minprune.terminal import console, errors, mean_std, print_costs, print_curve, print_history
from minprune.train import Recipe, evaluate, fit_recipe
from minprune.version import __version__

app = typer.Typer(
    help="Learn neural-network pruning: train a network, cut what matters least, let it recover, and measure what you got.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(course_cli.lessons)
app.command()(course_cli.check)
app.add_typer(course_cli.teach_app, name="teach")
app.add_typer(bench_app, name="bench")

DEMO_DENSITIES = (0.5, 0.25, 0.12, 0.06, 0.04, 0.025, 0.015, 0.01, 0.006, 0.003)
DEMO_METHODS = (Method("magnitude", "iterative"), Method("magnitude", "one-shot"), Method("random", "iterative"))

ModelOption = Annotated[str, typer.Option("--model", "-m", help="lenet300100, lenet5, smallconvnet or resnet.")]
DataOption = Annotated[str, typer.Option("--data", "-d", help="digits (embedded), mnist or fashion-mnist (downloaded once).")]
CriterionOption = Annotated[
    str, typer.Option(help="What a weight is worth: magnitude, l1, random, taylor, snip, activation, geometric_median or bn_scale.")
]
GRANULARITY_HELP = "What is cut in one piece: weight, 2:4 (or another n:m), kernel, 4x4 (or another block), row, column, channel, layer."
ScopeOption = Annotated[str, typer.Option(help="Whom it is ranked against: global, layer, erk or lamp.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="How many seeds (0, 1, …): each draws its own split, weights and order of images.")]
EpochsOption = Annotated[int | None, typer.Option(min=0, help="Epochs of dense training; by default what suits the data.")]
LrOption = Annotated[float | None, typer.Option(help="Learning rate of dense training; by default what suits the data.")]
FinetuneOption = Annotated[int | None, typer.Option(min=0, help="Epochs of fine-tuning after each cut; by default what suits the data.")]
JobsOption = Annotated[int | None, typer.Option(min=1, help="Processes to run at once; by default one per core.")]


def main() -> None:
    """Run the command line; an error that a user can mend is one message, not a traceback."""
    try:
        app()
    except (ValueError, TypeError, BackendError, BenchError, DataError, CheckpointError, OSError) as error:
        errors.print(f"[bold red]error:[/] {error}", soft_wrap=True, highlight=False)
        sys.exit(2 if isinstance(error, course_cli.UsageError) else 1)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Print the version if asked."""
    if show:
        console.print(f"minprune {__version__}")
        raise typer.Exit


@app.command()
def demo(
    seeds: SeedsOption = 3,
    jobs: JobsOption = None,
    out: Annotated[Path, typer.Option(help="Where the figure goes; the data lie beside it as CSV.")] = Path("figures/demo_curve.png"),
) -> None:
    """The whole loop on embedded digits, in under a minute: train, cut, fine-tune, and draw the pruning curve."""
    training, finetuning = RECIPES["digits"]
    config = CurveConfig("smallconvnet", "digits", DEMO_METHODS, DEMO_DENSITIES, tuple(range(seeds)), training, finetuning)
    console.print(
        "Handwritten digits, 8x8 pixels. A small convolutional network is trained; then its weights are removed, least important "
        "first, in three ways, until it collapses. Every point of a density has had the same amount of training."
    )
    _draw_curve(config, Workers(jobs), out)


@app.command()
def train(
    model: ModelOption = "smallconvnet",
    data_name: DataOption = "digits",
    seeds: SeedsOption = 1,
    epochs: EpochsOption = None,
    lr: LrOption = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd (with momentum), nesterov, adam or adamw.")] = None,
    out: Annotated[Path | None, typer.Option(help="Save the model here (safetensors); with several seeds, one file each.")] = None,
) -> None:
    """Train a dense network and report its accuracy on the test images."""
    check_name("data set", data_name, data.DATASETS)
    recipe = _override(RECIPES[data_name][0], epochs=epochs, lr=lr, optimizer=optimizer)
    if out is not None:
        check_writable(out)
    accuracies = []
    for seed in range(seeds):
        splits, rng = data.load(data_name, seed=seed), np.random.default_rng(seed)
        network = make_model(model, splits, rng)
        fit_recipe(network, splits, recipe, rng=rng, progress=f"seed {seed}")
        accuracies.append(evaluate(network, splits.test).accuracy)
        console.print(f"seed {seed}: test accuracy {accuracies[-1]:.2%}")
        _save(network, out, seed, seeds)
    console.print(str(summary(network)), highlight=False, soft_wrap=True)
    console.print(f"test accuracy {mean_std(accuracies)}")


@app.command()
def prune(
    model: ModelOption = "smallconvnet",
    data_name: DataOption = "digits",
    checkpoint_path: Annotated[
        Path | None, typer.Option("--checkpoint", help="Start from this trained model instead of training one.")
    ] = None,
    criterion: CriterionOption = "magnitude",
    scope: ScopeOption = "global",
    granularity: Annotated[str, typer.Option(help=GRANULARITY_HELP)] = "weight",
    schedule: Annotated[
        str, typer.Option(help="one-shot, iterative (each round takes the same share of what is left) or cubic (rounds: fast, then slow).")
    ] = "iterative",
    sparsity: Annotated[
        float, typer.Option(min=0, max=1, help="Where the schedule ends: share of all weights removed, 0.9 for nine in ten.")
    ] = 0.9,
    rounds: Annotated[int, typer.Option(min=1, help="Cuts of an iterative or cubic schedule, each followed by fine-tuning.")] = 5,
    seeds: SeedsOption = 1,
    epochs: EpochsOption = None,
    lr: LrOption = None,
    finetune_epochs: FinetuneOption = None,
    rewind: Annotated[
        str,
        typer.Option(
            help="none; learning-rate (repeat the dense training after each cut); weights (the same, from the weights before training)."
        ),
    ] = "none",
    min_accuracy: Annotated[float | None, typer.Option(help="Floor: never hand out a model below this validation accuracy.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Floor: nor further than this below the dense model (0.01 = one point).")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Goal: stop when the saved file is this small.")] = None,
    max_ms: Annotated[float | None, typer.Option(help="Goal: stop when one image takes at most this long.")] = None,
    out: Annotated[Path | None, typer.Option(help="Save the pruned model here; with several seeds, one file each.")] = None,
) -> None:
    """Score, mask, fine-tune, check; stop or go round again. Prints every round, and the test accuracy before and after."""
    check_name("data set", data_name, data.DATASETS)
    check_name("rewind", rewind, ("none", "learning-rate", "weights"))
    training, finetuning = RECIPES[data_name]
    training = _override(training, epochs=epochs, lr=lr)
    recipe = training if rewind != "none" else _override(finetuning, epochs=finetune_epochs)
    plan = _schedule(schedule, sparsity, rounds)
    stop = Stop(min_accuracy, max_drop, None, max_bytes, max_ms)
    how = Cut(criterion, scope, granularity)
    start = None if checkpoint_path is None else checkpoint.load(checkpoint_path)
    if out is not None:
        check_writable(out)
    results = []
    for seed in range(seeds):
        splits, rng = data.load(data_name, seed=seed), np.random.default_rng(seed)
        network: Module = make_model(model, splits, rng) if start is None else start.copy()
        initial = network.state_dict()
        if start is None:
            fit_recipe(network, splits, training, rng=rng, progress=f"seed {seed}: dense training")
        back = None if rewind == "none" else Rewind(0, initial if rewind == "weights" else None)
        run = iterate(network, splits, schedule=plan, recipe=recipe, rng=rng, cut=how, stop=stop, rewind=back)
        print_history(run.history, run.chosen, f"seed {seed}: validation accuracy after each cut and after its fine-tuning")
        console.print(f"stopped because {run.reason}; the model is that of round {run.chosen}")
        bare, shipped = network.copy(), how.shipped(run.model, splits)
        how.apply(bare, unit_sparsity(run.model, granularity, splits.image_shape)[0], splits, rng)
        results.append([evaluate(m, splits.test).accuracy for m in (network, bare, shipped)])
        _save(shipped, out, seed, seeds)
    console.print(str(summary(shipped)), highlight=False, soft_wrap=True)
    for what, accuracies in zip(("dense", "cut at once, no fine-tuning", "pruned and fine-tuned"), zip(*results, strict=True), strict=True):
        console.print(f"test accuracy, {what}: {mean_std(accuracies)}")


@app.command()
def curve(
    model: ModelOption = "smallconvnet",
    data_name: DataOption = "digits",
    criterion: Annotated[list[str], typer.Option(help="magnitude, l1, random, taylor, snip, …; repeat for several lines.")] = ["magnitude"],
    scope: Annotated[list[str], typer.Option(help="global, layer, erk, lamp; repeat for several lines.")] = ["global"],
    granularity: Annotated[list[str], typer.Option(help=GRANULARITY_HELP + " Repeat for several lines.")] = ["weight"],
    schedule: Annotated[
        list[str],
        typer.Option(help="one-shot, iterative (from each density on to the next) or cubic (while training); repeat for several lines."),
    ] = ["iterative"],
    densities: Annotated[
        str,
        typer.Option(
            help="Percentages of the weights (channels, …) that remain, descending, separated by commas; 10 is a sparsity of 0.9."
        ),
    ] = "50,20,10,5,2,1,0.5",
    seeds: SeedsOption = 3,
    epochs: EpochsOption = None,
    lr: LrOption = None,
    finetune_epochs: FinetuneOption = None,
    jobs: JobsOption = None,
    cluster: Annotated[str | None, typer.Option(help="Address of a dask scheduler, such as tcp://host:8786, to run there instead.")] = None,
    train_images: Annotated[
        int | None,
        typer.Option(min=1, help="Train on so many images only and validate on as many at most, drawn by the seed; the test stays whole."),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(
            help="Keep every finished chain and its networks in this folder. Those that it holds are not trained again: the same command "
            "once more, on a quiet machine, measures milliseconds only."
        ),
    ] = None,
    costs: Annotated[bool, typer.Option("--costs", help="Draw against parameters, MACs and measured milliseconds, side by side.")] = False,
    out: Annotated[Path, typer.Option(help="Where the figure goes (.png, .svg, .pdf); the data lie beside it as CSV.")] = Path(
        "figures/curve.png"
    ),
) -> None:
    """Draw accuracy against weights remaining, for every combination of criterion, scope, granularity and schedule."""
    check_name("data set", data_name, data.DATASETS)
    training, finetuning = RECIPES[data_name]
    config = CurveConfig(
        model,
        data_name,
        tuple(Method(c, s, where, g) for c in criterion for where in scope for g in granularity for s in schedule),
        _parse_percentages("densities", densities),
        tuple(range(seeds)),
        _override(training, epochs=epochs, lr=lr),
        _override(finetuning, epochs=finetune_epochs),
        timed=costs,
        train_images=train_images,
    )
    _draw_curve(config, Workers(jobs, cluster), out, networks)


@app.command()
def sensitivity(
    model: ModelOption = "smallconvnet",
    data_name: DataOption = "digits",
    criterion: CriterionOption = "magnitude",
    granularity: Annotated[str, typer.Option(help="What is cut in one piece: weight, kernel, 4x4, row, column or channel.")] = "weight",
    sparsities: Annotated[str, typer.Option(help="Percentages removed from one layer, ascending.")] = "10,20,30,40,50,60,70,80,90,95",
    max_drop: Annotated[float, typer.Option(help="What a layer's budget may cost alone (0.01 = one point of accuracy).")] = 0.01,
    seeds: SeedsOption = 3,
    epochs: EpochsOption = None,
    lr: LrOption = None,
    out: Annotated[Path, typer.Option(help="Where the figure goes; the data lie beside it as CSV.")] = Path("figures/sensitivity.png"),
) -> None:
    """Cut one layer at a time, without fine-tuning: a map of what each can lose, and a budget for each."""
    from minprune import plots

    check_name("data set", data_name, data.DATASETS)
    training = _override(RECIPES[data_name][0], epochs=epochs, lr=lr)
    seeds_used, steps = tuple(range(seeds)), _parse_percentages("sparsities", sparsities)
    config = SensitivityConfig(model, data_name, criterion, granularity, steps, seeds_used, max_drop, training)
    plots.check_figure_path(out)
    check_writable(out)
    points, budgets = run_sensitivity(config)
    description = plots.describe_sensitivity(points, budgets)
    save_points(points, out.with_suffix(".csv"), shlex.join(["minprune", *sys.argv[1:]]), description)
    plots.save_figure(plots.sensitivity(points, budgets, data.load(data_name, seed=0).num_classes), out, description)
    console.print("suggested budgets, to be used as scope:", {name: round(s, 4) for name, s in budgets.items()}, soft_wrap=True)
    dense = points[points["sparsity"] == 0].drop_duplicates("seed")
    for what, rows in (("dense", dense), ("with all budgets, not fine-tuned", points[points["sparsity"].isna()])):
        console.print(f"validation accuracy, {what}: {mean_std(rows['val_accuracy'])}")
    console.print(f"drew {out}, its data are in {out.with_suffix('.csv')}")


def _draw_curve(config: CurveConfig, workers: Workers, out: Path, networks: Path | None = None) -> None:
    """Run, print, save and draw a curve; after Ctrl-C, save what was finished."""
    from minprune import plots

    plots.check_figure_path(out)
    check_writable(out)
    start = time.perf_counter()
    num_classes = config.load_data(config.seeds[0]).num_classes
    csv = out.with_suffix(".csv")
    command = shlex.join(["minprune", *sys.argv[1:]])
    try:
        points = run_curve(config, workers, networks=networks)
    except Interrupted as interrupted:
        partial = csv.with_suffix(".partial.csv")
        save_points(interrupted.points, partial, f"{command} (interrupted)")
        errors.print(f"interrupted: {len(interrupted.points)} finished points are kept in {partial}")
        raise typer.Exit(130) from None
    print_curve(points)
    if config.timed:
        print_costs(points)
    draw, describe = (plots.cost_curves, plots.describe_costs) if config.timed else (plots.pruning_curve, plots.describe_curve)
    description = describe(points)
    save_points(points, csv, command, description)
    plots.save_figure(draw(points, num_classes), out, description)
    guarded = int(points["guarded"].sum())
    if guarded:
        console.print(f"In {guarded} points the guard kept the last unit of a layer that would have been pruned away entirely.")
    console.print(f"drew {out}, its data are in {csv}; {time.perf_counter() - start:.1f} s")


def _schedule(name: str, sparsity: float, rounds: int) -> Schedule:
    check_name("schedule", name, ("one-shot", "iterative", "cubic"))
    if name == "one-shot":
        return OneShot(sparsity)
    return Geometric(sparsity, rounds) if name == "iterative" else Cubic(final=sparsity, cuts=rounds)


def _override(recipe: Recipe, **changes: object) -> Recipe:
    """The recipe with those settings that were given on the command line."""
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def _parse_percentages(what: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(round(float(part) / 100, 12) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{what} expected percentages separated by commas, such as 50,20,10; got {text!r}") from None


def _save(model: Module, out: Path | None, seed: int, seeds: int) -> None:
    if out is None:
        return
    path = out if seeds == 1 else out.with_stem(f"{out.stem}-seed{seed}")
    checkpoint.save(model, path)
    console.print(f"saved {path}, {path.stat().st_size:,} bytes")
