"""The two exact projectors against analytic Gaussians and each other."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses, random_poses
from cryoarena.imaging.project import AtomProjector, VolumeProjector
from cryoarena.imaging.spectrum import crop, sum_of_squares, to_images
from cryoarena.structures.density import ScatteringModel

SIGMA_A = 6.0


def gaussians(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], ScatteringModel]:
    position_A = rng.normal(size=(n, 3)) * 15
    weights = rng.uniform(5, 9, (n, 1))

    def profile(s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-2 * np.pi**2 * SIGMA_A**2 * s**2)[None]

    return position_A, ScatteringModel(weights, profile)


def analytic_image(
    position_A: NDArray[np.float64], weights: NDArray[np.float64], poses: Poses, box_px: int, pixel_size_A: float
) -> NDArray[np.float64]:
    """Sum 2-D Gaussians at (R c)_xy + shift: no Fourier transform at all."""
    axis = (np.arange(box_px) - box_px // 2) * pixel_size_A
    image = np.zeros((box_px, box_px))
    for atom, weight in zip(position_A, weights, strict=True):
        x, y = (poses.rotation_object_to_image[0] @ atom)[:2] + poses.shift_A[0]
        along_y, along_x = (np.exp(-((axis - centre) ** 2) / (2 * SIGMA_A**2)) for centre in (y, x))
        image += weight * np.outer(along_y, along_x) / (2 * np.pi * SIGMA_A**2)
    return image


def test_atoms_land_where_the_convention_says() -> None:
    rng = np.random.default_rng(0)
    position_A, model = gaussians(7, rng)
    poses = random_poses(1, 12.0, rng)
    projector = AtomProjector(model, 64, 3.0)
    spectrum = projector.project(position_A, poses.rotation_object_to_image[0], poses.shift_A[0])
    expected = analytic_image(position_A, model.weights[:, 0], poses, 64, 3.0)
    np.testing.assert_allclose(to_images(spectrum), expected, atol=1e-3 * expected.max())


def test_projectors_agree_to_1e_4() -> None:
    rng = np.random.default_rng(1)
    position_A, model = gaussians(40, rng)
    poses = random_poses(4, 10.0, rng)
    box_px, pixel_size_A, fine_px = 48, 4.0, 96
    axis = (np.arange(fine_px) - fine_px // 2) * box_px * pixel_size_A / fine_px
    volume = np.zeros((fine_px,) * 3)
    for atom, weight in zip(position_A, model.weights[:, 0], strict=True):
        x, y, z = (np.exp(-((axis - c) ** 2) / (2 * SIGMA_A**2)) / np.sqrt(2 * np.pi * SIGMA_A**2) for c in atom)
        volume += weight * z[:, None, None] * y[:, None] * x
    from_map = VolumeProjector(volume.astype(np.float32), pixel_size_A * box_px / fine_px, box_px, pixel_size_A)
    from_atoms = AtomProjector(model, box_px, pixel_size_A)
    a = from_map.project(poses.rotation_object_to_image, poses.shift_A)
    b = np.stack(
        [
            from_atoms.project(position_A, rotation, shift)
            for rotation, shift in zip(poses.rotation_object_to_image, poses.shift_A, strict=True)
        ]
    )
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)


def test_projection_keeps_the_total() -> None:
    rng = np.random.default_rng(2)
    position_A, model = gaussians(20, rng)
    poses = random_poses(1, 0.0, rng)
    spectrum = AtomProjector(model, 64, 3.0).project(position_A, poses.rotation_object_to_image[0], poses.shift_A[0])
    assert to_images(spectrum).sum() * 3.0**2 == pytest.approx(model.weights.sum(), rel=1e-4)


def test_parseval() -> None:
    rng = np.random.default_rng(3)
    position_A, model = gaussians(5, rng)
    poses = random_poses(1, 5.0, rng)
    spectrum = AtomProjector(model, 32, 5.0).project(position_A, poses.rotation_object_to_image[0], poses.shift_A[0])
    assert sum_of_squares(spectrum) == pytest.approx(np.square(to_images(spectrum), dtype=np.float64).sum(), rel=1e-5)


def test_crop_keeps_values_of_a_smooth_image() -> None:
    rng = np.random.default_rng(4)
    position_A, model = gaussians(5, rng)
    pose = random_poses(1, 5.0, rng)
    spectrum = AtomProjector(model, 96, 2.0).project(position_A, pose.rotation_object_to_image[0], pose.shift_A[0])
    fine, coarse = to_images(spectrum), to_images(crop(spectrum, 48))
    np.testing.assert_allclose(coarse, fine[::2, ::2], atol=1e-3 * fine.max())
