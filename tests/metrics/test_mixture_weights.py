"""Mixture weights by maximum likelihood."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from cryoarena.errors import UserError
from cryoarena.metrics.mixture_weights import mixture_weights, weights_covariance
from cryoarena.metrics.population_estimates import population_estimates

WEIGHTS = np.array([0.7, 0.25, 0.05])


def gaussians(n: int, spread: float, seed: int, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    """Likelihoods of n draws from a mixture of normal distributions at 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    states = np.arange(len(weights))
    drawn = rng.choice(states, n, p=weights) + spread * rng.normal(size=n)
    return np.exp(-0.5 * ((drawn[:, None] - states) / spread) ** 2)


def test_agrees_with_a_general_optimiser():
    likelihood = gaussians(500, 0.8, seed=0)

    def loss(logits):
        weights = np.exp(logits - logits.max())
        return -np.log(likelihood @ (weights / weights.sum())).mean()

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    expected = np.exp(best) / np.exp(best).sum()
    found = mixture_weights(likelihood, iterations=10_000, tolerance=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.sum() == pytest.approx(1)


def test_what_is_missing_to_the_highest_likelihood_is_within_the_tolerance():
    for seed in range(30):
        likelihood = gaussians(200, 1.2, seed, np.random.default_rng(seed).dirichlet(np.full(8, 0.5)))
        weights = mixture_weights(likelihood, iterations=20_000, tolerance=1e-5)
        assert (likelihood / (likelihood @ weights)[:, None]).mean(0).max() - 1 < 1e-5


def test_is_the_fixed_point_of_the_em_step():
    likelihood = gaussians(2000, 0.8, seed=1)
    weights = np.full(3, 1 / 3)
    for _ in range(5000):
        weights = weights * (likelihood / (likelihood @ weights)[:, None]).mean(0)
    np.testing.assert_allclose(mixture_weights(likelihood, tolerance=1e-12), weights, atol=1e-7)


def test_removes_the_bias_of_counting():
    """Many images, so that what is left is bias: counting and averaging keep theirs, the likelihood has none."""
    found = population_estimates(gaussians(200_000, 1.0, seed=2))
    sampling = np.sqrt(found["maximum_likelihood"].covariance.diagonal())
    assert (np.abs(found["maximum_likelihood"].weights - WEIGHTS) < 4 * sampling).all()
    assert (sampling < 0.01).all()
    # counting of normal distributions: the cuts are at 1/2 and 3/2
    cut = norm.cdf(np.array([[0.5, 1.5]]) - np.arange(3)[:, None])
    expected = WEIGHTS @ np.column_stack([cut[:, 0], cut[:, 1] - cut[:, 0], 1 - cut[:, 1]])
    np.testing.assert_allclose(found["counting"].weights, expected, atol=0.005)
    for name in ("counting", "posterior_mean"):
        assert np.abs(found[name].weights - WEIGHTS).sum() > 0.2


def test_covariance_is_the_spread_over_new_data():
    drawn = [population_estimates(gaussians(1000, 0.6, seed)) for seed in range(200)]
    for name in ("counting", "posterior_mean", "maximum_likelihood"):
        weights = np.array([each[name].weights for each in drawn])
        told = np.mean([each[name].covariance.diagonal() for each in drawn], axis=0)
        np.testing.assert_allclose(np.sqrt(told), weights.std(axis=0), rtol=0.2)


def test_certain_images_give_the_share_and_its_multinomial_error():
    labels = np.random.default_rng(0).choice(3, 1000, p=WEIGHTS)
    likelihood = np.eye(3)[labels]
    share = np.bincount(labels) / 1000
    weights = mixture_weights(likelihood)
    np.testing.assert_allclose(weights, share, atol=1e-6)
    expected = (np.diag(share) - np.outer(share, share)) / 1000
    np.testing.assert_allclose(weights_covariance(likelihood, weights), expected, atol=1e-9)


def test_scale_of_a_row_and_order_of_states_do_not_matter():
    likelihood = gaussians(500, 0.8, seed=0)
    scale = np.exp(np.random.default_rng(0).normal(size=(500, 1)) * 20)
    order = [2, 0, 1]
    changed = mixture_weights((scale * likelihood)[:, order])
    np.testing.assert_allclose(changed, mixture_weights(likelihood)[order], atol=1e-9)


def test_states_that_cannot_be_told_apart_share_evenly_and_say_so():
    likelihood = gaussians(1000, 0.5, seed=0)[:, [0, 1, 2, 2]]
    weights = mixture_weights(likelihood)
    assert weights[2] == pytest.approx(weights[3])
    variance = weights_covariance(likelihood, weights).diagonal()
    assert variance[2] > weights[2] ** 2 / 10 > 100 * variance[0] / 1000
    even = population_estimates(np.ones((50, 4)))
    for estimate in even.values():
        np.testing.assert_allclose(estimate.weights, 0.25)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_bad_row_is_named(value):
    likelihood = gaussians(20, 0.5, seed=0)
    likelihood[7, 1] = value
    with pytest.raises(UserError, match="row 7"):
        mixture_weights(likelihood)


def test_row_without_any_state_is_named():
    likelihood = gaussians(20, 0.5, seed=0)
    likelihood[3] = 0
    with pytest.raises(UserError, match="row 3"):
        mixture_weights(likelihood)
