"""Which frames are imaged how often."""

import numpy as np
import pytest

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.frame_shares import boltzmann_shares, choose_frames, spread_along
from cryoarena.errors import UserError


def two_states() -> EnergySurface:
    """Return a surface whose cells around 0 and 1 have probabilities 3/4 and 1/4."""
    return EnergySurface(("x",), (np.array([0.0, 1.0]),), np.array([0.0, np.log(3.0)]))


def test_shares_undo_the_sampling_and_follow_the_energy() -> None:
    # The simulation was nine times as often in the rarer state.
    x = np.array([0.1] + [0.9] * 9 + [7.0])
    share = boltzmann_shares(two_states(), {"x": x}, {"x": None})
    np.testing.assert_allclose(share[:1].sum(), 0.75)
    np.testing.assert_allclose(share[1:10], 0.25 / 9)
    assert share[10] == 0


def test_a_harmonic_well_comes_out_of_flat_sampling_in_two_dimensions() -> None:
    axis = np.linspace(-4, 4, 81)
    surface = EnergySurface(("x", "y"), (axis, axis), axis[:, None] ** 2 / 2 + 2 * axis**2)
    x, y = np.random.default_rng(0).uniform(-4, 4, (2, 200_000))
    share = boltzmann_shares(surface, {"y": y, "x": x}, {"x": None, "y": None})
    assert np.average(x**2, weights=share) == pytest.approx(1.0, rel=0.02)
    assert np.average(y**2, weights=share) == pytest.approx(0.25, rel=0.02)


def test_angles_are_wrapped_into_the_surface() -> None:
    axis = np.arange(15.0, 360, 30)
    surface = EnergySurface(("phi",), (axis,), np.where(axis == 345, 0.0, np.inf))
    share = boltzmann_shares(surface, {"phi": np.array([-15.0, 15.0, 345.0])}, {"phi": 360.0})
    np.testing.assert_allclose(share, [0.5, 0, 0.5])


def test_surfaces_that_do_not_match_are_refused() -> None:
    with pytest.raises(UserError, match=r"is over x; the collective variables are cv1, cv2"):
        boltzmann_shares(two_states(), {"cv1": np.zeros(3), "cv2": np.zeros(3)}, {"cv1": None, "cv2": None})
    with pytest.raises(UserError, match="no frame lies where"):
        boltzmann_shares(two_states(), {"x": np.full(3, 50.0)}, {"x": None})


def test_few_frames_are_all_taken_with_their_shares() -> None:
    frame, population = choose_frames(np.array([0.2, 0.0, 0.8]), 10, np.random.default_rng(0))
    assert frame.tolist() == [0, 2]
    np.testing.assert_allclose(population, [0.2, 0.8])


def test_many_frames_are_drawn_as_often_as_their_shares_ask() -> None:
    share = np.random.default_rng(0).exponential(size=5000)
    share[7] = 0.01 * share.sum()
    share /= share.sum()
    frame, population = choose_frames(share, 1000, np.random.default_rng(1))
    assert len(frame) <= 1000
    assert population.sum() == pytest.approx(1)
    times = np.zeros(5000)
    times[frame] = population * 1000
    assert np.abs(times - share * 1000).max() < 1
    # Equal shares: a thousand different frames.
    assert len(choose_frames(np.full(5000, 1 / 5000), 1000, np.random.default_rng(0))[0]) == 1000


def test_maps_are_spread_by_population() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    population = np.where(values > 0, 3.0, 1.0)
    mapped = spread_along(values, population / population.sum(), 100)
    assert len(mapped) == 100
    assert np.all(np.diff(mapped) > 0)
    assert (values[mapped] > 0).mean() == pytest.approx(0.75, abs=0.02)
    assert spread_along(values[:50], population[:50], 100).tolist() == list(range(50))


def test_one_conformation_with_all_of_the_population_is_not_left_alone() -> None:
    population = np.full(200, 0.004 / 199)
    population[70] = 0.996
    chosen = spread_along(np.arange(200.0), population, 100)
    assert len(chosen) >= 2
    assert 70 in chosen
