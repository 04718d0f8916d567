"""The commands of the course: ``minprune lessons``, ``minprune check`` and, for teachers, ``minprune teach``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from minprune.course.build import write_skeleton
from minprune.course.export import nbgrader_notebook
from minprune.course.facts import SIGNS, Result, State
from minprune.course.grading import grade as grade_answers
from minprune.course.lesson import COURSE_MAP, CourseError, Lesson, UsageError, find_course
from minprune.course.progress import next_hint, solution_difference
from minprune.course.report import describe
from minprune.course.runner import check_lesson
from minprune.course.source import STARS, generate
from minprune.files import check_writable, write_text
from minprune.terminal import console, errors, light_table

JUPYTER = Path(__file__).parent / "course" / "jupyter"
COLORS = {"right": "green", "wrong": "red", "not attempted": "bright_black"}

teach_app = typer.Typer(
    no_args_is_help=True,
    help="""For teachers: export exercises for nbgrader, and grade what learners hand in.

    [bold]Examples[/]
      minprune teach export 04 --out masks.ipynb      an assignment for nbgrader
      minprune teach grade handed_in --out marks.csv  a row per exercise""",
)


def lessons(
    browser: Annotated[bool, typer.Option(help="Open a browser; otherwise only print the address.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where JupyterLab listens; the next free one if it is taken.")] = 8888,
) -> None:
    """Open JupyterLab at the course map. Ctrl-C ends it.

    [bold]Examples[/]
      minprune lessons               opens a browser, too
      minprune lessons --no-browser  prints the address only
    """
    course = find_course()
    if importlib.util.find_spec("jupyterlab") is None:
        raise CourseError("JupyterLab is not installed: run `make lessons-start`, or `python -m pip install --editable '.[lessons]'`")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.folder}", f"--ServerApp.port={port}"]
    command += [f"--LabApp.default_url=/lab/tree/{COURSE_MAP}", *([] if browser else ["--no-browser"])]
    settings = os.pathsep.join(filter(None, [str(JUPYTER), os.environ.get("JUPYTER_CONFIG_PATH")]))  # the map opens as a page, not as text
    raise typer.Exit(subprocess.call(command, env=os.environ | {"JUPYTER_CONFIG_PATH": settings}))


def check(
    lesson: Annotated[str | None, typer.Argument(help="Number or name, such as 04; without it, the state of the whole course.")] = None,
    exercise: Annotated[str | None, typer.Argument(help="Only this exercise.")] = None,
    hint: Annotated[bool, typer.Option("--hint", help="Show the next hint, of this exercise or of the first that is not right.")] = False,
    solution: Annotated[
        bool, typer.Option("--solution", help="Compare with the reference: the exercises that are right, or the one named.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Start the lesson's exercises.py again; the old file is kept beside it.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever exercises.py is saved, until Ctrl-C.")] = False,
) -> None:
    """Check your exercises: the whole course in a table, or one lesson with what is wrong and why.

    [bold]Examples[/]
      minprune check                        the whole course in a table
      minprune check 04                     lesson 04: what is wrong, and why
      minprune check 04 exact_k             one exercise of it
      minprune check 04 exact_k --hint      the next hint for it
      minprune check 04 exact_k --solution  how yours differs from the reference
      minprune check 04 --watch             again whenever you save, until Ctrl-C

    [bold]Exit codes[/]
      0  nothing asked for is wrong; what is not written yet does not count
      1  an answer is wrong, or a lesson is broken
      2  a lesson, exercise or option that does not exist or does not fit
    """
    course = find_course()
    wanted = [name for name, given in (("--hint", hint), ("--solution", solution), ("--reset", reset), ("--watch", watch)) if given]
    if len(wanted) > 1:
        raise UsageError(f"expected one of {', '.join(wanted)} at a time")
    if lesson is None:
        if wanted:
            raise UsageError(f"{wanted[0]} needs a lesson, such as `minprune check 04 {wanted[0]}`")
        if not _print_course(course.lessons):
            raise typer.Exit(1)
        return
    chosen = course.find(lesson)
    names = list(chosen.exercises) if exercise is None else [chosen.find_exercise(exercise).name]
    if reset:
        if exercise is not None:
            raise UsageError("--reset starts the whole file of a lesson again; leave the exercise out")
        _reset(chosen)
    elif hint:
        _hint(chosen, names)
    elif solution:
        _compare(chosen, names, asked=exercise is not None)
    elif watch:
        _watch(chosen, names)
    elif any(result.state == "wrong" for result in _print_lesson(chosen, names)):
        raise typer.Exit(1)


@teach_app.command()
def export(
    lesson: Annotated[str, typer.Argument(help="Number or name, such as 04.")],
    out: Annotated[Path, typer.Option(help="Where the assignment goes.")] = Path("assignment.ipynb"),
) -> None:
    """Write a lesson's exercises as an assignment for nbgrader: solutions marked, tests graded, a point per minute."""
    import nbformat

    check_writable(out)
    chosen = find_course().find(lesson)
    write_text(out, nbformat.writes(nbgrader_notebook(chosen)) + "\n")
    console.print(f"wrote {out}: {len(chosen.exercises)} exercises, {sum(e.minutes for e in chosen.exercises.values())} points")


@teach_app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="A folder per learner, with files such as 04_masks.py or 04_masks/exercises.py in it.")],
    out: Annotated[Path, typer.Option(help="A CSV with a row per learner and exercise.")] = Path("grades.csv"),
) -> None:
    """Check all that learners handed in. Their code runs with your rights: use an account that may lose its files."""
    check_writable(out)
    points = grade_answers(folder, find_course())
    write_text(out, points.to_csv(index=False))
    table = light_table("learner", "lesson", "right", "wrong", "not\nattempted", "points", title="Points", texts=2)
    for (learner, name), rows in points.groupby(["learner", "lesson"], sort=False):
        counts = rows["state"].value_counts()
        table.add_row(learner, name, *(str(counts.get(state, 0)) for state in COLORS), f"{rows['points'].sum()} of {rows['of'].sum()}")
    console.print(table)
    console.print(f"wrote {out}")


def _print_course(lessons: list[Lesson]) -> bool:
    """Print the table of the course; return whether nothing is wrong in it."""
    table = light_table("lesson", "title", "", "exercises", "minutes", title="The course: ✔ right, ✗ wrong, … not attempted yet", texts=4)
    states: list[State] = []
    with ThreadPoolExecutor(max_workers=2) as pool, console.status("checking"):
        rows = list(pool.map(_course_row, lessons))
    for lesson, row in zip(lessons, rows, strict=True):
        if isinstance(row, CourseError):
            table.add_row(lesson.name, "[red]broken[/]")
        else:
            table.add_row(lesson.name, lesson.title, STARS[lesson.difficulty - 1], " ".join(map(_colored, row)), str(lesson.minutes))
            states += row
    console.print(table)
    console.print(
        f"{states.count('right')} of {len(states)} exercises are right. `minprune check 00` tells more about lesson 00.", highlight=False
    )
    broken = [row for row in rows if isinstance(row, CourseError)]
    for error in broken:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
    return not broken and "wrong" not in states


def _course_row(lesson: Lesson) -> list[State] | CourseError:
    """The states of a lesson's exercises, or what is broken in the lesson, so that the others are checked all the same."""
    try:
        return [result.state for result in check_lesson(lesson) if lesson.header]
    except CourseError as error:
        return error


def _colored(state: State) -> str:
    return f"[{COLORS[state]}]{SIGNS[state]}[/]"


def _print_lesson(lesson: Lesson, names: list[str]) -> list[Result]:
    console.print(f"[bold]{lesson.name}: {lesson.title}[/]", highlight=False)
    results = check_lesson(lesson, names)
    for result in results:
        text = describe(result, lesson)
        console.print(text, style=COLORS[result.state], markup=False, highlight=False, soft_wrap=True)
    right = sum(result.state == "right" for result in results)
    console.print(f"{right} of {len(results)} right.", highlight=False)
    return results


def _reset(lesson: Lesson) -> None:
    written = write_skeleton(lesson, generate(lesson).skeleton)
    for path in written[1:]:
        console.print(f"kept your answers in {path}", soft_wrap=True, highlight=False)
    console.print(f"{lesson.exercises_path} is {'new' if written else 'already as new'}", soft_wrap=True, highlight=False)


def _hint(lesson: Lesson, names: list[str]) -> None:
    if len(names) > 1:
        names = [result.exercise for result in check_lesson(lesson, names) if result.state != "right"]
    if not names:
        console.print(f"All exercises of {lesson.name} are right; no hint is needed.")
        return
    console.print(next_hint(lesson, lesson.exercises[names[0]]), markup=False, highlight=False)


def _compare(lesson: Lesson, names: list[str], asked: bool) -> None:
    """Show the reference of what is right, or of the exercise that was asked for by name."""
    shown = names if asked else [result.exercise for result in check_lesson(lesson, names) if result.state == "right"]
    if not shown:
        console.print(f"Nothing of {lesson.name} is right yet. To see a solution all the same, name its exercise before --solution.")
    for name in shown:
        difference = solution_difference(lesson, lesson.exercises[name])
        console.print(difference or f"{name} is the reference, letter by letter", markup=False, highlight=False, soft_wrap=True)


def _watch(lesson: Lesson, names: list[str]) -> None:
    seen: float | None = -1.0
    try:
        while True:
            path = lesson.exercises_path
            changed = path.stat().st_mtime if path.exists() else None
            if changed != seen:
                seen = changed
                console.rule(time.strftime("%H:%M:%S"))
                _print_lesson(lesson, names)
                console.print(f"watching {path}; Ctrl-C ends", style="bright_black", soft_wrap=True, highlight=False)
            time.sleep(0.3)
    except KeyboardInterrupt:
        console.print("stopped watching")
