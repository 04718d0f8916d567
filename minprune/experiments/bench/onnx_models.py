"""The networks as ONNX files in memory, for the compiled engines that are our peers; imported only where onnx is installed."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from minprune.nn import Module
from minprune.sparse.trace import Layer, trace
from minprune.tensor import Array


def to_onnx(model: Module, input_shape: tuple[int, ...], batch_size: int) -> bytes:
    """``model`` in evaluation mode with its zeros as they are, for batches of ``batch_size``: input "x", output "y".

    It is made from the same trace as our engine, BatchNorm folded, so that both are given the same network.
    """
    traced = trace(model, input_shape)
    nodes, weights = [], []
    names = {traced.input: "x"}

    def constant(name: str, array: Array | None, zeros: int = 0) -> str:
        weights.append(numpy_helper.from_array(np.zeros(zeros, np.float32) if array is None else np.ascontiguousarray(array), name))
        return name

    for i, layer in enumerate(traced.layers):
        name = f"v{i}"
        inputs = [names[value] for value in layer.inputs]
        if layer.kind in ("conv", "linear"):
            inputs.append(constant(f"w{i}", layer.weight))
            inputs.append(constant(f"b{i}", layer.bias, zeros=layer.shape[0]))
        nodes.append(_node(layer, inputs, name))
        if layer.relu and layer.kind != "scale":
            nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
            name = f"{name}r"
        if layer.window != (1, 1):
            nodes.append(helper.make_node("MaxPool", [name], [f"{name}p"], kernel_shape=layer.window, strides=layer.window))
            name = f"{name}p"
        names[layer.output] = name
    (last, shape), *_ = traced.outputs
    nodes.append(helper.make_node("Identity", [names[last]], ["y"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch_size, *input_shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch_size, *shape])
    graph = helper.make_graph(nodes, "minprune", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def _node(layer: Layer, inputs: list[str], output: str) -> onnx.NodeProto:
    (ky, kx), (sy, sx), (py, px) = layer.geometry.kernel, layer.geometry.stride, layer.geometry.padding
    if layer.kind == "conv":
        return helper.make_node("Conv", inputs, [output], kernel_shape=[ky, kx], strides=[sy, sx], pads=[py, px, py, px])
    if layer.kind == "linear":
        return helper.make_node("Gemm", inputs, [output], transB=1)
    if layer.kind in ("max_pool", "mean_pool"):
        kind = "MaxPool" if layer.kind == "max_pool" else "AveragePool"
        return helper.make_node(kind, inputs, [output], kernel_shape=[ky, kx], strides=[sy, sx])
    if layer.kind == "flatten":
        return helper.make_node("Flatten", inputs, [output])
    if layer.kind == "scale" and layer.weight is None:
        return helper.make_node("Relu", inputs, [output])
    if layer.kind == "add":
        return helper.make_node("Add", inputs, [output])
    if layer.kind == "concat":
        return helper.make_node("Concat", inputs, [output], axis=1)
    raise NotImplementedError(f"no ONNX node for a layer of kind {layer.kind!r}")
