"""Inference with a pruned network beside the compiled engines: ours, ONNX Runtime, OpenVINO and PyTorch.

All are given the same pruned weights; the peers multiply the zeros, as they do with any model. OpenVINO is told to compute in float32, as
all others do: left to itself it takes bfloat16 on processors that have it, and its results then differ in the third digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from minprune import models, prune
from minprune.experiments.bench.contest import Contestant, Rules, Timing, compete
from minprune.models import ImageModel
from minprune.tensor import Array

Call = Callable[[], object]
HERE = "minprune.experiments.bench.sparse"

# Densities per layer of published prunings (Han et al. 2015; Guo et al. 2016): what an engine meets in practice.
NETWORKS: dict[str, tuple[str, tuple[float, ...]]] = {
    "LeNet-5 dense": ("lenet5", (1.0, 1.0, 1.0, 1.0)),
    "LeNet-5 12x": ("lenet5", (0.66, 0.12, 0.08, 0.19)),
    "LeNet-5 108x": ("lenet5", (0.144, 0.031, 0.0073, 0.043)),
    "LeNet-300-100 12x": ("lenet300100", (0.08, 0.09, 0.26)),
    "LeNet-300-100 53x": ("lenet300100", (0.0185, 0.0184, 0.049)),
}
PEERS = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx"), "torch": ("torch",)}


@dataclass(frozen=True)
class SparseTiming:
    """One network at one batch size: milliseconds per call by library; what is not installed is missing."""

    network: str
    batch_size: int
    threads: int
    ms: dict[str, float]

    def speedups(self) -> dict[str, float]:
        """Each peer's time / ours; above 1 ours is faster."""
        return {name: ms / self.ms["ours"] for name, ms in self.ms.items() if name != "ours"}

    def as_dict(self) -> dict[str, object]:
        """All numbers, ratios included, for JSON."""
        return {"network": self.network, "batch_size": self.batch_size, "threads": self.threads, "ms": self.ms, "speedup": self.speedups()}


def peers() -> list[str]:
    """The peers that are installed."""
    return [name for name, needs in PEERS.items() if all(find_spec(need) for need in needs)]


def time_engines(threads: int, batch_sizes: tuple[int, ...] = (1, 256)) -> list[SparseTiming]:
    """Time every network of ``NETWORKS`` at every batch size."""
    return [
        SparseTiming(network, n, threads, _medians(_contestants(network, n, threads), n, threads))
        for network in NETWORKS
        for n in batch_sizes
    ]


def _contestants(network: str, batch_size: int, threads: int) -> list[Contestant]:
    return [Contestant(name, f"{HERE}:{name}_call", (network, batch_size, threads)) for name in ("ours", *peers())]


def _medians(contestants: list[Contestant], batch_size: int, threads: int) -> dict[str, float]:
    rules = Rules(threads, calls=400, warmup=50) if batch_size == 1 else Rules(threads, calls=20, warmup=5)
    found: dict[str, Timing] = compete(contestants, rules)
    return {name: timing.median for name, timing in found.items()}


def pruned(network: str) -> ImageModel:
    """The network with random weights, each layer cut by magnitude to its density."""
    kind, densities = NETWORKS[network]
    model = models.create(kind, rng=np.random.default_rng(0))
    weights = prune.prunable_parameters(model)
    prune.cut(model, scope={name: 1.0 - density for name, density in zip(weights, densities, strict=True)})
    return model


def _images(batch_size: int) -> Array:
    return np.random.default_rng(1).random((batch_size, 1, 28, 28), dtype=np.float32)


def ours_call(network: str, batch_size: int, threads: int) -> Call:  # noqa: ARG001 (the environment sets the threads)
    """Our engine."""
    from minprune.sparse.compiler import compile as compile_engine

    model = pruned(network)
    engine, x = compile_engine(model, model.input_shape), _images(batch_size)
    return lambda: engine(x)


def onnxruntime_call(network: str, batch_size: int, threads: int) -> Call:
    """ONNX Runtime, CPU provider."""
    import onnxruntime

    from minprune.experiments.bench.onnx_models import to_onnx

    model = pruned(network)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(to_onnx(model, model.input_shape, batch_size), options, providers=["CPUExecutionProvider"])
    x = _images(batch_size)
    return lambda: session.run(["y"], {"x": x})


def openvino_call(network: str, batch_size: int, threads: int) -> Call:
    """OpenVINO, CPU, float32, tuned for latency."""
    import openvino

    from minprune.experiments.bench.onnx_models import to_onnx

    model, core = pruned(network), openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(to_onnx(model, model.input_shape, batch_size)), "CPU", settings)
    request, x = compiled.create_infer_request(), _images(batch_size)
    return lambda: request.infer({"x": x}, share_inputs=True, share_outputs=True)


def torch_call(network: str, batch_size: int, threads: int) -> Call:
    """PyTorch, eager, without gradients."""
    import torch

    from minprune.experiments.bench.torch_models import TORCH_MODELS

    torch.set_num_threads(threads)
    ours, model = pruned(network), TORCH_MODELS[NETWORKS[network][0]]().eval()
    model.load_state_dict({name: torch.from_numpy(p.data) for name, p in ours.named_parameters()})
    x = torch.from_numpy(_images(batch_size))

    def call() -> object:
        with torch.inference_mode():
            return model(x)

    return call
