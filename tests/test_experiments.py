"""A curve has every point it was asked for, equal budgets, equal starts, and is the same however its work is spread."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from minprune import backend, models, parallel, prune
from minprune.experiments import (
    DENSE,
    CurveConfig,
    Method,
    SensitivityConfig,
    Workers,
    as_good_as_dense,
    dense_control,
    load_points,
    run_curve,
    run_sensitivity,
    save_points,
    suggest_budgets,
    summarise,
)
from minprune.experiments.runtime import quickest, runtimes
from minprune.experiments.sensitivity import TOGETHER
from minprune.train import Recipe

METHODS = (Method("magnitude", "iterative"), Method("magnitude", "one-shot", "layer"), Method("random", "cubic"))


def small_config(**changes: object) -> CurveConfig:
    settings: dict = {"training": Recipe(epochs=2, lr=0.05), "finetuning": Recipe(epochs=1, lr=0.05)}
    return CurveConfig("lenet300100", "digits", METHODS, (0.5, 0.1, 0.02), (0, 1), **(settings | changes))


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    return run_curve(small_config(), Workers(jobs=1), progress=False)


def test_every_method_and_seed_has_every_density_and_the_dense_network(points: pd.DataFrame) -> None:
    assert len(points) == 2 * (len(METHODS) + 1) * 4
    for method in METHODS:
        for _, chain in points[points["method"] == method.label].groupby("seed"):
            assert list(chain["density"]) == [1.0, 0.5, 0.1, 0.02]
            assert list(chain["epochs"]) == [0, 1, 2, 3]


def test_exactly_the_share_asked_for_is_kept(points: pd.DataFrame) -> None:
    asked = [n - round((1 - d) * n) for n, d in zip(points["prunable"], points["density"], strict=True)]
    assert list(points["kept"]) == asked
    assert (points["parameters"] - points["kept"] == 300 + 100 + 10).all()  # the biases


def test_all_methods_of_a_seed_start_from_the_same_network(points: pd.DataFrame) -> None:
    starts = points[points["epochs"] == 0].groupby("seed")["test_accuracy"]
    assert (starts.nunique() == 1).all()
    assert (starts.size() == len(METHODS) + 1).all()


def test_work_and_bytes_shrink_with_the_density(points: pd.DataFrame) -> None:
    for _, chain in points[points["method"] != DENSE].groupby(["method", "seed"]):
        assert (chain["macs"].diff().dropna() < 0).all()
        assert (chain["bytes"].diff().dropna() < 0).all()


def test_processes_give_the_same_points_as_one_process(points: pd.DataFrame) -> None:
    parallel = run_curve(small_config(), Workers(jobs=2), progress=False)
    exact = ["method", "seed", "density", "kept", "bytes", "epochs"]
    pd.testing.assert_frame_equal(parallel[exact], points[exact])
    # another number of BLAS threads may round differently, so that a borderline image falls the other way
    np.testing.assert_allclose(parallel["test_accuracy"], points["test_accuracy"], atol=0.03)


def test_a_dask_cluster_gives_the_same_points() -> None:
    distributed = pytest.importorskip("distributed", reason="pip install 'minprune[cluster]' runs this test")
    config = CurveConfig("lenet300100", "digits", METHODS[:1], (0.1,), (0,), Recipe(epochs=1), Recipe(epochs=1))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        there = run_curve(config, Workers(cluster=cluster.scheduler_address), progress=False)
    here = run_curve(config, Workers(jobs=1), progress=False)
    pd.testing.assert_frame_equal(
        there.drop(columns=["val_accuracy", "test_accuracy"]), here.drop(columns=["val_accuracy", "test_accuracy"])
    )
    np.testing.assert_allclose(there["test_accuracy"], here["test_accuracy"], atol=0.03)


def test_summary_is_mean_and_sample_standard_deviation_over_seeds(points: pd.DataFrame) -> None:
    table = summarise(points)
    row = table[(table["method"] == METHODS[0].label) & (table["density"] == 0.1)].iloc[0]
    values = points[(points["method"] == METHODS[0].label) & (points["density"] == 0.1)]["test_accuracy"]
    assert row["accuracy"] == pytest.approx(np.mean(values))
    assert row["std"] == pytest.approx(abs(values.iloc[0] - values.iloc[1]) / np.sqrt(2))
    assert row["n"] == 2
    assert dense_control(table)["epochs"] == 3


def test_as_good_as_dense_is_the_smallest_within_one_deviation() -> None:
    rows = [
        ("dense", 1.0, 0.9, 0.02),
        ("a", 1.0, 0.9, 0),
        ("a", 0.5, 0.89, 0),
        ("a", 0.2, 0.881, 0),
        ("a", 0.1, 0.5, 0),
        ("b", 0.5, 0.87, 0),
    ]
    table = pd.DataFrame(rows, columns=["method", "density", "accuracy", "std"]).assign(epochs=1)
    assert as_good_as_dense(table)[["method", "density"]].to_numpy().tolist() == [["a", 0.2]]


def test_a_point_at_which_nothing_has_to_go_gets_its_training_all_the_same() -> None:
    methods = (Method("magnitude", "iterative", granularity="channel"),)
    config = CurveConfig("smallconvnet", "digits", methods, (0.5, 0.499), (0,), Recipe(epochs=1, lr=0.05), Recipe(epochs=1, lr=0.05))
    chain = run_curve(config, Workers(jobs=1), progress=False).query("method != 'dense'")
    assert chain["kept"].iloc[1] == chain["kept"].iloc[2]
    assert chain["test_accuracy"].iloc[1] != chain["test_accuracy"].iloc[2]


def test_a_timed_curve_says_which_runtime_took_how_long() -> None:
    methods = (Method("magnitude", "one-shot"), Method("magnitude", "one-shot", granularity="channel"))
    config = CurveConfig("smallconvnet", "digits", methods, (0.1,), (0,), Recipe(epochs=0), Recipe(epochs=0), timed=True)
    table = run_curve(config, Workers(jobs=1), progress=False)
    assert (table["ms"] > 0).all()
    assert set(table["runtime"]) <= {"network", "engine"}


def timed_config(epochs: int = 0) -> CurveConfig:
    methods = (Method("magnitude", "one-shot"), Method("magnitude", "one-shot", granularity="channel"))
    return CurveConfig("smallconvnet", "digits", methods, (0.1,), (0,), Recipe(epochs=epochs), Recipe(epochs=0), timed=True)


def test_chains_that_a_folder_holds_are_timed_but_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_curve(timed_config(), Workers(jobs=1), networks=tmp_path, progress=False)
    assert len(list(tmp_path.glob("*.json"))) == 3
    monkeypatch.setattr("minprune.experiments.sweep.train_dense", lambda *_: pytest.fail("trained again"))
    sizes = lambda networks: [("engine", float(sum(p.size for p in n.parameters()))) for n in networks]  # noqa: E731
    monkeypatch.setattr("minprune.experiments.sweep.quickest", sizes)
    again = run_curve(timed_config(), Workers(jobs=1), networks=tmp_path, progress=False)
    costs = ["runtime", "ms"]
    pd.testing.assert_frame_equal(again.drop(columns=costs), first.drop(columns=costs))
    channels = again[again["method"].str.endswith("channel")]
    np.testing.assert_array_equal(channels["ms"], channels["parameters"])  # the compacted network of each point was loaded
    (tmp_path / "dense-seed0.json").unlink()
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        run_curve(timed_config(), Workers(jobs=1), networks=tmp_path, progress=False)


def test_a_folder_of_another_experiment_is_refused(tmp_path: Path) -> None:
    run_curve(timed_config(), Workers(jobs=1), networks=tmp_path, progress=False)
    with pytest.raises(ValueError, match="is of another experiment"):
        run_curve(timed_config(epochs=1), Workers(jobs=1), networks=tmp_path, progress=False)


def test_training_may_be_limited_to_some_images_but_not_the_test() -> None:
    whole, some = (replace(timed_config(), train_images=n).load_data(1) for n in (None, 100))
    assert (len(some.train), len(some.val), len(some.test)) == (100, 100, len(whole.test))
    assert {image.tobytes() for image in some.train.images} <= {image.tobytes() for image in whole.train.images}
    with pytest.raises(ValueError, match="train_images expected a number from 1 to"):
        replace(timed_config(), train_images=10**6).load_data(0)


def test_all_runtimes_compute_the_same() -> None:
    model = models.SmallConvNet((1, 8, 8), 10, rng=np.random.default_rng(0)).eval()
    prune.cut(model, 0.8)
    x = np.random.default_rng(1).random((3, 1, 8, 8), dtype=np.float32)
    outputs = {name: np.asarray(getattr(y := call(x), "data", y)) for name, call in runtimes(model, (1, 8, 8)).items()}
    assert set(outputs) == ({"network", "engine"} if backend.kernels_run() else {"network"})
    for array in outputs.values():
        np.testing.assert_allclose(array, outputs["network"], atol=1e-4)


def test_the_quickest_runtime_leaves_threads_and_mode_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.SmallConvNet((1, 8, 8), 10, rng=np.random.default_rng(0)).train()
    slow, seen = (lambda x: time.sleep(0.002)), []
    quick = lambda x: seen.append((parallel.threads(), model.training))  # noqa: E731
    monkeypatch.setattr("minprune.experiments.runtime.runtimes", lambda *_: {"slow": slow, "quick": quick})
    before = parallel.threads()
    ((name, ms),) = quickest([model])
    assert name == "quick"
    assert ms < 2
    assert set(seen) == {(1, False)}
    assert (parallel.threads(), model.training) == (before, True)


def test_networks_are_timed_in_turns_and_the_least_disturbed_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [models.SmallConvNet((1, 8, 8), 10, rng=np.random.default_rng(seed)) for seed in (0, 1)]
    asked, answers = [], iter([5.0, 2.0, 3.0, 9.0, 4.0, 8.0, 6.0, 7.0])
    monkeypatch.setattr(
        "minprune.experiments.runtime.runtimes", lambda network, _: {"network": lambda _: asked.append(networks.index(network))}
    )
    monkeypatch.setattr("minprune.experiments.runtime._median", lambda call: call() or next(answers))
    assert quickest(networks) == [("network", 3.0), ("network", 2.0)]
    assert asked == [0, 1] * 4


def test_one_seed_has_no_spread(points: pd.DataFrame) -> None:
    assert (summarise(points[points["seed"] == 0])["std"] == 0).all()


def test_points_survive_the_csv_and_carry_their_command(points: pd.DataFrame, tmp_path) -> None:
    path = tmp_path / "curve.csv"
    save_points(points, path, "minprune curve --model lenet300100", "what it shows")
    pd.testing.assert_frame_equal(load_points(path), points)
    assert path.read_text().startswith("# minprune curve --model lenet300100\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "lenet55"}, "did you mean 'lenet5'"),
        ({"data": "minst"}, "did you mean 'mnist'"),
        ({"densities": ()}, "descending order, got \\[\\]"),
        ({"densities": (0.1, 0.5)}, "descending order"),
        ({"densities": (1.0, 0.5)}, "below 1"),
        ({"densities": (0.5, -0.1)}, "density as a fraction expected a number in \\[0, 1\\], got -0.1"),
        ({"seeds": ()}, "at least one method and one seed"),
        ({"methods": ()}, "at least one method and one seed"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(changes: dict, message: str) -> None:
    arguments = {"model": "lenet5", "data": "mnist", "methods": METHODS, "densities": (0.5,)} | changes
    with pytest.raises(ValueError, match=message):
        CurveConfig(**arguments)


@pytest.mark.parametrize(
    "bad", [("magnitud", "one-shot", "global"), ("magnitude", "oneshot", "global"), ("magnitude", "one-shot", "globl")]
)
def test_a_method_with_an_unknown_name_suggests_the_nearest(bad: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="did you mean"):
        Method(*bad)


def test_labels_name_what_is_not_usual() -> None:
    assert Method("magnitude", "one-shot").label == "magnitude, one-shot"
    assert Method("l1", "one-shot", "layer", "channel").label == "l1, one-shot, layer, channel"


def test_a_pattern_has_its_own_density_only() -> None:
    assert Method("magnitude", "one-shot", granularity="1:4").densities((0.5, 0.1)) == (0.25,)
    assert Method("magnitude", "one-shot", granularity="kernel").densities((0.5, 0.1)) == (0.5, 0.1)


def test_a_budget_is_the_last_sparsity_before_the_first_that_costs_too_much() -> None:
    accuracies = {"a": (0.9, 0.91, 0.89, 0.8), "b": (0.9, 0.8, 0.9, 0.9), "c": (0.9, 0.9, 0.9, 0.9)}
    rows = [
        {"layer": layer, "sparsity": s, "val_accuracy": value + shift}
        for shift in (-0.02, 0.02)
        for layer, values in accuracies.items()
        for s, value in zip((0.0, 0.3, 0.6, 0.9), values, strict=True)
    ]
    assert suggest_budgets(pd.DataFrame(rows), 0.01) == {"a": 0.6, "b": 0.0, "c": 0.9}


@pytest.mark.parametrize("granularity", ["weight", "channel"])
def test_a_scan_cuts_one_layer_at_a_time_and_changes_nothing(granularity: str) -> None:
    config = SensitivityConfig("lenet300100", "digits", "taylor", granularity, (0.5, 1.0), (0, 1), 0.02, Recipe(epochs=3, lr=0.05))
    points, budgets = run_sensitivity(config, progress=False)
    layers = ["fc1.weight", "fc2.weight", "fc3.weight"][: 3 if granularity == "weight" else 2]
    assert list(budgets) == layers
    assert len(points) == 2 * (3 * len(layers) + 1)
    dense = points[points["sparsity"] == 0].groupby("seed")["val_accuracy"]
    assert (dense.nunique() == 1).all()
    gone = points[points["sparsity"] == 1]["val_accuracy"]
    assert (gone < 0.25).all()  # a layer of zeros says the same of every image
    assert (points[points["layer"] == TOGETHER]["val_accuracy"] <= dense.max().max() + 0.05).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"granularity": "layer"}, "which 'layer' cannot have"),
        ({"sparsities": ()}, "ascending order"),
        ({"sparsities": (0.0, 0.5)}, "above 0"),
        ({"max_drop": 2.0}, "expected a number in"),
        ({"criterion": "magnitud"}, "did you mean"),
    ],
)
def test_a_scan_that_makes_no_sense_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SensitivityConfig(**{"model": "lenet5", "data": "mnist"} | changes)
