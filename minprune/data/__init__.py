"""Data sets: ``digits`` embedded; ``mnist`` and ``fashion-mnist`` found on disk or downloaded."""

from minprune.data.batches import batches
from minprune.data.digits import load_digits
from minprune.data.mnist import FASHION_MNIST, MNIST, load_mnist
from minprune.data.splits import Split, Splits, make_split
from minprune.errors import check_name

DATASETS = {
    "digits": load_digits,
    "mnist": lambda seed: load_mnist(MNIST, seed),
    "fashion-mnist": lambda seed: load_mnist(FASHION_MNIST, seed),
}


def load(name: str, *, seed: int = 0) -> Splits:
    """A data set by name, split by ``seed`` into training, validation and test parts.

    Raises:
        ValueError: an unknown name; the message suggests the nearest.
        DataError: files that are missing and cannot be downloaded, or damaged.
    """
    return DATASETS[check_name("data set", name, DATASETS)](seed)


__all__ = ["DATASETS", "Split", "Splits", "batches", "load", "make_split"]
