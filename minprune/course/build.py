"""Write all that is generated from the lessons' sources: ``python -m minprune.course.build``, or ``make lessons``.

Notebook, ``exercises.py`` and ``solution.py`` of every lesson and the table in the course map are written anew. What a learner has
written is never lost: an ``exercises.py`` that is not the skeleton is kept beside, as ``exercises-kept-1.py`` and so on.
"""

from __future__ import annotations

from pathlib import Path

from minprune.course.lesson import COURSE_MAP, Course, CourseError, Lesson, find_course
from minprune.course.source import STARS, generate
from minprune.files import write_text

BEGIN, END = "<!-- begin of the table that `make lessons` writes -->", "<!-- end of the table -->"


def write_lesson(lesson: Lesson) -> list[Path]:
    """Write what has changed in a lesson; return the files written."""
    made = generate(lesson)
    written = _write_changed({lesson.notebook_path: made.notebook, lesson.folder / "solution.py": made.solution})
    return written + write_skeleton(lesson, made.skeleton)


def write_skeleton(lesson: Lesson, skeleton: str) -> list[Path]:
    """Start ``exercises.py`` anew and keep a copy of what was there; return the files written: none, or the skeleton, then the copy."""
    path, kept = lesson.exercises_path, []
    if path.exists() and path.read_bytes() != skeleton.encode():
        number = 1
        while (copy := path.with_stem(f"{path.stem}-kept-{number}")).exists():
            number += 1
        write_text(copy, path.read_text(encoding="utf-8"))
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
    return _write_changed({path: "\n".join([before + begin, "", *rows, "", end + after])})


def _write_changed(texts: dict[Path, str]) -> list[Path]:
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        write_text(path, texts[path])
    return changed


if __name__ == "__main__":
    here = find_course()
    for written in [*(path for lesson in here.lessons for path in write_lesson(lesson)), *write_map(here)]:
        print(f"wrote {written}")
