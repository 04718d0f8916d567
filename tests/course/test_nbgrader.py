"""An assignment's whole way through nbgrader itself: export, release, hand in, grade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from minprune.course.export import nbgrader_notebook
from minprune.course.lesson import Course, Lesson

pytest.importorskip("nbgrader", reason="pip install 'minprune[grading]' runs this test")

RIGHT = {
    "double": "def double(values):\n    return np.add(values, values)",  # np comes before the first exercise
    "clear": "def clear(values, below):\n    values[values < below] = 0",
    "mask": "mask = lambda values: values > 0",
}
SQUARE = {"double": "def double(values):\n    return values**2"}


class Room:
    """A folder in which nbgrader has released one assignment."""

    def __init__(self, folder: Path, lesson: Lesson) -> None:
        self.folder, self.name, self.notebook = folder, lesson.name, Path(lesson.name, f"{lesson.name}.ipynb")
        path = [str(Path(sys.executable).parent), *filter(None, [os.environ.get("PATH")])]
        self.environment = dict(os.environ) | {"PATH": os.pathsep.join(path)}  # nbgrader calls alembic by its name
        source = folder / "source" / self.notebook
        source.parent.mkdir(parents=True)
        nbformat.write(nbgrader_notebook(lesson), source)
        self.nbgrader("generate_assignment", self.name)
        self.released = (folder / "release" / self.notebook).read_text(encoding="utf-8")

    def nbgrader(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def hand_in(self, learner: str, answers: dict[str, str]) -> None:
        """Hand in the released notebook with other texts in some of its cells."""
        notebook = nbformat.reads(self.released, as_version=4)
        for cell in notebook.cells:
            cell.source = answers.get(cell.metadata["nbgrader"]["grade_id"], cell.source)
        path = self.folder / "submitted" / learner / self.notebook
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)

    def grade(self) -> dict[str, float]:
        """The points by learner."""
        self.nbgrader("autograde", self.name)
        self.nbgrader("export")
        return pd.read_csv(self.folder / "grades.csv").set_index("student_id")["score"].to_dict()


def test_nbgrader_gives_the_points(course: Course, lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINPRUNE_LESSONS", str(course.folder))
    room = Room(tmp_path / "room", lesson)
    assert "SOLUTION" not in room.released
    assert "2 * values" not in room.released
    room.hand_in("untouched", {})
    room.hand_in("solved", RIGHT)
    room.hand_in("one_wrong", RIGHT | SQUARE)
    room.hand_in("own_checks", {f"{name}_check": "pass" for name in RIGHT})
    assert room.grade() == {"untouched": 0, "solved": 15, "one_wrong": 10, "own_checks": 0}
