"""Displaced solvent takes contrast from the shape of a molecule and none from its detail."""

import numpy as np
import pytest

from cryoarena.structures.density import ScatteringModel
from cryoarena.structures.render import render_volume
from cryoarena.structures.solvent import displace_solvent

BARE = ScatteringModel(np.array([[6.0, 1.0], [8.0, 0.0]]), lambda s: np.stack([np.exp(-4 * s**2), np.exp(-9 * s**2)]))


def test_the_shape_loses_contrast_and_detail_does_not() -> None:
    s = np.array([0.0, 0.05, 0.6])
    wet = displace_solvent(BARE, 0.6, 100.0)
    bare_f, wet_f = (model.weights @ model.profile(s) for model in (BARE, wet))
    np.testing.assert_allclose(wet_f, bare_f * (1 - 0.6 * np.exp(-100 / 4 * s**2)))
    np.testing.assert_allclose(wet_f[:, 0], 0.4 * bare_f[:, 0])
    np.testing.assert_allclose(wet_f[:, 2], bare_f[:, 2], rtol=1e-2)


def test_frequencies_may_have_any_shape() -> None:
    assert displace_solvent(BARE, 0.6, 100.0).profile(np.zeros((3, 4))).shape == (2, 3, 4)


def test_the_molecule_stays_positive_in_a_negative_halo() -> None:
    wet = displace_solvent(ScatteringModel(np.array([[6.0]]), lambda s: np.exp(-((4 * s) ** 2))[None]), 0.6, 100.0)
    volume = render_volume(np.zeros((1, 3)), wet, 32, 1.0)
    assert volume[16, 16, 16] == volume.max()
    assert volume[16, 16, 20] < 0
    assert volume.sum() == pytest.approx(0.4 * 6.0, rel=1e-5)
