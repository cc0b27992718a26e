"""Population error: distances, estimates from an embedding and from a posterior."""

import numpy as np
import pytest
from scipy.special import rel_entr
from scipy.stats import norm, wasserstein_distance, wasserstein_distance_nd

from cryoarena.errors import UserError
from cryoarena.metrics.base import NotApplicable, metrics
from cryoarena.metrics.population_distance import earth_movers_distance, kl_divergence, l1_distance
from cryoarena.metrics.populations import populations, state_of_class
from cryoarena.metrics.posterior_populations import posterior_populations
from cryoarena.metrics.state_likelihood import state_likelihood

WEIGHTS = np.array([0.6, 0.3, 0.1])
STATES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])


def images(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=WEIGHTS)
    return STATES[labels] + noise * rng.normal(size=(n, 2)), labels


@pytest.mark.parametrize("size", [2, 5, 40])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_earth_movers_distance_agrees_with_scipy(size, dimensions):
    rng = np.random.default_rng(size)
    p, q, x = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size)), rng.normal(size=(size, dimensions))
    found = earth_movers_distance(p, q, x)
    expected = wasserstein_distance(x[:, 0], x[:, 0], p, q) if dimensions == 1 else wasserstein_distance_nd(x, x, p, q)
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert earth_movers_distance(q, p, x).value == pytest.approx(expected, rel=1e-6)


def test_earth_movers_distance_keeps_tiny_differences():
    """Far below the tolerance of the linear program."""
    x = np.arange(3.0)[:, None]
    q = np.full(3, 1 / 3)
    assert earth_movers_distance(q + 1e-10 * np.array([1, 0, -1]), q, x).value == pytest.approx(2e-10, rel=1e-4)
    assert earth_movers_distance(q, q, x).value == 0
    rng = np.random.default_rng(0)
    x, step = rng.normal(size=(30, 2)), rng.normal(size=30)
    step -= step.mean()
    q = np.full(30, 1 / 30)
    large = earth_movers_distance(q + 1e-3 * step, q, x).value
    assert earth_movers_distance(q + 1e-9 * step, q, x).value == pytest.approx(1e-6 * large, rel=1e-4)


def test_distances_equal_their_formulas():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.3, 0.5])
    assert l1_distance(p, q).value == pytest.approx(1.0)
    smoothed = (100 * p + 0.5) / 101.5
    assert kl_divergence(p, q, 100).value == pytest.approx(rel_entr(q, smoothed).sum())
    assert kl_divergence(q, p, 10**9).value == pytest.approx(rel_entr(p, q).sum(), rel=1e-6)


@pytest.mark.parametrize("kind", ["l1", "kl", "emd"])
def test_gradients_are_those_of_finite_differences(kind):
    rng = np.random.default_rng(0)
    p, q, x = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6)), rng.normal(size=(6, 2))
    distance = {
        "l1": lambda w: l1_distance(w, q),
        "kl": lambda w: kl_divergence(w, q, 500),
        "emd": lambda w: earth_movers_distance(w, q, x),
    }[kind]
    for _ in range(5):
        step = rng.normal(size=6)
        step = 1e-6 * (step - step.mean())
        told = distance(p).gradient @ step
        assert distance(p + step).value - distance(p - step).value == pytest.approx(2 * told, rel=1e-3, abs=1e-10)


def test_errors_are_the_spread_over_new_data():
    told, values = {}, {}
    for seed in range(60):
        scores = populations(*images(600, 0.4, seed), WEIGHTS[::-1], STATES, seed).scores
        for key, score in scores.items():
            values.setdefault(key, []).append(score.value)
            told.setdefault(key, []).append(score.standard_error)
    for key, each in values.items():
        if not key.startswith("kmeans"):  # whose centres move too
            assert np.mean(told[key]) == pytest.approx(np.std(each), rel=0.35), key


def test_separated_states_give_the_shares_themselves():
    embedding, labels = images(3000, 0.01)
    share = np.bincount(labels) / 3000
    scores = populations(embedding, labels, share, STATES, seed=0).scores
    assert scores["kmeans_counting/l1"].n == 3000
    for key, score in scores.items():
        assert score.value == pytest.approx(0, abs=1e-5), key


def test_likelihood_removes_the_bias_of_counting_on_normal_latents():
    labels = np.random.default_rng(0).choice(2, 40_000, p=[0.9, 0.1])
    embedding = labels[:, None] + np.random.default_rng(1).normal(size=(40_000, 1))
    states = np.array([[0.0], [1.0]])
    scores = populations(embedding, labels, np.array([0.9, 0.1]), states, seed=0).scores
    wrong = norm.sf(0.5)  # beyond the middle between two states one standard deviation apart
    assert scores["counting/l1"].value == pytest.approx(2 * (0.9 * wrong - 0.1 * wrong), abs=0.02)
    assert scores["maximum_likelihood/l1"].value < 0.03
    for kind in ("l1", "kl", "emd"):
        ordered = [scores[f"{name}/{kind}"].value for name in ("maximum_likelihood", "counting", "posterior_mean")]
        assert ordered[0] < ordered[1] / 5 < ordered[2]
    assert scores["counting/emd"].value == pytest.approx(scores["counting/l1"].value / 2)  # states are 1 apart


def test_latents_of_any_linear_frame_imply_the_same():
    embedding, labels = images(2000, 0.4)
    mix = np.array([[3.0, 1.0, 0.5], [0.1, 0.01, -2.0]])
    one = populations(embedding, labels, WEIGHTS, STATES, seed=0).scores
    other = populations(embedding @ mix + 5, labels, WEIGHTS, STATES, seed=0).scores
    for name in ("counting", "posterior_mean", "maximum_likelihood"):
        assert other[f"{name}/l1"].value == pytest.approx(one[f"{name}/l1"].value, abs=1e-6)


def test_constant_latents_imply_even_populations():
    _, labels = images(900, 0.1)
    result = populations(np.ones((900, 2)), labels, WEIGHTS, STATES, seed=0)
    for name in ("counting", "posterior_mean", "maximum_likelihood"):
        np.testing.assert_allclose(result.curves[name].mean, 1 / 3)
        assert result.scores[f"{name}/l1"].value == pytest.approx(np.abs(WEIGHTS - 1 / 3).sum())
    np.testing.assert_allclose(np.sort(result.curves["kmeans_counting"].mean), [0, 0, 1])


def test_defects_rank_by_their_size():
    embedding, labels = images(6000, 0.05)
    noise = np.random.default_rng(3).normal(size=embedding.shape)
    answers = [embedding, embedding + 0.4 * noise, embedding + 1.0 * noise]
    for key in ("counting/l1", "posterior_mean/l1", "posterior_mean/emd"):
        values = [populations(answer, labels, WEIGHTS, STATES, seed=0).scores[key].value for answer in answers]
        assert values == sorted(values)
        assert values[2] > values[0] + 0.05
    merged = STATES[np.where(labels == 1, 0, labels)] + 0.05 * noise
    of_merged = populations(merged, labels, WEIGHTS, STATES, seed=0).scores
    assert of_merged["counting/l1"].value > 0.2


def test_state_without_images_has_no_population():
    embedding, labels = images(900, 0.05)
    result = populations(embedding, labels, np.append(WEIGHTS, 0.0), np.vstack([STATES, [[5.0, 5.0]]]), seed=0)
    for name in ("kmeans_counting", "counting", "posterior_mean", "maximum_likelihood"):
        assert result.curves[name].mean[3] == pytest.approx(0, abs=1e-6)
        assert np.isfinite(result.scores[f"{name}/kl"].value)


def test_large_results_are_sampled_and_say_so(monkeypatch):
    monkeypatch.setattr("cryoarena.metrics.populations._MOST_LIKELIHOODS", 1500)
    embedding, labels = images(2000, 0.3)
    scores = populations(embedding, labels, WEIGHTS, STATES, seed=0).scores
    assert scores["counting/l1"].n == 500
    assert scores["kmeans_counting/l1"].n == 2000


def test_class_stands_for_the_state_it_shares_most_with():
    shared = np.array([[50, 40, 0, 0], [0, 0, 30, 0], [5, 0, 20, 1]])
    assert state_of_class(shared).tolist() == [0, 0, 1, 2]
    # both classes hold most of state 0, but one of them must stand for state 1
    assert state_of_class(np.array([[50, 40], [30, 39]])).tolist() == [0, 1]


def test_no_image_votes_for_itself():
    """Eighty random coordinates would tell the states of images seen before, but not of new ones."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    hits = []
    for seed in range(10):
        likelihood = state_likelihood(rng.normal(size=(300, 80)), labels, 3, seed)
        hits.append(np.mean(likelihood.argmax(1) == labels))
    assert np.mean(hits) == pytest.approx(1 / 3, abs=0.04)


def test_posterior_classes_may_be_split_renamed_or_missing():
    _, labels = images(3000, 0.1)
    share = np.bincount(labels) / 3000
    half = np.arange(3000) % 2
    split = np.zeros((3000, 4))
    split[np.arange(3000), np.where(labels == 0, 2 + half, 2 - labels)] = 1  # state 0 is cut into classes 2 and 3
    scores = posterior_populations(split, labels, share, STATES, seed=0).scores
    for key, score in scores.items():
        assert score.value == pytest.approx(0, abs=1e-5), key
    merged = np.eye(2)[(labels == 2).astype(int)]
    scores = posterior_populations(merged, labels, share, STATES, seed=0).scores
    for name in ("counting", "posterior_mean"):
        assert scores[f"{name}/l1"].value == pytest.approx(2 * share[1], abs=1e-5)
        assert scores[f"{name}/emd"].value == pytest.approx(share[1], abs=1e-5)  # moved over a distance of 1
        assert np.isfinite(scores[f"{name}/kl"].value)


def test_the_mean_of_a_posterior_with_the_true_prior_is_the_truth_and_with_an_even_one_is_not():
    embedding, labels = images(30_000, 0.7)
    distance = np.square(embedding[:, None] - STATES).sum(axis=2) / (2 * 0.7**2)
    error = {}
    for name, prior in (("true", WEIGHTS), ("even", np.full(3, 1 / 3))):
        posterior = prior * np.exp(-distance)
        posterior /= posterior.sum(axis=1, keepdims=True)
        error[name] = (
            posterior_populations(posterior, labels, WEIGHTS, STATES, seed=0).scores["posterior_mean/l1"].value
        )
    assert error["true"] < 0.02
    assert error["even"] > 0.15


@pytest.mark.parametrize("seed", range(20))
def test_a_perfect_answer_has_no_error_whatever_the_rounding(seed):
    """Shares that agree but for the last bit are a transport problem near nothing, and no failure."""
    rng = np.random.default_rng(seed)
    states = int(rng.integers(3, 12))
    labels = rng.integers(states, size=int(rng.integers(40, 400)))
    labels[:states] = np.arange(states)
    truth = np.bincount(labels) / len(labels)
    scores = posterior_populations(np.eye(states)[labels], labels, truth, rng.normal(size=(states, 2)), seed=0).scores
    assert max(score.value for score in scores.values()) < 1e-3  # shares are smoothed for the divergence


def test_bad_input_is_one_sentence():
    embedding, labels = images(300, 0.1)
    posterior = np.eye(3)[labels]
    broken = embedding.copy()
    broken[5] = np.nan
    with pytest.raises(UserError, match="1 of 300 rows of the embedding"):
        populations(broken, labels, WEIGHTS, STATES, seed=0)
    with pytest.raises(UserError, match="populations of 2 states"):
        populations(embedding, labels, WEIGHTS[:2], STATES, seed=0)
    with pytest.raises(UserError, match="must not be negative"):
        populations(embedding, labels, -WEIGHTS, STATES, seed=0)
    with pytest.raises(NotApplicable, match="at least 2 true states"):
        populations(embedding, np.zeros(300, int), WEIGHTS, STATES, seed=0)
    posterior[8] = 0
    with pytest.raises(UserError, match="row 8 of the posterior"):
        posterior_populations(posterior, labels, WEIGHTS, STATES, seed=0)


def test_are_registered():
    assert "embedding" in metrics.get("populations").card.needs
    assert "posterior" in metrics.get("posterior-populations").card.needs
