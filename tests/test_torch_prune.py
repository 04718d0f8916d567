"""Masks equal those of torch.nn.utils.prune, once and again on what remains, and the same amounts are refused."""

from __future__ import annotations

import numpy as np
import pytest

from minprune import prune
from tests.oracles import oracle

torch = oracle("torch")
torch_prune = oracle("torch.nn.utils.prune")

AMOUNTS = [0, 1, 7, 0.0, 0.1, 0.25, 0.5, 0.85, 1.0]
SHAPES = {"conv.weight": (4, 3, 3, 3), "fc.weight": (5, 16)}


def modules(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, torch.nn.Module]]:
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    theirs = {"conv.weight": torch.nn.Conv2d(3, 4, 3), "fc.weight": torch.nn.Linear(16, 5)}
    for name, module in theirs.items():
        module.weight.data = torch.from_numpy(weights[name].copy())
    return weights, theirs


def their_masks(theirs: dict[str, torch.nn.Module]) -> dict[str, np.ndarray]:
    return {name: module.weight_mask.numpy().astype(bool) for name, module in theirs.items()}


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, torch.nn.Module]) -> None:
    for name, mask in their_masks(theirs).items():
        np.testing.assert_array_equal(ours[name], mask, err_msg=name)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_layerwise_magnitude_equals_l1_unstructured(amount: float) -> None:
    weights, theirs = modules(np.random.default_rng(0))
    scores = {name: np.abs(w) for name, w in weights.items()}
    for module in theirs.values():
        torch_prune.l1_unstructured(module, "weight", amount)
    assert_same(prune.make_masks(scores, amount=amount, scope="layer", min_per_layer=0), theirs)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_global_magnitude_equals_global_unstructured(amount: float) -> None:
    weights, theirs = modules(np.random.default_rng(1))
    scores = {name: np.abs(w) for name, w in weights.items()}
    torch_prune.global_unstructured([(m, "weight") for m in theirs.values()], torch_prune.L1Unstructured, amount=amount)
    assert_same(prune.make_masks(scores, amount=amount, min_per_layer=0), theirs)


@pytest.mark.parametrize("amounts", [(0.5, 0.5), (0.2, 0.1, 0.1), (10, 0.3), (0.3, 11)])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_pruning_again_takes_its_share_of_what_remains(scope: str, amounts: tuple) -> None:
    weights, theirs = modules(np.random.default_rng(2))
    masks: dict = {}
    for amount in amounts:
        scores = {name: np.abs(w) for name, w in weights.items()}
        masks = prune.make_masks(scores, amount=amount, scope=scope, previous=masks, min_per_layer=0)
        if scope == "global":
            torch_prune.global_unstructured([(m, "weight") for m in theirs.values()], torch_prune.L1Unstructured, amount=amount)
        else:
            for module in theirs.values():
                torch_prune.l1_unstructured(module, "weight", amount)
        assert_same(masks, theirs)


@pytest.mark.parametrize("amount", [0.1, 0.5, 9])
def test_given_scores_equal_importance_scores(amount: float) -> None:
    rng = np.random.default_rng(3)
    _, theirs = modules(rng)
    scores = {name: rng.random(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    for name, module in theirs.items():
        torch_prune.l1_unstructured(module, "weight", amount, importance_scores=torch.from_numpy(scores[name]))
    assert_same(prune.make_masks(scores, amount=amount, scope="layer", min_per_layer=0), theirs)


@pytest.mark.parametrize(
    ("amount", "error"), [("0.5", TypeError), (-0.1, ValueError), (1.1, ValueError), (-1, ValueError), (1000, ValueError)]
)
def test_the_same_amounts_are_refused_with_the_same_errors(amount: object, error: type) -> None:
    weights, theirs = modules(np.random.default_rng(4))
    with pytest.raises(error):
        torch_prune.l1_unstructured(theirs["fc.weight"], "weight", amount)
    with pytest.raises(error):
        prune.make_masks({"fc.weight": np.abs(weights["fc.weight"])}, amount=amount)
