"""Splits are stratified and reproducible; downloads are verified, survive bad mirrors, and leave nothing half-done behind."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minprune import data
from minprune.data import Split, Splits, batches, make_split
from minprune.data.mnist import FILES, MNIST, Source, data_folder, decode_idx, find_or_download, load_mnist
from minprune.errors import DataError, ShapeError

REAL_DATA = Path(os.environ.get("MINPRUNE_DATA") or "no such folder")


# Splits


@pytest.fixture(scope="module")
def digits() -> Splits:
    return data.load("digits", seed=0)


def parts(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.val, splits.test


def test_digits_are_1797_images_in_three_parts(digits: Splits) -> None:
    assert [part.images.shape for part in parts(digits)] == [(1077, 1, 8, 8), (360, 1, 8, 8), (360, 1, 8, 8)]
    assert (digits.name, digits.image_shape, digits.num_classes, digits.seed) == ("digits", (1, 8, 8), 10, 0)
    for part in parts(digits):
        assert (part.images.dtype, part.labels.dtype) == (np.float32, np.int64)
        assert (part.images.min(), part.images.max()) == (0, 1)
        assert len(part) == len(part.images) == len(part.labels)


def test_every_digit_is_in_exactly_one_part(digits: Splits) -> None:
    from sklearn.datasets import load_digits

    found = np.concatenate([np.column_stack([part.images.reshape(-1, 64) * 16, part.labels]) for part in parts(digits)])
    expected = np.column_stack([load_digits().data, load_digits().target])
    assert len(np.unique(expected, axis=0)) == len(expected)  # no image is there twice, so no part can share one with another
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_every_class_has_its_share_in_every_part(digits: Splits) -> None:
    counts = np.array([np.bincount(part.labels, minlength=10) for part in parts(digits)])
    shares = np.array([[len(part)] for part in parts(digits)]) / counts.sum()
    assert np.abs(counts - shares * counts.sum(axis=0)).max() < 1.5


def test_a_seed_gives_the_same_parts_again_and_another_seed_gives_others(digits: Splits) -> None:
    again, other = data.load("digits", seed=0), data.load("digits", seed=1)
    for one, same, different in zip(parts(digits), parts(again), parts(other), strict=True):
        np.testing.assert_array_equal(one.images, same.images)
        np.testing.assert_array_equal(one.labels, same.labels)
        assert not np.array_equal(one.images, different.images)


def test_images_without_channels_get_one() -> None:
    split = make_split(np.arange(12).reshape(2, 2, 3), np.array([1, 0], np.uint8), 2)
    assert (split.images.shape, split.images.dtype, split.labels.dtype) == ((2, 1, 2, 3), np.float32, np.int64)
    np.testing.assert_array_equal(split.images[1, 0], [[6, 7, 8], [9, 10, 11]])


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.ones((0, 1, 2, 2)), [], ShapeError, r"at least one image, .* got \(0, 1, 2, 2\)"),
        (np.ones((2, 1, 0, 2)), [0, 1], ShapeError, "at least one image"),
        (np.ones((2, 4)), [0, 1], ShapeError, r"\(N, C, H, W\) or \(N, H, W\), got \(2, 4\)"),
        (np.ones((2, 2, 2)), [0, 1, 1], ShapeError, r"labels expected shape \(2,\), got \(3,\)"),
        (np.ones((2, 2, 2)), [0, 3], ValueError, r"\[0, 3\), got values from 0 to 3"),
        (np.ones((2, 2, 2)), [-1, 0], ValueError, "from -1 to 0"),
        (np.ones((2, 2, 2)), [0.0, 1.0], TypeError, "whole numbers, got dtype float64"),
    ],
)
def test_images_and_labels_that_make_no_data_set_are_refused(images: np.ndarray, labels: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make_split(images, np.array(labels), 3)


def numbered(count: int) -> Split:
    """Images of one pixel whose value is their number; labels alternate."""
    return make_split(np.arange(count).reshape(-1, 1, 1), np.arange(count) % 2, 2)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_batches_go_once_through_the_data(rng: np.random.Generator | None) -> None:
    seen = list(batches(numbered(10), 4, rng=rng))
    assert [len(labels) for _, labels in seen] == [4, 4, 2]
    numbers = np.concatenate([images.ravel() for images, _ in seen]).astype(int)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in seen]), numbers % 2)
    assert sorted(numbers) == list(range(10))
    assert (list(numbers) == list(range(10))) == (rng is None)


def test_a_generator_in_the_same_state_gives_the_same_order() -> None:
    one, other = (np.concatenate([x for x, _ in batches(numbered(20), 8, rng=np.random.default_rng(3))]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_batches_of_nothing_are_refused() -> None:
    empty = Split(np.ones((0, 1, 2, 2), np.float32), np.ones(0, np.int64))
    with pytest.raises(ShapeError, match="got an empty data set"):
        next(batches(empty, 4))
    with pytest.raises(ValueError, match="whole number >= 1, got 0"):
        next(batches(numbered(3), 0))


@pytest.mark.parametrize(("name", "nearest"), [("minst", "mnist"), ("Digit", "digits"), ("fashion", "fashion-mnist")])
def test_an_unknown_data_set_suggests_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"unknown data set '{name}': expected one of .*did you mean '{nearest}'"):
        data.load(name)


# MNIST's files: what the tests put on a server of their own, or on disk

rng = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": rng.integers(0, 256, (120, 4, 3), np.uint8),
    "train-labels-idx1-ubyte": np.arange(120, dtype=np.uint8) % 10,
    "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 4, 3), np.uint8),
    "t10k-labels-idx1-ubyte": np.arange(20, dtype=np.uint8) % 10,
}


def idx(array: np.ndarray) -> bytes:
    """The IDX file of an array of unsigned bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CONTENTS = {name: idx(array) for name, array in ARRAYS.items()}
GZIPPED = {name: gzip.compress(content) for name, content in CONTENTS.items()}
NAME = FILES[0]


def source(*mirrors: str) -> Source:
    return Source("small", mirrors, {name: hashlib.md5(content).hexdigest() for name, content in CONTENTS.items()})


@dataclass(frozen=True)
class Reply:
    """What a mirror answers when it is asked for a file; ``length`` is what it claims to send, if that is not the truth."""

    body: bytes
    status: int = 200
    length: int | None = None
    encoding: str | None = None
    silent: bool = False


class Mirror(ThreadingHTTPServer):
    """A server on this machine that has ``replies``, by file name, and writes down what it is ``asked``."""

    daemon_threads = False  # closing waits for the threads

    def __init__(self, replies: dict[str, Reply]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.replies = replies
        self.asked: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        reply = self.server.replies.get(name, Reply(b"", 404))
        if reply.silent:
            self.server.closing.wait(30)
            return
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        if reply.encoding is not None:
            self.send_header("Content-Encoding", reply.encoding)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(replies: dict[str, Reply]) -> Iterator[Mirror]:
    with Mirror(replies) as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.closing.set()
            mirror.shutdown()
            thread.join()


@contextmanager
def refusing() -> Iterator[str]:
    """The address of a port that is taken, but at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


MirrorMaker = Callable[[Reply | None], str]


@pytest.fixture
def mirror() -> Iterator[MirrorMaker]:
    """Start a mirror that answers so when it is asked for NAME (None: it refuses connections), and give its address."""
    with ExitStack() as stack:

        def start(reply: Reply | None) -> str:
            if reply is None:
                return stack.enter_context(refusing())
            return stack.enter_context(serving({f"{NAME}.gz": reply})).url

        yield start


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files of ``source()`` are looked for and kept, which is not there yet; no proxy stands between us and the mirrors."""
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.setenv("MINPRUNE_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "small"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


GOOD = Reply(GZIPPED[NAME])
FAULTS: dict[str, tuple[Reply | None, str]] = {
    "absent": (Reply(b"not here", 404), "404"),
    "out of order": (Reply(b"sorry", 503), "503"),
    "another content": (Reply(gzip.compress(b"other")), r"expected MD5 \w+ when decompressed, got \w+ \(5 bytes\)"),
    "a page in its place": (Reply(b"<html>please log in</html>"), r"got \w+ \(26 bytes\)"),
    "nothing": (Reply(b""), r"got \w+ \(0 bytes\)"),
    "truncated gzip": (Reply(GZIPPED[NAME][:-20]), "damaged gzip data"),
    "gzip damaged in the middle": (Reply(flipped(GZIPPED[NAME], 40)), "damaged gzip data"),
    "no gzip after its header": (Reply(GZIPPED[NAME][:10] + b"\xff" + GZIPPED[NAME][11:]), "damaged gzip data"),
    "gzip with another checksum": (Reply(flipped(GZIPPED[NAME], -8 + len(GZIPPED[NAME]))), "damaged gzip data"),
    "truncated transfer": (Reply(GZIPPED[NAME][:-20], length=len(GZIPPED[NAME])), "IncompleteRead|damaged gzip data"),
    "refused connection": (None, "refused"),
}


@pytest.mark.parametrize(
    "reply",
    [GOOD, Reply(CONTENTS[NAME]), Reply(GZIPPED[NAME], encoding="gzip"), Reply(gzip.compress(CONTENTS[NAME], 1))],
    ids=["gzipped", "plain under the gzipped name", "unzipped in transfer", "zipped by another compressor"],
)
def test_a_file_is_fetched_and_kept_whoever_zipped_it(folder: Path, mirror: MirrorMaker, reply: Reply) -> None:
    assert find_or_download(source(mirror(reply)), NAME) == CONTENTS[NAME]
    assert names_in(folder) == [f"{NAME}.gz"]
    assert find_or_download(source(), NAME) == CONTENTS[NAME]  # with no mirror at all


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_bad_mirror_sent_is_thrown_away_and_the_next_is_asked(folder: Path, mirror: MirrorMaker, fault: str) -> None:
    assert find_or_download(source(mirror(FAULTS[fault][0]), mirror(GOOD)), NAME) == CONTENTS[NAME]
    assert names_in(folder) == [f"{NAME}.gz"]
    assert (folder / f"{NAME}.gz").read_bytes() == GZIPPED[NAME]


def test_when_every_mirror_fails_the_message_names_each_fault_and_what_to_do(folder: Path, mirror: MirrorMaker) -> None:
    mirrors = {mirror(reply): pattern for reply, pattern in FAULTS.values()}
    with pytest.raises(DataError) as caught:
        find_or_download(source(*mirrors), NAME)
    first, *faults, last = str(caught.value).splitlines()
    assert first == f"could not fetch {NAME} of small:"
    assert len(faults) == len(FAULTS)
    for line, (url, pattern) in zip(faults, mirrors.items(), strict=True):
        assert line.startswith(f"  {url}{NAME}.gz: ")
        assert re.search(pattern, line)
    for hint in ("by hand", f"{NAME}.gz", source().md5[NAME], str(folder), "MINPRUNE_DATA", f"small/{NAME}.gz"):
        assert hint in last
    assert names_in(folder) == []


def test_a_mirror_that_never_answers_is_given_up(folder: Path, mirror: MirrorMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minprune.data.mnist.TIMEOUT", 0.2)
    with pytest.raises(DataError, match="timed out"):
        find_or_download(source(mirror(Reply(b"", silent=True))), NAME)
    assert names_in(folder) == []


@pytest.mark.parametrize(("name", "constant"), [("mnist", "MNIST"), ("fashion-mnist", "FASHION_MNIST")])
def test_mnist_is_fetched_once_split_and_scaled(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, constant: str) -> None:
    with serving({f"{file}.gz": Reply(content) for file, content in GZIPPED.items()}) as server:
        monkeypatch.setattr(f"minprune.data.{constant}", source(server.url))
        splits = data.load(name, seed=3)
    again = data.load(name, seed=3)  # the server is gone
    assert sorted(server.asked) == names_in(folder) == sorted(f"{file}.gz" for file in FILES)

    assert [part.images.shape for part in parts(splits)] == [(110, 1, 4, 3), (10, 1, 4, 3), (20, 1, 4, 3)]
    assert (splits.name, splits.num_classes, splits.seed) == ("small", 10, 3)
    np.testing.assert_array_equal(splits.test.images[:, 0], ARRAYS["t10k-images-idx3-ubyte"].astype(np.float32) / 255)
    np.testing.assert_array_equal(splits.test.labels, ARRAYS["t10k-labels-idx1-ubyte"])
    assert sorted(splits.val.labels) == list(range(10))  # a twelfth of every class
    for one, other in zip(parts(splits), parts(again), strict=True):
        assert (one.images.dtype, one.labels.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(one.images, other.images)
    both = np.concatenate([splits.train.images, splits.val.images]) * 255
    assert sorted(both.round().reshape(120, -1).tolist()) == sorted(ARRAYS["train-images-idx3-ubyte"].reshape(120, -1).tolist())


def test_only_what_is_missing_is_fetched(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in FILES[1:]:
        (folder / name).write_bytes(CONTENTS[name])
    with serving({f"{NAME}.gz": GOOD}) as server:
        load_mnist(source(server.url), seed=0)
    assert server.asked == [f"{NAME}.gz"]
    assert names_in(folder) == sorted([f"{NAME}.gz", *FILES[1:]])


@pytest.mark.parametrize(("files", "ending"), [(GZIPPED, ".gz"), (CONTENTS, "")], ids=["gzipped", "plain"])
def test_files_placed_by_hand_need_no_mirror_and_are_left_as_they_are(folder: Path, files: dict[str, bytes], ending: str) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}{ending}").write_bytes(content)
    assert len(load_mnist(source(), seed=0).train) == 110
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {f"{name}{ending}": files[name] for name in FILES}


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        (NAME, CONTENTS[NAME][:-1], "expected MD5"),
        (NAME, flipped(CONTENTS[NAME], 100), "expected MD5"),
        (NAME, b"", r"\(0 bytes\)"),
        (f"{NAME}.gz", GZIPPED[NAME][:-20], "damaged gzip data"),
        (f"{NAME}.gz", GZIPPED[FILES[1]], "expected MD5"),
    ],
    ids=["cut short", "a byte flipped", "empty", "gzip cut short", "another file"],
)
def test_a_damaged_file_on_disk_is_named_and_left_alone(folder: Path, mirror: MirrorMaker, file: str, content: bytes, fault: str) -> None:
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=rf"is not the {NAME} of small: .*{fault}.*Remove it") as caught:
        find_or_download(source(mirror(GOOD)), NAME)
    assert str(folder / file) in str(caught.value)
    assert names_in(folder) == [file]
    assert (folder / file).read_bytes() == content


@pytest.mark.parametrize("way", ["a file in the place of the folder", "a file in the place of its parent", "a read-only folder"])
def test_a_data_folder_that_cannot_be_written_is_one_clear_error(folder: Path, mirror: MirrorMaker, way: str) -> None:
    if way == "a read-only folder":
        folder.mkdir(parents=True)
        folder.chmod(0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("whoever runs this may write to a read-only folder")
    else:
        obstacle = folder if way == "a file in the place of the folder" else folder.parent
        obstacle.parent.mkdir(exist_ok=True)
        obstacle.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"cannot write to the data folder: .*by hand") as caught:
        find_or_download(source(mirror(GOOD)), NAME)
    assert str(folder) in str(caught.value)
    if way != "a read-only folder":
        assert obstacle.read_bytes() == b"mine"


def test_without_the_variable_files_are_kept_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    monkeypatch.setenv("MINPRUNE_DATA", "")
    assert data_folder(MNIST) == tmp_path / "minprune" / "mnist"
    monkeypatch.setenv("MINPRUNE_DATA", str(tmp_path / "mine"))
    assert data_folder(MNIST) == tmp_path / "mine" / "mnist"


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 3), (2, 3, 4), ()])
def test_idx_files_decode_to_the_array_they_were_made_of(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    decoded = decode_idx(idx(array), "file")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, array)


SIX = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
NO_IDX = {
    "nothing": (b"", "not an IDX file of unsigned bytes: it starts with b''"),
    "a few bytes": (SIX[:3], "not an IDX file"),
    "a zip file": (b"PK\x03\x04" + SIX[4:], r"it starts with b'PK\\x03\\x04'"),
    "an array of floats": (b"\0\0\x0d" + SIX[3:], "not an IDX file of unsigned bytes"),
    "a header cut off": (SIX[:9], "values after its header"),
    "a value too few": (SIX[:-1], r"expected \(2, 3\) values after its header, got 5"),
    "a value too many": (SIX + b"\0", r"expected \(2, 3\) values after its header, got 7"),
    "sizes that seem negative": (b"\0\0\x08\x02" + struct.pack(">ii", -2, -3) + bytes(6), "got 6"),
    "2⁶⁴ values, which is 0 in 64 bits": (b"\0\0\x08\x04" + struct.pack(">4I", *4 * [1 << 16]), "got 0"),
}


@pytest.mark.parametrize("name", NO_IDX)
def test_what_is_no_idx_file_is_refused(name: str) -> None:
    content, message = NO_IDX[name]
    with pytest.raises(DataError, match=f"the file .*{message}"):
        decode_idx(content, "the file")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_thing_has_its_published_size(name: str) -> None:
    if not any((REAL_DATA / name).glob(f"{NAME}*")):
        pytest.skip(f"set MINPRUNE_DATA to a folder with {name}/{NAME}.gz and its companions to run this")
    splits = data.load(name, seed=0)
    assert [part.images.shape for part in parts(splits)] == [(n, 1, 28, 28) for n in (55_000, 5_000, 10_000)]
    assert all((part.images.min(), part.images.max()) == (0, 1) for part in parts(splits))
    counts, held = (np.bincount(part.labels, minlength=10) for part in (splits.train, splits.val))
    assert np.abs(held - (counts + held) / 12).max() < 1
    assert np.bincount(splits.test.labels).tolist() == ([1000] * 10 if name == "fashion-mnist" else MNIST_TEST_COUNTS)


MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # LeCun's test images of each digit
