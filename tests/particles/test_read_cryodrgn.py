"""cryoDRGN's pickles name no images: they go with a stack row by row."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf, write_cryodrgn_poses
from cryoarena.particles.cs import write_cs
from cryoarena.particles.given import Given
from cryoarena.particles.read_cryodrgn import read_cryodrgn
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star
from random_particles import assert_same_particles, make_particles


@pytest.fixture
def pickles(tmp_path, particles):
    """Return poses.pkl and ctf.pkl of the seven particles; pickles have no B-factors."""
    write_cryodrgn_poses(tmp_path / "poses.pkl", particles.poses, 8, 1.3)
    write_cryodrgn_ctf(tmp_path / "ctf.pkl", particles.ctf, 8, 1.3)
    return tmp_path / "poses.pkl", tmp_path / "ctf.pkl"


def without_ids(particles):
    ctf = replace(particles.ctf, b_factor_A2=np.zeros(7))
    return replace(particles, particle_id=np.arange(1, 8), half_set=None, ctf=ctf)


def test_a_list_of_stacks(tmp_path, particles, pickles):
    (tmp_path / "list.txt").write_text("particles/0000.mrcs\n\nparticles/0001.mrcs\n")
    found = read_cryodrgn(*pickles, tmp_path / "list.txt")
    assert_same_particles(found, without_ids(particles), 1e-6)
    np.testing.assert_array_equal(found.images(slice(None)), particles.images(slice(None)))


def test_one_stack(tmp_path):
    particles = make_particles(tmp_path, 7, shard=7)
    write_cryodrgn_poses(tmp_path / "poses.pkl", particles.poses, 8, 1.3)
    stack = particles.stack_files[0]
    found = read_cryodrgn(tmp_path / "poses.pkl", None, stack, Given(pixel_size_A=1.3, contrast_sign=-1))
    np.testing.assert_allclose(found.poses.shift_A, particles.poses.shift_A, atol=1e-5)
    assert (found.contrast_sign, found.pixel_size_A, found.ctf) == (-1, 1.3, None)
    with pytest.raises(UserError, match="does not tell the pixel size, on which shifts depend; give --ctf or --pixel"):
        read_cryodrgn(tmp_path / "poses.pkl", None, stack)


@pytest.mark.parametrize("write", [write_star, write_cs])
def test_a_table_keeps_what_pickles_lack(tmp_path, particles, pickles, write):
    table = tmp_path / ("a.star" if write is write_star else "a.cs")
    write(table, replace(particles, poses=particles.poses[::-1]))
    assert_same_particles(read_cryodrgn(*pickles, table), particles, 1e-6)


def test_ctf_alone(tmp_path, particles, pickles):
    (tmp_path / "list.txt").write_text("particles/0000.mrcs\nparticles/0001.mrcs\n")
    found = read_cryodrgn(pickles[1], None, tmp_path / "list.txt")
    assert found.poses is None
    np.testing.assert_allclose(found.ctf.defocus_u_A, particles.ctf.defocus_u_A, rtol=1e-6)
    with pytest.raises(UserError, match=r"ctf\.pkl holds CTF parameters, and so does --ctf"):
        read_cryodrgn(pickles[1], pickles[1], tmp_path / "list.txt")


def test_a_stack_that_was_cropped_since_has_larger_pixels(tmp_path, particles, pickles):
    with StackWriter(tmp_path / "small.mrcs", 7, 4, 2.6) as stack:
        stack.append(np.zeros((7, 4, 4), np.float32))
    found = read_cryodrgn(*pickles, tmp_path / "small.mrcs")
    assert found.pixel_size_A == 2.6
    np.testing.assert_allclose(found.poses.shift_A, particles.poses.shift_A, atol=1e-5)


def test_what_does_not_go_together(tmp_path, particles, pickles):
    lone = make_particles(tmp_path / "other", 3, shard=3).stack_files[0]
    with pytest.raises(UserError, match=r"poses\.pkl has 7 rows but .*0000\.mrcs has 3 images; .* row by row"):
        read_cryodrgn(*pickles, lone)
    write_cryodrgn_ctf(tmp_path / "short.pkl", particles.ctf[:3], 8, 1.3)
    write_star(tmp_path / "a.star", particles)
    with pytest.raises(UserError, match=r"short\.pkl has 3 rows but .*a\.star has 7 images"):
        read_cryodrgn(pickles[0], tmp_path / "short.pkl", tmp_path / "a.star")
    write_star(tmp_path / "b.star", replace(particles, pixel_size_A=1.4))
    with pytest.raises(UserError, match=r"b\.star has pixels of 1\.4 Å but by .*ctf\.pkl they are 1\.3 Å"):
        read_cryodrgn(*pickles, tmp_path / "b.star")
    with pytest.raises(UserError, match=r"ctf\.pkl tells (2|3)00 where --voltage tells 120"):
        read_cryodrgn(*pickles, tmp_path / "a.star", Given(voltage_kV=120))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", r"a\.txt lists no \.mrcs files"),
        ("a.txt", b"\x93NUMPY", "is not a list of"),
        ("a.txt", b"none.mrcs", r"the image stack .*none\.mrcs does not exist"),
        ("a.npy", b"", r"a\.npy is no stack; --stack takes"),
    ],
)
def test_stacks_that_are_none(tmp_path, pickles, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_cryodrgn(*pickles, tmp_path / name)


def test_a_malicious_pickle_is_not_executed(tmp_path, particles, pickles):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'victim'}",)

    bad = tmp_path / "bad.pkl"
    bad.write_bytes(pickle.dumps((Attack(), np.zeros((7, 2)))))
    for arguments in ((bad, pickles[1]), (pickles[0], bad)):
        with pytest.raises(UserError, match=r"bad\.pkl asks for posix\.system; only plain arrays are read"):
            read_cryodrgn(*arguments, particles.stack_files[0])
    assert not (tmp_path / "victim").exists()
