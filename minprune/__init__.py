"""minprune: learn neural-network pruning by reading, running and measuring it.

Images go in on the left, gradients come back, scores become masks, masks become a smaller or a sparser network, and every claim
about it is measured and plotted. Read the package in this order: ``tensor``, ``ops``, ``nn``, ``models``, ``optim``, ``data``,
``train``, ``prune``, ``metrics``, ``checkpoint``, ``experiments``, ``plots``.
"""

from minprune import checkpoint, data, metrics, models, nn, ops, optim, prune, sparse, train
from minprune.gradcheck import gradcheck
from minprune.metrics.summary import summary
from minprune.parallel import threads
from minprune.tape import no_grad
from minprune.tensor import Tensor
from minprune.version import __version__

__all__ = [
    "Tensor",
    "__version__",
    "checkpoint",
    "data",
    "gradcheck",
    "metrics",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "prune",
    "sparse",
    "summary",
    "threads",
    "train",
]
