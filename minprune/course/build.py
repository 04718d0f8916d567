"""Write all that is generated from the lessons' sources: ``python -m minprune.course.build``, or ``make lessons``.

Notebook, ``exercises.py`` and ``solution.py`` of every lesson and the table in the course map are written anew. What a learner has
written is never lost: an ``exercises.py`` that is not the skeleton as it was last generated is kept beside, as ``exercises-kept-1.py``
and so on. A lesson that is broken is named at the end; the others are written all the same, but not the map.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from minprune.course.lesson import COURSE_MAP, Course, CourseError, Lesson, find_course
from minprune.course.source import STARS, fault, generate, is_untouched
from minprune.files import write_text

BEGIN, END = "<!-- begin of the table that `make lessons` writes -->", "<!-- end of the table -->"


def write_lesson(lesson: Lesson) -> list[Path]:
    """Write what has changed in a lesson; return the files written."""
    made = generate(lesson)
    written = write_skeleton(lesson, made.skeleton)  # first: it needs the solution.py of the last time
    return _write_changed({lesson.notebook_path: made.notebook, lesson.folder / "solution.py": made.solution}) + written


def write_skeleton(lesson: Lesson, skeleton: str) -> list[Path]:
    """Start ``exercises.py`` anew and keep a copy of a learner's work; return the skeleton if it was written, then the copy."""
    path, kept = lesson.exercises_path, []
    if path.exists() and path.read_bytes() != skeleton.encode() and not is_untouched(_text(path), _text(lesson.folder / "solution.py")):
        number = 1
        while (copy := path.with_stem(f"{path.stem}-kept-{number}")).exists():
            number += 1
        shutil.copyfile(path, copy)
        kept = [copy]
    return _write_changed({path: skeleton}) + kept


def write_map(course: Course) -> list[Path]:
    """Bring the table of lessons in the course map up to date; return the map if it has changed.

    Raises:
        CourseError: the map lacks the two marks between which the table stands.
    """
    path = course.folder / COURSE_MAP
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CourseError(f"expected the lines {BEGIN!r} and {END!r} in {path}")
    rows = ["| | lesson | minutes | difficulty | needs | afterwards you can |", "|---|---|---|---|---|---|"]
    for lesson in course.lessons:
        link = f"[{lesson.title}]({lesson.name}/{lesson.notebook_path.name})"
        facts = (lesson.number, link, str(lesson.minutes), STARS[lesson.difficulty - 1])
        rows.append(f"| {' | '.join((*facts, lesson.header['needs'], lesson.header['afterwards']))} |")
    rows.append(f"| | all of them | {sum(lesson.minutes for lesson in course.lessons)} | | | |")
    return _write_changed({path: "\n".join([before + begin, "", *rows, "", end + after])})


def _write_changed(texts: dict[Path, str]) -> list[Path]:
    changed = [path for path, text in texts.items() if not path.exists() or _text(path) != text]
    for path in changed:
        write_text(path, texts[path])
    return changed


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def main() -> int:
    """Write the whole course, print which files have changed, and return 1 if a lesson is broken."""
    course = find_course()
    faults = {lesson.name: reason for lesson in course.lessons if (reason := fault(lesson))}
    written = [path for lesson in course.lessons if lesson.name not in faults for path in write_lesson(lesson)]
    for path in written if faults else written + write_map(course):
        print(f"wrote {path}")
    for name, reason in faults.items():
        print(f"{name} is broken: {reason}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
