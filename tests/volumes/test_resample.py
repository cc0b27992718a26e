"""Exact evaluation and motion of maps."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.volumes.resample import move, spectra_at

D = 24


def blobs(centres: np.ndarray, sigma: float = 1.6) -> np.ndarray:
    """Return Gaussian blobs (D, D, D) at centres (n, 3) x, y, z from the origin, heavier one by one."""
    axis = np.arange(D) - D // 2
    profile = np.exp(-((axis[None, :, None] - centres[:, None, :]) ** 2) / (2 * sigma**2))
    weight = 1 + 0.2 * np.arange(len(centres))
    return np.einsum("n,nx,ny,nz->zyx", weight, *np.moveaxis(profile, -1, 0)).astype(np.float32)


@pytest.fixture
def centres() -> np.ndarray:
    return np.random.default_rng(0).uniform(-3, 3, (6, 3))


def test_spectrum_is_the_literal_sum(centres):
    volume = blobs(centres).astype(np.float64)
    k = np.random.default_rng(1).uniform(-D / 2, D / 2, (2, 3, 3))
    offset = np.arange(D) - D // 2
    z, y, x = np.meshgrid(offset, offset, offset, indexing="ij")
    expected = [[(volume * np.exp(-2j * np.pi * (q[0] * x + q[1] * y + q[2] * z) / D)).sum() for q in row] for row in k]
    scale = volume.sum()
    np.testing.assert_allclose(spectra_at(volume[None], k)[0], expected, atol=1e-5 * scale)
    np.testing.assert_allclose(spectra_at(volume[None], k, 1e-3)[0], expected, atol=1e-2 * scale)


@pytest.mark.parametrize("mirrored", [False, True])
def test_density_goes_where_it_is_said(centres, mirrored):
    """Gaussian blobs can be drawn where they should land: p goes to R p + t, or to R (-p) + t."""
    rotation = Rotation.from_rotvec([0.4, -0.9, 0.7]).as_matrix()
    shift = np.array([1.3, -0.4, 0.8])
    landed = (-centres if mirrored else centres) @ rotation.T + shift
    moved = move(blobs(centres), rotation, shift, mirrored)
    np.testing.assert_allclose(moved, blobs(landed), atol=2e-4 * moved.max())


def test_there_and_back(centres):
    volume = blobs(centres)
    rotation, shift = Rotation.from_rotvec([1.1, 0.2, -0.5]).as_matrix(), np.array([0.7, 1.2, -0.6])
    back = move(move(volume, rotation, shift), rotation.T, -rotation.T @ shift)
    np.testing.assert_allclose(back, volume, atol=5e-4 * volume.max())


def test_identity_keeps_a_rough_map_but_for_its_nyquist_planes():
    volume = np.random.default_rng(2).normal(size=(D, D, D))
    spectrum = np.fft.fftn(volume)
    spectrum[D // 2], spectrum[:, D // 2], spectrum[:, :, D // 2] = 0, 0, 0
    volume = np.fft.ifftn(spectrum).real.astype(np.float32)
    np.testing.assert_allclose(move(volume, np.eye(3), np.zeros(3)), volume, atol=1e-4)
