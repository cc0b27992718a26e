"""Energy landscapes from embeddings."""

from collections.abc import Callable

import numpy as np
import pytest

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.ribosome_wells import WellsOptions, wells_surface
from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricResult, NotApplicable
from cryoarena.metrics.energy_landscape import energy_landscape
from cryoarena.metrics.local_regression import cross_validated_prediction

SURFACE = wells_surface(WellsOptions())
PERIODS = {"ratchet": None, "rolling": None}
N = 4000


@pytest.fixture(scope="module")
def angles() -> np.ndarray:
    return SURFACE.draw(N, np.random.default_rng(0))


def judged(embedding: np.ndarray, angles: np.ndarray, surface: EnergySurface = SURFACE) -> MetricResult:
    return energy_landscape(embedding, dict(zip(PERIODS, angles.T, strict=True)), PERIODS, surface, seed=0)


def values(embedding: np.ndarray, angles: np.ndarray) -> dict[str, float]:
    return {name: score.value for name, score in judged(embedding, angles).scores.items()}


def noisy(angles: np.ndarray, strength_deg: float) -> np.ndarray:
    return angles + strength_deg * np.random.default_rng(1).normal(size=angles.shape)


def test_the_truth_has_its_wells_and_the_error_of_counting(angles: np.ndarray) -> None:
    result = judged(angles, angles)
    assert result.scores["standard/accuracy"].value > 0.99
    # The basins are not those of the nearest centre, but nearly.
    assert 0.95 < result.scores["published/accuracy"].value < 1
    energy = result.scores["standard/energy_rms"]
    # Of cells with 25 particles each, more in the wells and fewer between them.
    assert energy.value == pytest.approx(0.2, abs=0.05)
    assert energy.standard_error < 0.05
    assert (energy.unit, energy.direction) == ("kT", "lower")


@pytest.mark.parametrize(
    "bend",
    [
        lambda z: 7 * z @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 3,
        lambda z: np.stack([np.sinh(z[:, 0] / 8), z[:, 1] / 9 + 0.4 * np.sin(z[:, 0] / 6)], axis=1),
        lambda z: np.tanh(z / [12, 9] @ np.random.default_rng(2).normal(size=(2, 8))),
    ],
    ids=["turned", "bent", "in eight dimensions"],
)
def test_a_smooth_map_of_the_truth_loses_nothing(angles: np.ndarray, bend: Callable[..., np.ndarray]) -> None:
    found, best = values(bend(angles), angles), values(angles, angles)
    assert found["standard/accuracy"] > 0.98
    assert found["standard/energy_rms"] < best["standard/energy_rms"] + 0.05


def test_the_published_score_is_that_of_the_paper(angles: np.ndarray) -> None:
    # Stretching one axis hurts it; turning and scaling both do not.
    plain = values(angles, angles)["published/accuracy"]
    assert values(-3 * angles[:, ::-1], angles)["published/accuracy"] == pytest.approx(plain)
    assert values(angles * [1, 0.02], angles)["published/accuracy"] < 0.6
    # The definition, by hand, on a landscape with two wells.
    x = np.linspace(-2, 2, 40)
    surface = EnergySurface(("ratchet", "rolling"), (x, x), 4 * ((x[:, None] ** 2 - 1) ** 2 + x**2))
    places = surface.draw(300, np.random.default_rng(3))
    latents = places[:, :1] + np.random.default_rng(4).normal(size=(300, 1))
    right = places[:, 0] > 0
    centres = [latents[right == side].mean() for side in (False, True)]
    nearest = np.abs(latents - centres).argmin(axis=1)
    recalls = [np.mean(nearest[right == side] == side) for side in (False, True)]
    result = judged(latents, places, surface)
    assert result.scores["published/accuracy"].value == pytest.approx(np.mean(recalls), abs=0.02)
    np.testing.assert_allclose(result.curves["published/recall"].mean, recalls, atol=0.03)


def test_growing_noise_and_ignorance_are_seen(angles: np.ndarray) -> None:
    answers = [noisy(angles, strength) for strength in (0.1, 1, 2, 4)]
    answers.append(np.random.default_rng(5).normal(size=(N, 2)))
    found = [values(answer, angles) for answer in answers]
    for name, sign in (("published/accuracy", -1), ("standard/accuracy", -1), ("standard/energy_rms", 1)):
        assert (np.diff([sign * each[name] for each in found]) > 0).all(), name
    assert found[-1]["standard/accuracy"] < 0.12
    assert found[-1]["published/accuracy"] < 0.15
    assert found[-1]["standard/energy_rms"] > 1.5


def test_a_constant_latent_and_half_of_the_truth_are_bad(angles: np.ndarray) -> None:
    constant, half = values(np.zeros((N, 1)), angles), values(angles[:, :1], angles)
    assert constant["standard/accuracy"] == pytest.approx(1 / 12, abs=0.01)
    # All in one place but the best constant: the spread of the true energy remains.
    assert constant["standard/energy_rms"] > 0.9
    # It knows the column of the well, of three.
    assert half["standard/accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert half["standard/energy_rms"] > 1


def test_standard_errors_are_the_scatter_between_datasets() -> None:
    results = []
    for seed in range(12):
        places = SURFACE.draw(1500, np.random.default_rng(seed))
        results.append(judged(noisy(places, 1.0), places).scores)
    for name in results[0]:
        scatter = np.std([each[name].value for each in results], ddof=1)
        error = np.mean([each[name].standard_error for each in results])
        assert 0.4 < error / scatter < 2.5, (name, error, scatter)


def test_a_plane_predicts_a_slope_and_the_prediction_is_of_others() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(600, 2))
    slope = points @ [[1.0], [2.0]] + 5
    np.testing.assert_allclose(cross_validated_prediction(points, slope, 0), slope, atol=0.05)
    noise = rng.normal(size=(600, 1))
    assert abs(np.corrcoef(cross_validated_prediction(points, noise, 0).ravel(), noise.ravel())[0, 1]) < 0.15


def test_curves_give_the_energy_along_each_angle(angles: np.ndarray) -> None:
    curves = judged(angles, angles).curves
    for name in PERIODS:
        found, true = curves[f"energy/{name}"], curves[f"true_energy/{name}"]
        assert (np.abs(found.mean - true.mean) < 5 * found.spread).all()
    np.testing.assert_array_equal(curves["standard/recall"].x, np.arange(1, 13))


def test_what_it_refuses(angles: np.ndarray) -> None:
    cvs = dict(zip(PERIODS, angles.T, strict=True))
    with pytest.raises(NotApplicable, match="periodic"):
        energy_landscape(angles, cvs, PERIODS | {"rolling": 360.0}, SURFACE)
    flat = EnergySurface(SURFACE.cv_names, SURFACE.axes, np.zeros_like(SURFACE.energy_kT))
    with pytest.raises(NotApplicable, match="one well only"):
        judged(angles, angles, flat)
    with pytest.raises(UserError, match="at least 100 images, not 99"):
        judged(angles[:99], angles[:99])
    broken = angles.copy()
    broken[5] = np.nan
    with pytest.raises(UserError, match="NaN"):
        judged(broken, angles)
    with pytest.raises(UserError, match="match them by particle id"):
        judged(angles[1:], angles)


def test_particles_put_onto_a_barrier_cost_more_than_a_flat_landscape() -> None:
    """What lies where truth has nothing is as wrong as what is missing from a well."""
    axis = np.linspace(-1.8, 1.8, 73)
    energy = 4 * (axis**2 - 1) ** 2
    surface = EnergySurface(("x",), (axis,), energy)
    rng = np.random.default_rng(0)
    x = rng.choice(axis, 2000, p=surface.probability())

    def rms(embedding: np.ndarray) -> float:
        result = energy_landscape(embedding, {"x": x}, {"x": None}, surface, 0)
        return result.scores["standard/energy_rms"].value

    assert rms(x[:, None]) < 0.4
    assert rms(np.zeros((2000, 1))) > 1.5
