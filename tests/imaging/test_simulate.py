"""The simulator: cropping, SNR, contrast and the cost model."""

from dataclasses import replace

import numpy as np
import pytest

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.defocus import DefocusTable, draw_defocus, parametric_defocus
from cryoarena.imaging.images import simulate_images
from cryoarena.imaging.poses import random_poses
from cryoarena.imaging.simulate import (
    Particles,
    apply_ctf,
    project,
    project_from_atoms,
    project_through_maps,
    projection_cost_s,
    signal_sums,
)
from cryoarena.imaging.specimen import Complexes, Conformations, Specimen
from cryoarena.imaging.spectrum import crop, to_images
from cryoarena.structures.density import ScatteringModel


def specimen(rng: np.random.Generator, n_atoms: int = 300, n_conformations: int = 3) -> Specimen:
    position_A = (rng.normal(size=(n_conformations, n_atoms, 3)) * 20).astype(np.float32)
    weights = rng.uniform(5, 9, (n_atoms, 1))
    return Conformations(position_A, ScatteringModel(weights, lambda s: np.exp(-((4.0 * s) ** 2))[None]))


def particles(n: int, rng: np.random.Generator, n_conformations: int = 3) -> Particles:
    defocus = parametric_defocus(n, rng)
    zeros = np.zeros(n)
    ctf = CtfParameters(
        defocus.defocus_u_A,
        defocus.defocus_v_A,
        defocus.azimuth_deg,
        zeros + 300,
        zeros + 2.7,
        zeros + 0.1,
        zeros,
        zeros,
    )
    return Particles(rng.integers(n_conformations, size=n), random_poses(n, 15.0, rng), ctf)


def test_sampling_the_band_equals_simulating_at_256_and_cropping() -> None:
    rng = np.random.default_rng(0)
    object_, some = specimen(rng), particles(3, rng)
    large = apply_ctf(project_from_atoms(object_, some, 256, 1.5), some.ctf, 1.5, 1)
    direct = apply_ctf(project_from_atoms(object_, some, 128, 3.0), some.ctf, 3.0, 1)
    cropped = crop(large, 128)
    assert np.linalg.norm(direct - cropped) < 1e-4 * np.linalg.norm(cropped)
    # ... and the same in real space, with a crop that is not ours.
    spectrum = np.fft.fftshift(np.fft.fft2(to_images(large[0])))[64:192, 64:192]
    spectrum[0], spectrum[:, 0] = 0, 0
    literal = np.fft.ifft2(np.fft.ifftshift(spectrum)).real / 4
    np.testing.assert_allclose(to_images(direct[0]), literal, atol=1e-3 * np.abs(literal).max())


def test_both_ways_to_project_agree() -> None:
    rng = np.random.default_rng(1)
    object_, some = specimen(rng), particles(6, rng)
    a = project_from_atoms(object_, some, 64, 4.0)
    b = project_through_maps(object_, some, 64, 4.0)
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(a)
    np.testing.assert_array_equal(project(object_, some, 64, 4.0), a)


def test_cost_model_prefers_maps_for_many_images_of_a_large_object() -> None:
    from_atoms, through_map = projection_cost_s(10_000, 1, 128, images_per_conformation=10)
    assert from_atoms < through_map
    from_atoms, through_map = projection_cost_s(1_000_000, 5, 64, images_per_conformation=10_000)
    assert through_map < from_atoms


def test_snr_is_that_of_the_whole_box_and_dataset() -> None:
    rng = np.random.default_rng(2)
    object_, some = specimen(rng), particles(40, rng)
    total, squares = signal_sums(object_, some, 64, 4.0)
    clean = to_images(apply_ctf(project_from_atoms(object_, some, 64, 4.0), some.ctf, 4.0, 1))
    pixels = clean.size
    variance = squares / pixels - (total / pixels) ** 2
    assert variance == pytest.approx(clean.astype(np.float64).var(), rel=1e-4)
    snr = 0.5
    amplitude = float(np.sqrt(snr / variance))
    noisy = simulate_images(object_, some, 64, 4.0, amplitude, 1, np.random.default_rng(3))
    noise = noisy - amplitude * clean
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    assert np.var(amplitude * clean) / noise.var() == pytest.approx(snr, rel=0.02)


def test_bright_means_protein_positive() -> None:
    rng = np.random.default_rng(4)
    object_, some = specimen(rng), particles(8, rng)
    projections = to_images(project_from_atoms(object_, some, 64, 4.0))
    bright = simulate_images(object_, some, 64, 4.0, 1e3, 1, np.random.default_rng(5))
    dark = simulate_images(object_, some, 64, 4.0, 1e3, -1, np.random.default_rng(5))
    assert np.corrcoef(projections.ravel(), bright.ravel())[0, 1] > 0.1
    assert np.corrcoef(projections.ravel(), dark.ravel())[0, 1] < -0.1


def test_defocus_is_drawn_without_replacement_while_the_table_lasts() -> None:
    table = DefocusTable(np.arange(10.0), np.arange(10.0) + 100, np.arange(10.0) + 200)
    drawn = draw_defocus(table, 10, np.random.default_rng(0))
    assert sorted(drawn.defocus_u_A) == list(range(10))
    np.testing.assert_array_equal(drawn.defocus_v_A - drawn.defocus_u_A, 100)
    np.testing.assert_array_equal(drawn.azimuth_deg - drawn.defocus_u_A, 200)
    assert len(draw_defocus(table, 25, np.random.default_rng(0))) == 25


def test_complexes_are_each_projected_with_their_own_atoms() -> None:
    rng = np.random.default_rng(4)
    one, other = specimen(rng, 200, 1), specimen(rng, 350, 1)
    both = Complexes((one.position_A(0), other.position_A(0)), (one.scattering(0), other.scattering(0)))
    some = replace(particles(6, rng), conformation=np.array([0, 1, 1, 0, 1, 0]))
    for project_, tolerance in ((project_from_atoms, 1e-6), (project_through_maps, 2e-3)):
        spectra = project_(both, some, 64, 3.0)
        for alone, number in ((one, 0), (other, 1)):
            here = some.conformation == number
            expected = project_from_atoms(
                alone, Particles(np.zeros(3, np.int64), some.poses[here], some.ctf[here]), 64, 3.0
            )
            assert np.linalg.norm(spectra[here] - expected) < tolerance * np.linalg.norm(expected)
    assert both.reach_A() == max(one.reach_A(), other.reach_A())
