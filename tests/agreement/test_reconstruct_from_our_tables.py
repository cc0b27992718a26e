"""The conventions of docs/formats.md, proven by programs that know nothing of CryoArena.

The map that RELION and cryoDRGN reconstruct from our stacks and tables is compared with the analytic truth where it
stands: a wrong hand, Euler angle, shift sign, axis or CTF makes the correlation collapse.
"""

import mrcfile
import numpy as np
import pytest

from cryoarena.volumes.fsc import fsc
from phantom_stack import BOX_PX, PIXEL_SIZE_A, truth_map

pytestmark = pytest.mark.agreement
HALF_NYQUIST = 0.25


def fsc_to_half_nyquist(a, b):
    frequency, correlation = fsc(a, b)
    return correlation[frequency <= HALF_NYQUIST]


def mirror_images(volume):
    """Return the volume reflected at the plane through its origin across each axis."""
    return [np.roll(np.flip(volume, axis), 1, axis) for axis in range(3)]


def assert_is_the_truth(path):
    truth = truth_map()
    with mrcfile.open(path) as stream:
        found = stream.data.copy()
        assert stream.voxel_size.x == pytest.approx(PIXEL_SIZE_A, rel=1e-4)
    assert found.shape == (BOX_PX,) * 3
    assert fsc_to_half_nyquist(found, truth).min() > 0.98
    # Bright protein: the density is positive, not inverted.
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.98
    for mirrored in mirror_images(truth):
        assert fsc_to_half_nyquist(found, mirrored).min() < 0.3


def test_relion_reconstructs_the_truth_from_our_star(relion, phantom, tmp_path):
    relion("relion_reconstruct", "--i", "particles.star", "--o", tmp_path / "map.mrc", "--ctf", cwd=phantom)
    assert_is_the_truth(tmp_path / "map.mrc")


@pytest.mark.parametrize("table", ["particles.star", "particles.cs"])
def test_cryodrgn_reconstructs_the_truth_from_our_tables(cryodrgn, phantom, tmp_path, table):
    arguments = ["--poses", "poses.pkl", "--ctf", "ctf.pkl", "--datadir", phantom, "--no-half-maps", "-o", tmp_path]
    cryodrgn("backproject_voxel", table, *arguments, cwd=phantom)
    assert_is_the_truth(tmp_path / "backproject.mrc")
