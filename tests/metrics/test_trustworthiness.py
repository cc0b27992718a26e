"""Trustworthiness and continuity."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from cryoarena.errors import UserError
from cryoarena.metrics.base import metrics
from cryoarena.metrics.embedding_space import embedding_space
from cryoarena.metrics.trustworthiness import preserved, trustworthiness_and_continuity


def of(latent: np.ndarray, truth: np.ndarray, k: list[int], **options: int | str) -> tuple[np.ndarray, np.ndarray]:
    spaces = embedding_space(latent, "latent"), embedding_space(truth, "truth")
    return preserved(*spaces, np.array(k), seed=0, **options)


@pytest.fixture
def circle() -> tuple[np.ndarray, np.ndarray]:
    """Return a discrete truth, 20 conformations on a circle with 15 images each, and a noisy embedding of it."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.repeat(np.arange(20), 15) / 20
    truth = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.hstack([truth, 0 * truth]) + 0.2 * rng.normal(size=(300, 4)), truth


@pytest.mark.agreement
@pytest.mark.parametrize("k", [1, 5, 30, 90])
def test_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(k)
    truth = rng.normal(size=(200, 3))
    latent = truth[:, :2] + 0.3 * rng.normal(size=(200, 2))
    trusted, continuous = of(latent, truth, [k])
    assert trusted.mean() == pytest.approx(trustworthiness(truth, latent, n_neighbors=k), abs=1e-12)
    assert continuous.mean() == pytest.approx(trustworthiness(latent, truth, n_neighbors=k), abs=1e-12)


def test_ties_count_as_the_mean_over_all_ways_to_break_them():
    """Enumerate the orders of tied points in either space for query 0."""
    truth = np.array([0, 1, 1, 1, 2, 5, 6, 7.0])[:, None]
    latent = np.array([0, 3, 1, 9, 8, 3, 3, 10.0])[:, None]
    k = 2
    tied_latent, tied_truth = (1, 5, 6), (1, 2, 3)  # point 2 is nearest in the latent, then one of three
    excesses = []
    for last, order in itertools.product(tied_latent, itertools.permutations(tied_truth)):
        rank = {point: 1 + i for i, point in enumerate((*order, 4, 5, 6, 7))}
        excesses.append(sum(max(0, rank[point] - k) for point in (2, last)))
    trusted, _ = of(latent, truth, [k])
    assert trusted[0, 0] == pytest.approx(1 - 2 * np.mean(excesses) / (k * (2 * 8 - 3 * k - 1)))


def test_truth_is_perfect_when_it_has_no_ties():
    truth = np.random.default_rng(0).normal(size=(300, 2))
    scores = trustworthiness_and_continuity(2 * truth - 1, truth).scores
    for score in scores.values():
        assert score.value == 1
        assert score.standard_error == 0


def test_a_constant_embedding_is_as_good_as_a_random_one(circle):
    _, truth = circle
    rng = np.random.default_rng(0)
    constant = trustworthiness_and_continuity(np.ones((300, 2)), truth).scores
    random = trustworthiness_and_continuity(rng.normal(size=(300, 2)), truth).scores
    for name, score in constant.items():
        assert abs(score.value - random[name].value) < 4 * random[name].standard_error
        assert 0.45 < score.value < 0.55


def test_known_defects_are_ordered(circle):
    _, truth = circle
    rng = np.random.default_rng(0)
    noise = rng.normal(size=truth.shape)
    answers = [truth, truth + 0.1 * noise, truth + 0.3 * noise, truth + noise, rng.permutation(truth)]
    found = [trustworthiness_and_continuity(answer, truth).scores for answer in answers]
    for name in found[0]:
        values = [scores[name].value for scores in found]
        assert values == sorted(values, reverse=True), name
        assert values[0] > 0.97


def test_what_is_folded_together_loses_trust_and_what_is_torn_loses_continuity():
    truth = np.linspace(0, 1, 400)[:, None]
    folded = np.abs(truth - 0.5)
    torn = np.where(truth < 0.5, truth, truth + 10)
    k = [40]
    for answer, worse in ((folded, 0), (torn, 1)):
        values = [part.mean() for part in of(answer, truth, k)]
        assert values[worse] < values[1 - worse]


def test_sample_of_queries_estimates_all_and_order_does_not_matter(circle):
    every = of(*circle, [3, 15, 30])
    some = of(*circle, [3, 15, 30], max_queries=100)
    for values, sampled in zip(every, some, strict=True):
        error = sampled.std(axis=0, ddof=1) / 10
        assert (np.abs(sampled.mean(axis=0) - values.mean(axis=0)) < 4 * error).all()
    order = np.random.default_rng(0).permutation(300)
    shuffled = of(circle[0][order], circle[1][order], [3, 15, 30])
    np.testing.assert_allclose(shuffled[0], every[0][order], atol=1e-12)


def test_metric_is_registered_and_gives_all_its_statistics(circle):
    entry = metrics.get("trustworthiness")
    inputs = {"embedding": circle[0].astype(np.float32), "true_embedding": circle[1], "seed": 3, "device": "cpu"}
    result = entry.compute(**{need: inputs[need] for need in entry.card.needs})
    names = ("trustworthiness", "continuity")
    assert set(result.scores) == {f"{name}/radius_{percent}" for name in names for percent in (1, 5, 10)}
    assert result.scores["continuity/radius_5"].n == 300
    assert result.curves["continuity"].mean[1] == result.scores["continuity/radius_5"].value


def test_refuses_bad_embeddings(circle):
    embedding, truth = circle
    with pytest.raises(UserError, match="match them by particle id"):
        trustworthiness_and_continuity(embedding[1:], truth)
    broken = embedding.copy()
    broken[17, 0] = np.inf
    with pytest.raises(UserError, match="the first is row 17"):
        trustworthiness_and_continuity(broken, truth)
    with pytest.raises(UserError, match="at least 10 images, not 9"):
        trustworthiness_and_continuity(embedding[:9], truth[:9])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees(circle):
    for on_cpu, on_cuda in zip(of(*circle, [3, 15]), of(*circle, [3, 15], device="cuda"), strict=True):
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-9)
