"""When does leaving out zeros pay? One Dense layer's product, weights (O, K) with zeros times inputs (K, N), by several libraries.

NumPy multiplies everything; SciPy's and PyTorch's CSR products, and ours, visit the kept weights only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from minprune.experiments.bench.contest import Contestant, Rules, compete
from minprune.sparse.formats import CSR
from minprune.tensor import Array

Call = Callable[[], object]
HERE = "minprune.experiments.bench.layers"
SPARSITIES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
LAYERS = ((300, 784, 256), (300, 784, 64), (500, 800, 64), (100, 300, 64))  # (O, K, N)


@dataclass(frozen=True)
class Product:
    """A Dense layer's product: outputs O, inputs K, batch N, and the share of the weights that is kept."""

    outputs: int
    inputs: int
    batch_size: int
    density: float

    def weight(self) -> tuple[Array, Array]:
        """(weights with zeros, mask)."""
        rng = np.random.default_rng(0)
        w = rng.standard_normal((self.outputs, self.inputs), dtype=np.float32)
        mask = np.zeros(w.size, bool)
        mask[rng.permutation(w.size)[: round(self.density * w.size)]] = True
        return w * mask.reshape(w.shape), mask.reshape(w.shape)

    def x(self) -> Array:
        """Inputs (K, N)."""
        return np.random.default_rng(1).standard_normal((self.inputs, self.batch_size), dtype=np.float32)


def time_products(products: list[Product], threads: int, names: tuple[str, ...]) -> list[dict[str, float]]:
    """Milliseconds of each product by library, all in one run; ``names`` are of ``LIBRARIES``."""
    contestants = [Contestant(f"{i} {n}", f"{HERE}:{n}_product", (p, threads)) for i, p in enumerate(products) for n in names]
    found = compete(contestants, Rules(threads, blocks=6, calls=30, warmup=10))
    return [{n: found[f"{i} {n}"].median for n in names} for i in range(len(products))]


def libraries() -> tuple[str, ...]:
    """The names to measure: ours, our dense kernel, NumPy's dense product, SciPy's CSR and, where installed, PyTorch's CSR."""
    return ("ours", "ours_dense", "numpy", "scipy", *(["torch_csr"] if find_spec("torch") else []))


def break_even(sparsities: list[float], speedups: list[float]) -> float | None:
    """The sparsity from which on the sparse product is faster, between the measured ones by a straight line; None if it never is."""
    for i, (sparsity, speedup) in enumerate(zip(sparsities, speedups, strict=True)):
        if all(s >= 1 for s in speedups[i:]):
            if i == 0:
                return sparsity
            before, share = sparsities[i - 1], (1 - speedups[i - 1]) / (speedup - speedups[i - 1])
            return before + share * (sparsity - before)
    return None


def ours_product(product: Product, threads: int) -> Call:  # noqa: ARG001
    """Our sparse rows, inputs and outputs in lanes; the kept weights lie ready in a row, as they do for the other sparse products."""
    from minprune.fast import conv, lanes, linear, sparsity, tables
    from minprune.filters import Filters
    from minprune.kernels import lean

    (w, mask), x = product.weight(), lanes.as_lanes(product.x().T)
    rows = sparsity.pattern_of(mask).rows.blocked(len(x), lean.NEAR)
    values = conv.values_of(Filters(w), rows)
    return lambda: linear.product(x, rows, values, tables.zeros(len(w)))


def ours_dense_product(product: Product, threads: int) -> Call:  # noqa: ARG001
    """Our dense block."""
    from minprune.fast import conv, lanes
    from minprune.fast.linear import POINT
    from minprune.filters import Filters

    (w, _), x = product.weight(), lanes.as_lanes(product.x().T)[:, None, None]
    return lambda: conv.forward(x, Filters(w), POINT, (1, 1))


def numpy_product(product: Product, threads: int) -> Call:  # noqa: ARG001
    """NumPy's dense product."""
    (w, _), x = product.weight(), product.x()
    return lambda: w @ x


def scipy_product(product: Product, threads: int) -> Call:  # noqa: ARG001
    """SciPy's CSR product (one thread: it knows no more)."""
    from scipy.sparse import csr_array

    (w, mask), x = product.weight(), product.x()
    rows = CSR.from_dense(w, mask)
    matrix = csr_array((rows.values, rows.offsets.astype(np.int32), rows.start), shape=w.shape)
    return lambda: matrix @ x


def torch_csr_product(product: Product, threads: int) -> Call:
    """PyTorch's sparse CSR product."""
    import torch

    torch.set_num_threads(threads)
    (w, _), x = product.weight(), torch.from_numpy(product.x())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its sparse tensors are beta
        matrix = torch.from_numpy(w).to_sparse_csr()
    return lambda: matrix @ x
