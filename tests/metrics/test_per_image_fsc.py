"""Per-image FSC."""

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricResult, metrics
from cryoarena.metrics.per_image_fsc import per_image_fsc
from cryoarena.volumes.fsc import fsc, fsc_auc, resolution_at
from turning_arm import PIXEL, D


def _score(reconstructed: list[np.ndarray], truths: list[np.ndarray], masks) -> MetricResult:
    pairs = ((f"image {i}", *pair) for i, pair in enumerate(zip(reconstructed, truths, strict=True)))
    return metrics.get("per-image-fsc").compute(volume_pairs=pairs, masks=masks, pixel_size_A=PIXEL)


def test_truth_scores_the_maximum(truths, masks):
    result = _score(truths, truths, masks)
    for variant in ("standard", "cryobench"):
        for mask in masks:
            for statistic in ("auc", "auc_median"):
                score = result.scores[f"{variant}/{mask}/{statistic}"]
                assert score.value == pytest.approx(0.5 - 1 / D)
                assert score.standard_error == pytest.approx(0, abs=1e-9)
                assert score.n == 8
    for threshold in ("0.5", "0.143"):
        assert result.scores[f"standard/mask/resolution_{threshold}"].value == pytest.approx(2 * PIXEL)


def test_worse_maps_rank_below(truths, masks):
    rng = np.random.default_rng(0)
    noise = [0.3 * rng.normal(size=truth.shape).astype(np.float32) for truth in truths]
    ladder = [
        truths,
        [truth + n for truth, n in zip(truths, noise, strict=True)],
        [truth + n for truth, n in zip(truths[1:] + truths[:1], noise, strict=True)],
        noise,
    ]
    results = [_score(maps, truths, masks) for maps in ladder]
    for variant in ("standard", "cryobench"):
        for mask in masks:
            values = [result.scores[f"{variant}/{mask}/auc"].value for result in results]
            assert values == sorted(values, reverse=True)
            assert min(-np.diff(values)) > 0.01


def test_consensus_is_exposed_by_the_moving_mask(truths, masks):
    consensus = np.mean(truths, axis=0)
    scores = _score([consensus] * 8, truths, masks).scores
    assert scores["standard/moving_mask/auc"].value < scores["standard/mask/auc"].value - 0.05


def test_statistics_are_those_of_the_single_curves(truths, masks):
    rng = np.random.default_rng(1)
    maps = [truth + 0.3 * rng.normal(size=truth.shape).astype(np.float32) for truth in truths]
    result = _score(maps, truths, masks)
    curves = [fsc(found, truth, masks["mask"]) for found, truth in zip(maps, truths, strict=True)]
    areas = [fsc_auc(*curve) for curve in curves]
    score = result.scores["standard/mask/auc"]
    assert score.value == pytest.approx(np.mean(areas))
    assert score.standard_error == pytest.approx(np.std(areas, ddof=1) / np.sqrt(8))
    assert result.scores["standard/mask/auc_median"].value == pytest.approx(np.median(areas))
    for threshold in (0.5, 0.143):
        resolution = result.scores[f"standard/mask/resolution_{threshold}"]
        assert resolution.value == pytest.approx(np.mean([resolution_at(*curve, threshold, PIXEL) for curve in curves]))
        assert (resolution.unit, resolution.direction) == ("Å", "lower")
    np.testing.assert_allclose(result.curves["standard/mask"].mean, np.mean([c[1] for c in curves], axis=0))
    np.testing.assert_allclose(result.curves["standard/mask"].spread, np.std([c[1] for c in curves], axis=0))


def test_maps_that_leave_the_moving_part_out_have_no_fsc_there(truths, masks):
    """CryoBench's code takes the correlation with nothing for 1."""
    moving = masks["moving_mask"]
    scores = _score([truth * (moving == 0) for truth in truths], truths, masks).scores
    for variant in ("standard", "cryobench"):
        assert scores[f"{variant}/moving_mask/auc"].value == 0
        assert scores[f"{variant}/no_mask/auc"].value > 0.1


def test_inverted_contrast_is_seen_by_the_standard_and_not_by_cryobench(truths, masks):
    """CryoBench integrates |FSC|, so that a map of wrong sign scores full marks there."""
    scores = _score([-truth for truth in truths], truths, masks).scores
    assert scores["standard/mask/auc"].value == pytest.approx(-(0.5 - 1 / D))
    assert scores["cryobench/mask/auc"].value == pytest.approx(0.5 - 1 / D)


def test_one_image_has_no_standard_error(truths, masks):
    score = _score(truths[:1], truths[:1], masks).scores["standard/mask/auc"]
    assert score.n == 1
    assert np.isnan(score.standard_error)


def test_refuses_maps_that_have_no_fsc(truths, masks):
    broken = truths[0].copy()
    broken[3, 3, 3] = np.nan
    with pytest.raises(UserError, match="given for image 1 holds NaN"):
        _score([truths[0], broken], truths[:2], masks)
    with pytest.raises(UserError, match="given for image 0 is constant"):
        _score([np.ones((D, D, D), np.float32)], truths[:1], masks)
    with pytest.raises(UserError, match="at least one map"):
        _score([], [], masks)
    with pytest.raises(ValueError, match="cubes of one even side"):
        per_image_fsc([("a", truths[0][:16, :16, :16], truths[0])], masks, PIXEL)
