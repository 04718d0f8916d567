"""Figures draw what the table says, in the project's style, with alternative text."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minprune import plots
from minprune.experiments import DENSE


@pytest.fixture
def points() -> pd.DataFrame:
    rows = []
    for seed, shift in ((0, 0.0), (1, 0.02)):
        for method, fall in ((DENSE, 0.0), ("magnitude, iterative", 0.1), ("random, iterative", 0.4)):
            for i, density in enumerate((1.0, 0.1, 0.01)):
                rows.append(
                    {"model": "lenet5", "data": "digits", "method": method, "seed": seed, "epochs": i}
                    | {"density": 1.0 if method == DENSE else density, "test_accuracy": 0.9 + shift - fall * i}
                    | {"parameters": 100, "macs": 100, "bytes": 100, "guarded": False, "prunable": 1000}
                    | {"kept": 1000 if method == DENSE else 1000 * density}
                )
    return pd.DataFrame(rows)


def test_curve_has_a_line_per_method_with_its_means(points: pd.DataFrame) -> None:
    axes = plots.pruning_curve(points, 10).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["magnitude, iterative"].get_xdata()) == [1.0, 0.1, 0.01]
    assert list(lines["magnitude, iterative"].get_ydata()) == pytest.approx([0.91, 0.81, 0.71])
    assert lines["magnitude, iterative"].get_marker() != lines["random, iterative"].get_marker()
    assert lines["magnitude, iterative"].get_color() != lines["random, iterative"].get_color()


def test_weights_run_from_all_to_few_and_chance_and_dense_are_marked(points: pd.DataFrame) -> None:
    axes = plots.pruning_curve(points, 10).axes[0]
    assert axes.get_xscale() == "log"
    left, right = axes.get_xlim()
    assert left > 1 > right
    heights = [line.get_ydata()[0] for line in axes.get_lines() if len(set(line.get_ydata())) == 1]
    assert heights == pytest.approx([0.91, 0.1])  # the dense control's mean over seeds, and 1 / classes
    assert {"dense control", "chance", "magnitude, iterative"} <= {text.get_text() for text in axes.texts}


def test_labels_of_lines_that_end_together_do_not_overlap() -> None:
    heights = plots._spread_out([0.1, 0.1, 0.1, 0.11, 0.9], plots.LABEL_GAP)
    assert all(b - a >= plots.LABEL_GAP - 1e-6 for a, b in itertools.pairwise(heights))
    assert heights[-1] == pytest.approx(0.9)


def test_description_says_how_far_each_method_goes(points: pd.DataFrame) -> None:
    text = plots.describe_curve(points)
    assert "LeNet5 on digits" in text
    assert "mean of 2 seeds" in text
    assert "magnitude, iterative: is always more than one point below dense, and ends at 71.0%" in text


@pytest.fixture
def timed(points: pd.DataFrame) -> pd.DataFrame:
    """The same with costs; the last cut of "random" takes nothing more than the one before."""
    renamed = points.replace({"random, iterative": "magnitude, iterative, channel"})
    kept = renamed["density"].where((renamed["density"] != 0.01) | ~renamed["method"].str.endswith("channel"), 0.1)
    return renamed.assign(parameters=1000 * kept, macs=5000 * kept, ms=1 + kept)


def test_cost_curves_draw_every_method_against_each_cost(timed: pd.DataFrame) -> None:
    panels = plots.cost_curves(timed, 10).axes
    assert [axes.get_xlabel().split(" (")[0] for axes in panels] == list(plots.COSTS.values())
    for axes, (dense, small) in zip(panels, ((1000, 10), (5000, 50), (2, 1.01)), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert list(lines["weight"].get_xdata())[::2] == pytest.approx([dense, small])
        assert list(lines["weight"].get_ydata()) == pytest.approx([0.91, 0.81, 0.71])
        assert len(lines["channel"].get_xdata()) == 2
        left, right = axes.get_xlim()
        assert left > right
        heights = axes.yaxis.get_transform().transform(np.array([0.8, 0.9, 0.98, 0.99]))
        assert heights[1] - heights[0] == pytest.approx(heights[3] - heights[2])
    assert {"dense control", "chance", "weight", "channel"} == {text.get_text() for text in panels[-1].texts}


def test_cost_curves_leave_out_the_way_down_to_chance_where_nothing_collapses(timed: pd.DataFrame) -> None:
    panels = plots.cost_curves(timed.assign(test_accuracy=0.9 + 0.09 * timed["test_accuracy"]), 10).axes
    assert 0.8 < panels[0].get_ylim()[0] < 0.9 + 0.09 * timed["test_accuracy"].min()
    assert "(chance: 10%)" in {text.get_text() for text in panels[-1].texts}


def test_costs_are_described_by_what_equal_accuracy_takes(timed: pd.DataFrame) -> None:
    good = timed.assign(test_accuracy=timed["test_accuracy"].where(timed["method"] != "magnitude, iterative", 0.92))
    text = plots.describe_costs(good)
    assert "weight: within one standard deviation of it with 10 parameters, 50 MACs, 1.01 ms." in text
    assert "channel: never within one standard deviation of it." in text


def test_figure_is_saved_with_its_alternative_text(tmp_path) -> None:
    path = tmp_path / "new folder" / "figure.png"
    plots.save_figure(Figure(), path, "an empty figure")
    assert Image.open(path).text["Description"] == "an empty figure"


def test_an_ending_that_is_no_figure_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.pdf, got"):
        plots.save_figure(Figure(), tmp_path / "figure.txt", "")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def scan() -> tuple[pd.DataFrame, dict[str, float]]:
    about = {"model": "lenet5", "data": "mnist", "granularity": "channel", "criterion": "magnitude"}
    rows = [
        about | {"seed": seed, "layer": layer, "sparsity": s, "val_accuracy": 0.9 - fall * s + 0.02 * seed}
        for seed in (0, 1)
        for layer, fall in (("conv1.weight", 0.6), ("fc1.weight", 0.1))
        for s in (0.0, 0.5, 0.9)
    ]
    together = [about | {"seed": seed, "layer": "all budgets together", "sparsity": float("nan"), "val_accuracy": 0.7} for seed in (0, 1)]
    return pd.DataFrame(rows + together), {"conv1.weight": 0.0, "fc1.weight": 0.5}


def test_sensitivity_is_a_map_and_a_line_per_layer_with_budgets_framed(scan: tuple) -> None:
    figure = plots.sensitivity(*scan, num_classes=10)
    left, right = figure.axes[:2]
    values = left.get_images()[0].get_array()
    assert values.shape == (2, 3)
    assert values[0].tolist() == pytest.approx([0.91, 0.61, 0.37])
    frames = sorted((patch.get_x(), patch.get_y()) for patch in left.patches)
    assert frames == [(pytest.approx(-0.48), pytest.approx(-0.46)), (pytest.approx(0.52), pytest.approx(0.54))]
    assert list(right.get_lines()[0].get_ydata()) == pytest.approx([0.91, 0.61, 0.37])
    assert {"conv1.weight", "fc1.weight", "chance"} <= {text.get_text() for text in right.texts}


def test_sensitivity_is_described_in_words(scan: tuple) -> None:
    text = plots.describe_sensitivity(*scan)
    assert text.startswith("Validation accuracy of LeNet5 on mnist when channels of one layer alone are removed, mean of 2 seeds")
    assert "conv1.weight hurts most (37.0%) and fc1.weight least (82.0%)" in text
    assert "Suggested budgets: conv1.weight 0%, fc1.weight 50%; together they leave 70.0%." in text
