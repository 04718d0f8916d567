"""Saving and loading models: safetensors with a JSON header, no pickle anywhere.

A pruned weight is stored in the smallest of dense, bitmask and CSR form, so that a pruned model's file really is smaller. The
header holds the architecture, which parameter is stored in which form and has a mask, the library's version, and a SHA-256 over all of
that and every array; loading verifies it before anything is built.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from minprune import models
from minprune.errors import CheckpointError
from minprune.files import atomic_write
from minprune.nn import Module, describe
from minprune.sparse.formats import CSR, Bitmask, smallest_format
from minprune.tensor import Array
from minprune.version import __version__

FORMAT_VERSION = 1
FORMATS: dict[str, type[CSR] | type[Bitmask]] = {"csr": CSR, "bitmask": Bitmask}


def to_bytes(model: Module) -> bytes:
    """The content of the file that ``save`` writes."""
    from safetensors.numpy import save as serialise

    tensors: dict[str, Array] = {}
    parameters: dict[str, dict[str, Any]] = {}
    for name, p in model.named_parameters():
        packed = None if p.mask is None or p.ndim < 2 else smallest_format(p.data, p.mask)
        kind = "dense" if packed is None else type(packed).__name__.lower()
        arrays = {"values": p.data} if packed is None else packed.arrays()
        if packed is None and p.mask is not None:
            arrays["mask"] = np.packbits(p.mask)
        tensors |= {f"{name}#{part}": np.asarray(a, order="C") for part, a in arrays.items()}
        parameters[name] = {"format": kind, "shape": list(p.shape), "masked": p.mask is not None}
    tensors |= {name: np.asarray(b, order="C") for name, b in model.named_buffers()}
    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "minprune_version": __version__,
        "architecture": _describe_or_none(model),
        "class": type(model).__name__,
        "parameters": parameters,
        "buffers": [name for name, _ in model.named_buffers()],
    }
    header["sha256"] = _digest(header, tensors)
    return serialise(tensors, metadata={"minprune": json.dumps(header)})


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Write ``model`` with its masks and buffers to ``path``, atomically: an existing file is replaced whole or not at all.

    Raises:
        OSError: the file cannot be written; the old one is intact.
    """
    content = to_bytes(model)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | os.PathLike[str], *, into: Module | None = None) -> Module:
    """The model saved at ``path``, in evaluation mode; its outputs are equal to the saved model's to the bit.

    Args:
        into: load into this model instead of building one: for modules of your own that have no ``config``.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is truncated, altered, or not a minprune checkpoint; or it does not fit ``into``. Nothing is changed.
    """
    header, tensors = _read(Path(path))
    if into is None and header["architecture"] is None:
        raise CheckpointError(f"{path} holds a {header['class']}, which has no config(): make one and pass it as into=")
    try:
        values, masks = _unpack(header, tensors)
        model = models.from_description(header["architecture"]) if into is None else into
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path} does not describe a model of minprune {__version__}: {error} (a module of your own is loaded with into=)"
        ) from error
    expected = {n: p.shape for n, p in model.named_parameters()} | {n: b.shape for n, b in model.named_buffers()}
    found = {name: array.shape for name, array in values.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: different or missing {', '.join(wrong)}")
    for p in model.parameters():
        p.set_mask(None)
    model.load_state_dict(values)
    for name, p in model.named_parameters():
        p.set_mask(masks.get(name))
    return model.eval()


def _describe_or_none(model: Module) -> dict[str, Any] | None:
    """The architecture, or None for a model with a part of the user's own that has no ``config``."""
    try:
        return describe(model)
    except NotImplementedError:
        return None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays of a checkpoint whose digest is right."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialise

    raw = path.read_bytes()
    try:
        tensors = deserialise(raw)
        length = int.from_bytes(raw[:8], "little")
        text = json.loads(raw[8 : 8 + length])["__metadata__"]["minprune"]
        header = json.loads(text)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated, damaged, or not a safetensors file ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is a safetensors file, but not one of minprune: its header is missing") from error
    if not isinstance(header, dict) or header.get("format_version") != FORMAT_VERSION:
        version = header.get("format_version") if isinstance(header, dict) else None
        raise CheckpointError(
            f"{path} expected format version {FORMAT_VERSION}, got {version}; it needs another minprune than {__version__}"
        )
    as_written = json.dumps(header) == text  # 1E-05 is as good a number as 1e-05, but nobody wrote it
    if header.pop("sha256", None) != _digest(header, tensors) or not as_written:
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
    return header, tensors


def _unpack(header: dict[str, Any], tensors: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """(parameters and buffers by name, masks by name)."""
    values = {name: tensors[name] for name in header["buffers"]}
    masks = {}
    for name, how in header["parameters"].items():
        shape = tuple(how["shape"])
        if how["format"] == "dense":
            values[name] = tensors[f"{name}#values"]
            if how["masked"]:
                masks[name] = np.unpackbits(tensors[f"{name}#mask"], count=values[name].size).astype(bool).reshape(shape)
            continue
        kind = FORMATS[how["format"]]
        parts = {key.removeprefix(f"{name}#"): array for key, array in tensors.items() if key.startswith(f"{name}#")}
        packed = kind(shape, **parts)
        values[name], masks[name] = packed.to_dense(), packed.mask()
    return values, masks


def _digest(header: dict[str, Any], tensors: dict[str, Array]) -> str:
    """SHA-256 over the header (without its digest) and every array's name, dtype, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
