"""MNIST and Fashion-MNIST: found on disk or downloaded, verified, cached, and decoded from the IDX format.

A file is looked for in ``$MINPRUNE_DATA/<data set>/`` (or the user's cache folder where that variable is not set), gzipped or not;
what is missing is downloaded there, from the first mirror that delivers. What counts is the checksum of the *decompressed*
bytes, whichever mirror or compressor made the file.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minprune.data.splits import Split, Splits, hold_out, make_split
from minprune.errors import DataError
from minprune.tensor import Array

VALIDATION = 5_000 / 60_000  # as Frankle and Carbin 2019: 55,000 to train on
TIMEOUT = 30  # seconds without an answer from a mirror


@dataclass(frozen=True)
class Source:
    """Where a data set in MNIST's four files comes from, and the MD5 of each decompressed file."""

    name: str
    mirrors: tuple[str, ...]
    md5: dict[str, str]


FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

MNIST = Source(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    dict(
        zip(
            FILES,
            (
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
            strict=True,
        )
    ),
)

FASHION_MNIST = Source(
    "fashion-mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    dict(
        zip(
            FILES,
            (
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
            strict=True,
        )
    ),
)


def load_mnist(source: Source, seed: int) -> Splits:
    """55,000 training, 5,000 validation (stratified), 10,000 test images of 28x28; pixels scaled from [0, 255] to [0, 1].

    Raises:
        DataError: a file is neither on disk nor to be had from a mirror, or a file on disk is not what it should be.
    """
    raw = {name: decode_idx(find_or_download(source, name), name) for name in FILES}

    def split(images: str, labels: str) -> Split:
        return make_split(raw[images].astype(np.float32) / 255, raw[labels], 10)

    train, val = hold_out(split(*FILES[:2]), VALIDATION, seed)
    return Splits(source.name, train, val, split(*FILES[2:]), num_classes=10, seed=seed)


def data_folder(source: Source) -> Path:
    """The folder in which the files of ``source`` are looked for and kept."""
    import pooch

    root = os.environ.get("MINPRUNE_DATA")
    return (Path(root) if root else Path(pooch.os_cache("minprune"))) / source.name


def find_or_download(source: Source, name: str) -> bytes:
    """The decompressed, verified content of one file.

    Raises:
        DataError: a file that is there has another checksum (it is left alone: it may be the user's), or no mirror delivered.
    """
    folder = data_folder(source)
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            content, fault = verify(path.read_bytes(), source.md5[name])
            if content is None:
                raise DataError(f"{path} is not the {name} of {source.name}: {fault}. Remove it, and it will be fetched again.")
            return content
    return download(source, name, folder)


def verify(raw: bytes, md5: str) -> tuple[bytes | None, str]:
    """(decompressed content, "") if its checksum is right, else (None, what is wrong)."""
    try:
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        return None, f"damaged gzip data ({error})"
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return (content, "") if found == md5 else (None, f"expected MD5 {md5} when decompressed, got {found} ({len(content)} bytes)")


def download(source: Source, name: str, folder: Path) -> bytes:
    """Fetch one file from the first mirror that delivers it whole, keep it in ``folder``, return its decompressed content.

    The file arrives in a temporary folder and moves to its place only when it is verified.

    Raises:
        DataError: no mirror delivered; says what each answered and how to place the file by hand.
    """
    import pooch
    import requests

    faults = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder, prefix=".download-")
    except OSError as error:
        raise DataError(f"cannot write to the data folder: {error}. {_by_hand(source, name, folder)}") from error
    with temporary as inside:
        for mirror in source.mirrors:
            url = f"{mirror}{name}.gz"
            try:
                fetched = pooch.retrieve(
                    url,
                    known_hash=None,
                    path=inside,
                    fname=f"{name}.gz",
                    downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT),
                )
            except (requests.RequestException, ValueError, OSError) as error:
                faults.append(f"{url}: {error}")
                continue
            content, fault = verify(Path(fetched).read_bytes(), source.md5[name])
            if content is not None:
                os.replace(fetched, folder / f"{name}.gz")
                return content
            faults.append(f"{url}: {fault}")
            os.remove(fetched)
    raise DataError(f"could not fetch {name} of {source.name}:\n  " + "\n  ".join(faults) + f"\n{_by_hand(source, name, folder)}")


def _by_hand(source: Source, name: str, folder: Path) -> str:
    return (
        f"To place it by hand, put {name}.gz (or {name}, unzipped; MD5 {source.md5[name]}) into {folder}, "
        f"or set MINPRUNE_DATA to a folder that has it as {source.name}/{name}.gz."
    )


def decode_idx(content: bytes, name: str) -> Array:
    """The uint8 array of an IDX file: two zero bytes, type 8, number of axes, the sizes (big-endian uint32), the values.

    Raises:
        DataError: the header is not that of an array of unsigned bytes, or the length does not fit it.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{name} is not an IDX file of unsigned bytes: it starts with {content[:4]!r}")
    axes = content[3]
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, offset=4)) if len(content) >= 4 + 4 * axes else ()
    values = np.frombuffer(content, np.uint8, offset=min(4 + 4 * axes, len(content)))
    if len(shape) != axes or values.size != math.prod(shape):
        raise DataError(f"{name} expected {shape} values after its header, got {values.size}")
    return values.reshape(shape)
