"""Per-conformation FSC."""

import numpy as np
import pytest

from cryoarena.metrics.base import metrics
from cryoarena.metrics.per_image_fsc import per_image_fsc
from turning_arm import PIXEL, D


def test_perfect_is_perfect_and_two_merged_states_rank_below(truths, masks):
    metric = metrics.get("per-conformation-fsc").compute
    merged = [(truths[0] + truths[1]) / 2] * 2 + truths[2:]
    shuffled = truths[3:] + truths[:3]
    values = [
        metric(conformation_volume_pairs=zip(range(8), maps, truths, strict=True), masks=masks, pixel_size_A=PIXEL)
        .scores["standard/moving_mask/auc"]
        .value
        for maps in (truths, merged, shuffled)
    ]
    assert values[0] == pytest.approx(0.5 - 1 / D)
    assert values[0] > values[1] + 0.01 > values[2] + 0.02


def test_is_computed_as_the_per_image_fsc(truths, masks):
    maps = [truth + np.float32(0.1) * np.random.default_rng(0).normal(size=truth.shape) for truth in truths]
    pairs = list(zip(range(8), maps, truths, strict=True))
    found = metrics.get("per-conformation-fsc").compute(
        conformation_volume_pairs=pairs, masks=masks, pixel_size_A=PIXEL
    )
    assert found.scores == per_image_fsc(pairs, masks, PIXEL).scores
