import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryoarena.errors import UserError
from cryoarena.particles.cryodrgn import (
    read_cryodrgn_ctf,
    read_cryodrgn_poses,
    write_cryodrgn_ctf,
    write_cryodrgn_poses,
)
from random_particles import make_particles


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.sampled_from([32, 128, 320]), st.floats(0.5, 10, width=32), st.integers(0, 2**32))
def test_round_trip(tmp_path_factory, n, box_px, pixel_size_A, seed):
    folder = tmp_path_factory.mktemp("pkl")
    pixel_size_A = float(str(np.float32(pixel_size_A)))
    particles = make_particles(folder, n, seed=seed, write_stacks=False)
    write_cryodrgn_poses(folder / "poses.pkl", particles.poses, box_px, pixel_size_A)
    write_cryodrgn_ctf(folder / "ctf.pkl", particles.ctf, box_px, pixel_size_A)
    poses = read_cryodrgn_poses(folder / "poses.pkl", box_px, pixel_size_A)
    ctf, found_box_px, found_pixel_size_A = read_cryodrgn_ctf(folder / "ctf.pkl")
    np.testing.assert_allclose(poses.rotation_object_to_image, particles.poses.rotation_object_to_image, atol=1e-7)
    np.testing.assert_allclose(poses.shift_A, particles.poses.shift_A, rtol=1e-6)
    assert (found_box_px, found_pixel_size_A) == (box_px, pixel_size_A)
    for name, values in vars(replace(particles.ctf, b_factor_A2=np.zeros(n))).items():
        np.testing.assert_allclose(getattr(ctf, name), values, rtol=1e-6, err_msg=name)


def test_layout_is_cryodrgns(tmp_path, particles):
    write_cryodrgn_poses(tmp_path / "poses.pkl", particles.poses, 8, 1.3)
    write_cryodrgn_ctf(tmp_path / "ctf.pkl", particles.ctf, 8, 1.3)
    rotations, shifts = pickle.loads((tmp_path / "poses.pkl").read_bytes())
    table = pickle.loads((tmp_path / "ctf.pkl").read_bytes())
    assert (rotations.shape, rotations.dtype, shifts.shape, shifts.dtype) == ((7, 3, 3), "f4", (7, 2), "f4")
    np.testing.assert_allclose(shifts, -particles.poses.shift_A / (8 * 1.3), rtol=1e-6)
    assert (table.shape, table.dtype) == ((7, 9), "f4")
    np.testing.assert_allclose(table[:, 8], particles.ctf.phase_shift_deg, rtol=1e-6)


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    content = (np.eye(3, dtype=np.float64)[None].repeat(4, 0), np.asfortranarray(np.full((4, 2), 0.1, ">f4")))
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps(content, protocol))
    poses = read_cryodrgn_poses(tmp_path / "poses.pkl", 100, 2.0)
    np.testing.assert_array_equal(poses.rotation_object_to_image, content[0])
    np.testing.assert_allclose(poses.shift_A, -20.0, rtol=1e-6)


def test_rotations_alone_have_no_shift(tmp_path):
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps(np.eye(3)[None]))
    np.testing.assert_array_equal(read_cryodrgn_poses(tmp_path / "poses.pkl", 100, 2.0).shift_A, np.zeros((1, 2)))


R = np.eye(3)[None].repeat(4, 0)
NAN_ROW = R.copy()
NAN_ROW[2, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((R, np.zeros((3, 2))), "holds 4 rotations but not as many"),
        ((R, np.zeros((4, 3))), "holds 4 rotations but not as many"),
        (np.zeros((4, 3)), "holds no .* rotations"),
        ((NAN_ROW, np.zeros((4, 2))), "row 3 of .* not a finite number"),
        ((2 * R, np.zeros((4, 2))), "matrices that are no rotations"),
        ({"rot": R}, "holds a dict"),
        ("text", "holds no .* rotations"),
    ],
)
def test_wrong_poses(tmp_path, content, message):
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=message):
        read_cryodrgn_poses(tmp_path / "poses.pkl", 100, 2.0)


def test_wrong_ctf(tmp_path, particles):
    path = tmp_path / "ctf.pkl"
    with pytest.raises(UserError, match="does not exist"):
        read_cryodrgn_ctf(path)
    write_cryodrgn_ctf(path, particles.ctf, 8, 1.3)
    table = pickle.loads(path.read_bytes())
    for column, value, message in [(1, 2.0, "mixes box or pixel sizes"), (4, np.nan, "row 3 of .* not a finite")]:
        wrong = table.copy()
        wrong[2, column] = value
        path.write_bytes(pickle.dumps(wrong))
        with pytest.raises(UserError, match=message):
            read_cryodrgn_ctf(path)
    path.write_bytes(pickle.dumps(table[:, :8]))
    with pytest.raises(UserError, match="does not hold nine CTF columns"):
        read_cryodrgn_ctf(path)
