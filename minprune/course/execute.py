"""Run the lessons' notebooks from top to bottom, as a learner meets them first and as one sees them who has solved everything.

    python -m minprune.course.execute                          # both editions of all lessons, with their times
    python -m minprune.course.execute --edition learner 04     # one edition of one lesson
    python -m minprune.course.execute --jobs 2                 # two notebooks at a time

The lessons are copied to a temporary folder first: nobody's answers are touched, and no output lands in the repository.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from minprune.course.lesson import Course, Lesson, find_course
from minprune.course.source import fault, generate
from minprune.files import write_text

LIMIT = 90.0  # seconds a notebook may take on a quiet machine of two cores
EDITIONS = ("learner", "solution")


@dataclass(frozen=True)
class Execution:
    """What running a notebook gave: its time in seconds, its outputs, and what is wrong with it (an empty list if nothing is)."""

    lesson: str
    edition: str
    seconds: float
    notebook: Any
    complaints: list[str]


def copy_lessons(lessons: Iterable[Lesson], target: Path, edition: str) -> Course:
    """Copy lessons to ``target``, with skeletons ("learner") or reference solutions ("solution") as ``exercises.py``."""
    for lesson in lessons:
        copy = Lesson(target / lesson.name)
        shutil.copytree(lesson.folder, copy.folder, ignore=shutil.ignore_patterns("exercises*.py", ".*", "__pycache__"))
        made = generate(lesson)
        write_text(copy.exercises_path, made.skeleton if edition == "learner" else made.solution)
        write_text(copy.notebook_path, made.notebook)
    return Course(target)


def execute(lesson: Lesson, edition: str, limit: float = LIMIT) -> Execution:
    """Run the notebook in its folder; collect errors, warnings, verdicts that do not fit the edition, and too long a time."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    notebook = nbformat.read(lesson.notebook_path, as_version=4)
    client = NotebookClient(notebook, timeout=limit * 2, kernel_name="python3", resources={"metadata": {"path": str(lesson.folder)}})
    complaints, start = [], time.perf_counter()
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as error:
        complaints.append(str(error))
    seconds = time.perf_counter() - start
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    warnings = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr" and "compiling kernels" not in o.text]
    complaints += [f"on standard error: {text}" for text in warnings]
    printed = "".join(o.text for o in outputs if o.output_type == "stream")
    verdict = "✔ {}: right." if edition == "solution" else "… {}: not attempted."
    complaints += [f"no {verdict.format(name)!r} in the output" for name in lesson.exercises if verdict.format(name) not in printed]
    if edition == "solution" and "USING THE REFERENCE" in printed:
        complaints.append("the reference was used where the learner's own function passes")
    if seconds > limit:
        complaints.append(f"took {seconds:.0f} s, more than {limit:.0f}")
    return Execution(lesson.name, edition, seconds, notebook, complaints)


def main() -> int:
    """Run what the command line asks for, print a table, and return 1 if anything is wrong; a broken lesson does not stop the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edition", choices=EDITIONS, action="append", help="by default both")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks that run at the same time; by default 1")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a notebook may take; by default %(default)g")
    parser.add_argument("--save", type=Path, help="keep the executed notebooks in this folder")
    parser.add_argument("lessons", nargs="*", help="numbers or names; by default all")
    chosen = parser.parse_args()
    course, failures = find_course(), 0
    wanted = [course.find(name) for name in chosen.lessons] or course.lessons
    faults = {lesson.name: reason for lesson in course.lessons if (reason := fault(lesson))}
    for lesson in wanted:
        if lesson.name in faults:
            failures += 1
            print(f"  broken  {lesson.name}\n          {faults[lesson.name]}", flush=True)
    for edition in chosen.edition or EDITIONS:
        with tempfile.TemporaryDirectory() as folder:
            copies = copy_lessons([e for e in course.lessons if e.name not in faults], Path(folder) / "lessons", edition)
            todo = [delayed(execute)(copies.find(lesson.name), edition, chosen.limit) for lesson in wanted if lesson.name not in faults]
            for run in Parallel(n_jobs=chosen.jobs, return_as="generator")(todo):
                print(f"{run.seconds:6.1f} s  {run.edition:8}  {run.lesson}", flush=True)
                for complaint in run.complaints:
                    failures += 1
                    print(f"          {complaint}", flush=True)
                if chosen.save:
                    import nbformat

                    write_text(chosen.save / f"{run.lesson}-{run.edition}.ipynb", nbformat.writes(run.notebook))
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
