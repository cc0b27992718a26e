"""The CTF against an independent literal evaluation and its known limits."""

import numpy as np
import pytest
import torch

from cryoarena.imaging.ctf import CtfParameters, ctf, electron_wavelength_A
from cryoarena.imaging.spectrum import frequencies


def parameters(**changes: float) -> CtfParameters:
    values = {
        "defocus_u_A": 18_000.0,
        "defocus_v_A": 17_000.0,
        "defocus_azimuth_deg": 25.0,
        "voltage_kV": 300.0,
        "cs_mm": 2.7,
        "amplitude_contrast": 0.1,
        "phase_shift_deg": 0.0,
        "b_factor_A2": 0.0,
    } | changes
    return CtfParameters(**{name: np.array([value]) for name, value in values.items()})


def test_wavelengths_are_the_tabled_ones() -> None:
    # Relativistic de Broglie wavelengths, e.g. Reimer & Kohl, table 2.1.
    assert electron_wavelength_A(300.0) == pytest.approx(0.019687, rel=1e-4)
    assert electron_wavelength_A(200.0) == pytest.approx(0.025079, rel=1e-4)


def test_equals_the_textbook_formula_with_angles() -> None:
    frequency_x, frequency_y = (f.astype(np.float64) for f in frequencies(32, 2.0))
    changes = {"phase_shift_deg": 40.0, "b_factor_A2": 80.0}
    ours = ctf(parameters(**changes), frequency_x, frequency_y)[0]
    s = np.hypot(frequency_x, frequency_y)
    angle = np.arctan2(frequency_y, frequency_x)
    wavelength = 12.2639 / np.sqrt(300e3 + 0.97845e-6 * 300e3**2)
    defocus = 0.5 * (18_000 + 17_000 + 1_000 * np.cos(2 * (angle - np.deg2rad(25.0))))
    gamma = 2 * np.pi * (-0.5 * defocus * wavelength * s**2 + 0.25 * 2.7e7 * wavelength**3 * s**4) - np.deg2rad(40.0)
    expected = (np.sqrt(1 - 0.1**2) * np.sin(gamma) - 0.1 * np.cos(gamma)) * np.exp(-80.0 / 4 * s**2)
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_is_minus_amplitude_contrast_at_zero_frequency() -> None:
    zero = np.zeros((1, 1))
    assert ctf(parameters(), zero, zero)[0, 0, 0] == pytest.approx(-0.1)


def test_astigmatism_axis_is_counter_clockwise_from_x() -> None:
    # Along the azimuth the defocus is U, across it V.
    azimuth = np.deg2rad(25.0)
    s = 0.1
    along = ctf(parameters(), np.array([s * np.cos(azimuth)]), np.array([s * np.sin(azimuth)]))
    round_u = ctf(parameters(defocus_v_A=18_000.0), np.array([s]), np.array([0.0]))
    across = ctf(parameters(), np.array([-s * np.sin(azimuth)]), np.array([s * np.cos(azimuth)]))
    round_v = ctf(parameters(defocus_u_A=17_000.0), np.array([s]), np.array([0.0]))
    assert along[0, 0] == pytest.approx(round_u[0, 0])
    assert across[0, 0] == pytest.approx(round_v[0, 0])


def test_torch_and_numpy_agree() -> None:
    frequency_x, frequency_y = frequencies(32, 2.0)
    in_torch = ctf(parameters(), torch.from_numpy(frequency_x), torch.from_numpy(frequency_y))
    np.testing.assert_allclose(in_torch.numpy(), ctf(parameters(), frequency_x, frequency_y), atol=2e-5)
