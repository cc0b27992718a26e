"""Sample FSC."""

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricResult, metrics
from cryoarena.metrics.per_image_fsc import per_image_fsc
from cryoarena.volumes.fsc import fsc, fsc_auc, fsc_cryobench
from turning_arm import PIXEL, D, conformation


def _score(samples, truths, masks) -> MetricResult:
    return metrics.get("sample-fsc").compute(
        sample_volumes=iter(samples), true_volumes=truths, masks=masks, pixel_size_A=PIXEL
    )


def _noisy(truths: list[np.ndarray], sigma: float) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [(truth + sigma * rng.normal(size=truth.shape)).astype(np.float32) for truth in truths]


def test_every_sample_meets_the_best_of_all_truths(truths, masks):
    """Against brute force over all pairs, variant by variant and mask by mask; samples lie between the truths."""
    samples = _noisy([conformation(turn) for turn in (3, 80, 200, 275, 340)], 0.2)
    result = _score(samples, truths, masks)
    for name, mask in masks.items():
        standard = [max(fsc_auc(*fsc(sample, truth, mask)) for truth in truths) for sample in samples]
        cryobench = []
        for sample in samples:
            curves = [fsc_cryobench(sample, truth, mask) for truth in truths]
            cryobench.append(max(fsc_auc(frequency, np.abs(found)) for frequency, found in curves))
        for variant, expected in (("standard", standard), ("cryobench", cryobench)):
            score = result.scores[f"{variant}/{name}/auc"]
            assert score.value == pytest.approx(np.mean(expected), abs=1e-9)
            assert score.n == 5


def test_samples_near_the_truths_score_as_their_own_truth(truths, masks):
    """More truths than are read at once; the order of the samples is free."""
    turns = np.arange(0, 360, 30)
    many = [conformation(turn) for turn in turns]
    order = [11, 0, 7, 3]
    samples = _noisy([many[i] for i in order], 0.05)
    expected = per_image_fsc([(i, sample, many[i]) for i, sample in zip(order, samples, strict=True)], masks, PIXEL)
    found = _score(samples, many, masks)
    assert found.scores.keys() == expected.scores.keys()
    for key, score in expected.scores.items():
        assert found.scores[key].value == pytest.approx(score.value, abs=1e-9)


def test_truth_is_perfect_and_noise_ranks_below(truths, masks):
    values = [
        _score(samples, truths, masks).scores["standard/moving_mask/auc"].value
        for samples in (truths, _noisy(truths, 0.2), _noisy(truths, 0.6), [np.mean(truths, axis=0)] * 8)
    ]
    assert values[0] == pytest.approx(0.5 - 1 / D)
    assert values[1] > values[2] + 0.01
    assert values[0] > values[3] + 0.01


def test_refuses_maps_that_have_no_fsc(truths, masks):
    with pytest.raises(UserError, match="given for sample 1 is constant"):
        _score([truths[0], np.zeros((D, D, D), np.float32)], truths, masks)
    with pytest.raises(UserError, match="at least one sampled map"):
        _score([], truths, masks)
    with pytest.raises(UserError, match="one true map"):
        _score(truths, [], masks)
    with pytest.raises(ValueError, match="of box 32 are expected"):
        _score(truths, [truths[0][:16, :16, :16]], masks)
