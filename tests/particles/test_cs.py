from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.particles.cs import read_cs, write_cs
from cryoarena.particles.read_star import read_star
from random_particles import assert_same_particles, make_particles

# cryoSPARC stores float32.
WRITTEN = 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.floats(0.25, 20, width=32), st.integers(0, 2**32))
def test_round_trip(tmp_path_factory, n, shard, pixel_size_A, seed):
    folder = tmp_path_factory.mktemp("cs")
    particles = make_particles(folder, n, 8, float(str(np.float32(pixel_size_A))), shard, seed, write_stacks=False)
    particles = replace(particles, contrast_sign=-1)
    write_cs(folder / "particles.cs", particles)
    assert_same_particles(read_cs(folder / "particles.cs"), particles, WRITTEN)


def test_names_of_stacks_may_be_in_any_language(tmp_path, particles):
    stacks = tuple(tmp_path / "müde" / f"größe{number}.mrcs" for number in range(len(particles.stack_files)))
    write_cs(tmp_path / "a.cs", replace(particles, stack_files=stacks))
    assert read_cs(tmp_path / "a.cs").stack_files == stacks


def test_fields_are_in_cryosparc_units(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    records = np.load(tmp_path / "a.cs", allow_pickle=False)
    np.testing.assert_array_equal(records["uid"], particles.particle_id.astype(np.uint64))
    assert records["blob/path"][4] == b"particles/0001.mrcs"
    np.testing.assert_array_equal(records["blob/idx"], [0, 1, 2, 3, 0, 1, 2])
    np.testing.assert_array_equal(records["blob/shape"], np.full((7, 2), 8))
    np.testing.assert_allclose(records["ctf/df_angle_rad"], np.deg2rad(particles.ctf.defocus_azimuth_deg), rtol=1e-6)
    np.testing.assert_allclose(records["alignments3D/shift"], -particles.poses.shift_A / 1.3, rtol=1e-6)
    turned = Rotation.from_rotvec(records["alignments3D/pose"]).as_matrix().transpose(0, 2, 1)
    np.testing.assert_allclose(turned, particles.poses.rotation_object_to_image, atol=1e-6)


def test_ids_use_all_64_bits(tmp_path, particles):
    ids = np.array([2**64 - 1, 2**63, 1, 2, 3, 4, 5], np.uint64)
    write_cs(tmp_path / "a.cs", replace(particles, particle_id=ids.astype(np.int64)))
    np.testing.assert_array_equal(np.load(tmp_path / "a.cs")["uid"], ids)
    np.testing.assert_array_equal(read_cs(tmp_path / "a.cs").particle_id, ids.astype(np.int64))


def test_shifts_of_downsampled_alignments_use_their_own_pixels(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    records = np.load(tmp_path / "a.cs")
    records["alignments3D/psize_A"] *= 2
    records["alignments3D/shift"] /= 2
    with (tmp_path / "a.cs").open("wb") as stream:
        np.save(stream, records)
    np.testing.assert_allclose(read_cs(tmp_path / "a.cs").poses.shift_A, particles.poses.shift_A, rtol=1e-6)


def test_equal_particles_give_equal_bytes(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    write_cs(tmp_path / "b.cs", particles)
    assert (tmp_path / "a.cs").read_bytes() == (tmp_path / "b.cs").read_bytes()


def test_real_import_agrees_with_its_star_file(mirror):
    folder = mirror / "particles/empiar10076_7"
    found, star = read_cs(folder / "empiar_10076_7.cs"), read_star(folder / "empiar_10076_7.star")
    assert (found.box_px, found.pixel_size_A) == (320, 1.3099979)
    assert found.particle_id[0] == 3806243878409217281
    assert found.poses is None
    assert [path.name for path in found.stack_files] == ["empiar_10076_7.mrc"]
    np.testing.assert_array_equal(found.slice_index, star.slice_index)
    for name, values in vars(star.ctf).items():
        np.testing.assert_allclose(getattr(found.ctf, name), values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_negative_sign_of_a_real_file_means_dark_particles(mirror):
    found = read_cs(mirror / "particles/empiar10076_7/empiar_10076_7.cs")
    assert found.contrast_sign == -1
    images = found.images(slice(None)).mean(axis=0)
    y, x = np.indices(images.shape) - 160
    radius = np.hypot(y, x)
    assert images[radius < 60].mean() < images[radius > 130].mean() - 0.02


def save(path, records):
    with path.open("wb") as stream:
        np.save(stream, records)


def without(records, name):
    return records[[field for field in records.dtype.names if field != name]].copy()


def changed(records, name, row, value):
    records = records.copy()
    records[name][row] = value
    return records


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: without(r, "blob/path"), "has no field blob/path; give its passthrough file"),
        (lambda r: without(r, "ctf/cs_mm"), "has no field ctf/cs_mm"),
        (lambda r: without(r, "alignments3D/shift"), "has no field alignments3D/shift"),
        (lambda r: changed(r, "alignments3D/pose", 2, np.nan), "row 3 of .* no valid value in field alignments3D/pose"),
        (lambda r: changed(r, "ctf/df1_A", 4, np.inf), "row 5 of .* no valid value in field ctf/df1_A"),
        (lambda r: changed(r, "blob/psize_A", 4, 2.5), r"mixes values of blob/psize_A: 1\.3, 2\.5"),
        (lambda r: changed(r, "blob/sign", 4, -1), "mixes values of blob/sign: -1, 1"),
        (lambda r: changed(r, "blob/shape", 4, 16), "mixes box sizes"),
        (lambda r: r[:0], "has no particles"),
        (lambda r: r["uid"], "is a plain array"),
    ],
)
def test_wrong_tables(tmp_path, particles, damage, message):
    write_cs(tmp_path / "a.cs", particles)
    save(tmp_path / "a.cs", damage(np.load(tmp_path / "a.cs")))
    with pytest.raises(UserError, match=message):
        read_cs(tmp_path / "a.cs")


def test_damaged_files(tmp_path, particles):
    path = tmp_path / "a.cs"
    with pytest.raises(UserError, match="does not exist"):
        read_cs(path)
    write_cs(path, particles)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="is truncated or damaged"):
        read_cs(path)
    path.write_bytes(b"\x95CSDAT" + bytes(100))
    with pytest.raises(UserError, match=r"is a compressed \.cs file; rewrite it with cryosparc-tools"):
        read_cs(path)
    path.write_bytes(b"data_\n")
    with pytest.raises(UserError, match=r"is not a \.cs file of cryoSPARC"):
        read_cs(path)
    with path.open("wb") as stream:
        np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match="is truncated or damaged: Object arrays"):
        read_cs(path)
