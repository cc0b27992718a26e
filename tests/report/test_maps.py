import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cryoarena.report.maps import enclosing_level, low_pass, project, shrink

D = 32


def blob(centre_xyz: np.ndarray, box: int = D) -> np.ndarray:
    z, y, x = np.meshgrid(*[np.arange(box) - box // 2] * 3, indexing="ij")
    d2 = (x - centre_xyz[0]) ** 2 + (y - centre_xyz[1]) ** 2 + (z - centre_xyz[2]) ** 2
    return np.exp(-d2 / (2 * 1.5**2)).astype(np.float32)


def centre_xy(image: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(image))[::-1] - image.shape[0] // 2


@pytest.mark.parametrize("seed", range(5))
def test_a_blob_lands_where_the_pose_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre, shift = rng.uniform(-5, 5, 3), rng.uniform(-3, 3, 2)
    rotation = Rotation.random(rng=rng).as_matrix()
    found = centre_xy(project(blob(centre), rotation, shift))
    np.testing.assert_allclose(found, (rotation @ centre)[:2] + shift, atol=0.05)


def test_projection_without_pose_is_the_sum_along_z() -> None:
    volume = np.random.default_rng(0).random((D, D, D), np.float32)
    np.testing.assert_allclose(project(volume, np.eye(3), np.zeros(2)), volume.sum(0), rtol=1e-5)


def test_shrinking_keeps_the_place_and_the_value() -> None:
    centre = np.array([7.0, -4.0, 3.0])
    small, factor = shrink(ndimage.gaussian_filter(blob(centre, 64), 3), 40)
    assert max(small.shape) == 40
    assert factor == pytest.approx(1.6)
    zyx = np.array(ndimage.center_of_mass(small)) * factor - 32
    np.testing.assert_allclose(zyx[::-1], centre, atol=0.1)


def test_level_encloses_the_asked_number_of_voxels_on_any_scale() -> None:
    volume = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    for scale in (1.0, 1e-6, 300.0):
        level = enclosing_level(volume * scale, 200)
        assert np.count_nonzero(volume * scale >= level) == 200


def test_low_pass_keeps_slow_waves_and_removes_fast_ones() -> None:
    x = np.arange(64) * np.ones((64, 1))
    slow, fast = np.cos(2 * np.pi * x / 64), np.cos(2 * np.pi * x / 4)
    kept = low_pass((slow + fast).astype(np.float32), 2.0, 20.0)
    np.testing.assert_allclose(kept, slow * np.exp(-((20 / 128) ** 2)), atol=0.01)
