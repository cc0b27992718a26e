"""Regression of CVs from the embedding."""

import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from cryoarena.errors import UserError
from cryoarena.metrics.base import NotApplicable, Score, metrics
from cryoarena.metrics.cv_regression import cv_regression


def circle_of(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)


def of_angle(embedding: np.ndarray, angle: np.ndarray, **options: int) -> Score:
    return cv_regression(embedding, {"angle": angle}, {"angle": 360.0}, **options).scores["r2/angle"]


@pytest.mark.agreement
def test_agrees_with_scikit_learn_on_its_own_folds():
    """Folds are drawn apart, so that the two may differ by what folds do."""
    rng = np.random.default_rng(0)
    distance = rng.uniform(10, 60, 2000)
    embedding = np.stack([distance / 25, rng.normal(size=2000)], axis=1) + 0.2 * rng.normal(size=(2000, 2))
    found = cv_regression(embedding, {"distance": distance}, {"distance": None}).scores["r2/distance"]
    model = KNeighborsRegressor(n_neighbors=round(np.sqrt(2000)))
    predicted = cross_val_predict(model, embedding, distance, cv=KFold(5, shuffle=True, random_state=0))
    expected = 1 - np.mean((predicted - distance) ** 2) / distance.var()
    assert found.value == pytest.approx(expected, abs=0.003)
    assert found.n == 2000


def test_the_share_of_variance_that_can_be_known_is_found():
    rng = np.random.default_rng(0)
    known, hidden = rng.normal(size=(2, 5000))
    score = cv_regression(known[:, None], {"cv": known + hidden}, {"cv": None}).scores["r2/cv"]
    assert abs(score.value - 0.5) < 4 * score.standard_error
    assert 0 < score.standard_error < 0.02


def test_an_angle_has_no_seam():
    angle = np.random.default_rng(0).uniform(-180, 180, 3000)
    assert of_angle(circle_of(angle), angle).value > 0.999
    assert of_angle(circle_of(angle), angle % 360).value > 0.999
    # taken for a straight CV, images at the seam would be predicted badly
    straight = cv_regression(circle_of(angle), {"angle": angle}, {"angle": None}).scores["r2/angle"]
    assert straight.value < 0.98


def test_every_cv_has_its_own_value():
    rng = np.random.default_rng(0)
    angle, distance, absent = rng.uniform(0, 360, 1000), rng.uniform(0, 50, 1000), rng.normal(size=1000)
    embedding = np.hstack([circle_of(angle), distance[:, None] / 25])
    cvs = {"angle": angle, "distance": distance, "absent": absent}
    scores = cv_regression(embedding, cvs, {"angle": 360.0, "distance": None, "absent": None}).scores
    assert scores["r2/angle"].value > 0.9
    assert scores["r2/distance"].value > 0.9
    assert abs(scores["r2/absent"].value) < 0.1


def test_a_constant_embedding_knows_exactly_nothing():
    angle = np.repeat(np.arange(20) * 18.0, 20)
    assert of_angle(np.ones((400, 3)), angle).value == pytest.approx(0, abs=1e-12)


def test_classes_predict_the_mean_of_their_images():
    """An embedding of two far classes tells which half of the circle: R² is the mean vector's length squared."""
    angle = np.random.default_rng(0).uniform(0, 360, 4000)
    halves = (angle < 180).astype(float)[:, None]
    score = of_angle(halves, angle)
    assert abs(score.value - (2 / np.pi) ** 2) < 4 * score.standard_error


def test_known_defects_are_ordered():
    angle = np.repeat(np.arange(50) * 7.2, 20)
    rng = np.random.default_rng(0)
    truth = circle_of(angle)
    noise = rng.normal(size=truth.shape)
    answers = [truth, truth + 0.1 * noise, truth + 0.3 * noise, truth + noise, rng.permutation(truth)]
    values = [of_angle(answer, angle).value for answer in answers]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.99
    assert abs(values[-1]) < 0.1
    merged = np.where((angle < 90)[:, None], truth[0], truth)
    assert of_angle(merged, angle).value < values[0] - 0.01


def test_standard_error_is_the_scatter_between_datasets():
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(40):
        angle = rng.uniform(0, 360, 300)
        scores.append(of_angle(circle_of(angle) + 0.5 * rng.normal(size=(300, 2)), angle))
    scatter = np.std([score.value for score in scores], ddof=1)
    assert 0.65 < np.mean([score.standard_error for score in scores]) / scatter < 1.5


def test_large_data_are_sampled():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 360, 8000)
    embedding = circle_of(angle) + 0.3 * rng.normal(size=(8000, 2))
    score = of_angle(embedding, angle)
    assert score.n == 5000
    assert abs(score.value - of_angle(embedding, angle, seed=1).value) < 4 * score.standard_error


def test_metric_is_registered_and_a_constant_cv_has_no_value():
    entry = metrics.get("cv-regression")
    rng = np.random.default_rng(0)
    inputs = {
        "embedding": rng.normal(size=(100, 2)).astype(np.float32),
        "true_cvs": {"same": np.full(100, 0.1), "angle": rng.uniform(0, 360, 100)},
        "cv_periods": {"same": None, "angle": 360.0},
        "seed": 0,
    }
    result = entry.compute(**{need: inputs[need] for need in entry.card.needs})
    assert result.absent == {"r2/same": "same is the same for all images"}
    assert set(result.scores) == {"r2/angle"}
    assert np.isfinite(result.scores["r2/angle"].value)


def test_images_of_one_conformation_have_nothing_to_predict():
    result = cv_regression(np.random.default_rng(0).normal(size=(100, 2)), {"a": np.ones(100)}, {"a": 360.0})
    assert not result.scores
    assert set(result.absent) == {"r2/a"}


def test_refuses_bad_input():
    angle = np.random.default_rng(0).uniform(0, 360, 100)
    embedding = circle_of(angle)
    with pytest.raises(UserError, match="99 rows but the truth has 100 values of angle"):
        of_angle(embedding[1:], angle)
    broken = embedding.copy()
    broken[5] = np.nan
    with pytest.raises(UserError, match="1 of 100 rows of the embedding hold NaN or infinity, the first is row 5"):
        of_angle(broken, angle)
    with pytest.raises(NotApplicable, match="at least 25 images, but the dataset has 24"):
        of_angle(embedding[:24], angle[:24])
    with pytest.raises(NotApplicable, match="no collective variable"):
        cv_regression(embedding, {}, {})
