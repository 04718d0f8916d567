"""Finished chains on disk: their points and their networks, so that times can be measured again, and alone, without training again.

A folder holds the chains of one experiment: ``<method>-seed<n>.json`` with the points, and a checkpoint for each of them. Which experiment
it is stands in every file; another one's chains are an error, never taken for this one's.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minprune import checkpoint
from minprune.experiments.config import DENSE, CurveConfig, Method
from minprune.files import atomic_write
from minprune.models import ImageModel

Point = dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """The points of one method (None: the dense control) and seed, and for each, where the experiment times them, its network's file."""

    points: list[Point]
    networks: list[bytes]


def save_chain(folder: Path, config: CurveConfig, method: Method | None, seed: int, chain: Chain) -> None:
    """Write a finished chain; the points last, so that a chain whose points are there is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = _stem(method, seed)
    for i, content in enumerate(chain.networks):
        with atomic_write(_network(folder, stem, i)) as temporary:
            Path(temporary).write_bytes(content)
    with atomic_write(folder / f"{stem}.json") as temporary:
        Path(temporary).write_text(json.dumps({"experiment": _experiment(config), "points": chain.points}, indent=1), encoding="utf-8")


def load_points_of(folder: Path, config: CurveConfig, method: Method | None, seed: int) -> list[Point] | None:
    """The points of a chain that ``save_chain`` wrote, or None if it is not there.

    Raises:
        ValueError: the chain in the folder is of another experiment.
    """
    path = folder / f"{_stem(method, seed)}.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["experiment"] != _experiment(config):
        raise ValueError(f"{path} is of another experiment ({found['experiment']}); choose another folder for the networks")
    return found["points"]


def load_network(folder: Path, method: Method | None, seed: int, i: int) -> ImageModel:
    """The network of the i-th point of a chain, as it would be shipped."""
    network = checkpoint.load(_network(folder, _stem(method, seed), i))
    assert isinstance(network, ImageModel), "experiments are made of these"
    return network


def _stem(method: Method | None, seed: int) -> str:
    return re.sub(r"[^\w.]+", "-", f"{method.label if method else DENSE} seed{seed}")


def _network(folder: Path, stem: str, i: int) -> Path:
    return folder / f"{stem}-{i}.safetensors"


def _experiment(config: CurveConfig) -> dict[str, Any]:
    """What a chain depends on, beside its method and seed, as JSON gives it back."""
    facts = asdict(config)
    return json.loads(json.dumps({name: facts[name] for name in ("model", "data", "densities", "training", "finetuning", "train_images")}))
