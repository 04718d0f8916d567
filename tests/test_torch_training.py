"""LeNet-5 and the ResNet, trained for whole steps with every optimizer, keep the same weights as their twins in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import minprune as mp
from tests.oracles import oracle

torch = oracle("torch")
from minprune.experiments.bench.torch_models import TORCH_MODELS  # noqa: E402 (needs torch)

OPTIMIZERS = {
    "sgd": (lambda m: mp.optim.SGD(m, lr=0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    "momentum": (lambda m: mp.optim.SGD(m, lr=0.02, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
    "nesterov, weight decay": (
        lambda m: mp.optim.SGD(m, lr=0.02, momentum=0.9, weight_decay=1e-2, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-2, nesterov=True),
    ),
    "adam": (lambda m: mp.optim.Adam(m, lr=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)),
    "adam, weight decay": (
        lambda m: mp.optim.Adam(m, lr=1e-3, betas=(0.8, 0.99), weight_decay=1e-2),
        lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.8, 0.99), weight_decay=1e-2),
    ),
    "adamw": (lambda m: mp.optim.AdamW(m, lr=1e-3, weight_decay=0.1), lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1)),
}


def twins(name: str, dtype: type) -> tuple[mp.nn.Module, torch.nn.Module]:
    """Our network and PyTorch's, with the same random weights."""
    ours = mp.models.create(name, rng=np.random.default_rng(0)).train()
    theirs = TORCH_MODELS[name]().train().to(torch.float64 if dtype is np.float64 else torch.float32)
    state = theirs.state_dict()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for p_name, p in ours.named_parameters():
        p.data = p.data.astype(dtype)
        state[p_name].copy_(torch.from_numpy(p.data))
    return ours, theirs


def train_both(name: str, optimizer: str, dtype: type, steps: int) -> tuple[dict, dict]:
    ours, theirs = twins(name, dtype)
    ours_opt, theirs_opt = OPTIMIZERS[optimizer][0](ours), OPTIMIZERS[optimizer][1](theirs.parameters())
    rng = np.random.default_rng(1)
    for _ in range(steps):
        x, y = rng.random((8, 1, 28, 28)).astype(dtype), rng.integers(0, 10, 8)
        ours_opt.zero_grad()
        theirs_opt.zero_grad()
        mp.ops.cross_entropy(ours(mp.Tensor(x)), y).backward()
        torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        ours_opt.step()
        theirs_opt.step()
    return ours.state_dict(), {n: t.numpy() for n, t in theirs.state_dict().items() if "num_batches" not in n}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", ["lenet5", "resnet"])
def test_weights_and_running_statistics_follow_torchs_in_float64(model: str, optimizer: str) -> None:
    ours, theirs = train_both(model, optimizer, np.float64, steps=4)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        exact = not name.endswith(("running_mean", "running_var"))  # the buffers are float32 on our side
        np.testing.assert_allclose(array, theirs[name], rtol=1e-7 if exact else 1e-5, atol=1e-9 if exact else 1e-6, err_msg=name)


@pytest.mark.parametrize("model", ["lenet5", "lenet300100", "resnet"])
def test_and_to_rounding_in_float32(model: str) -> None:
    ours, theirs = train_both(model, "momentum", np.float32, steps=3)
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=5e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (mp.optim.StepLR(3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
        (mp.optim.CosineLR(10), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10)),
        (mp.optim.CosineLR(10, floor=0.1), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, eta_min=0.1)),
        (mp.optim.WarmupLR(4), lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: min((s + 1) / 4, 1))),
    ],
)
def test_learning_rates_follow_torchs(ours, theirs) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = theirs(optimizer)
    for step in range(11):
        assert ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        scheduler.step()
