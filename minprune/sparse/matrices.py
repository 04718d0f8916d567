"""The engine where there are no kernels: the same layers as ordinary matrix products in NumPy, zeros included. The other's slow twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minprune.filters import Filters
from minprune.geometry import Geometry
from minprune.plain import conv as plain_conv
from minprune.plain import linear as plain_linear
from minprune.plain import pool as plain_pool
from minprune.sparse.engine import Engine, Path
from minprune.sparse.trace import Layer, Trace, conv_places, kept, weighted
from minprune.tensor import Array

PIECE = 256  # images at a time, all of whose activations are kept to the end


class PlainEngine(Engine):
    """An engine of NumPy's products. ``nbytes`` counts weights, zeros included, and biases. NaN also goes through pruned weights."""

    def __init__(self, trace: Trace) -> None:
        paths = [(layer.name, layer.weight.shape, kept(layer).mean()) for layer in weighted(trace) if layer.weight is not None]
        super().__init__(trace, tuple(Path(name, shape, float(density), "NumPy", {}) for name, shape, density in paths))
        own = [replace(layer, weight=_copy(layer.weight), bias=_copy(layer.bias), mask=None) for layer in trace.layers]
        self._trace = replace(trace, layers=own)  # which later training does not change

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for layer in self._trace.layers for a in (layer.weight, layer.bias) if a is not None)

    def report(self) -> str:
        return "\n".join([*self._table(), f"{self.nbytes:,} bytes"])

    def _run(self, batch: Array, out: Array) -> None:
        shape = *self.input_shape, *[1] * (3 - len(self.input_shape))
        for start in range(0, len(batch), PIECE):
            x, y = batch[start : start + PIECE], out[start : start + PIECE]
            values = {self._trace.input: x.reshape(len(x), *shape)}
            for layer in self._trace.layers:
                values[layer.output] = run_layer(layer, [values[number] for number in layer.inputs])
            for part, (number, _) in zip(self._parts, self._trace.outputs, strict=True):
                y[:, part] = values[number].reshape(len(x), -1)


def _copy(array: Array | None) -> Array | None:
    return None if array is None else array.copy()


def run_layer(layer: Layer, inputs: list[Array]) -> Array:
    """What a layer makes of its inputs, all (N, C, H, W)."""
    y = _product(layer, inputs[0]) if layer.kind in ("conv", "linear") else _other(layer, inputs)
    if layer.relu:
        y = np.maximum(y, np.float32(0))
    return y if layer.window == (1, 1) else plain_pool.max_pool(y, Geometry(layer.window, layer.window, (0, 0)))[0]


def _product(layer: Layer, x: Array) -> Array:
    assert layer.weight is not None, "convolutions and Dense layers have weights"
    filters = Filters(layer.weight, layer.bias)
    if layer.kind == "linear":
        return plain_linear.forward(x.reshape(len(x), -1), filters)[:, :, None, None]
    padded = plain_conv.pad(x, layer.geometry.padding)
    return plain_conv.view(plain_conv.forward(padded, filters, layer.geometry, conv_places(layer)), len(x))


def _other(layer: Layer, inputs: list[Array]) -> Array:
    x = inputs[0]
    if layer.kind in ("max_pool", "mean_pool"):
        return plain_pool.max_pool(x, layer.geometry)[0] if layer.kind == "max_pool" else plain_pool.mean_pool(x, layer.geometry)
    if layer.kind == "scale":
        return x if layer.weight is None or layer.bias is None else x * _per_channel(layer.weight) + _per_channel(layer.bias)
    if layer.kind == "inverse" and layer.weight is not None:
        return _per_channel(layer.weight) / x
    if layer.kind == "exp":
        return np.exp(x)
    if layer.kind == "concat":
        return np.concatenate(inputs, axis=1)
    if layer.kind == "split":
        return x[:, layer.first : layer.first + layer.shape[0]]
    if layer.kind == "flatten":
        return x.reshape(len(x), *layer.shape)
    return x + inputs[1] if layer.kind == "add" else x * inputs[1]


def _per_channel(numbers: Array) -> Array:
    return numbers[:, None, None]
