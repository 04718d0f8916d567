"""Checks a learner's file from outside: starts a worker process, hears its reports, and ends it when an answer hangs."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from minprune.course.facts import Exercise, Result
from minprune.course.lesson import CourseError, Lesson

START_LIMIT = 60.0  # seconds in which a worker has to start, on a slow machine


def check_lesson(lesson: Lesson, names: Sequence[str] | None = None, path: Path | None = None) -> list[Result]:
    """Check exercises of a lesson against the learner's file.

    Args:
        lesson: the lesson.
        names: of the exercises to check; by default all.
        path: the learner's file; by default ``exercises.py`` in the lesson's folder.

    Returns:
        a Result for each name. An answer that hangs is given up after the exercise's limit, and the others are still checked.
    """
    chosen = [lesson.find_exercise(name) for name in (lesson.exercises if names is None else names)]
    path = (path or lesson.exercises_path).resolve()
    if not path.is_file():
        message = f"There is no file {path.name} in {path.parent.name}."
        return [Result(e.name, "wrong", message, f"`minprune check {lesson.number} --reset` makes a new one.") for e in chosen]
    results: list[Result] = []
    while len(results) < len(chosen):
        results += _run_worker(lesson, chosen[len(results) :], path)
    return results


def _run_worker(lesson: Lesson, exercises: list[Exercise], path: Path) -> Iterator[Result]:
    """Results until all are there or the worker had to be ended; at least one, so that the caller goes on after it."""
    command = [sys.executable, "-X", "utf8", "-m", "minprune.course.worker", str(lesson.folder), str(path), *(e.name for e in exercises)]
    environment = {"MINPRUNE_BACKEND": "numpy", "MPLBACKEND": "Agg"} | dict(os.environ) | {"PYTHONPATH": _import_path()}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, env=environment, encoding="utf-8"
        )
        assert worker.stdout is not None
        reports: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_listen, args=(worker.stdout, reports), daemon=True).start()
        started = False
        limit, current, unchecked = START_LIMIT, exercises[0].name, [exercise.name for exercise in exercises]
        try:
            while True:
                try:
                    report = reports.get(timeout=limit)
                except queue.Empty:
                    worker.kill()
                    yield from (_hangs(name, limit, complaints, path, started) for name in ([current] if started else unchecked))
                    return
                if report is None:
                    worker.wait(timeout=START_LIMIT)
                    break
                if "result" in report:
                    unchecked.remove(current)
                    yield Result.from_dict(report["result"])
                else:
                    started = started or bool(report["start"])
                    current, limit = report["start"] or current, report["limit"]
        finally:
            worker.kill()
            worker.wait()
            worker.stdout.close()
        if unchecked:
            yield _crashed(current, worker.returncode, complaints, path)


def _listen(stream: IO[str], reports: queue.Queue[dict[str, Any] | None]) -> None:
    for line in stream:
        reports.put(json.loads(line))
    reports.put(None)


def _hangs(name: str, limit: float, complaints: IO[str], path: Path, started: bool) -> Result:
    complaints.seek(0)
    lines = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', complaints.read())
    where = f" It was still in line {lines[0]} of {path.name}." if lines else ""
    what = name if started else f"{path.name} itself, outside of any function,"
    message = f"{what} did not finish within {limit:.0f} seconds, and was stopped.{where}"
    return Result(name, "wrong", message, "Is there a loop that never ends?")


def _crashed(name: str, code: int, complaints: IO[str], path: Path) -> Result:
    """The worker's process is gone: the learner's file ended it, or the lesson itself is broken, which is an error of ours."""
    complaints.seek(0)
    said = complaints.read()
    if str(path) not in said and ("checks.py" in said or "solution.py" in said):
        raise CourseError(f"the lesson itself could not be loaded:\n{said}")
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return Result(
        name, "wrong", f"Python ended (code {code}) while {name} of {path.name} was checked: {last[0]}", "Is there an exit() in it?"
    )


def _import_path() -> str:
    """The worker finds the package where this process found it."""
    return os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
