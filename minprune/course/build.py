"""Write all that is generated from the lessons' sources: ``python -m minprune.course.build``, or ``make lessons``.

Notebook, ``exercises.py`` and ``solution.py`` of every lesson are written anew. What a learner has written is never lost: an
``exercises.py`` that is not the skeleton is kept beside, as ``exercises-kept-1.py`` and so on.
"""

from __future__ import annotations

from pathlib import Path

from minprune.course.lesson import Lesson, find_course
from minprune.course.source import generate
from minprune.files import write_text


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


def _write_changed(texts: dict[Path, str]) -> list[Path]:
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        write_text(path, texts[path])
    return changed


if __name__ == "__main__":
    for lesson in find_course().lessons:
        for written in write_lesson(lesson):
            print(f"wrote {written}")
