"""The package can be read from left to right: no file needs one that comes after it, and none is too long or hides an error."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each file or folder may import what stands before it, wherever in the file the import is. A folder's name stands for its __init__.py and
# for what is not named in it. A new file needs a place here.
WALL_ROWS = (
    "version errors files geometry filters parallel",
    "plain kernels fast backend",
    "tape broadcast tensor gradcheck",
    "ops.activation ops.linear ops.conv ops.grouped ops.pool ops.norm ops.loss ops.shape ops",
    "nn.init nn.module nn.layers nn",
    "models optim",
    "data.splits data.batches data.digits data.mnist data",
    "train",
    "sparse.formats sparse.trace sparse.engine sparse.matrices sparse.plan sparse.machine sparse.measure sparse.compiler sparse checkpoint",
    "metrics.size metrics.flops metrics.latency metrics.summary metrics",
    "prune.amounts prune.example prune.evidence prune.criteria prune.granularity prune.choice prune.masks",
    "prune.units prune.labels prune.drawing prune.graph prune.coupled prune.cutting",
    "prune.constancy prune.plan prune.surgery prune.schedule prune.pipeline prune",
    "minprune",
    "experiments.config experiments.kept experiments.runtime experiments.sensitivity experiments.summary experiments.sweep experiments",
    "experiments.bench",
    "plots speed_plots terminal",
    "course.facts course.expect course.answer course.lesson course.worker course.runner course.report course.source course.build",
    "course.progress course.widgets course.notebook course course.execute course.export course.grading course.door",
    "course_cli bench_cli cli __main__",
)
WALL = [name for row in WALL_ROWS for name in row.split()]
HEAVY = {"matplotlib", "numba", "pandas", "pooch", "requests", "sklearn", "torch", "tqdm", "typer"}  # imported when first needed
LINES = 350


def module_name(path: Path) -> str:
    """minprune/nn/layers.py -> nn.layers; minprune/nn/__init__.py -> nn; minprune/__init__.py -> minprune."""
    parts = path.relative_to(ROOT / "minprune").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "minprune"


SOURCES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / "minprune").rglob("*.py"))}


def imports(source: str) -> set[str]:
    """The modules of minprune that ``source`` imports when it runs: at the top or in a function, but not for type checkers only."""
    found = set()

    def add(target: str) -> None:
        if target == "minprune" or target.startswith("minprune."):
            found.add(target.removeprefix("minprune."))

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            children: Iterator[ast.AST] = iter(node.orelse)
        else:
            children = ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            package = str(node.module)
            for alias in node.names:
                target = f"{package}.{alias.name}"
                add(target if target.removeprefix("minprune.") in SOURCES else package)
        for child in children:
            visit(child)

    visit(ast.parse(source))
    return found


def place(module: str) -> int | None:
    """The position on the wall of a module, or else of the nearest folder around it; None if it has none."""
    while module not in WALL and "." in module:
        module = module.rpartition(".")[0]
    return WALL.index(module) if module in WALL else None


def test_imports_are_found_wherever_they_run() -> None:
    source = """
        from __future__ import annotations
        import numpy, minprune.tape
        from minprune import ops, Tensor
        from minprune.nn.layers import Linear
        if TYPE_CHECKING:
            from minprune import cli
        else:
            from minprune import errors
        class A:
            def f(self):
                with self:
                    from minprune.train import fit
    """
    assert imports(re.sub("^ {8}", "", source, flags=re.MULTILINE)) == {"tape", "ops", "minprune", "nn.layers", "errors", "train"}


def test_every_file_has_its_place() -> None:
    assert len(set(WALL)) == len(WALL)
    assert [module for module in SOURCES if place(module) is None] == []


def test_no_file_imports_one_that_comes_after_it() -> None:
    placed = [module for module in SOURCES if place(module) is not None]
    pairs = [(module, other) for module in placed for other in sorted(imports(SOURCES[module]))]
    assert len(pairs) > 100
    assert [f"{module} imports {other}" for module, other in pairs if other not in placed or place(other) > place(module)] == []


def test_imports_do_not_go_in_circles() -> None:
    try:
        list(TopologicalSorter({module: imports(source) for module, source in SOURCES.items()}).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_wall_is_the_order_in_which_the_readme_reads_the_code() -> None:
    chapter = (ROOT / "README.md").read_text(encoding="utf-8").split("## Reading the code")[1]
    lines = [line.strip().removeprefix("prune:").replace("sparse formats", "sparse") for line in chapter.splitlines() if "→" in line]
    rows = [re.split("→|,", line) for line in lines]
    assert len(rows) >= 3
    for row in rows:
        places = [place(f"prune.{name.strip()}" if f"prune.{name.strip()}" in SOURCES else name.strip()) for name in row]
        assert None not in places, row
        assert places == sorted(places), row


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = "import sys, minprune; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    loaded = {name.partition(".")[0] for name in printed.split()}
    assert {"minprune", "numpy"} <= loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("module", SOURCES)
def test_no_error_is_hidden(module: str) -> None:
    handlers = [node for node in ast.walk(ast.parse(SOURCES[module])) if isinstance(node, ast.ExceptHandler)]
    assert [f"line {h.lineno}: except without a type" for h in handlers if h.type is None] == []
    silent = [h for h in handlers if all(isinstance(s, ast.Pass) or ast.unparse(s) == "..." for s in h.body)]
    assert [f"line {h.lineno}: except and pass" for h in silent] == []


def test_no_file_is_too_long() -> None:
    assert {module: count for module, source in SOURCES.items() if (count := len(source.splitlines())) > LINES} == {}
