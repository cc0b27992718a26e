"""Conversions in all directions bring back who each particle is, where it lies and how it was recorded."""

import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryoarena.errors import UserError
from cryoarena.particles.convert import convert
from cryoarena.particles.convert_source import Source, read_source
from cryoarena.particles.dataset_folder import open_particles, write_folder
from cryoarena.particles.given import Given
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star
from random_particles import assert_same_particles, make_particles

FORMS = {
    "3.0": ("a.star", "3.0"),
    "3.1": ("a.star", "3.1"),
    "cs": ("a.cs", "3.1"),
    "pkl": ("poses.pkl", "3.1"),
    "folder": ("set", "3.1"),
}


def source_of(form, folder):
    """Return how a user names what a conversion into `form` left in `folder`, of a dark stack."""
    path = folder / FORMS[form][0]
    given = Given() if form in ("cs", "folder") else Given(contrast_sign=-1)
    if form == "pkl":
        return Source(path, ctf=folder / "ctf.pkl", stack=folder / "particles.star", given=given)
    return Source(path, given=given)


def convert_to(form, source, folder):
    name, version = FORMS[form]
    return convert(source, folder / name, version)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FORMS, FORMS)))
@settings(max_examples=4, deadline=None)
@given(st.integers(2, 12), st.integers(1, 5), st.floats(0.5, 8), st.integers(0, 2**32))
def test_every_direction_and_back(tmp_path_factory, first, second, n, shard, pixel_size_A, seed):
    folder = tmp_path_factory.mktemp("convert")
    particles = draw_particles(folder / "data", n, shard, pixel_size_A, seed)
    write_folder(folder / "origin", particles)
    convert_to(first, Source(folder / "origin"), folder / "x" / "deep")
    convert_to(second, source_of(first, folder / "x" / "deep"), folder / "y")
    found = read_source(source_of(second, folder / "y"))
    assert_same(found, particles)
    # The same pixels, wherever the table lies.
    np.testing.assert_array_equal(found.images(slice(None)), particles.images(slice(None)))


def draw_particles(folder, n, shard, pixel_size_A, seed):
    """Return some particles of several stacks in random order, dark, in named optics groups, with wide ids."""
    rng = np.random.default_rng(seed)
    particles = make_particles(folder, n, 8, pixel_size_A, shard, seed)
    group = rng.integers(0, 3, n)
    ctf = replace(
        particles.ctf,
        # The same settings in two groups: these must not be joined.
        voltage_kV=np.array([300.0, 300.0, 200.0])[group],
        cs_mm=np.array([2.7, 2.7, 0.01])[group],
        amplitude_contrast=np.array([0.07, 0.07, 0.1])[group],
        # Pickles have none.
        b_factor_A2=np.zeros(n),
    )
    particles = replace(
        particles,
        particle_id=rng.integers(0, 2**64, n, np.uint64, endpoint=False).astype(np.int64),
        contrast_sign=-1,
        ctf=ctf,
        optics_group=group,
        optics_names=("opticsGroup7", "opticsGroup23", "opticsGroup4"),
    )
    return particles.subset(rng.permutation(n)[: rng.integers(1, n)])


def assert_same(found, expected):
    np.testing.assert_array_equal(found.particle_id, expected.particle_id)
    np.testing.assert_array_equal(found.slice_index, expected.slice_index)
    np.testing.assert_array_equal(found.half_set, expected.half_set)
    assert stack_of_each(found) == stack_of_each(expected)
    assert (found.box_px, found.contrast_sign) == (expected.box_px, expected.contrast_sign)
    # cryoSPARC and cryoDRGN keep it in single precision.
    assert found.pixel_size_A == pytest.approx(expected.pixel_size_A, rel=3e-7)
    np.testing.assert_allclose(
        found.poses.rotation_object_to_image, expected.poses.rotation_object_to_image, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(found.poses.shift_A, expected.poses.shift_A, rtol=0, atol=1e-4)
    for name, values in vars(expected.ctf).items():
        np.testing.assert_allclose(getattr(found.ctf, name), values, rtol=1e-6, atol=1e-6, err_msg=name)
    # Groups may be numbered anew but hold the same particles.
    pairs = set(zip(found.optics_group.tolist(), expected.optics_group.tolist(), strict=True))
    assert len(pairs) == len(np.unique(found.optics_group)) == len(np.unique(expected.optics_group))


def stack_of_each(particles):
    return [particles.stack_files[index].resolve() for index in particles.stack_index]


@pytest.fixture
def known(tmp_path):
    """Return two particles whose numbers in every form were worked out by hand."""
    particles = make_particles(tmp_path, 2, 8, 1.25, shard=1)
    # Rᵀ = Rz(90°): the object turned by -90° about z; Rᵀ = Ry(90°).
    rotation = np.array([[[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [[0, 0, -1], [0, 1, 0], [1, 0, 0]]], float)
    return replace(
        particles,
        particle_id=np.array([11, 22]),
        poses=replace(particles.poses, rotation_object_to_image=rotation, shift_A=np.array([[2.5, -1.25], [0, 5.0]])),
        ctf=replace(particles.ctf, defocus_azimuth_deg=np.array([45.0, -90.0]), phase_shift_deg=np.array([0, 90.0])),
    )


def columns_of(path):
    """Return the particle table of a STAR file as words, without any reader of ours."""
    lines = path.read_text().splitlines()
    lines = lines[max(i for i, line in enumerate(lines) if line.startswith("data_")) :]
    names = [line.split()[0][1:] for line in lines if line.startswith("_")]
    return dict(zip(names, zip(*[line.split() for line in lines if "@" in line], strict=True), strict=True))


def test_numbers_worked_out_by_hand(tmp_path, known):
    write_folder(tmp_path / "set", known)
    for form in ("3.0", "3.1", "cs", "pkl"):
        convert_to(form, Source(tmp_path / "set"), tmp_path / form)

    new, old = columns_of(tmp_path / "3.1/a.star"), columns_of(tmp_path / "3.0/a.star")
    for table in (new, old):
        angles = np.array([table[f"rlnAngle{name}"] for name in ("Rot", "Tilt", "Psi")], float).T
        # At tilt 0 only the sum of rot and psi counts.
        assert (angles[0, 0] + angles[0, 2], angles[0, 1]) == (90, 0)
        np.testing.assert_allclose(angles[1], [0, 90, 0])
        assert table["rlnImageName"] == ("000001@../particles/0000.mrcs", "000001@../particles/0001.mrcs")
        assert table["rlnParticleName"] == ("11", "22")
        assert [float(word) for word in table["rlnDefocusAngle"]] == [45, -90]
        assert [float(word) for word in table["rlnPhaseShift"]] == [0, 90]
    assert [float(word) for word in new["rlnOriginXAngst"] + new["rlnOriginYAngst"]] == [-2.5, 0, 1.25, -5]
    # Pixels, and the pixel of the detector (µm) over the magnification: 10⁴ · 1.25 / 10⁴ Å.
    assert [float(word) for word in old["rlnOriginX"] + old["rlnOriginY"]] == [-2, 0, 1, -4]
    assert {
        (float(a), float(b)) for a, b in zip(old["rlnMagnification"], old["rlnDetectorPixelSize"], strict=True)
    } == {(10_000, 1.25)}

    records = np.load(tmp_path / "cs/a.cs", allow_pickle=False)
    np.testing.assert_allclose(records["alignments3D/pose"], [[0, 0, np.pi / 2], [0, np.pi / 2, 0]], atol=1e-7)
    np.testing.assert_allclose(records["alignments3D/shift"], [[-2, 1], [0, -4]])
    np.testing.assert_allclose(records["ctf/df_angle_rad"], [np.pi / 4, -np.pi / 2])
    np.testing.assert_allclose(records["ctf/phase_shift_rad"], [0, np.pi / 2])
    assert records["uid"].tolist() == [11, 22]
    assert records["blob/path"].tolist() == [b"../particles/0000.mrcs", b"../particles/0001.mrcs"]

    rotations, shifts = pickle.loads((tmp_path / "pkl/poses.pkl").read_bytes())
    np.testing.assert_allclose(rotations, known.poses.rotation_object_to_image, atol=1e-7)
    # Fractions of the box of 8 · 1.25 Å.
    np.testing.assert_array_equal(shifts, np.array([[-0.25, 0.125], [0, -0.5]], np.float32))
    table = pickle.loads((tmp_path / "pkl/ctf.pkl").read_bytes())
    assert table[:, [0, 1, 4, 8]].tolist() == [[8, 1.25, 45, 0], [8, 1.25, -90, 90]]


def test_a_dataset_folder_links_the_images(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    done = convert(Source(tmp_path / "a.star", given=Given(contrast_sign=-1)), tmp_path / "new" / "set")
    assert {path.name for path in done.written} == {
        *("particles.star", "particles.cs", "poses.pkl", "ctf.pkl", "dataset.json")
    }
    info = json.loads((tmp_path / "new/set/dataset.json").read_text())
    assert info["name"] == "set"
    found = open_particles(tmp_path / "new/set")
    assert found.contrast_sign == -1
    np.testing.assert_array_equal(found.images(slice(None)), particles.images(slice(None)))
    assert not list((tmp_path / "new").rglob("*.mrcs"))


def test_a_folder_written_anew_keeps_no_table_of_the_old_one(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    write_star(tmp_path / "b.star", replace(particles, poses=None, half_set=None))
    convert(Source(tmp_path / "a.star"), tmp_path / "set")
    (tmp_path / "set/mine.txt").touch()
    with pytest.raises(UserError, match=r"particles\.star exists; add --overwrite"):
        convert(Source(tmp_path / "b.star"), tmp_path / "set")
    convert(Source(tmp_path / "b.star"), tmp_path / "set", overwrite=True)
    assert {path.name for path in (tmp_path / "set").iterdir()} == {
        *("particles.star", "particles.cs", "ctf.pkl", "dataset.json", "mine.txt")
    }


def test_a_folder_with_truth_is_left_alone(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    (tmp_path / "set/truth").mkdir(parents=True)
    with pytest.raises(UserError, match="set has a truth, which would not be that of the new particles"):
        convert(Source(tmp_path / "a.star"), tmp_path / "set", overwrite=True)


def test_pickles_beside_their_source_need_no_second_table(tmp_path, particles):
    write_star(tmp_path / "particles.star", particles)
    before = (tmp_path / "particles.star").read_bytes()
    done = convert(Source(tmp_path / "particles.star"), tmp_path / "poses.pkl")
    assert [path.name for path in done.written] == ["poses.pkl", "ctf.pkl"]
    assert (tmp_path / "particles.star").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("poses.pkl", {"poses.pkl", "ctf.pkl", "particles.star"}),
        ("ctf.pkl", {"poses.pkl", "ctf.pkl", "particles.star"}),
        ("J9_pose.128.pkl", {"J9_pose.128.pkl", "J9_ctf.128.pkl", "J9_particles.128.star"}),
        ("igg.pkl", {"igg.pkl", "igg_ctf.pkl", "igg_particles.star"}),
    ],
)
def test_what_goes_with_pickles_is_named_after_them(tmp_path, particles, name, written):
    write_star(tmp_path / "a.star", particles)
    done = convert(Source(tmp_path / "a.star"), tmp_path / "out" / name)
    assert {path.name for path in done.written} == written == {path.name for path in (tmp_path / "out").iterdir()}


def test_a_ctf_alone(tmp_path, particles):
    write_star(tmp_path / "a.star", replace(particles, poses=None))
    done = convert(Source(tmp_path / "a.star"), tmp_path / "out/ctf.pkl")
    assert [path.name for path in done.written] == ["particles.star", "ctf.pkl"]
    with pytest.raises(UserError, match=r"tells no poses; to convert the rest alone, name the output ctf\.pkl"):
        convert(Source(tmp_path / "a.star"), tmp_path / "out2/poses.pkl")
    write_star(tmp_path / "b.star", replace(particles, poses=None, ctf=None))
    with pytest.raises(UserError, match="tells neither poses nor CTF"):
        convert(Source(tmp_path / "b.star"), tmp_path / "out2/poses.pkl")
    assert not (tmp_path / "out2").exists()


def test_what_is_lost_is_told(tmp_path, mirror, particles):
    done = convert(Source(mirror / "particles/empiar10076_7/empiar_10076_7.star"), tmp_path / "a.cs")
    assert "not kept: rlnMicrographName" in done.notes
    assert any(note.startswith("taken as bright") for note in done.notes)
    done = convert(Source(mirror / "particles/empiar10076_7/empiar_10076_7.cs"), tmp_path / "a.star")
    assert done.particles.contrast_sign == -1
    assert any("dark, which a .star file cannot tell" in note for note in done.notes)
    assert not any(note.startswith(("taken as", "not kept")) for note in done.notes)
    tilted = replace(particles, beam_tilt_mrad=np.full((7, 2), 0.5))
    write_star(tmp_path / "tilted.star", tilted)
    assert "not kept: beam tilt" in convert(Source(tmp_path / "tilted.star"), tmp_path / "tilted.cs").notes
    for version in ("3.0", "3.1"):
        source = Source(tmp_path / "tilted.star")
        convert(source, tmp_path / f"{version}.star", version)
        found = read_source(Source(tmp_path / f"{version}.star"))
        np.testing.assert_array_equal(found.beam_tilt_mrad, tilted.beam_tilt_mrad)


def test_mrc_stacks_get_the_name_that_relion_reads(tmp_path, mirror):
    convert(Source(mirror / "particles/empiar10076_7/empiar_10076_7.cs"), tmp_path / "a.star")
    assert all(name.endswith("empiar_10076_7.mrc:mrcs") for name in columns_of(tmp_path / "a.star")["rlnImageName"])
    assert read_source(Source(tmp_path / "a.star")).images(slice(0, 1)).shape == (1, 320, 320)


def test_a_linked_stack_keeps_the_name_of_the_link(tmp_path):
    with StackWriter(tmp_path / "raw/a.mrc", 3, 8, 2.0) as stack:
        stack.append(np.ones((3, 8, 8), np.float32))
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a.mrcs").symlink_to(tmp_path / "raw/a.mrc")
    particles = replace(make_particles(tmp_path, 3, 8, 2.0), stack_files=(tmp_path / "links/a.mrcs",))
    write_star(tmp_path / "out/a.star", particles)
    assert columns_of(tmp_path / "out/a.star")["rlnImageName"][0] == "000001@../links/a.mrcs"


def test_a_moved_project_still_finds_its_stacks(tmp_path, particles):
    write_star(tmp_path / "p/a.star", replace(particles, stack_files=make_particles(tmp_path / "p").stack_files))
    convert(Source(tmp_path / "p/a.star"), tmp_path / "p/out/b.cs")
    (tmp_path / "p").rename(tmp_path / "q")
    assert read_source(Source(tmp_path / "q/out/b.cs")).images(slice(0, 7)).shape == (7, 8, 8)


def test_datadir_finds_stacks_by_their_path_or_name(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    lone = tmp_path / "elsewhere/a/b/c.star"
    lone.parent.mkdir(parents=True)
    (tmp_path / "a.star").rename(lone)
    with pytest.raises(UserError, match=r"in row 1 but there is no such file; .* by --datadir"):
        convert(Source(lone), tmp_path / "b.star")
    for datadir in (tmp_path, tmp_path / "particles"):
        convert(Source(lone, given=Given(datadir=datadir)), tmp_path / "b.star", overwrite=True)
        assert read_source(Source(tmp_path / "b.star")).stack_files[0] == tmp_path / "particles/0000.mrcs"


def test_facts_that_a_table_lacks_can_be_given(tmp_path, mirror):
    original = (mirror / "particles/star_only/FinalRefinement-OriginalParticles-PfCRT.star").read_text()
    stack = tmp_path / "Extract/job012/FinalRefinement-OriginalParticles-PfCRT.mrcs"
    with StackWriter(stack, 5, 16, 1.035) as writer:
        writer.append(np.zeros((5, 16, 16), np.float32))
    (tmp_path / "a.star").write_text(original)
    with pytest.raises(UserError, match=r"no column _rlnAmplitudeContrast; add it or .* by --amplitude-contrast"):
        convert(Source(tmp_path / "a.star"), tmp_path / "b.star")
    assert not (tmp_path / "b.star").exists()
    told = Given(amplitude_contrast=0.1, voltage_kV=300)
    done = convert(Source(tmp_path / "a.star", given=told), tmp_path / "b.star")
    np.testing.assert_array_equal(done.particles.ctf.amplitude_contrast, 0.1)
    np.testing.assert_allclose(
        read_source(Source(tmp_path / "b.star")).poses.shift_A[0], [0.145552, 0.048521], atol=1e-6
    )
    # No pixel size: shifts are in pixels of what is given.
    text = original.replace("_rlnDetectorPixelSize", "_other")
    (tmp_path / "a.star").write_text(text.replace("_rlnMagnification", "_another"))
    with pytest.raises(UserError, match=r"no column _rlnImagePixelSize; add it or .* by --pixel-size"):
        convert(Source(tmp_path / "a.star", given=told), tmp_path / "c.star")
    done = convert(Source(tmp_path / "a.star", given=replace(told, pixel_size_A=2.0)), tmp_path / "c.star")
    np.testing.assert_allclose(done.particles.poses.shift_A[0], [0.28126, 0.09376])


@pytest.mark.parametrize(
    ("given_facts", "message"),
    [
        ({"pixel_size_A": 2.0}, r"tells 1\.3 where --pixel-size tells 2; leave out"),
        ({"voltage_kV": 120.0}, "where --voltage tells 120"),
        ({"contrast_sign": -1}, "tells by blob/sign that particles are bright; leave out --contrast"),
        ({"pixel_size_A": -1.0}, "--pixel-size must be a positive number, not -1"),
        ({"amplitude_contrast": 7.0}, "--amplitude-contrast at most 1"),
    ],
)
def test_facts_that_contradict_the_table_are_refused(tmp_path, particles, given_facts, message):
    write_folder(tmp_path / "set", particles)
    with pytest.raises(UserError, match=message):
        convert(Source(tmp_path / "set/particles.cs", given=Given(**given_facts)), tmp_path / "b.star")
    assert not (tmp_path / "b.star").exists()


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        (Source("set/particles.star"), "set/particles.star", "is what is converted and cannot be the output too"),
        (Source("set/particles.star"), "set/particles.cs", r"particles\.cs exists; add --overwrite"),
        (Source("set/particles.star"), "a.csv", r"a\.csv is no particle table; name a \.star, \.cs or \.pkl file"),
        (Source("none.star"), "a.cs", r"none\.star does not exist"),
        (Source("none"), "a.cs", "none does not exist"),
        (Source("set/particles.star", stack="set/particles.star"), "a.cs", "--stack goes with cryoDRGN's"),
        (Source("set/particles.star", passthrough=("set/particles.cs",)), "a.cs", r"--passthrough goes with a \.cs"),
        (Source("set/poses.pkl"), "a.cs", r"poses\.pkl names no images; give its stack by --stack FILE"),
        (Source("set", given=Given(contrast_sign=1)), "a.cs", "tells all that there is; leave out the options"),
    ],
)
def test_wrong_wishes_get_a_sentence(tmp_path, particles, monkeypatch, source, out, message):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "set", particles)
    paths = {name: as_path(getattr(source, name)) for name in ("path", "ctf", "stack")}
    source = replace(source, **paths, passthrough=tuple(map(as_path, source.passthrough)))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        convert(source, as_path(out))
    assert set(tmp_path.rglob("*")) == before


def as_path(name):
    return None if name is None else Path(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data_optics", "data_general\n\n_rlnTomoSubTomosAre2DStacks 1\n\ndata_optics", "lists subtomograms"),
        ("\t8\t2\n", "\t8\t3\n", "lists volumes, not images"),
    ],
)
def test_subtomograms_are_refused(tmp_path, particles, old, new, message):
    write_star(tmp_path / "a.star", particles)
    text = (tmp_path / "a.star").read_text()
    assert old in text
    (tmp_path / "a.star").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        convert(Source(tmp_path / "a.star"), tmp_path / "b.cs")


def test_relion_5_tables_are_read_as_those_of_31(tmp_path, particles):
    write_star(tmp_path / "a.star", particles)
    text = (tmp_path / "a.star").read_text().replace("data_", "\n# version 50001\n\ndata_")
    (tmp_path / "a.star").write_text(text.replace("\nloop_", "\n\nloop_ ").replace("\t", "   "))
    convert(Source(tmp_path / "a.star"), tmp_path / "b.cs")
    assert_same_particles(read_source(Source(tmp_path / "b.cs")), particles, 1e-6)


@pytest.mark.parametrize("ids", [None, "J12_000{row}"])
def test_particles_without_ids_are_numbered_and_that_is_told(tmp_path, particles, ids):
    write_star(tmp_path / "a.star", particles)
    text = (tmp_path / "a.star").read_text()
    if ids is None:
        text = text.replace("rlnParticleName", "rlnOther")
    for row, number in enumerate(particles.particle_id.tolist()):
        text = text.replace(str(number), "x" if ids is None else ids.format(row=row))
    (tmp_path / "a.star").write_text(text)
    done = convert(Source(tmp_path / "a.star"), tmp_path / "b.cs")
    assert any(note.startswith("particles are numbered by row") for note in done.notes)
    assert np.load(tmp_path / "b.cs", allow_pickle=False)["uid"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert not any("numbered" in note for note in convert(Source(tmp_path / "b.cs"), tmp_path / "c.star").notes)
    assert not any("numbered" in note for note in convert(Source(tmp_path / "c.star"), tmp_path / "d.cs").notes)
