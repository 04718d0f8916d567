"""The backend is the one that was asked for; where numba does not work, NumPy computes the same and one warning says so.

Most tests run Python anew, since a process decides once. Those that compile do so in a folder of their own, as few kernels as they can.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minprune import backend
from tests.oracles import oracle

ROOT = Path(__file__).parent.parent
IMPORTS = "import sys, warnings, numpy as np, minprune as mp; from minprune import backend; R = np.random.default_rng\n"
TRAIN = """
def train(model, chosen=None):
    import contextlib
    optimizer, rng, losses = mp.optim.SGD(model.train(), lr=0.05, momentum=0.9), R(1), []
    with backend.using(chosen) if chosen else contextlib.nullcontext():
        for _ in range(2):
            x, y = rng.random((20, *model.input_shape), np.float32), rng.integers(0, 10, 20)
            optimizer.zero_grad()
            loss = mp.ops.cross_entropy(model(mp.Tensor(x)), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, model.state_dict()

def assert_trains_like_numpy(kind):
    (losses, state), (plain_losses, plain_state) = train(kind(rng=R(0))), train(kind(rng=R(0)), "numpy")
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4)
    for key in state:
        np.testing.assert_allclose(state[key], plain_state[key], rtol=2e-3, atol=2e-4, err_msg=key)
    assert losses[0] != losses[1]
"""
LINEAR = """
x, w = R(0).random((20, 30), np.float32), R(1).random((5, 30), np.float32)
np.testing.assert_allclose(mp.ops.linear(x, w).data, x @ w.T, rtol=1e-5)
"""


def run(code: str, **environment: str | Path | None) -> subprocess.CompletedProcess[str]:
    """Python with only those of numba's and our variables that are given, so that the tests do not depend on who runs them."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "MINPRUNE_", "OMP_", "PYTHONWARNINGS"))}
    given = {"PYTHONPATH": ROOT, "NUMBA_NUM_THREADS": "1"} | environment
    kept |= {k: str(v) for k, v in given.items() if v is not None}
    return subprocess.run([sys.executable, "-c", IMPORTS + TRAIN + code], cwd=ROOT, env=kept, capture_output=True, text=True)


def succeed(code: str, **environment: str | Path | None) -> subprocess.CompletedProcess[str]:
    """The same, and it ends well."""
    done = run(code, **environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(params=["raise ImportError('no such luck')", "raise SystemError('built for another Python')", "x = 1"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A search path on which a package stands that calls itself numba."""
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(request.param)
    return os.pathsep.join([str(tmp_path), str(ROOT)])


def test_numpy_trains_and_numba_is_not_even_imported() -> None:
    code = """
losses, state = train(mp.models.SmallConvNet(rng=R(0)))
assert losses[0] != losses[1] and np.isfinite(losses).all()
print(*[name for name in sys.modules if name.partition(".")[0] in ("numba", "llvmlite")])
"""
    done = succeed(code, MINPRUNE_BACKEND="numpy")
    assert done.stdout.strip() == ""
    assert done.stderr == ""


def test_numba_is_taken_where_nothing_is_said() -> None:
    oracle("numba")
    done = succeed("print(backend.name(), backend.implementation('conv', np.dtype(np.float32)).__name__)")
    assert done.stdout.split() == ["auto", "minprune.fast.conv"]


@pytest.mark.parametrize("chosen", ["", "auto", "numba", "numpy"])
def test_the_variable_chooses(chosen: str) -> None:
    if chosen == "numba":
        oracle("numba")
    assert succeed("print(backend.name())", MINPRUNE_BACKEND=chosen).stdout.strip() == (chosen or "auto")


def test_a_name_that_does_not_exist_gets_the_nearest_that_does() -> None:
    done = run("mp.ops.relu(np.ones(3))\nmp.ops.relu(np.float32([1]))", MINPRUNE_BACKEND="nunba")
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("ValueError")
    assert "MINPRUNE_BACKEND" in error
    assert "'numba'" in error


def test_using_overrides_the_variable_and_restores_it_even_after_an_error() -> None:
    before = backend.name()
    with backend.using("numpy"):
        with pytest.raises(ZeroDivisionError), backend.using("auto"):
            1 / len(backend.name()[len("auto") :])
        assert backend.implementation("conv", np.dtype(np.float32)).__name__ == "minprune.plain.conv"
    assert backend.name() == before
    with pytest.raises(ValueError, match="did you mean 'numpy'"), backend.using("nunpy"):
        pass
    assert backend.name() == before


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, ">f4"])
def test_the_kernels_get_float32_only(dtype: object) -> None:
    assert backend.implementation("conv", np.dtype(dtype)).__name__ == "minprune.plain.conv"


def test_with_a_broken_numba_numpy_computes_and_one_warning_says_so(broken: str) -> None:
    code = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    losses, state = train(mp.models.LeNet300100(rng=R(0)))
    twin_losses, twin_state = train(mp.models.LeNet300100(rng=R(0)), "numpy")
    model = mp.models.LeNet300100(rng=R(0))
    engine = mp.sparse.compile(model, (1, 28, 28))
    x = R(1).random((5, 1, 28, 28), dtype=np.float32)
    assert abs(engine(x) - model(mp.Tensor(x)).data).max() < 1e-5
    try:
        mp.sparse.engine.revive({})
    except mp.errors.BackendError as error:
        assert "compile the model here" in str(error)
    else:
        raise AssertionError("an engine of kernels needs numba")
assert losses == twin_losses and losses[0] != losses[1]
assert all((state[key] == twin_state[key]).all() for key in state)
print(*[type(w.message).__name__ for w in caught if issubclass(w.category, backend.BackendWarning)])
print(*[w.message for w in caught])
"""
    kinds, message = succeed(code, PYTHONPATH=broken).stdout.splitlines()
    assert kinds == "BackendWarning"
    assert "numba does not work" in message
    assert "Error: " in message  # and what it said itself


def test_with_a_broken_numba_asking_for_numba_is_an_error(broken: str) -> None:
    done = run("mp.models.LeNet300100(rng=R(0))(np.ones((1, 1, 28, 28), np.float32))", PYTHONPATH=broken, MINPRUNE_BACKEND="numba")
    assert done.returncode == 1
    assert "BackendError: MINPRUNE_BACKEND is 'numba', but numba does not work" in done.stderr.strip().splitlines()[-1]


def test_where_numba_is_told_not_to_compile_numpy_computes() -> None:
    oracle("numba")
    done = succeed(LINEAR, NUMBA_DISABLE_JIT="1")
    assert done.stderr.count("BackendWarning: numba does not work (NUMBA_DISABLE_JIT is set)") == 1


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_more_threads_than_cores_may_be_asked_for(variable: str) -> None:
    oracle("numba")
    many = 2 * (os.cpu_count() or 1)
    done = succeed(LINEAR + "print(mp.threads())", **{"NUMBA_NUM_THREADS": None, variable: str(many)})
    assert 1 <= int(done.stdout) <= many


def test_a_processor_with_narrower_vectors_trains_the_same(tmp_path: Path) -> None:
    oracle("numba")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("haswell is an x86 processor, and this is none")
    code = """
from minprune.kernels.host import HOST
assert_trains_like_numpy(mp.models.LeNet5)
print(HOST.lanes)
"""
    done = succeed(code, NUMBA_CPU_NAME="haswell", NUMBA_CACHE_DIR=tmp_path, MINPRUNE_BACKEND="numba")
    assert done.stdout.strip() == "8"


def test_what_takes_so_long_is_said_the_first_time_only(tmp_path: Path) -> None:
    oracle("numba")
    first, second = (succeed(LINEAR, NUMBA_CACHE_DIR=tmp_path) for _ in range(2))
    assert first.stderr.count("compiling kernels for this processor") == 1
    assert len(first.stderr.splitlines()) == 1
    assert (first.stdout, second.stdout, second.stderr) == ("", "", "")
    kept = sorted(path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc"))
    assert kept
    for path in kept[::2]:  # a power cut came before they were on the disk
        path.write_bytes(b"" if path.suffix == ".nbi" else bytes(path.stat().st_size))
    third, fourth = (succeed(LINEAR, NUMBA_CACHE_DIR=tmp_path) for _ in range(2))
    assert third.stderr.count("compiling kernels for this processor") == 1
    assert fourth.stderr == ""


def test_without_a_folder_to_write_to_kernels_work_and_a_warning_says_what_it_costs(tmp_path: Path) -> None:
    oracle("numba")
    (tmp_path / "file").write_text("in the way")
    done = succeed(LINEAR, NUMBA_CACHE_DIR=tmp_path / "file" / "below", MINPRUNE_BACKEND="numba")
    assert done.stderr.count("UserWarning: no folder for compiled kernels can be written") == 1
    assert "set NUMBA_CACHE_DIR" in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"
