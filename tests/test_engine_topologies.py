"""Three outputs agree: masked model, compacted model and their engines, for every way in which channels can hang together."""

from __future__ import annotations

import numpy as np
import pytest

import minprune as mp
from minprune.prune import compact
from tests.test_surgery import CASES, outputs, prune_half
from tests.topologies import TOPOLOGIES

pytestmark = pytest.mark.filterwarnings("ignore::minprune.prune.UnstructuredWarning", "ignore::minprune.prune.GuardWarning")


@pytest.mark.parametrize(("name", "granularity"), CASES)
def test_masked_model_compacted_model_and_engines_agree(name: str, granularity: str) -> None:
    topology = TOPOLOGIES[name]
    masked = topology.build()
    for p in masked.parameters():
        p.data = p.data.astype(np.float32)
    prune_half(masked, granularity, topology.shape)
    x = np.random.default_rng(2).standard_normal((5, *topology.shape)).astype(np.float32)
    small = compact(masked, topology.shape)
    for model in (masked, small):
        found = mp.sparse.compile(model, topology.shape)(x)
        for a, b in zip(outputs(masked, x), found if isinstance(found, tuple) else (found,), strict=True):
            np.testing.assert_allclose(b.reshape(a.shape), a.data, rtol=1e-4, atol=1e-4 * np.abs(a.data).max())
