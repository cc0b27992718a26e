from dataclasses import replace

import numpy as np
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cryoarena.errors import UserError
from cryoarena.particles.euler import rotation_from_relion
from cryoarena.particles.read_star import read_star
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star
from random_particles import assert_same_particles, make_particles

# Nine digits are written.
WRITTEN = 1e-8


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.floats(0.3, 20), st.integers(0, 2**32))
def test_round_trip(tmp_path_factory, n, shard, pixel_size_A, seed):
    folder = tmp_path_factory.mktemp("star")
    particles = make_particles(folder, n, 8, pixel_size_A, shard, seed, write_stacks=False)
    write_star(folder / "particles.star", particles)
    assert_same_particles(read_star(folder / "particles.star"), particles, WRITTEN)


def test_round_trip_of_more_rows_than_one_chunk(tmp_path):
    particles = make_particles(tmp_path, 45_000, shard=1000, write_stacks=False)
    write_star(tmp_path / "particles.star", particles)
    assert_same_particles(read_star(tmp_path / "particles.star"), particles, WRITTEN)


def test_beam_tilt_is_an_optics_group(tmp_path, particles):
    tilt_mrad = np.where(np.arange(len(particles))[:, None] % 2, [0.5, -0.25], [-0.5, 0.125])
    write_star(tmp_path / "a.star", replace(particles, ctf=None, beam_tilt_mrad=tilt_mrad))
    assert len(starfile.read(tmp_path / "a.star")["optics"]) == 2
    np.testing.assert_array_equal(read_star(tmp_path / "a.star").beam_tilt_mrad, tilt_mrad)


def test_what_is_unknown_stays_unknown(tmp_path, particles):
    write_star(tmp_path / "a.star", replace(particles, poses=None, ctf=None, half_set=None))
    found = read_star(tmp_path / "a.star")
    assert found.poses is None
    assert found.ctf is None
    assert found.half_set is None
    assert found.beam_tilt_mrad is None


def test_outside_reader_finds_relion_columns(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    tables = starfile.read(tmp_path / "a.star", parse_as_string=["rlnParticleName"])
    optics, rows = tables["optics"], tables["particles"]
    assert list(rows["rlnImageName"])[3:5] == ["000004@particles/0000.mrcs", "000001@particles/0001.mrcs"]
    assert [int(name) for name in rows["rlnParticleName"]] == particles.particle_id.tolist()
    np.testing.assert_allclose(rows[["rlnOriginXAngst", "rlnOriginYAngst"]], -particles.poses.shift_A, rtol=WRITTEN)
    np.testing.assert_array_equal(rows["rlnRandomSubset"], particles.half_set + 1)
    assert set(optics["rlnImageSize"]) == {8}
    assert set(optics["rlnImageDimensionality"]) == {2}
    merged = rows.merge(optics, on="rlnOpticsGroup")
    for column, values in [
        ("rlnVoltage", particles.ctf.voltage_kV),
        ("rlnSphericalAberration", particles.ctf.cs_mm),
        ("rlnAmplitudeContrast", particles.ctf.amplitude_contrast),
        ("rlnDefocusU", particles.ctf.defocus_u_A),
        ("rlnDefocusAngle", particles.ctf.defocus_azimuth_deg),
        ("rlnCtfBfactor", particles.ctf.b_factor_A2),
    ]:
        np.testing.assert_allclose(merged[column], values, rtol=WRITTEN, err_msg=column)


def test_ids_are_written_as_cryosparc_writes_them(tmp_path, particles):
    ids = np.array([2**64 - 1, 2**63, 1, 2, 3, 4, 5], np.uint64)
    write_star(tmp_path / "a.star", replace(particles, particle_id=ids.astype(np.int64)))
    words = starfile.read(tmp_path / "a.star", parse_as_string=["rlnParticleName"])["particles"]["rlnParticleName"]
    assert list(words[:3]) == ["18446744073709551615", "9223372036854775808", "1"]
    np.testing.assert_array_equal(read_star(tmp_path / "a.star").particle_id.astype(np.uint64), ids)


def test_equal_particles_give_equal_bytes(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    write_star(tmp_path / "b.star", particles)
    assert (tmp_path / "a.star").read_bytes() == (tmp_path / "b.star").read_bytes()


def test_stacks_outside_the_folder_are_named_from_it(tmp_path, particles):
    write_star(tmp_path / "elsewhere" / "deep" / "a.star", particles)
    found = read_star(tmp_path / "elsewhere" / "deep" / "a.star")
    assert [path.resolve() for path in found.stack_files] == [path.resolve() for path in particles.stack_files]


def test_stacks_are_found_from_the_project_folder_and_the_current_one(tmp_path, particles, monkeypatch):
    text_file = tmp_path / "a.star"
    write_star(text_file, particles)
    job = tmp_path / "Refine3D" / "job001" / "run_data.star"
    job.parent.mkdir(parents=True)
    text_file.rename(job)
    assert read_star(job).stack_files[0] == tmp_path / "particles/0000.mrcs"
    far = tmp_path.parent / f"{tmp_path.name}-far" / "a" / "b" / "c.star"
    far.parent.mkdir(parents=True)
    job.rename(far)
    assert not read_star(far).stack_files[0].exists()
    monkeypatch.chdir(tmp_path)
    assert read_star(far).stack_files[0].exists()


def test_white_space_in_a_stack_name_is_refused(tmp_path, particles):
    with pytest.raises(UserError, match=r"RELION cannot read the stack name 'my stack\.mrcs'"):
        write_star(tmp_path / "a.star", replace(particles, stack_files=(tmp_path / "my stack.mrcs",) * 2))
    assert not (tmp_path / "a.star").exists()


def test_real_relion_31_table(mirror):
    found = read_star(mirror / "particles/relion31_5/relion31.star")
    assert (len(found), found.box_px, found.pixel_size_A) == (5, 256, 2.806)
    np.testing.assert_array_equal(found.particle_id, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(found.half_set[:3], [0, 0, 0])
    np.testing.assert_allclose(found.poses.shift_A[0], [-0.019324, 0.64686])
    expected = rotation_from_relion(*np.array([[-102.30296], [82.318041], [124.706463]]))
    np.testing.assert_allclose(found.poses.rotation_object_to_image[0], expected[0], atol=1e-12)
    assert found.ctf.defocus_u_A[0] == 13108.082418
    assert set(found.ctf.cs_mm) == {0.01}
    assert found.images(slice(0, 2)).shape == (2, 256, 256)


def test_real_relion_30_table(mirror):
    found = read_star(mirror / "particles/empiar10076_7/empiar_10076_7.star")
    assert (len(found), found.box_px) == (7, 320)
    assert found.pixel_size_A == pytest.approx(1.31, abs=1e-3)
    assert found.poses is None
    np.testing.assert_allclose(found.ctf.defocus_v_A[:2], [14916.4, 14918.4])
    np.testing.assert_array_equal(found.ctf.phase_shift_deg, 0)
    np.testing.assert_array_equal(found.slice_index, np.arange(7))


def test_real_relion_30_table_with_shifts_in_pixels(mirror, tmp_path):
    original = mirror / "particles/star_only/FinalRefinement-OriginalParticles-PfCRT.star"
    with pytest.raises(UserError, match="no column _rlnAmplitudeContrast"):
        _with_stack(original.read_text(), tmp_path)
    text = original.read_text().replace("_rlnVoltage #22", "_rlnVoltage #22\n_rlnAmplitudeContrast #23")
    found = _with_stack(text.replace("300.000000 \n", "300.000000 0.1\n"), tmp_path)
    assert found.pixel_size_A == pytest.approx(1.035)
    np.testing.assert_allclose(found.poses.shift_A[0], [0.14063 * 1.035, 0.04688 * 1.035])
    np.testing.assert_array_equal(found.half_set, [1, 0, 1, 1, 1])


def _with_stack(text, folder):
    stack = folder / "Extract/job012/FinalRefinement-OriginalParticles-PfCRT.mrcs"
    with StackWriter(stack, 5, 16, 1.035) as writer:
        writer.append(np.zeros((5, 16, 16), np.float32))
    (folder / "a.star").write_text(text)
    return read_star(folder / "a.star")


def test_real_table_with_optics_groups_that_differ_in_pixel_size(mirror, tmp_path):
    path = mirror / "particles/star_only/relion31.6opticsgroups.star"
    with pytest.raises(UserError, match=r"mixes pixel sizes \(Å\): 1.24, 1.25; split it"):
        read_star(path)
    (tmp_path / "a.star").write_text(path.read_text().replace(" 1.240000 196", " 1.250000 196"))
    found = read_star(tmp_path / "a.star")
    tables = starfile.read(path)
    cs_mm = tables["optics"].set_index("rlnOpticsGroup")["rlnSphericalAberration"]
    np.testing.assert_array_equal(found.ctf.cs_mm, cs_mm.loc[tables["particles"]["rlnOpticsGroup"]])
    assert set(found.ctf.cs_mm) == {2.6, 2.7}
    np.testing.assert_array_equal(found.ctf.defocus_u_A, tables["particles"]["rlnDefocusU"])
    assert len({path.name for path in found.stack_files}) == len(found.stack_files) > 50


def test_optics_may_come_last(mirror):
    folder = mirror / "particles/relion31_5"
    assert_same_particles(read_star(folder / "relion31.v2.star"), read_star(folder / "relion31.star"), 0)


def test_table_without_its_optics_names_the_missing_column(mirror, tmp_path):
    text = (mirror / "particles/relion31_5/relion31.star").read_text()
    (tmp_path / "a.star").write_text(text[text.index("data_particles") :])
    with pytest.raises(UserError, match=r"a\.star has no column _rlnImagePixelSize"):
        read_star(tmp_path / "a.star")


def change_word(text, row, column, word):
    """Replace a value of the particle table, rows from 1."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if "@" in line)
    names = [line.split()[0] for line in lines[:start] if line.startswith("_rln")]
    names = names[names.index("_rlnImageName") :]
    words = lines[start + row - 1].split()
    words[names.index(column)] = word
    lines[start + row - 1] = " ".join(words)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("column", "word", "message"),
    [
        ("_rlnDefocusU", "nan", "row 3 of .* has no valid number in column _rlnDefocusU"),
        ("_rlnAnglePsi", "oops", "row 3 of .* has no valid number in column _rlnAnglePsi"),
        ("_rlnOriginYAngst", "inf", "row 3 of .* column _rlnOriginYAngst"),
        ("_rlnImageName", "x@a.mrcs", "row 3 of .* names the image 'x@a.mrcs'"),
        ("_rlnImageName", "000000@a.mrcs", "row 3 of .* names the image '000000@a.mrcs'"),
        ("_rlnOpticsGroup", "77", "row 3 of .* is of optics group 77, which its optics table lacks"),
        ("_rlnAngleTilt", "", r"row 3 of table data_particles in .* has fewer values than the table has columns"),
        ("_rlnAngleTilt", "1 2", r"is not a valid STAR file.* in line 3, saw 15"),
    ],
)
def test_a_wrong_value_names_its_row(tmp_path, particles, column, word, message):
    path = tmp_path / "a.star"
    write_star(path, particles)
    path.write_text(change_word(path.read_text(), 3, column, word))
    with pytest.raises(UserError, match=message):
        read_star(path)


def test_a_repeated_id_names_its_row(tmp_path, particles):
    write_star(tmp_path / "a.star", replace(particles, particle_id=np.array([1, 2, 3, 4, 5, 3, 7])))
    with pytest.raises(UserError, match=r"row 6 of .* repeats the particle id 3"):
        read_star(tmp_path / "a.star")


def test_wrong_files(tmp_path, particles):
    path = tmp_path / "a.star"
    with pytest.raises(UserError, match="does not exist"):
        read_star(path)
    path.write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(UserError, match=r"not a valid STAR file|not a particle table"):
        read_star(path)
    path.write_text("data_\n\nloop_\n_rlnVoltage #1\n300\n")
    with pytest.raises(UserError, match="no table with the column _rlnImageName"):
        read_star(path)
    write_star(path, particles)
    path.write_text(
        path.read_text().replace("_rlnImageSize", "_rlnCtfDataAreCtfPremultiplied"),
    )
    with pytest.raises(UserError, match="multiplied by their CTF"):
        read_star(path)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="data_loop_#_rlnImageName 1@.\n\"'x", max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.star"
    path.write_text(text)
    with pytest.raises(UserError):
        read_star(path)


def test_an_empty_selection_is_one_sentence(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    lines = (tmp_path / "a.star").read_text().splitlines()
    (tmp_path / "a.star").write_text("\n".join(line for line in lines if "@" not in line) + "\n")
    with pytest.raises(UserError, match="has no particles"):
        read_star(tmp_path / "a.star")
