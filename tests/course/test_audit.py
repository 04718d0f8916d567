"""No wrong answer passes: each skeleton is not attempted, each solution right, and each known mistake is told what it is."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from minprune.course.answer import Answers, load_answers
from minprune.course.facts import Exercise
from minprune.course.lesson import Course, Lesson
from minprune.course.report import describe
from minprune.course.source import Generated, fault, generate
from minprune.course.worker import check_answer

COURSE = Course(Path(__file__).parents[2] / "lessons")
SOUND = [lesson for lesson in COURSE.lessons if not fault(lesson)]  # a broken one fails by its name, and the others are audited
EXERCISES = [
    pytest.param(lesson, exercise, id=f"{lesson.name}-{exercise.name}") for lesson in SOUND for exercise in lesson.exercises.values()
]
LESSONS = [pytest.param(lesson, id=lesson.name) for lesson in SOUND]


@pytest.fixture(scope="module")
def generated() -> dict[str, Generated]:
    return {lesson.name: generate(lesson) for lesson in SOUND}


@pytest.mark.parametrize("lesson", [pytest.param(lesson, id=lesson.name) for lesson in COURSE.lessons])
def test_the_lesson_is_not_broken(lesson: Lesson) -> None:
    assert fault(lesson) == ""


def answers_from(text: str, folder: Path) -> Answers:
    path = folder / "exercises.py"
    path.write_text(text, encoding="utf-8")
    answers = load_answers(path)
    assert answers.problems == ()
    return answers


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_the_skeleton_is_not_attempted(lesson: Lesson, exercise: Exercise, generated: dict[str, Generated], tmp_path: Path) -> None:
    assert check_answer(lesson, exercise, answers_from(generated[lesson.name].skeleton, tmp_path)).state == "not attempted"


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_the_solution_is_right(lesson: Lesson, exercise: Exercise, generated: dict[str, Generated], tmp_path: Path) -> None:
    result = check_answer(lesson, exercise, answers_from(generated[lesson.name].solution, tmp_path))
    assert (result.state, result.message) == ("right", "")


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_each_known_mistake_is_told_what_it_is(lesson: Lesson, exercise: Exercise) -> None:
    told = {}
    bank = [answer for answer in lesson.wrong_answers if answer.exercise == exercise.name]
    for answer in bank:
        result = check_answer(lesson, exercise, Answers(lesson.folder / "wrong_answers.py", {exercise.name: answer.function}, ()))
        text = " ".join(describe(result, lesson).split())
        assert result.state == "wrong", f"{answer.function.__name__} passes"
        assert answer.says in " ".join((result.message + " " + result.cause).split()), f"{answer.function.__name__} is told: {text}"
        told[answer.function.__name__] = (result.message, result.cause)
    assert len(told) >= 3
    assert len(set(told.values())) == len(bank), "two mistakes are told the same"


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES)
def test_the_file_given_is_the_one_that_runs(lesson: Lesson, exercise: Exercise, generated: dict[str, Generated], tmp_path: Path) -> None:
    canary = f"raise RuntimeError('canary of {exercise.name}')"
    text = generated[lesson.name].skeleton.replace(f'raise NotImplementedError("write {exercise.name} here")', canary)
    result = check_answer(lesson, exercise, answers_from(text, tmp_path))
    assert result.state == "wrong"
    line = 1 + text.splitlines().index(next(row for row in text.splitlines() if canary in row))
    assert f"canary of {exercise.name}" in result.message
    assert f"line {line} of exercises.py" in result.message


@pytest.mark.parametrize("lesson", LESSONS)
def test_hints_minutes_and_difficulty_are_stated(lesson: Lesson) -> None:
    for exercise in lesson.exercises.values():
        assert len(set(exercise.hints)) == len(exercise.hints) >= 2, exercise.name
        assert 5 <= exercise.minutes <= 20, exercise.name
        assert exercise.difficulty in (1, 2, 3), exercise.name


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_bank_belongs_to_the_exercises(lesson: Lesson) -> None:
    assert {answer.exercise for answer in lesson.wrong_answers} == set(lesson.exercises)
    names = Counter(answer.function.__name__ for answer in lesson.wrong_answers)
    assert [name for name, count in names.items() if count > 1] == []
    defined = [
        n.name for n in ast.parse((lesson.folder / "wrong_answers.py").read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
    ]
    assert len(lesson.wrong_answers) == len([name for name in defined if not name.startswith("_")])  # none is hidden by a namesake


@pytest.mark.parametrize("lesson", LESSONS)
def test_solution_and_notebook_are_those_of_the_source(lesson: Lesson, generated: dict[str, Generated]) -> None:
    assert (lesson.folder / "solution.py").read_text(encoding="utf-8") == generated[lesson.name].solution, "run `make lessons`"
    assert generate(lesson) == generated[lesson.name]


@pytest.mark.parametrize("lesson", LESSONS)
def test_cells_are_short_and_the_lesson_has_enough_exercises(lesson: Lesson) -> None:
    source = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
    cells = [cell.strip("\n").splitlines() for cell in source.split("\n# %%")[1:]]
    shown = [cell for cell in cells if not cell[0].startswith((" [markdown]", ' tags=["exercise"]'))]
    assert [f"{len(cell) - 1} lines: {cell[1]}" for cell in shown if len(cell) > 26] == []
    paragraphs = ["".join(cell[1:]) for cell in cells if cell[0].startswith(" [markdown]")]
    assert paragraphs
    assert len(lesson.exercises) >= (2 if lesson.name.startswith("00") else 4)


def test_the_audit_would_notice_a_check_that_never_fails() -> None:
    lesson = SOUND[0]
    exercise = next(iter(lesson.exercises.values()))
    toothless = replace(exercise, check=lambda answer, reference: None)
    answer = next(a for a in lesson.wrong_answers if a.exercise == exercise.name)
    assert check_answer(lesson, toothless, Answers(Path("x.py"), {exercise.name: answer.function}, ())).state == "right"


def test_the_count_of_exercises_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    exercises = sum(len(lesson.exercises) for lesson in SOUND)
    mistakes = sum(len(lesson.wrong_answers) for lesson in SOUND)
    with capsys.disabled():
        print(f"\n{len(SOUND)} lessons, {exercises} exercises, {mistakes} wrong answers, all caught")
    assert mistakes >= 3 * exercises
