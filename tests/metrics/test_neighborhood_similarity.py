"""Neighbourhood similarity (pMN)."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.metrics.base import metrics
from cryoarena.metrics.neighborhood_similarity import (
    RADII_PERCENT,
    chance_level,
    matching_neighbors,
    matching_neighbors_cryobench,
    neighborhood_similarity,
)


@pytest.fixture
def circle() -> tuple[np.ndarray, np.ndarray]:
    """A discrete truth, 20 conformations on a circle with 15 images each, and a noisy embedding of it."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.repeat(np.arange(20), 15) / 20
    truth = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.hstack([truth, 0 * truth]) + 0.2 * rng.normal(size=(300, 4)), truth


def test_equals_a_literal_reading_of_the_equation_where_there_are_no_ties():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 2))
    embedding = np.hstack([truth + 0.5 * rng.normal(size=truth.shape), rng.normal(size=(200, 1))])
    found = matching_neighbors(embedding, truth)
    for column, k in enumerate(found.k):
        matches = 0
        for i in range(200):
            near = [np.argsort(np.linalg.norm(points - points[i], axis=1))[1 : k + 1] for points in (embedding, truth)]
            matches += len(set(near[0]) & set(near[1]))
        assert found.percent[:, column].mean() == pytest.approx(100 * matches / (k * 200))


def test_ties_count_as_the_mean_over_all_ways_to_break_them():
    """Enumerate every order of the tied neighbours in either space."""
    truth = np.array([0, 1, 1, 1, 1, 2, 2, 9, 9, 12.0])[:, None]
    embedding = np.array([0, 3, 3, 1, 3, 3, 8, 1, 4, 15.0])[:, None]
    found = matching_neighbors(embedding, truth)
    k = 2
    column = found.k.tolist().index(k)
    tied_in_truth, tied_in_embedding = (1, 2, 3, 4), (3, 7)  # around point 0
    overlaps = [
        len(set(near_truth) & set(near_embedding))
        for near_truth in itertools.combinations(tied_in_truth, k)
        for near_embedding in itertools.combinations(tied_in_embedding, k)
    ]
    assert found.percent[0, column] == pytest.approx(100 * np.mean(overlaps) / k)
    k1 = found.percent[0, found.k.tolist().index(1)]
    pairs = [t == e for t in tied_in_truth for e in tied_in_embedding]
    assert k1 == pytest.approx(100 * np.mean(pairs))


def test_ties_agree_with_breaking_them_by_lot(circle):
    embedding, truth = circle
    exact = matching_neighbors(embedding, truth)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(16):
        # far below the distances between conformations, far above the tolerance for ties
        lot = truth + 1e-3 * rng.normal(size=truth.shape)
        drawn.append(matching_neighbors(embedding, lot).percent.mean(0))
    error = np.std(drawn, axis=0, ddof=1) / np.sqrt(16)
    # at the first radii the lot is drawn among one conformation's images
    column = [i for i, k in enumerate(exact.k) if k < 14]
    assert (np.abs(exact.percent.mean(0) - np.mean(drawn, axis=0))[column] < 5 * error[column] + 0.1).all()


def test_equidistant_conformations_tie_in_spite_of_rounding():
    """On a circle both neighbours are equally far but for the last bit; finding one of them is half right."""
    row = np.arange(20)
    truth = np.stack([np.cos(2 * np.pi * row / 20), np.sin(2 * np.pi * row / 20)], 1)
    pairs = 10.0 * (row // 2) + row % 2
    found = matching_neighbors(pairs[:, None], truth)
    np.testing.assert_allclose(found.percent[:, found.k.tolist().index(1)], 50)


def test_continuous_truth_scores_100_against_itself():
    truth = np.random.default_rng(0).normal(size=(300, 3))
    assert (matching_neighbors(truth, truth).percent == 100).all()
    scores = neighborhood_similarity(truth, truth, truth).scores
    assert scores["standard/radius_5"].value == 100
    assert scores["standard/radius_5"].standard_error == 0


def test_random_embedding_scores_chance(circle):
    _, truth = circle
    rng = np.random.default_rng(0)
    for embedding in (rng.permutation(truth), rng.normal(size=(300, 8))):
        found = matching_neighbors(embedding, truth)
        error = found.percent.std(0, ddof=1) / np.sqrt(300)
        expected = [chance_level(k, 300) for k in found.k]
        assert (np.abs(found.percent.mean(0) - expected) < 3 * error).all()


def test_collapsed_embedding_scores_exactly_chance(circle):
    found = matching_neighbors(np.ones((300, 2)), circle[1])
    expected = np.tile([chance_level(k, 300) for k in found.k], (300, 1))
    np.testing.assert_allclose(found.percent, expected, rtol=1e-9)


def test_less_noise_scores_higher(circle):
    _, truth = circle
    rng = np.random.default_rng(0)
    values = [
        neighborhood_similarity(truth + noise * rng.normal(size=truth.shape), truth, truth).scores
        for noise in (0.02, 0.3, 1.0, 10.0)
    ]
    for statistic in ("standard/mean_1_10", "cryobench/mean_1_10"):
        series = [scores[statistic].value for scores in values]
        assert series == sorted(series, reverse=True)


def test_rotation_scale_shift_and_order_do_not_matter(circle):
    embedding, truth = circle
    expected = matching_neighbors(embedding, truth).percent
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()[:2, :2]
    turn = np.linalg.qr(turn)[0]
    order = np.random.default_rng(1).permutation(300)
    np.testing.assert_allclose(matching_neighbors(7 * embedding - 3, truth @ turn).percent, expected)
    np.testing.assert_allclose(matching_neighbors(embedding[order], truth[order]).percent, expected[order])


def test_sample_of_queries_estimates_all_of_them(circle):
    every = matching_neighbors(*circle).percent
    some = matching_neighbors(*circle, max_queries=100).percent
    assert some.shape == (100, len(RADII_PERCENT))
    error = some.std(0, ddof=1) / np.sqrt(100)
    assert (np.abs(some.mean(0) - every.mean(0)) < 4 * error).all()
    rows = [np.flatnonzero((every == row).all(1)).size for row in some]
    assert min(rows) >= 1


@pytest.mark.parametrize("n", [300, 503])
def test_cryobench_equals_a_literal_double_argsort(circle, n):
    rng = np.random.default_rng(1)
    embedding, truth = rng.normal(size=(n, 3)), rng.integers(0, 12, (n, 1)).astype(float)
    embedding[:, :1] += truth
    found = matching_neighbors_cryobench(embedding, truth)
    for start in range(5):
        ranks = []
        for points in (embedding[start::5], truth[start::5]):
            order = np.argsort(cdist(points, points), axis=1, kind="stable")
            ranks.append(np.argsort(order, axis=1, kind="stable"))
        for column, k in enumerate(found.k):
            hit = ((ranks[0] < k + 1) & (ranks[1] < k + 1)).sum(1).mean()
            assert found.percent[start, column] == pytest.approx(100 * hit / k, abs=1e-9)


def test_cryobench_counts_the_point_itself():
    """In the authors' setting (k = 200 of 20 000) truth against itself gives 201 hits, that is 100.5 %."""
    truth = np.random.default_rng(0).normal(size=(1000, 2))
    found = matching_neighbors_cryobench(truth, truth)
    assert found.k.tolist() == list(range(2, 41, 2))
    np.testing.assert_allclose(found.percent, np.tile(100 * (found.k + 1) / found.k, (5, 1)))


def test_metric_is_registered_and_gives_all_its_statistics(circle):
    entry = metrics.get("pmn")
    assert entry.card.needs == ("embedding", "true_embedding", "true_embedding_cryobench", "device")
    result = entry.compute(embedding=circle[0], true_embedding=circle[1], true_embedding_cryobench=circle[1])
    names = ("radius_1", "radius_5", "radius_10", "mean_1_10")
    assert set(result.scores) == {f"{v}/{n}" for v in ("standard", "cryobench") for n in names}
    assert result.scores["standard/mean_1_10"].n == 300
    assert result.scores["cryobench/mean_1_10"].n == 5
    curve = result.curves["cryobench"]
    assert curve.mean[4] == pytest.approx(result.scores["cryobench/radius_5"].value)
    assert curve.spread[4] == pytest.approx(result.scores["cryobench/radius_5"].standard_error * 2)
    assert curve.x.tolist() == list(RADII_PERCENT)


def test_refuses_bad_embeddings(circle):
    embedding, truth = circle
    with pytest.raises(UserError, match="299 rows but the truth has 300; match them by particle id"):
        neighborhood_similarity(embedding[1:], truth, truth)
    broken = embedding.copy()
    broken[17, 0] = np.nan
    with pytest.raises(UserError, match="row 17"):
        neighborhood_similarity(broken, truth, truth)
    with pytest.raises(UserError, match="at least 10 images, not 4"):
        neighborhood_similarity(embedding[:4], truth[:4], truth[:4])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees(circle):
    embedding = np.vstack([circle[0], circle[0][:7]])
    truth = np.vstack([circle[1], circle[1][:7]])
    np.testing.assert_allclose(
        matching_neighbors(embedding, truth, "cuda").percent, matching_neighbors(embedding, truth).percent, rtol=1e-9
    )
    # rows that are equal or differ, but no equidistant ones: there the last bit decides
    truth = np.random.default_rng(0).normal(size=(20, 2))[np.arange(len(embedding)) // 16]
    on_cpu, on_cuda = (matching_neighbors_cryobench(embedding, truth, device).percent for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-9)
