"""View directions: the distributions asked for, and rotations that have them."""

import numpy as np
import pytest

from cryoarena.imaging.views import in_cap, random_directions, rotations_seen_along, von_mises_fisher

CENTRE = np.array([2.0, -1.0, 2.0]) / 3


@pytest.mark.parametrize("kappa", [0.5, 5.0, 2000.0])
def test_von_mises_fisher_has_its_mean(kappa: float) -> None:
    directions = von_mises_fisher(np.tile(CENTRE, (50_000, 1)), kappa, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-9)
    # The mean vector points to the centre and has the length coth(kappa) - 1/kappa.
    np.testing.assert_allclose(directions.mean(axis=0), (1 / np.tanh(kappa) - 1 / kappa) * CENTRE, atol=0.01)


def test_a_cap_is_filled_evenly() -> None:
    directions = in_cap(np.tile(CENTRE, (50_000, 1)), 30.0, np.random.default_rng(1))
    cosine = directions @ CENTRE
    assert cosine.min() >= np.cos(np.deg2rad(30)) - 1e-9
    # Even area means even cosine (Archimedes).
    assert cosine.mean() == pytest.approx((1 + np.cos(np.deg2rad(30))) / 2, abs=1e-3)


def test_rotations_bring_the_view_onto_the_beam() -> None:
    rng = np.random.default_rng(2)
    view = random_directions(20_000, rng)
    rotation = rotations_seen_along(view, rng)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", rotation, view), np.tile([0, 0, 1], (20_000, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-9)
    # The turn in the image plane is random: uniform views make uniform rotations.
    assert np.abs(rotation.mean(axis=0)).max() < 0.02
    assert np.abs(rotation.var(axis=0) - 1 / 3).max() < 0.02
