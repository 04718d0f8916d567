"""The machinery of the course: lessons from one source each, exercises that a learner writes in a file, and checks that say what is wrong.

Read in this order: ``facts`` (exercise, result), ``expect`` (the vocabulary of checks), ``answer`` (a learner's function, handled with
care), ``lesson`` (what lies where), ``worker`` and ``runner`` (checking in a process of its own), ``report`` (results as text), ``source``
and ``build`` (one source, three files), ``progress`` (hints), ``notebook`` (what a lesson calls), ``execute`` (all notebooks, timed).
"""

from minprune.course.expect import expect, expect_array, expect_close, expect_equal, expect_type
from minprune.course.facts import Wrong, exercise, wrong
from minprune.course.notebook import check, hint, show, use
from minprune.course.widgets import explore

__all__ = [
    "Wrong",
    "check",
    "exercise",
    "expect",
    "expect_array",
    "expect_close",
    "expect_equal",
    "expect_type",
    "explore",
    "hint",
    "show",
    "use",
    "wrong",
]
