"""`pytest lessons/04_masks` checks your exercises of lesson 04; `-k exact_k` only one of them."""

from minprune.course.door import pytest_collect_file

__all__ = ["pytest_collect_file"]
