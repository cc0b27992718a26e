"""What outside programs read in our tables is what we wrote."""

import numpy as np
import pytest

from cryoarena.particles.read_star import read_star
from cryoarena.particles.safe_pickle import read_array_pickle
from phantom_stack import IMAGES

pytestmark = pytest.mark.agreement


@pytest.mark.parametrize(("command", "table"), [("star", "particles.star"), ("csparc", "particles.cs")])
def test_cryodrgn_converts_our_tables_to_our_pickles(cryodrgn, phantom, tmp_path, command, table):
    cryodrgn(f"parse_pose_{command}", table, "-o", tmp_path / "poses.pkl", cwd=phantom)
    cryodrgn(f"parse_ctf_{command}", table, "-o", tmp_path / "ctf.pkl", cwd=phantom)
    found_rotations, found_shifts = read_array_pickle(tmp_path / "poses.pkl")
    rotations, shifts = read_array_pickle(phantom / "poses.pkl")
    np.testing.assert_allclose(found_rotations, rotations, atol=1e-6)
    np.testing.assert_allclose(found_shifts, shifts, atol=1e-8)
    np.testing.assert_allclose(read_array_pickle(tmp_path / "ctf.pkl"), read_array_pickle(phantom / "ctf.pkl"), 1e-6)


def test_relion_keeps_particle_ids_to_the_last_digit(relion, phantom, tmp_path):
    out = tmp_path / "half2.star"
    text = relion(
        "relion_star_handler",
        *("--i", "particles.star", "--o", out, "--select", "rlnRandomSubset", "--minval", 2),
        cwd=phantom,
    )
    assert "WARNING" not in text
    written = read_star(phantom / "particles.star")
    found = read_star(out)
    assert len(found) == IMAGES // 2
    assert found.particle_id.min() >= 3_000_000_000_000_000_000
    np.testing.assert_array_equal(found.particle_id, written.particle_id[written.half_set == 1])
