"""Map distances."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricResult, NotApplicable, metrics
from cryoarena.volumes.fsc import fsc
from turning_arm import PIXEL, conformation

STATISTICS = {"l2": 1, "correlation": -1, "fsc_distance": 1, "earth_mover": 1, "local_correlation": -1}


def _score(maps, truths, masks) -> MetricResult:
    return metrics.get("map-distance").compute(
        volume_pairs=((f"image {i}", *pair) for i, pair in enumerate(zip(maps, truths, strict=True))),
        masks=masks,
        pixel_size_A=PIXEL,
    )


def test_perfect_is_perfect_at_any_scale(truths, masks):
    scores = _score([3.7 * truth for truth in truths], truths, masks).scores
    assert len(scores) == 15
    for mask in masks:
        for statistic, best in (
            ("l2", 0),
            ("correlation", 1),
            ("fsc_distance", 0),
            ("earth_mover", 0),
            ("local_correlation", 1),
        ):
            score = scores[f"standard/{mask}/{statistic}"]
            assert score.value == pytest.approx(best, abs=1e-3)
            assert score.n == 8
            assert score.direction == ("lower" if STATISTICS[statistic] > 0 else "higher")
    assert scores["standard/mask/earth_mover"].unit == "Å"


def test_growing_defects_are_ordered(truths, masks):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=truth.shape).astype(np.float32) for truth in truths]
    consensus = np.mean(truths, axis=0)
    ladders = {
        "noise": [[t + s * n for t, n in zip(truths, noise, strict=True)] for s in (0, 0.1, 0.4, 1.6)],
        "blur": [[gaussian_filter(t, s) for t in truths] for s in (0, 0.5, 1, 2)],
        "turn": [[conformation(turn + off) for turn in range(0, 360, 45)] for off in (0, 10, 30, 90)],
        "share of consensus": [[(1 - s) * t + s * consensus for t in truths] for s in (0, 0.3, 1)],
    }
    moving = {"moving_mask": masks["moving_mask"]}
    for name, ladder in ladders.items():
        scores = [_score(maps, truths, moving).scores for maps in ladder]
        for statistic, sign in STATISTICS.items():
            # FSC does not see a blur at all
            if (statistic, name) != ("fsc_distance", "blur"):
                values = [each[f"standard/moving_mask/{statistic}"].value for each in scores]
                assert (np.diff(values) * sign > 0).all(), (name, statistic, values)


def test_values_are_those_of_the_formulas(truths, masks):
    found, truth = (truths[0] + 0.5 * truths[2] + 0.1).astype(np.float32), truths[1]
    scores = _score([found], [truth], masks).scores
    mask = masks["mask"]
    a, b = ((each * mask).ravel().astype(np.float64) for each in (found, truth))
    scale = np.linalg.lstsq(a[:, None], b)[0][0]
    assert scores["standard/mask/l2"].value == pytest.approx(np.linalg.norm(scale * a - b) / np.linalg.norm(b))
    covariance = np.cov(found.ravel(), truth.ravel(), aweights=mask.ravel(), ddof=0)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert scores["standard/mask/correlation"].value == pytest.approx(expected, abs=1e-5)
    unmasked = np.corrcoef(found.ravel(), truth.ravel())[0, 1]
    assert scores["standard/no_mask/correlation"].value == pytest.approx(unmasked, abs=1e-5)
    assert scores["standard/mask/fsc_distance"].value == pytest.approx(1 - fsc(found, truth, mask)[1].mean())


def test_reversed_contrast_is_no_match(truths, masks):
    found = _score([0.5 - truth for truth in truths], truths, {"mask": masks["mask"]}).scores
    assert found["standard/mask/correlation"].value == pytest.approx(-1, abs=1e-5)
    assert found["standard/mask/local_correlation"].value < -0.99
    assert found["standard/mask/fsc_distance"].value > 1.5


def test_refuses_what_has_no_distance(truths, masks):
    broken = truths[0].copy()
    broken[0, 0, 0] = np.inf
    with pytest.raises(UserError, match="given for image 0 holds NaN"):
        _score([broken], truths[:1], masks)
    with pytest.raises(UserError, match="given for image 0 has no positive density inside mask"):
        _score([-1 - truths[0]], truths[:1], masks)
    with pytest.raises(NotApplicable, match="true map of image 0 is empty inside nothing"):
        _score(truths[:1], truths[:1], {"nothing": np.zeros_like(truths[0])})
    with pytest.raises(UserError, match="at least one map"):
        _score([], [], masks)
