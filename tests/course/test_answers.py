"""Whatever a learner's file contains, each exercise gets a message of its own and the others are still checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minprune.course.build import write_skeleton
from minprune.course.facts import Result
from minprune.course.lesson import CourseError, Lesson
from minprune.course.report import describe
from minprune.course.runner import check_lesson
from minprune.course.source import generate

Check = Callable[[str], dict[str, Result]]
GOOD_CLEAR = "def clear(values, below):\n    values[values < below] = 0\n"
GOOD_MASK = "def mask(values):\n    return values > 0\n"
GOOD = f"def double(values):\n    return values + values\n{GOOD_CLEAR}{GOOD_MASK}"


def test_right_answers_are_right(check_text: Check) -> None:
    results = check_text(GOOD)
    assert {name: (r.state, r.message) for name, r in results.items()} == dict.fromkeys(("double", "clear", "mask"), ("right", ""))


def test_the_skeleton_is_not_attempted(lesson: Lesson) -> None:
    assert [result.state for result in check_lesson(lesson)] == ["not attempted"] * 3


@pytest.mark.parametrize(
    ("body", "message", "cause"),
    [
        ("return values ** 2", "twice [1, 2.5] should be [2.0, 5.0]; yours is [1.0, 6.25].", "That is the square."),
        ("print(2 * values)", "double printed '[2. 5.]', but it returned None.", "print shows a value to you"),
        ("pass", "double returned None.", "end with return"),
        ("return 'six'", "twice [1, 2.5] should be an array of shape (2,); yours is of type str: 'six'.", ""),
        ("return [[1], [2, 3]]", "should be an array of shape (2,); yours is of type list", ""),
        ("return values[:1]", "twice [1, 2.5] should have the shape (2,); yours has (1,).", ""),
        ("values *= 2\n    return values", "should leave its argument values as it was; yours changes it in place.", "values.copy()"),
        ("return values[7]", "raised IndexError in line 2 of exercises.py, `return values[7]`: index 7 is out of bounds", ""),
        ("return nothing_like_it", "raised NameError in line 2 of exercises.py", ""),
        ("raise NotImplementedErrorr", "raised NameError in line 2 of exercises.py", ""),
        ("return unbroadcast(2 * values, (2,))", "double calls the library's own unbroadcast.", "the thing to write here"),
        ("return lambda: 3", "yours is of type function", ""),
        ("raise ValueError", "in line 2 of exercises.py, `raise ValueError`. The call: double(values=[1.0, 2.5])", ""),
        (
            "return values ** 2\nimport numpie",
            "yours is [1.0, 6.25].",
            "That is the square. Besides, not all of exercises.py could run: line 3",
        ),
        ("import sys\n    sys.exit(3)", "Python ended (code 3) while double of exercises.py was checked", "exit()"),
        ("import os\n    os._exit(5)", "Python ended (code 5)", "exit()"),
        ("raise KeyboardInterrupt", "Python ended", ""),
    ],
)
def test_each_failing_has_its_message_and_the_others_are_checked(check_text: Check, body: str, message: str, cause: str) -> None:
    text = f"def double(values):\n    {body}\nfrom minprune.broadcast import unbroadcast\n{GOOD_CLEAR}{GOOD_MASK}"
    results = check_text(text)
    assert results["double"].state == "wrong"
    assert message in results["double"].message
    assert cause in results["double"].cause
    assert [results[name].state for name in ("clear", "mask")] == ["right", "right"]


def test_an_endless_loop_is_stopped_and_its_line_told(check_text: Check) -> None:
    results = check_text(f"def double(values):\n    while True:\n        values = values + 0\n{GOOD_CLEAR}{GOOD_MASK}")
    assert results["double"].message.startswith("double did not finish within 2 seconds, and was stopped. It was still in line ")
    assert any(f"line {line} of exercises.py" in results["double"].message for line in (2, 3))
    assert [results[name].state for name in ("clear", "mask")] == ["right", "right"]


def test_a_syntax_error_costs_only_its_own_function(check_text: Check) -> None:
    results = check_text(f"import numpy as np\n\n\ndef double(values):\n    return 2 * (values\n\n\n{GOOD_CLEAR}\n\n{GOOD_MASK}")
    assert results["double"].state == "wrong"
    assert (
        "exercises.py has an error that hides double: line 5, `return 2 * (values`: SyntaxError: '(' was never closed"
        in results["double"].message
    )
    assert [results[name].state for name in ("clear", "mask")] == ["right", "right"]


def test_wrong_indentation_costs_only_its_own_function(check_text: Check) -> None:
    results = check_text(f"{GOOD_CLEAR}\n\ndef double(values):\nreturn 2 * values\n\n\n{GOOD_MASK}")
    assert "line 6, `return 2 * values`: IndentationError: expected an indented block" in results["double"].message
    assert "on line 5" in results["double"].message
    assert [results[name].state for name in ("clear", "mask")] == ["right", "right"]


def test_a_failing_import_costs_only_what_needs_it(check_text: Check) -> None:
    results = check_text(f"import numpie as np\n\ndef double(values):\n    return np.add(values, values)\n{GOOD_CLEAR}{GOOD_MASK}")
    assert (
        results["double"].message
        == "double raised NameError in line 4 of exercises.py, `return np.add(values, values)`: name 'np' is not defined."
        " The call: double(values=[1.0, 2.5])"
    )
    assert "line 1, `import numpie as np`: ModuleNotFoundError: No module named 'numpie'" in results["double"].cause
    assert [results[name].state for name in ("clear", "mask")] == ["right", "right"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise NotImplementedError('write double here')\n    return 2 * values", 3),
        ("result = 2 * values\n    raise NotImplementedError('write double here')", 4),
        ("if len(values) > 1:\n        raise NotImplementedError", 4),
    ],
)
def test_the_skeletons_line_left_beside_an_answer_is_told(check_text: Check, body: str, line: int) -> None:
    result = check_text(f'def double(values):\n    """Twice."""\n    {body}\n{GOOD_CLEAR}{GOOD_MASK}')["double"]
    assert result.state == "wrong"
    assert f"double came to line {line} of exercises.py, `raise NotImplementedError" in result.message
    assert "Delete that line" in result.cause


@pytest.mark.parametrize(
    "body", ['"""Twice."""\n    # think first\n    raise NotImplementedError("write double here")', "raise NotImplementedError"]
)
def test_a_comment_is_no_attempt(check_text: Check, body: str) -> None:
    result = check_text(f"def double(values):\n    {body}\n")["double"]
    assert (result.state, result.message) == ("not attempted", "")


def test_an_answer_that_calls_what_is_not_written_waits_for_it(lesson: Lesson, check_text: Check) -> None:
    text = "def double(values):\n    raise NotImplementedError\ndef mask(values):\n    return double(values) > 0\n"
    results = check_text(text)
    assert (results["double"].state, results["double"].message) == ("not attempted", "")
    assert (results["mask"].state, results["mask"].message) == ("not attempted", "mask calls double, which is not written yet.")
    assert describe(results["mask"], lesson) == (
        "… mask: waiting.\n  mask calls double, which is not written yet. Write that first, then check\n  again."
    )


def test_what_a_library_has_not_implemented_is_an_error(check_text: Check) -> None:
    result = check_text("import codecs\ndef double(values):\n    return codecs.Codec().encode('x')\n")["double"]
    assert (result.state, "double raised NotImplementedError in line 3" in result.message) == ("wrong", True)


def test_what_has_nothing_to_do_with_a_failing_is_told_but_not_as_its_cause(check_text: Check) -> None:
    result = check_text("import numpie\ndef double(values):\n    return values[:1]\n")["double"]
    assert result.message.endswith(
        "yours has (1,). Besides, not all of exercises.py could run: line 1, `import numpie`: "
        "ModuleNotFoundError: No module named 'numpie'."
    )
    assert result.cause == ""


def test_a_missing_and_a_renamed_function(check_text: Check) -> None:
    results = check_text("def double_it(values):\n    return 2 * values\n" + GOOD_CLEAR)
    assert (results["double"].message, results["double"].cause) == (
        "exercises.py has no function double.",
        "It has double_it: was it renamed?",
    )
    assert results["mask"].cause == "Was it deleted or renamed?"
    assert results["clear"].state == "right"


def test_a_value_where_a_function_should_be(check_text: Check) -> None:
    assert "double should be a function; in exercises.py it is of type int." in check_text("double = 3\n")["double"].message


def test_other_parameters_than_the_skeletons(check_text: Check) -> None:
    result = check_text("def double(x, y):\n    return 2 * x\n")["double"]
    assert result.message == "double should take (values); yours takes (x, y)."


def test_a_mask_that_is_wrong_comes_with_a_picture(check_text: Check) -> None:
    result = check_text(GOOD.replace("values > 0", "values >= 0"))["mask"]
    assert result.picture is not None
    assert (result.picture.expected, result.picture.got) == ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]])


def test_a_mask_of_numbers_is_not_a_mask(check_text: Check) -> None:
    result = check_text(GOOD.replace("values > 0", "(values > 0) * 1.0"))["mask"]
    assert "should be a boolean array" in result.message


def test_no_file_at_all(lesson: Lesson) -> None:
    lesson.exercises_path.unlink()
    results = check_lesson(lesson)
    assert [(r.state, r.message, r.cause) for r in results] == [
        ("wrong", "There is no file exercises.py in 03_tiny.", "`minprune check 03 --reset` makes a new one.")
    ] * 3


@pytest.mark.parametrize("content", [b"\xff\xfe\x00x", b"\x00\x00", b""])
def test_a_file_that_is_no_text(lesson: Lesson, content: bytes) -> None:
    lesson.exercises_path.write_bytes(content)
    results = check_lesson(lesson)
    assert [result.state for result in results] == ["wrong"] * 3
    assert all(result.message for result in results)


def test_what_an_answer_prints_is_told_and_does_not_disturb(check_text: Check) -> None:
    result = check_text("def double(values):\n    print('{\"result\": 1}')\n    return values\n")["double"]
    assert result.state == "wrong"
    assert result.printed == '{"result": 1}\n'


def test_only_the_exercises_asked_for_are_checked(lesson: Lesson) -> None:
    lesson.exercises_path.write_text(GOOD, encoding="utf-8")
    assert [result.exercise for result in check_lesson(lesson, ["mask"])] == ["mask"]
    with pytest.raises(CourseError, match=r"unknown exercise of 03_tiny 'maks'.*did you mean 'mask'"):
        check_lesson(lesson, ["maks"])


def test_an_error_in_the_lesson_itself_is_not_blamed_on_the_learner(lesson: Lesson) -> None:
    (lesson.folder / "checks.py").write_text("import nothing_like_it\n", encoding="utf-8")
    with pytest.raises((CourseError, ModuleNotFoundError), match="nothing_like_it"):
        check_lesson(Lesson(lesson.folder))


def test_starting_again_keeps_what_was_there(lesson: Lesson) -> None:
    skeleton = generate(lesson).skeleton
    assert write_skeleton(lesson, skeleton) == []
    for number in (1, 2):
        lesson.exercises_path.write_text(f"# attempt {number}\n", encoding="utf-8")
        kept = lesson.folder / f"exercises-kept-{number}.py"
        assert write_skeleton(lesson, skeleton) == [lesson.exercises_path, kept]
        assert kept.read_text(encoding="utf-8") == f"# attempt {number}\n"
        assert lesson.exercises_path.read_text(encoding="utf-8") == skeleton


def test_a_file_elsewhere_can_be_checked(lesson: Lesson, tmp_path: Path) -> None:
    other = tmp_path / "handed_in.py"
    other.write_text(GOOD, encoding="utf-8")
    assert [result.state for result in check_lesson(lesson, path=other)] == ["right"] * 3
