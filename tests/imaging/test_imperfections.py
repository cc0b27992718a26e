"""Ice and beam tilt against literal evaluations."""

from dataclasses import replace

import numpy as np
import pytest

from cryoarena.imaging.coma import coma_phase
from cryoarena.imaging.ctf import CtfParameters, electron_wavelength_A
from cryoarena.imaging.ice import draw_thickness_nm, ice_envelope
from cryoarena.imaging.imperfections import perfect
from cryoarena.imaging.spectrum import frequencies, to_images

ONE = np.ones(1)
MICROSCOPE = CtfParameters(18_000 * ONE, 17_000 * ONE, 0 * ONE, 300 * ONE, 2.7 * ONE, 0.1 * ONE, 0 * ONE, 0 * ONE)


def test_thickness_has_its_mean_and_spread_and_is_positive() -> None:
    thickness_nm = draw_thickness_nm(50_000, 40.0, 15.0, np.random.default_rng(0))
    assert thickness_nm.mean() == pytest.approx(40.0, rel=0.01)
    assert thickness_nm.std() == pytest.approx(15.0, rel=0.02)
    assert thickness_nm.min() > 0
    np.testing.assert_array_equal(draw_thickness_nm(3, 40.0, 0.0, np.random.default_rng(0)), 40.0)


def test_ice_attenuates_and_averages_over_the_defocus_within() -> None:
    s = np.array([0.0, 0.1, 0.3])
    envelope = ice_envelope(np.array([60.0]), np.array([0.0197]), s**2)[0]
    assert envelope[0] == pytest.approx(np.exp(-60 / 300))
    z_A = (np.arange(10_000) + 0.5) / 10_000 * 600 - 300
    spread = np.cos(np.pi * 0.0197 * s[:, None] ** 2 * z_A).mean(axis=1)
    np.testing.assert_allclose(envelope, np.exp(-0.2) * spread, atol=1e-6)
    # 60 nm of ice matter at 3 Å and not at 10 Å.
    assert spread[1] > 0.99
    assert spread[2] < 0.6


def test_coma_is_the_textbook_phase() -> None:
    phase = np.angle(coma_phase(np.array([[0.2, 0.0]]), MICROSCOPE, np.array([0.25]), np.array([0.0]))[0])
    # 0.2 mrad at 4 Å and 300 kV: 2π · 2.7e7 Å · (0.0197 Å)² · 0.25³ · 0.2e-3 = 0.2055 rad.
    assert abs(phase[0]) == pytest.approx(0.2055, rel=1e-3)
    expected = 2 * np.pi * 2.7e7 * electron_wavelength_A(300.0) ** 2 * 0.25**3 * 0.2e-3
    assert phase[0] == pytest.approx(-expected, rel=1e-5)
    across = coma_phase(np.array([[0.2, 0.0]]), MICROSCOPE, np.array([0.0]), np.array([0.25]))
    assert across[0, 0] == pytest.approx(1.0)


def test_coma_moves_detail_but_keeps_images_real_and_their_power() -> None:
    frequency_x, frequency_y = frequencies(32, 1.0)
    tilted = replace(perfect(1), beam_tilt_mrad=np.array([[1.0, -0.5]]))
    transfer = tilted.transfer(MICROSCOPE, frequency_x, frequency_y)
    np.testing.assert_allclose(np.abs(transfer), 1, atol=1e-6)
    # The columns kx = 0 and their mirror belong together: an odd phase is what a real image has.
    np.testing.assert_allclose(transfer[0, 1:16, 0], transfer[0, :16:-1, 0].conj(), atol=1e-6)
    spot = np.ones((1, 32, 17), np.complex64)
    assert np.abs(to_images(spot * transfer) - to_images(spot)).max() > 0.1


def test_perfection_does_nothing() -> None:
    np.testing.assert_array_equal(perfect(1).transfer(MICROSCOPE, *frequencies(16, 2.0)), 1)
