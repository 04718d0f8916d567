"""Pruning: criterion x scope x granularity x schedule, and the loop that ties them to training."""

from minprune.prune.amounts import erk, lamp, uniform
from minprune.prune.choice import SCOPES, GuardWarning
from minprune.prune.criteria import CRITERIA, score
from minprune.prune.cutting import cut, scope_names, unit_sparsity
from minprune.prune.evidence import Evidence, gather, prunable_parameters
from minprune.prune.granularity import GRANULARITIES, NM, Block
from minprune.prune.graph import Branch, Graph, Group, Member, graph
from minprune.prune.masks import apply_masks, current_masks, make_masks, remove_masks
from minprune.prune.pipeline import Cut, Rewind, Run, Stop, gradual, iterate
from minprune.prune.plan import Plan
from minprune.prune.schedule import Cubic, Geometric, Levels, OneShot, Remainder
from minprune.prune.surgery import UnstructuredWarning, compact, plan

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "NM",
    "SCOPES",
    "Block",
    "Branch",
    "Cubic",
    "Cut",
    "Evidence",
    "Geometric",
    "Graph",
    "Group",
    "GuardWarning",
    "Levels",
    "Member",
    "OneShot",
    "Plan",
    "Remainder",
    "Rewind",
    "Run",
    "Stop",
    "UnstructuredWarning",
    "apply_masks",
    "compact",
    "current_masks",
    "cut",
    "erk",
    "gather",
    "gradual",
    "graph",
    "iterate",
    "lamp",
    "make_masks",
    "plan",
    "prunable_parameters",
    "remove_masks",
    "scope_names",
    "score",
    "uniform",
    "unit_sparsity",
]
