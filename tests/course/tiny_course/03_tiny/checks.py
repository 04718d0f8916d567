import numpy as np

from minprune.broadcast import unbroadcast
from minprune.course import exercise, expect_close, expect_equal


@exercise(minutes=5, difficulty=1, hints=("Think of 2.", "2 * values"), forbids=(unbroadcast,), limit=1.5)
def double(answer, reference):
    values = np.array([1.0, 2.5])
    expect_close(answer(values), [2.0, 5.0], "twice [1, 2.5]", mistakes={"That is the square.": values**2})


@exercise(minutes=5, difficulty=2, hints=("Index with a mask.", "values[values < below] = 0"), changes=("values",), returns_none=True)
def clear(answer, reference):
    values = np.array([1.0, -1.0, 3.0])
    answer(values, 2.0)
    expect_equal(values, np.array([0.0, 0.0, 3.0]), "the array after the call")


@exercise(minutes=5, difficulty=3, hints=("Compare.", "values > 0"))
def mask(answer, reference):
    expect_equal(answer(np.array([[1.0, 0.0], [-1.0, 2.0]])), np.array([[True, False], [False, True]]), "the mask", picture=True)
