"""Pruning: criterion x scope x granularity x schedule, and the loop that ties them to training."""

from minprune.prune.amounts import erk, lamp, uniform
from minprune.prune.criteria import CRITERIA, score
from minprune.prune.evidence import Evidence, gather, prunable_parameters
from minprune.prune.granularity import GRANULARITIES
from minprune.prune.masks import SCOPES, GuardWarning, apply_masks, current_masks, cut, make_masks, remove_masks
from minprune.prune.pipeline import Cut, Rewind, Run, Stop, gradual, iterate
from minprune.prune.schedule import Cubic, Geometric, Levels, OneShot, Remainder

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "SCOPES",
    "Cubic",
    "Cut",
    "Evidence",
    "Geometric",
    "GuardWarning",
    "Levels",
    "OneShot",
    "Remainder",
    "Rewind",
    "Run",
    "Stop",
    "apply_masks",
    "current_masks",
    "cut",
    "erk",
    "gather",
    "gradual",
    "iterate",
    "lamp",
    "make_masks",
    "prunable_parameters",
    "remove_masks",
    "score",
    "uniform",
]
