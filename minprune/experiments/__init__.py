"""Experiments: described by frozen facts, run in parallel, summarised over seeds."""

from minprune.experiments.config import DENSE, RECIPES, SCHEDULES, CurveConfig, Method, make_model
from minprune.experiments.sensitivity import SensitivityConfig, run_sensitivity, suggest_budgets
from minprune.experiments.summary import as_good_as_dense, dense_control, load_points, save_points, summarise
from minprune.experiments.sweep import Interrupted, Workers, run_curve

__all__ = [
    "DENSE",
    "RECIPES",
    "SCHEDULES",
    "CurveConfig",
    "Interrupted",
    "Method",
    "SensitivityConfig",
    "Workers",
    "as_good_as_dense",
    "dense_control",
    "load_points",
    "make_model",
    "run_curve",
    "run_sensitivity",
    "save_points",
    "suggest_budgets",
    "summarise",
]
