"""Checks a learner's file in a process of its own, so that whatever it does happens there: ``python -m minprune.course.worker``.

Goes in: a lesson's folder, the learner's file, and names of exercises. Comes out: one line of JSON before and after each exercise, on the
standard output that nothing else writes to any more. ``runner`` starts this process, and ends it when it hangs.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import IO

from minprune.course.answer import Answer, Answers, load_answers
from minprune.course.facts import Exercise, NotAttempted, Picture, Result, State, Wrong
from minprune.course.lesson import Lesson


def check_answer(lesson: Lesson, exercise: Exercise, answers: Answers) -> Result:
    """Check one exercise in this process; every failing becomes a Result."""
    start = time.perf_counter()
    answer: Answer | None = None

    def result(state: State, message: str = "", cause: str = "", picture: Picture | None = None) -> Result:
        return Result(exercise.name, state, message, cause, picture, answer.printed if answer else "", time.perf_counter() - start)

    reference = getattr(lesson.reference, exercise.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy about what the answer computes; the check looks at the outcome
            answer = Answer(answers.find(exercise.name), reference, exercise, answers.path)
            exercise.check(answer, reference)
    except NotAttempted as verdict:
        return result("not attempted", str(verdict))
    except Wrong as verdict:
        return result("wrong", *_with_problems(verdict, answers), verdict.picture)
    except Exception as error:
        assert answer is not None
        blamed = Wrong(answer.blame(error).message, "Does the function return what its docstring promises?")
        return result("wrong", *_with_problems(blamed, answers))
    return result("right")


def _with_problems(verdict: Wrong, answers: Answers) -> tuple[str, str]:
    """Message and likely cause, and what of the file could not run: as a cause beside the check's own, or if the message names it."""
    untold = [problem for problem in answers.problems if problem.message not in verdict.message][:3]
    if not untold:
        return verdict.message, verdict.cause
    broken = f"ot all of {answers.path.name} could run: {'; '.join(problem.message for problem in untold)}."
    if verdict.cause:
        return verdict.message, f"{verdict.cause} Besides, n{broken}"
    if any(name in problem.names for problem in untold for name in re.findall(r"\w+", verdict.message)):
        return verdict.message, f"N{broken}"
    return f"{verdict.message.rstrip('.')}. Besides, n{broken}", ""


def main(folder: str, path: str, names: list[str]) -> None:
    """Check the exercises ``names`` of the lesson in ``folder`` against the file ``path``, and report on standard output."""
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what answers print, even from C, must not end among the reports
    lesson = Lesson(Path(folder))
    _report(reports, start="", limit=10.0)
    faulthandler.dump_traceback_later(8, file=sys.stderr)
    answers = load_answers(Path(path))
    for name in names:
        exercise = lesson.find_exercise(name)
        _report(reports, start=name, limit=exercise.limit)
        faulthandler.dump_traceback_later(exercise.limit * 0.8, file=sys.stderr)  # the line in which it hangs, for the learner
        result = check_answer(lesson, exercise, answers)
        faulthandler.cancel_dump_traceback_later()
        _report(reports, result=result.to_dict())


def _report(stream: IO[str], **values: object) -> None:
    stream.write(json.dumps(values) + "\n")
    stream.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
