"""Fourier shell correlation."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryoarena.volumes.fsc import correlate, fsc, fsc_auc, fsc_cryobench, resolution_at
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.mrc import read_volume, write_volume

D = 24


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a = gaussian_filter(rng.normal(size=(D, D, D)), 1).astype(np.float32)
    return a, (a + 0.3 * gaussian_filter(rng.normal(size=(D, D, D)), 0.7)).astype(np.float32)


@pytest.fixture
def mask() -> np.ndarray:
    axis = np.arange(D) - D // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.clip(9 - np.sqrt(x**2 + y**2 + (z - 1) ** 2), 0, 1).astype(np.float32)


def _full_grid(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centred Fourier transform on all D³ voxels, k = -D/2 … D/2 - 1, and |k|."""
    box_px = len(volume)
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume.astype(np.float64))))
    k = np.arange(box_px) - box_px // 2
    return spectrum, np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)


def _correlation(f: np.ndarray, g: np.ndarray) -> float:
    return float((np.vdot(f, g) / np.sqrt(np.vdot(f, f) * np.vdot(g, g))).real)


@pytest.mark.parametrize("masked", [False, True])
def test_standard_equals_a_literal_reading(pair, mask, masked):
    a, b = pair
    f, radius = _full_grid(a * mask if masked else a)
    g, _ = _full_grid(b * mask if masked else b)
    expected = [_correlation(f[here], g[here]) for i in range(1, D // 2 + 1) if (here := np.rint(radius) == i).any()]
    frequency, found = fsc(a, b, mask if masked else None)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(frequency, np.arange(1, D // 2 + 1) / D)


@pytest.mark.parametrize("masked", [False, True])
def test_cryobench_equals_a_literal_reading(pair, mask, masked):
    """One boolean mask of D³ voxels per shell, bin i holding i - 1 <= r < i, and bin 0 set to 1."""
    a, b = pair
    f, radius = _full_grid(a * mask if masked else a)
    g, _ = _full_grid(b * mask if masked else b)
    expected = [1.0]
    for i in range(1, D // 2):
        here = (radius >= i - 1) & (radius < i)
        expected.append(_correlation(f[here], g[here]))
    frequency, found = fsc_cryobench(a, b, mask if masked else None)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(frequency, np.arange(D // 2) / D)


def test_smooth_maps_do_not_suffer_from_single_precision(pair):
    """The outer shells of a smooth map are faint; rounding of the transform must not decide their FSC."""
    a, b = (gaussian_filter(volume, 1.5) for volume in pair)
    f, radius = _full_grid(a)
    g, _ = _full_grid(b)
    expected = [_correlation(f[here], g[here]) for i in range(1, D // 2 + 1) if (here := np.rint(radius) == i).any()]
    np.testing.assert_allclose(fsc(a, b)[1], expected, atol=1e-6)


def test_equal_maps_correlate_everywhere_and_have_the_largest_area(pair):
    for curve in (fsc(pair[0], pair[0]), fsc_cryobench(pair[0], pair[0])):
        np.testing.assert_allclose(curve[1], 1, atol=1e-6)
        assert fsc_auc(*curve) == pytest.approx(0.5 - 1 / D)


def test_scale_does_not_matter_and_an_offset_only_to_cryobench(pair):
    a, b = pair
    np.testing.assert_allclose(fsc(a, 37 * b)[1], fsc(a, b)[1], atol=1e-6)
    np.testing.assert_allclose(fsc(a, -b)[1], -fsc(a, b)[1], atol=1e-6)
    np.testing.assert_allclose(fsc(a, b - 5)[1], fsc(a, b)[1], atol=1e-5)
    assert fsc_cryobench(a, b - 5)[1][1] == pytest.approx(np.sign(a.mean() * (b.mean() - 5)), abs=1e-6)


def test_order_and_common_motion_do_not_matter(pair):
    a, b = pair
    np.testing.assert_allclose(fsc(b, a)[1], fsc(a, b)[1], atol=1e-12)
    moved = [np.roll(volume, (3, -2, 5), (0, 1, 2)) for volume in pair]
    np.testing.assert_allclose(fsc(*moved)[1], fsc(a, b)[1], atol=1e-6)
    turned = [np.ascontiguousarray(volume.transpose(2, 0, 1)) for volume in pair]
    np.testing.assert_allclose(fsc(*turned)[1], fsc(a, b)[1], atol=1e-6)


def test_white_noise_gives_the_analytic_curve():
    """A map with power S per shell and the same map plus white noise N: FSC = sqrt(S / (S + N))."""
    box_px, sigma = 48, 0.4
    rng = np.random.default_rng(1)
    signal = gaussian_filter(rng.normal(size=(box_px,) * 3), 0.8)
    noisy = signal + sigma * rng.normal(size=signal.shape)
    spectrum, radius = _full_grid(signal)
    _, found = fsc(signal.astype(np.float32), noisy.astype(np.float32))
    for shell in range(2, box_px // 2 + 1):
        here = np.rint(radius) == shell
        power, noise = np.mean(np.abs(spectrum[here]) ** 2), sigma**2 * box_px**3
        expected = np.sqrt(power / (power + noise))
        # half of the voxels are independent; the spread of a correlation is (1 - rho²) / sqrt(n)
        error = (1 - expected**2) / np.sqrt(here.sum()) * np.sqrt(2)
        assert abs(found[shell - 1] - expected) < 4 * error


def test_a_shift_lowers_high_frequencies_as_its_phase_says():
    """A point displaced by s along x keeps the mean over a shell of cos(2 pi k_x s / D) = sinc(2 k s / D)."""
    box_px, shift = 48, 2
    point = np.zeros((box_px,) * 3, np.float32)
    point[24, 24, 24] = 1
    frequency, found = fsc(point, np.roll(point, shift, 2))
    np.testing.assert_allclose(found[4:-1], np.sinc(2 * frequency * shift)[4:-1], atol=0.02)


def test_shells_without_power():
    nothing = np.zeros((D, D, D), np.float32)
    assert (fsc(nothing, nothing)[1] == 0).all()
    assert (fsc_cryobench(nothing, nothing)[1] == 1).all()


def test_one_pass_serves_both(pair, mask):
    shells = correlate(*pair, mask)
    np.testing.assert_array_equal(shells.standard(), fsc(*pair, mask))
    np.testing.assert_array_equal(shells.cryobench(), fsc_cryobench(*pair, mask))


def test_refuses_boxes_that_differ(pair, mask):
    for arrays in ((pair[0], pair[1][:-1]), (pair[0][:, :, :-1], pair[1]), (*pair, mask[1:])):
        with pytest.raises(ValueError, match="cubes"):
            fsc(*arrays)


def test_resolution_is_linear_between_shells():
    frequency = np.array([0.1, 0.2, 0.3, 0.4])
    assert resolution_at(frequency, np.array([1.0, 0.8, 0.4, 0.6]), 0.5, 3.0) == pytest.approx(3.0 / 0.275)
    assert resolution_at(frequency, np.ones(4), 0.5, 3.0) == pytest.approx(3.0 / 0.4)
    assert resolution_at(frequency, np.zeros(4), 0.5, 3.0) == pytest.approx(3.0 / 0.1)
    from_zero = np.concatenate([[0.0], frequency])
    assert resolution_at(from_zero, np.array([1, 0.0, 0, 0, 0]), 0.5, 3.0) == pytest.approx(3.0 / 0.1)


@pytest.mark.agreement
def test_agrees_with_relion(mirror, tmp_path):
    """RELION counts every voxel of the stored half space once, so the plane kx = 0, which holds both of each pair
    ±k, weighs double: with that counting its curve is met to the digits it prints, and its area without it."""
    program = shutil.which("relion_image_handler")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("relion_image_handler must be installed in CI")
        pytest.skip("relion_image_handler is not installed")
    maps = [read_volume(mirror / "maps" / "maven_50S" / f"vol_{name}.mrc.gz") for name in ("018", "498")]
    volumes = [volume for volume, _ in maps]
    builder = MaskBuilder(64, maps[0][1])
    for volume in volumes:
        builder.add(volume)
    mask = builder.whole()
    for with_mask in (None, mask):
        pair = [volume if with_mask is None else volume * with_mask for volume in volumes]
        for name, volume in zip("ab", pair, strict=True):
            write_volume(tmp_path / f"{name}.mrc", volume, maps[0][1])
        printed = subprocess.run(
            [program, "--i", "a.mrc", "--fsc", "b.mrc"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split() for line in printed.splitlines() if line.strip()[:1].isdigit()]
        relion = np.array(rows, float)[1:, 3]
        frequency, found = fsc(*volumes, with_mask)
        assert fsc_auc(frequency, found) == pytest.approx(fsc_auc(frequency, relion), abs=1e-3)
        np.testing.assert_allclose(_half_space_fsc(*pair), relion, atol=2e-6)
        np.testing.assert_allclose(found, relion, atol=0.02)


def _half_space_fsc(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    box_px = len(a)
    f, g = np.fft.rfftn(a.astype(np.float64)), np.fft.rfftn(b.astype(np.float64))
    k = np.fft.fftfreq(box_px, 1 / box_px)
    radius = np.rint(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(box_px // 2 + 1) ** 2))
    return np.array([_correlation(f[radius == i], g[radius == i]) for i in range(1, box_px // 2 + 1)])
