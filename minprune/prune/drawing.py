"""The dependency graph as a picture: a column per group, a row per parameter, a mark where the parameter carries the group's units."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minprune.prune.graph import Group

MARKS = {"makes": ("s", 9), "follows": ("o", 4), "reads": (">", 8)}  # marker and size in points
HINTS = {"makes": "makes the units", "follows": "goes with them (bias, BatchNorm)", "reads": "reads them"}


def draw_groups(title: str, groups: tuple[Group, ...], parameters: list[str]) -> Figure:
    """The figure, with a row for each of ``parameters``; groups that are never cut are grey."""
    from matplotlib import rcParams, style
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with style.context(str(files("minprune") / "minprune.mplstyle")):
        figure = Figure(figsize=(4.5 + 0.55 * len(groups), 2.2 + 0.24 * len(parameters)), layout="constrained")
        axes = figure.subplots()
        colors = rcParams["axes.prop_cycle"].by_key()["color"]
        for x, g in enumerate(groups):
            color = "0.6" if g.pinned else colors[x % len(colors)]
            heights = [parameters.index(m.parameter) for m in g.members]
            axes.plot([x, x], [min(heights), max(heights)], color=color, lw=1.5, marker="", zorder=1)
            for m, y in zip(g.members, heights, strict=True):
                marker, size = MARKS[m.role]
                axes.plot(x, y, marker=marker, ms=size, color=color, mfc="white" if m.role == "reads" else color, mew=1.5, zorder=2)
        axes.set_xticks(range(len(groups)), [str(g.size) for g in groups])
        axes.set_yticks(range(len(parameters)), parameters, fontsize="small")
        axes.set_ylim(len(parameters) - 0.5, -0.5)
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_xlabel("units in the group; grey is never cut")
        axes.set_title(f"{title}: what is cut together", loc="center")
        marks = [Line2D([], [], marker=m, ms=s, color="0.3", ls="", mfc="white" if r == "reads" else "0.3") for r, (m, s) in MARKS.items()]
        figure.legend(marks, [HINTS[role] for role in MARKS], loc="outside lower center")
    return figure
