import json
from dataclasses import replace

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.particles.dataset_folder import open_particles, write_tables
from cryoarena.particles.stack import open_stack
from random_particles import assert_same_particles, make_particles


def write_folder(folder, particles, **recipe):
    recipe = {"contrast_sign": particles.contrast_sign, "pixel_size_A": particles.pixel_size_A, **recipe}
    paths = write_tables(folder, particles)
    (folder / "dataset.json").write_text(json.dumps({"recipe": recipe}))
    return paths


@pytest.mark.parametrize("contrast_sign", [1, -1])
def test_a_folder_comes_back(tmp_path, particles, contrast_sign):
    particles = replace(particles, contrast_sign=contrast_sign)
    paths = write_folder(tmp_path, particles)
    assert [path.name for path in paths] == ["particles.star", "particles.cs", "poses.pkl", "ctf.pkl"]
    assert all(path.is_file() for path in paths)
    found = open_particles(tmp_path)
    assert_same_particles(found, particles, 1e-8)
    assert_same_particles(open_particles(tmp_path / "particles.cs"), particles, 1e-6)
    stacks = [open_stack(path) for path in particles.stack_files]
    rows = np.array([6, 0, 5, 3])
    np.testing.assert_array_equal(found.images(rows), [stacks[1][2], stacks[0][0], stacks[1][1], stacks[0][3]])


def test_a_moved_folder_still_opens(tmp_path):
    particles = make_particles(tmp_path / "here")
    write_folder(tmp_path / "here", particles)
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_particles(tmp_path / "there").images(slice(0, 7)).shape == (7, 8, 8)


def test_tables_are_the_same_bytes_wherever_they_are(tmp_path):
    written = [write_tables(folder, make_particles(folder)) for folder in (tmp_path / "a", tmp_path / "b")]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_only_what_is_known_is_written(tmp_path, particles):
    paths = write_tables(tmp_path, replace(particles, poses=None, ctf=None, half_set=None))
    assert [path.name for path in paths] == ["particles.star", "particles.cs"]
    assert not list(tmp_path.glob("*.pkl"))


def test_a_subset_reads_its_own_images(tmp_path, particles):
    rows = np.array([5, 1, 2])
    subset = particles.subset(rows)
    np.testing.assert_array_equal(subset.images(slice(None)), particles.images(rows))
    np.testing.assert_array_equal(subset.particle_id, particles.particle_id[rows])
    np.testing.assert_array_equal(subset.poses.shift_A, particles.poses.shift_A[rows])
    np.testing.assert_array_equal(subset.ctf.defocus_u_A, particles.ctf.defocus_u_A[rows])
    write_tables(tmp_path, subset)
    assert_same_images(open_particles(tmp_path / "particles.star"), subset)


def assert_same_images(found, expected):
    np.testing.assert_array_equal(found.particle_id, expected.particle_id)
    np.testing.assert_array_equal(found.images(slice(None)), expected.images(slice(None)))


def cut_stack(folder, particles):
    path = particles.stack_files[1]
    path.write_bytes(path.read_bytes()[:-1])


def shorten_stack(folder, particles):
    make_particles(folder, n=6)


def larger_images(folder, particles):
    make_particles(folder, box_px=10)


def drop_a_row(folder, particles):
    lines = (folder / "particles.star").read_text().splitlines(keepends=True)
    (folder / "particles.star").write_text("".join(line for line in lines if "000002@particles/0001" not in line))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f, p: p.stack_files[1].unlink(), r"names the stack .*0001\.mrcs in row 5 but there is no such file"),
        (cut_stack, r"0001\.mrcs is truncated: its header announces 3 images"),
        (shorten_stack, r"particles\.star names image 000003@0001\.mrcs but the stack has 2 images"),
        (larger_images, "images of 10 x 10 px but 8 x 8 px are expected"),
        (drop_a_row, r"particles\.star has 6 rows but its stacks hold 7 images"),
        (lambda f, p: (f / "dataset.json").unlink(), r"has no dataset\.json"),
        (lambda f, p: (f / "dataset.json").write_text("{}"), "tells no contrast_sign"),
        (lambda f, p: write_folder(f, p, pixel_size_A=2.0), r"pixels of 1\.3 Å but dataset\.json says 2 Å"),
        (lambda f, p: (f / "particles.star").unlink(), r"particles\.star does not exist"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_sentence(tmp_path, particles, damage, message):
    write_folder(tmp_path, particles)
    damage(tmp_path, particles)
    with pytest.raises(UserError, match=message):
        open_particles(tmp_path)


def test_a_bare_table_may_name_a_part_of_its_stacks(tmp_path, particles):
    write_folder(tmp_path, particles)
    drop_a_row(tmp_path, particles)
    assert len(open_particles(tmp_path / "particles.star")) == 6


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_particles(tmp_path / "a.star")
    (tmp_path / "a.txt").touch()
    with pytest.raises(UserError, match=r"is no particle table; give a dataset folder, a \.star or a \.cs file"):
        open_particles(tmp_path / "a.txt")


def test_real_files_open(mirror):
    assert len(open_particles(mirror / "particles/relion31_5/relion31.star")) == 5
    found = open_particles(mirror / "particles/empiar10076_7/empiar_10076_7.cs")
    assert found.images(np.array([3])).shape == (1, 320, 320)
    with pytest.raises(UserError, match=r"names the stack .*PfCRT\.mrcs in row 1 but there is no such file"):
        open_particles(mirror / "particles/star_only/FinalRefinement-OriginalParticles-PfCRT.star")
