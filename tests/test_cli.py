"""The command line does what its help says, saves what it promises, and turns mistakes into one clear message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import minprune
from minprune import backend, checkpoint, cli, terminal
from minprune.experiments import load_points
from minprune.experiments.bench.compaction import CompactionTiming, forward_call, network, training_call
from minprune.experiments.bench.patterns import KERNELS, PatternTiming, kernel_call
from minprune.experiments.bench.sparse import SparseTiming
from minprune.experiments.bench.train import TrainTiming

FAST = ["--model", "lenet300100", "--data", "digits", "--epochs", "1"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def message_of(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What ``minprune ARGUMENTS`` says on standard error when it ends with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["minprune", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["train"],
        ["prune"],
        ["curve"],
        ["sensitivity"],
        ["bench"],
        ["bench", "train"],
        ["bench", "sparse"],
        ["bench", "layers"],
        ["bench", "patterns"],
        ["bench", "compact"],
    ],
)
def test_help_is_there_for_every_command(command: list[str]) -> None:
    assert "Usage" in run(*command, "--help")


def test_version_is_the_packages() -> None:
    assert minprune.__version__ in run("--version")


def test_train_saves_a_model_that_loads(tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    output = run("train", *FAST, "--out", str(out))
    assert "test accuracy" in output
    assert type(checkpoint.load(out)).__name__ == "LeNet300100"


def test_several_seeds_save_a_file_each_and_report_the_spread(tmp_path: Path) -> None:
    output = run("train", *FAST, "--seeds", "2", "--out", str(tmp_path / "model.safetensors"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model-seed0.safetensors", "model-seed1.safetensors"]
    assert "n = 2" in output


@pytest.mark.parametrize("schedule", ["one-shot", "iterative", "cubic"])
def test_prune_reaches_the_sparsity_and_saves_the_masks(tmp_path: Path, schedule: str) -> None:
    out = tmp_path / "pruned.safetensors"
    output = run("prune", *FAST, "--finetune-epochs", "1", "--sparsity", "0.9", "--rounds", "2", "--schedule", schedule, "--out", str(out))
    model = checkpoint.load(out)
    weights = [p for p in model.parameters() if p.ndim > 1]
    assert sum(int(p.mask.sum()) for p in weights) == sum(p.size for p in weights) - round(0.9 * sum(p.size for p in weights))
    assert "stopped because the schedule ended" in output


def test_prune_hands_out_a_compacted_network_where_channels_went(tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    run("prune", *FAST, "--finetune-epochs", "1", "--sparsity", "0.5", "--rounds", "1", "--granularity", "channel", "--out", str(out))
    model = checkpoint.load(out)
    assert model.fc1.weight.shape[0] + model.fc2.weight.shape[0] == 200
    assert all(p.mask is None for p in model.parameters())


def test_prune_takes_a_pattern_that_does_not_divide_every_axis() -> None:
    options = ["--granularity", "2:4", "--sparsity", "0.5", "--schedule", "one-shot", "--finetune-epochs", "0"]
    assert "cut at once" in run("prune", "--model", "smallconvnet", "--epochs", "0", *options)


@pytest.mark.parametrize("rewind", ["learning-rate", "weights"])
def test_prune_starts_from_a_checkpoint_and_can_rewind(tmp_path: Path, rewind: str) -> None:
    start = tmp_path / "dense.safetensors"
    run("train", *FAST, "--out", str(start))
    output = run("prune", *FAST, "--checkpoint", str(start), "--rewind", rewind, "--rounds", "1", "--criterion", "taylor")
    assert "pruned and fine-tuned" in output


def test_curve_draws_a_figure_with_its_data_and_command_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "figures" / "curve.png"
    run(
        *("curve", *FAST, "--finetune-epochs", "1", "--densities", "50,1", "--seeds", "1", "--jobs", "1", "--out", str(out)),
        *("--criterion", "magnitude", "--criterion", "random", "--schedule", "one-shot"),
    )
    assert out.stat().st_size > 10_000
    points = load_points(out.with_suffix(".csv"))
    assert set(points["method"]) == {"dense", "magnitude, one-shot", "random, one-shot"}


def test_bench_prints_json_with_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    timings = [TrainTiming("lenet5", 64, 2, ours_ms=5.0, ours_mib=20.0, numpy_ms=20.0, pruned_ms=2.0, torch_ms=10.0, torch_mib=None)]
    monkeypatch.setattr("minprune.experiments.bench.train.time_training", lambda *_: iter(timings))
    (row,) = json.loads(run("bench", "train", "--json"))
    assert row["speedup"] == 2.0
    assert row["memory_ratio"] is None
    assert "2.00" in run("bench", "train")


def test_bench_patterns_and_compact_print_their_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns, compacted = [PatternTiming("2:4", 256, 3.0, 4.0, 2.0)], [CompactionTiming("forward", 64, 2, 9.0, 10.0, 4.0)]
    monkeypatch.setattr("minprune.experiments.bench.patterns.time_patterns", lambda *_: patterns)
    monkeypatch.setattr("minprune.experiments.bench.compaction.time_compaction", lambda *_: compacted)
    (row,) = json.loads(run("bench", "patterns", "--json"))
    assert (row["over_dense"], row["over_sparse"]) == (1.5, 2.0)
    assert "1.50" in run("bench", "patterns")
    row, surgery = json.loads(run("bench", "compact", "--json"))
    assert (row["over_masked"], row["over_dense"]) == (2.5, 2.25)
    assert surgery["seconds_to_compact"] > 0
    assert "2.50" in run("bench", "compact")


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        ("train", ["lenet300100 39.8 1234 1642 41.3 0.0305 1304 12.3 508", "resnet 1234 5679 - - 215 5.75 - -"]),
        (
            "sparse",
            ["batch 1", "LeNet-5 108x 0.0078 0.0305 3.91 0.0123 1.58 0.322 41.3", "LeNet-300-100 12x 39.8 1234 31.0 1642 41.3 9.96 0.250"],
        ),
        ("layers", ["300 x 784, batch 256", "500 x 800, batch 64", "98% 0.0305 39.8 0.0008 0.0123 2.48 1234 0.0000 0.0210 1.45"]),
        ("patterns", ["2:4 39.8 1234 0.963 41.3 1282"]),
        ("compact", ["training 1234 39.8 0.963 41.3 1282", "compacting took 0.0123 s"]),
    ],
)
def test_every_bench_table_is_complete_at_80_columns(monkeypatch: pytest.MonkeyPatch, command: str, rows: list[str]) -> None:
    bench = "minprune.experiments.bench"
    products = {"ours": 39.766, "ours_dense": 0.0123, "numpy": 0.0305, "scipy": 1234.5, "torch_csr": 0.021}
    engines = {"ours": 39.766, "onnxruntime": 1234.5, "openvino": 1642.3, "torch": 9.9612}
    one_image = {"ours": 0.0078, "onnxruntime": 0.0305, "openvino": 0.0123, "torch": 0.322}
    training = [
        TrainTiming("lenet300100", 64, 2, 39.766, 12.3, 1234.5, 0.0305, 1642.3, 507.9),
        TrainTiming("resnet", 64, 2, 1234.5, None, 5678.9, 214.6, None, None),
    ]
    for function, result in {
        "train.time_training": training,
        "sparse.time_engines": [SparseTiming("LeNet-5 108x", 1, 2, one_image), SparseTiming("LeNet-300-100 12x", 256, 2, engines)],
        "layers.libraries": tuple(products),
        "layers.time_products": [products] * 9,
        "patterns.time_patterns": [PatternTiming("2:4", 256, 39.766, 1234.5, 0.963)],
        "compaction.time_compaction": [CompactionTiming("training", 64, 2, 1234.5, 39.766, 0.963)],
        "compaction.seconds_to_compact": 0.0123,
    }.items():
        monkeypatch.setattr(f"{bench}.{function}", lambda *_, result=result: result)
    monkeypatch.setattr("minprune.bench_cli.console", Console(width=80))
    lines = run("bench", command).splitlines()
    printed = [" ".join(line.split()) for line in lines]
    assert [row for row in rows if row not in printed] == [], "\n".join(lines)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= 80


def test_tables_of_curves_and_rounds_are_complete_at_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(terminal, "console", Console(width=80))
    method = "geometric_median, one-shot, lamp, channel"
    size = {"prunable": 430500, "parameters": 431080, "macs": 12293000, "bytes": 1725944, "guarded": 0, "ms": 1234.5}
    points = [
        {"method": name, "density": density, "epochs": 30, "kept": 430500 * density, "test_accuracy": accuracy} | size
        for name, density in (("dense", 1.0), (method, 0.5))
        for accuracy in (0.9792, 0.9892)
    ]
    rounds = [{"round": 10, "sparsity": 0.0, "accuracy_cut": 1.0, "accuracy": 0.9753, "macs": 12293000, "bytes": 1725944, "ms": 39.766}]
    terminal.print_curve(pd.DataFrame(points))
    terminal.print_costs(pd.DataFrame(points))
    terminal.print_history(pd.DataFrame(rounds), 10, "seed 0")
    output = capsys.readouterr().out
    printed = [" ".join(line.split()) for line in output.splitlines()]
    assert "50.0% 98.4% ± 0.7% 431,080 12,293,000 1,725,944" in printed
    assert "dense control 98.42% ± 0.71% 431,080 12,293,000 1234" in printed
    assert "10 100.00% 100.00% 97.53% 12,293,000 1,725,944 39.8 chosen" in printed
    assert " ".join(printed).count("lamp, channel") == 2
    assert "…" not in output


def test_the_benchmarks_networks_and_kernels_run() -> None:
    for name in ("dense", "masked", "compacted"):
        assert forward_call(name, 2)().shape == (2, 10)
        training_call(name, 2)()
    sizes = [sum(p.size for p in network(name).parameters()) for name in ("masked", "compacted")]
    assert sizes[1] < 0.3 * sizes[0]
    if backend.kernels_run():
        for kernel in KERNELS:
            kernel_call("2:4", kernel, 1)()


def test_sensitivity_draws_a_figure_with_its_data_beside_it_and_suggests_budgets(tmp_path: Path) -> None:
    out = tmp_path / "sensitivity.png"
    options = ["--granularity", "channel", "--sparsities", "50,90", "--seeds", "1", "--out", str(out)]
    output = run("sensitivity", *FAST, *options)
    assert "'fc1.weight': " in output
    points = load_points(out.with_suffix(".csv"))
    assert set(points["layer"]) == {"fc1.weight", "fc2.weight", "all budgets together"}
    assert out.exists()


def test_curve_takes_several_granularities(tmp_path: Path) -> None:
    out = tmp_path / "curve.png"
    options = ["--granularity", "weight", "--granularity", "2:4", "--granularity", "channel", "--densities", "60,30", "--seeds", "1"]
    output = run("curve", *FAST, *options, "--finetune-epochs", "0", "--jobs", "1", "--costs", "--out", str(out))
    assert "Within one standard deviation of the dense control" in output
    assert out.stat().st_size > 10_000
    points = load_points(out.with_suffix(".csv"))
    densities = {method: list(rows["density"]) for method, rows in points.groupby("method")}
    assert densities["magnitude, iterative"] == densities["magnitude, iterative, channel"] == [1.0, 0.6, 0.3]
    assert densities["magnitude, iterative, 2:4"] == [1.0, 0.5]
    channels = points[points["method"] == "magnitude, iterative, channel"].iloc[-1]
    assert channels["parameters"] < 0.3 * points["parameters"].max()  # of the compacted network: inputs go with outputs
    assert channels["bytes"] < 0.35 * points["bytes"].max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model", "lenet55"], "unknown model 'lenet55'"),
        (["train", "--data", "minst"], "did you mean 'mnist'"),
        (["train", "--model", "lenet5"], "at least 16x16, got 8x8"),
        (["train", "--optimizer", "adm"], "did you mean 'adam'"),
        (["train", "--lr", "-1"], "lr expected a finite number >= 0, got -1.0"),
        (["prune", "--criterion", "magnitud"], "did you mean 'magnitude'"),
        (["prune", "--schedule", "iterativ"], "did you mean 'iterative'"),
        (["prune", "--rewind", "weight"], "did you mean 'weights'"),
        (["prune", "--checkpoint", "missing.safetensors"], "missing.safetensors"),
        (["prune", "--epochs", "0", "--min-accuracy", "0.99"], "below the floor of 0.9900 before any cut"),
        (["curve", "--densities", "50;20"], "percentages separated by commas"),
        (["curve", "--scope", "glob"], "did you mean 'global'"),
        (["curve", "--out", "figure.bmp"], ".png, .svg or .pdf"),
        (["curve", "--granularity", "chanel"], "did you mean 'channel'"),
        (["prune", "--granularity", "4:2", "--epochs", "0"], "1 <= n <= m, got 4:2"),
        (["sensitivity", "--sparsities", "50,20"], "different numbers above 0 in ascending order"),
        (["sensitivity", "--granularity", "2:4"], "which '2:4' cannot have"),
        (["sensitivity", "--out", "figure.bmp"], ".png, .svg or .pdf"),
    ],
)
def test_a_mistake_is_one_message_that_names_it(capsys, monkeypatch, tmp_path: Path, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    printed = message_of(capsys, monkeypatch, *arguments)
    assert "error:" in printed
    assert message in printed.replace("\n", " ")
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="sends the signal that Ctrl-C sends in a Unix terminal")
def test_ctrl_c_during_a_curve_keeps_the_finished_points(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "minprune", "curve", *FAST, "--finetune-epochs", "40", "--out", str(tmp_path / "curve.png")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any(path.read_text().count("\n") >= 2 for path in temporary.glob("minprune-curve-*/*.jsonl")):
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and its workers alike
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    points = load_points(tmp_path / "curve.partial.csv")
    assert len(points) >= 2
    assert f"{len(points)} finished points are kept" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "curve.png").exists()
