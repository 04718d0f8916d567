"""A saved model comes back equal to the bit; a damaged file never gets in; a failed save never costs the old file."""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import numpy as safetensors

import minprune as mp
from minprune import checkpoint
from minprune.errors import CheckpointError
from minprune.files import atomic_write, check_writable
from minprune.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Parameter, ReLU, Sequential
from tests.data_sets import small_net


def layers(rng: np.random.Generator) -> Sequential:
    """Every kind of layer; images (N, 1, 16, 16)."""
    stem = Sequential(Conv2d(1, 6, 3, stride=2, padding=(1, 0), bias=False, rng=rng), BatchNorm2d(6, eps=1e-3), ReLU())
    return Sequential(stem, MaxPool2d(2, 1), Flatten(), Dropout(0.4, rng=rng), Linear(6 * 7 * 6, 10, rng=rng))


def network(name: str, seed: int = 0) -> Module:
    """A network for images (N, 1, 16, 16) whose parameters and running statistics are all different from how they start."""
    rng = np.random.default_rng(seed)
    model = layers(rng) if name == "sequential" else mp.models.create(name, input_shape=(1, 16, 16), rng=rng)
    for p in model.parameters():
        p.data += 0.1 * rng.standard_normal(p.shape).astype(np.float32)
    model.train()(rng.random((8, 1, 16, 16), dtype=np.float32))
    return model.eval()


def mask_all(model: Module, density: float, seed: int = 1) -> Module:
    """``model`` with a mask on every parameter, biases too; one kept weight of each is zero."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        mask = np.arange(p.size) < round(density * p.size)
        p.set_mask(rng.permutation(mask).reshape(p.shape))
        p.data[tuple(axis[:1] for axis in np.nonzero(p.mask))] = 0.0
    return model


def header_of(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    return json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]["minprune"])


def contents(model: Module) -> dict[str, Any]:
    """All that a checkpoint has to preserve, as bytes, and the mode."""
    arrays = {name: p.data for name, p in model.named_parameters()} | dict(model.named_buffers())
    masks = {f"mask of {name}": p.mask if p.mask is None else p.mask.tolist() for name, p in model.named_parameters()}
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()} | masks | {"training": model.training}


# What is loaded is what was saved

NAMES = [*mp.models.MODELS, "sequential"]


@pytest.mark.parametrize("density", [None, 1.0, 0.5, 0.02, 0.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_comes_back_equal_to_the_bit(tmp_path: Path, name: str, density: float | None) -> None:
    model = network(name)
    if density is not None:
        mask_all(model, density)
    before = contents(model)
    checkpoint.save(model, tmp_path / "model.safetensors")
    assert contents(model) == before
    loaded = checkpoint.load(tmp_path / "model.safetensors")
    assert type(loaded) is type(model)
    assert contents(loaded) == before
    assert [type(m) for _, m in loaded.named_modules()] == [type(m) for _, m in model.named_modules()]
    images = np.random.default_rng(2).random((5, 1, 16, 16), dtype=np.float32)
    assert loaded(images).data.tobytes() == model(images).data.tobytes()


def test_a_weight_is_stored_in_the_smallest_form(tmp_path: Path) -> None:
    model = Sequential(*(Linear(40, 40, rng=np.random.default_rng(0)) for _ in range(6)))
    for layer, kept in zip(model, (1600, 1550, 1549, 18, 17, 0), strict=True):
        layer.weight.set_mask(np.random.default_rng(0).permutation(np.arange(1600) < kept).reshape(40, 40))
    checkpoint.save(model, tmp_path / "model.safetensors")
    parameters = header_of(tmp_path / "model.safetensors")["parameters"]
    # dense 6,400 bytes; a bitmask 200 and 4 for each that is kept; CSR 164 and 6 for each that is kept
    assert [parameters[f"{i}.weight"]["format"] for i in range(6)] == ["dense", "dense", "bitmask", "bitmask", "csr", "csr"]
    assert contents(checkpoint.load(tmp_path / "model.safetensors")) == contents(model.eval())


def test_the_more_is_pruned_the_smaller_is_the_file(tmp_path: Path) -> None:
    sizes = []
    for density in (1.0, 0.5, 0.1, 0.02, 0.0):
        checkpoint.save(mask_all(network("lenet300100"), density), tmp_path / "model.safetensors")
        sizes.append((tmp_path / "model.safetensors").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    weights = 256 * 300 + 300 * 100 + 100 * 10
    assert 4 * weights < sizes[0]
    assert 6 * 0.02 * weights < sizes[3] < 6 * 0.02 * weights + 10_000  # 6 bytes for each that is kept, and little else


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_there_can_take_the_content(tmp_path: Path, name: str) -> None:
    model = mask_all(network(name), 0.3)
    checkpoint.save(model, tmp_path / "model.safetensors")
    other = mask_all(network(name, seed=5), 0.6, seed=6).train()
    assert checkpoint.load(tmp_path / "model.safetensors", into=other) is other
    assert contents(other) == contents(model)


def test_loading_releases_masks_that_were_not_saved(tmp_path: Path) -> None:
    dense = network("sequential")
    checkpoint.save(dense, tmp_path / "model.safetensors")
    other = checkpoint.load(tmp_path / "model.safetensors", into=mask_all(network("sequential", seed=5), 0.5))
    assert all(p.mask is None for p in other.parameters())
    assert contents(other) == contents(dense)


def test_a_loaded_model_holds_its_masks_while_it_is_trained_further(tmp_path: Path) -> None:
    checkpoint.save(mask_all(network("sequential"), 0.5), tmp_path / "model.safetensors")
    model = checkpoint.load(tmp_path / "model.safetensors")
    optimizer = mp.optim.SGD(model, lr=0.1, momentum=0.9)
    mp.ops.cross_entropy(model.train()(np.ones((4, 1, 16, 16))), np.arange(4)).backward()
    optimizer.step()
    changed = [(p.data != q.data).any() for p, q in zip(model.parameters(), mask_all(network("sequential"), 0.5).parameters(), strict=True)]
    assert any(changed)
    assert all((p.data[~p.mask] == 0).all() for p in model.parameters())


def test_numbers_from_numpy_describe_a_model_as_well_as_pythons(tmp_path: Path) -> None:
    labels = np.arange(7)
    model = mp.models.SmallConvNet((1, 16, 16), num_classes=labels.max() + 1, rng=np.random.default_rng(0))
    checkpoint.save(model, tmp_path / "model.safetensors")
    assert contents(checkpoint.load(tmp_path / "model.safetensors")) == contents(model.eval())


class Scale(Module):
    """A module of the user's own: y = a x, with a scalar parameter and a buffer of whole numbers. It has no ``config``."""

    buffer_names = ("calls",)

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = Parameter(np.array(a, np.float32))
        self.calls = np.array([0])

    def forward(self, x: mp.Tensor) -> mp.Tensor:
        self.calls += 1
        return x * self.a


class DescribedScale(Scale):
    def config(self) -> dict[str, Any]:
        return {"a": 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Scale, r"holds a Scale, which has no config\(\): make one and pass it as into="),
        (lambda a: Sequential(Scale(a)), r"has no config\(\): make one and pass it as into="),
        (DescribedScale, "unknown layer type 'DescribedScale'.*a module of your own is loaded with into="),
    ],
)
def test_a_module_of_the_users_own_is_loaded_into_one(tmp_path: Path, make: Callable[[float], Module], message: str) -> None:
    model = make(2.5)
    model(np.ones(3))
    checkpoint.save(model, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "model.safetensors")
    loaded = checkpoint.load(tmp_path / "model.safetensors", into=make(0.0))
    assert contents(loaded) == contents(model.eval())


# What is not a whole checkpoint changes nothing


def tiny(seed: int = 0) -> Sequential:
    """One parameter in each form of storage, and a mask on a bias."""
    rng = np.random.default_rng(seed)
    model = Sequential(Linear(2, 2, rng=rng), Linear(10, 4, bias=False, rng=rng), Linear(100, 2, bias=False, rng=rng), BatchNorm2d(1))
    model[0].bias.set_mask(np.array([True, False]))
    model[1].weight.set_mask(rng.random((4, 10)) < 0.5)
    model[2].weight.set_mask(np.arange(200).reshape(2, 100) == 155)
    return model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(tiny(), path)
    assert {how["format"] for how in header_of(path)["parameters"].values()} == {"dense", "bitmask", "csr"}
    return path


def assert_refused(path: Path, content: bytes, message: str) -> None:
    """``content`` at ``path`` is refused, both with and without a model to load into, which stays as it was."""
    path.write_bytes(content)
    into = tiny(seed=9).train()
    before = contents(into)
    for where in (None, into):
        with pytest.raises(CheckpointError, match=message) as caught:
            checkpoint.load(path, into=where)
        assert str(path) in str(caught.value)
    assert contents(into) == before


def accepted(path: Path, contents: list[bytes]) -> list[int]:
    """The positions of those ``contents`` that ``load`` takes for a checkpoint. (A loop and one open file, since there are thousands.)"""
    found = []
    with path.open("r+b", buffering=0) as file:
        for i, content in enumerate(contents):
            file.seek(0)
            file.write(content)
            file.truncate()
            try:
                checkpoint.load(path)
            except CheckpointError:
                continue
            found.append(i)
    return found


def test_a_file_cut_short_anywhere_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    assert accepted(saved, [*(whole[:n] for n in range(len(whole))), whole]) == [len(whole)]


def test_any_flipped_bit_is_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    flips = [whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :] for i in range(len(whole)) for bit in range(8)]
    assert accepted(saved, [*flips, whole]) == [len(flips)]


@pytest.mark.parametrize("where", ["length", "header", "first value", "last value"])
def test_a_flipped_byte_leaves_the_model_as_it_was(saved: Path, where: str) -> None:
    whole = saved.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    position = {"length": 0, "header": 8 + header // 2, "first value": 8 + header, "last value": len(whole) - 1}[where]
    assert_refused(saved, whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :], "damaged|missing")


def test_a_file_with_something_appended_is_refused(saved: Path) -> None:
    assert_refused(saved, saved.read_bytes() + b"\0", "truncated, damaged, or not a safetensors file")


def altered(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], object]) -> bytes:
    """The file with its header and arrays changed, well-formed but with the old checksum."""
    header, tensors = header_of(path), safetensors.load(path.read_bytes())
    change(header, tensors)
    return safetensors.save(tensors, metadata={"minprune": json.dumps(header)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: t.update({"0.weight#values": t["0.weight#values"] + 1}), "does not match its checksum"),
        (lambda h, t: t.update({"0.weight#values": t["0.weight#values"].T.copy()}), "does not match its checksum"),
        (lambda h, t: t.update({"0.weight#values": t["0.weight#values"].view(np.int32)}), "does not match its checksum"),
        (lambda h, t: t.update(extra=np.ones(1)), "does not match its checksum"),
        (lambda h, t: t.pop("0.weight#values"), "does not match its checksum"),
        (lambda h, t: h["architecture"].update(type="ReLU"), "does not match its checksum"),
        (lambda h, t: h["parameters"]["0.weight"].update(shape=[4, 1]), "does not match its checksum"),
        (lambda h, t: h.pop("sha256"), "does not match its checksum"),
        (lambda h, t: h.update(format_version=2), "expected format version 1, got 2; it needs another minprune"),
        (lambda h, t: h.pop("format_version"), "expected format version 1, got None"),
    ],
    ids=["value", "order", "type", "more", "less", "architecture", "shape", "checksum", "newer format", "no format"],
)
def test_what_was_altered_is_refused(saved: Path, change: Callable, message: str) -> None:
    assert_refused(saved, altered(saved, change), message)


FOREIGN = {"weight": np.ones((2, 2), np.float32)}


def bfloat16() -> bytes:
    """A safetensors file with a type that NumPy does not have."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated, damaged, or not a safetensors file"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f4'}", "not a safetensors file"),
        (b"PK\x03\x04" + bytes(100), "not a safetensors file"),
        (safetensors.save(FOREIGN), "but not one of minprune: its header is missing"),
        (safetensors.save(FOREIGN, metadata={"format": "pt"}), "but not one of minprune"),
        (safetensors.save(FOREIGN, metadata={"minprune": "not JSON"}), "but not one of minprune"),
        (safetensors.save(FOREIGN, metadata={"minprune": "[1]"}), "expected format version 1, got None"),
        (bfloat16(), "its header is missing"),
    ],
    ids=["empty", "npy", "zip", "safetensors", "metadata of others", "no JSON", "no object", "bfloat16"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert_refused(tmp_path / "model.safetensors", content, message)


def test_a_model_that_does_not_fit_is_told_what_differs_and_left_alone(saved: Path) -> None:
    other = small_net()
    before = contents(other)
    with pytest.raises(CheckpointError, match=r"does not fit Sequential: different or missing 0\.bias, 0\.weight, 1\.weight"):
        checkpoint.load(saved, into=other)
    assert contents(other) == before


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        checkpoint.load(tmp_path / "nothing.safetensors")


# A save that fails


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(path: Path, content: bytes) -> int:
    """Path.write_bytes on a disk with too little room."""
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FAILURES = {"pathlib.Path.write_bytes": half_written, "os.fsync": full, "os.replace": full, "tempfile.mkstemp": full}


@pytest.mark.parametrize("function", FAILURES)
def test_a_save_that_fails_keeps_the_old_file_and_leaves_nothing_else(saved: Path, function: str) -> None:
    before = saved.read_bytes()
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(function, FAILURES[function])
        with pytest.raises(OSError, match=r"could not save .*tiny\.safetensors: .*; the file that was there is intact") as caught:
            checkpoint.save(tiny(seed=3), saved)
    assert caught.value.errno == errno.ENOSPC
    assert list(saved.parent.iterdir()) == [saved]
    assert saved.read_bytes() == before
    assert contents(checkpoint.load(saved)) == contents(tiny().eval())


@pytest.mark.parametrize("function", FAILURES)
def test_a_first_save_that_fails_leaves_nothing(tmp_path: Path, function: str) -> None:
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(function, FAILURES[function])
        with pytest.raises(OSError, match="could not save") as caught:
            checkpoint.save(tiny(), tmp_path / "model.safetensors")
    assert "intact" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_the_writing_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_a_save_replaces_the_old_file_and_makes_missing_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "model.safetensors"
    for seed in (0, 1):
        checkpoint.save(tiny(seed), path)
        assert list(path.parent.iterdir()) == [path]
        assert contents(checkpoint.load(path)) == contents(tiny(seed).eval())


def test_a_saved_file_may_be_read_by_whom_any_new_file_may(tmp_path: Path) -> None:
    (tmp_path / "any").write_bytes(b"")
    checkpoint.save(tiny(), tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_path_that_cannot_be_written_is_one_clear_error_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "model", tmp_path / "file" / "deeper" / "model", tmp_path / "folder"):
        with pytest.raises((NotADirectoryError, IsADirectoryError), match=r"cannot save .*: .* is (not )?a folder"):
            check_writable(path)
        with pytest.raises(OSError, match=f"could not save .*{path.name}"):
            checkpoint.save(tiny(), path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_read_only_folder_is_one_clear_error_before_and_after(tmp_path: Path) -> None:
    folder = tmp_path / "read only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("whoever runs this may write to a read-only folder")
    for path in (folder / "model", folder / "deeper" / "model"):
        with pytest.raises(PermissionError, match="read only is not writable"):
            check_writable(path)
        with pytest.raises(PermissionError, match="could not save"):
            checkpoint.save(tiny(), path)
    assert list(folder.iterdir()) == []


def test_whether_a_folder_is_writable_is_asked_of_the_nearest_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "deep" / "deeper" / "model")  # fine
    monkeypatch.setattr("os.access", lambda folder, mode: folder != tmp_path)
    with pytest.raises(PermissionError, match=r"cannot save .*model: .* is not writable"):
        check_writable(tmp_path / "deep" / "deeper" / "model")


def test_a_path_may_be_relative_and_the_file_may_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_bytes(b"old")
    check_writable("model")
    check_writable("folder/model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    monkeypatch.setattr("os.access", lambda folder, mode: folder != tmp_path)
    with pytest.raises(PermissionError, match="cannot save model"):
        check_writable("model")
