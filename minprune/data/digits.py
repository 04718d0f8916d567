"""Handwritten digits that come with scikit-learn: 1,797 images of 8x8 pixels, ten classes. No download.

Source: the test part of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998).
"""

from __future__ import annotations

from minprune.data.splits import Splits, hold_out, make_split


def load_digits(seed: int) -> Splits:
    """60 % training, 20 % validation, 20 % test, stratified; pixels scaled from [0, 16] to [0, 1]."""
    from sklearn.datasets import load_digits as load

    bunch = load()
    everything = make_split(bunch.images / 16, bunch.target, 10)
    rest, test = hold_out(everything, 0.2, seed)
    train, val = hold_out(rest, 0.25, seed)
    return Splits("digits", train, val, test, num_classes=10, seed=seed)
