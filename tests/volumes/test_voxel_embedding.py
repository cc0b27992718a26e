"""The voxel embedding keeps the distances of CryoBench's 4096-D vectors."""

import numpy as np
import scipy.fft
from scipy.spatial.distance import pdist

from cryoarena.volumes.voxel_embedding import voxel_embedding


def test_distances_are_those_of_the_4096_voxels():
    rng = np.random.default_rng(0)
    volumes = rng.standard_normal((5, 48, 48, 48)).astype(np.float32)
    mask = np.zeros((48, 48, 48), np.float32)
    mask[24 - 12 : 24 + 12, 10:30, 20:30] = 1  # reaches 14 voxels from the centre, along y
    coordinates = voxel_embedding(iter(volumes), mask)

    cropped = volumes[:, 24 - 15 : 24 + 15, 24 - 15 : 24 + 15, 24 - 15 : 24 + 15]
    kept = np.r_[0:8, 22:30]
    spectra = scipy.fft.fftn(cropped.astype(np.float64), axes=(1, 2, 3))[:, kept][:, :, kept][:, :, :, kept]
    vectors = scipy.fft.ifftn(spectra, axes=(1, 2, 3)).real.reshape(5, 4096) * (16 / 30) ** 3
    assert coordinates.shape == (5, 4)
    np.testing.assert_allclose(pdist(coordinates), pdist(vectors), rtol=1e-5)


def test_equal_maps_are_at_one_point_and_a_region_left_out_is_as_far_as_its_density():
    volume = np.zeros((32, 32, 32), np.float32)
    volume[10:22, 10:22, 10:22] = 1
    smaller = volume.copy()
    smaller[10:22, 10:22, 10:14] = 0
    smallest = volume.copy()
    smallest[10:22, 10:22, 10:18] = 0
    whole, again, less, least = voxel_embedding([volume, volume, smaller, smallest], np.ones_like(volume))
    assert np.linalg.norm(whole - again) < 1e-5
    assert 0.1 < np.linalg.norm(whole - less) < np.linalg.norm(whole - least)


def test_a_single_map_has_a_coordinate():
    assert voxel_embedding([np.ones((16, 16, 16), np.float32)], np.ones((16, 16, 16), np.float32)).shape == (1, 1)
