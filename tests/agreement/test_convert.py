"""Converted tables lead outside programs to the truth, and outside converters to the same numbers."""

import pickle
from dataclasses import replace

import mrcfile
import numpy as np
import pytest
import starfile

from cryoarena.particles.convert import convert
from cryoarena.particles.convert_source import Source, read_source
from cryoarena.particles.cs import read_cs, write_cs
from cryoarena.particles.read_star import read_star
from cryoarena.particles.safe_pickle import read_array_pickle
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.fsc import fsc
from phantom_stack import IMAGES, PIXEL_SIZE_A, truth_map

pytestmark = pytest.mark.agreement


@pytest.fixture(scope="module")
def sources(phantom, tmp_path_factory) -> dict[str, Source]:
    """Return the phantom as every program tells it, in random order where the form can tell that."""
    folder = tmp_path_factory.mktemp("sources")
    order = np.random.default_rng(1).permutation(IMAGES)
    shuffled = read_star(phantom / "particles.star").subset(order)
    write_star(folder / "a.star", shuffled)
    write_cs(folder / "a.cs", shuffled)
    (folder / "stacks.txt").write_text("".join(f"{path}\n" for path in sorted((phantom / "particles").iterdir())))
    return {
        "star": Source(folder / "a.star"),
        "cs": Source(folder / "a.cs"),
        "pkl": Source(phantom / "poses.pkl", ctf=phantom / "ctf.pkl", stack=folder / "stacks.txt"),
    }


def assert_is_the_truth(path):
    with mrcfile.open(path) as stream:
        found = stream.data.copy()
        assert stream.voxel_size.x == pytest.approx(PIXEL_SIZE_A, rel=1e-4)
    truth = truth_map()
    frequency, correlation = fsc(found, truth)
    assert correlation[frequency <= 0.25].min() > 0.98
    # Bright, and of the right hand.
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.98
    for axis in range(3):
        mirrored = np.roll(np.flip(truth, axis), 1, axis)
        assert fsc(found, mirrored)[1][frequency <= 0.25].min() < 0.3


@pytest.mark.parametrize(("form", "version"), [("cs", "3.0"), ("cs", "3.1"), ("pkl", "3.0"), ("pkl", "3.1")])
def test_relion_reconstructs_the_truth(relion, sources, tmp_path, form, version):
    convert(sources[form], tmp_path / "new" / "a.star", version)
    # Paths hold from the folder of the table.
    relion("relion_reconstruct", "--i", "a.star", "--o", "map.mrc", "--ctf", cwd=tmp_path / "new")
    assert_is_the_truth(tmp_path / "new" / "map.mrc")


def backproject(cryodrgn, table, folder):
    arguments = ["--poses", "poses.pkl", "--ctf", "ctf.pkl", "--datadir", ".", "--no-half-maps", "-o", "out"]
    cryodrgn("backproject_voxel", table, *arguments, cwd=folder)
    return folder / "out" / "backproject.mrc"


@pytest.mark.parametrize("form", ["star", "cs"])
def test_cryodrgn_reconstructs_the_truth_from_our_pickles(cryodrgn, sources, tmp_path, form):
    convert(sources[form], tmp_path / "new" / "poses.pkl")
    assert_is_the_truth(backproject(cryodrgn, "particles.star", tmp_path / "new"))


@pytest.mark.parametrize(("form", "table", "command"), [("pkl", "a.cs", "csparc"), ("cs", "a.star", "star")])
def test_cryodrgn_reconstructs_the_truth_from_what_it_reads_itself(cryodrgn, sources, tmp_path, form, table, command):
    convert(sources[form], tmp_path / table, "3.0" if command == "star" else "3.1")
    size = ["-D", 64] if command == "star" else []
    pixel = ["--Apix", PIXEL_SIZE_A] if command == "star" else []
    cryodrgn(f"parse_pose_{command}", table, "-o", "poses.pkl", *size, cwd=tmp_path)
    cryodrgn(f"parse_ctf_{command}", table, "-o", "ctf.pkl", *size, *pixel, cwd=tmp_path)
    assert_is_the_truth(backproject(cryodrgn, table, tmp_path))


def test_relion_converts_30_to_31_as_we_do(relion, sources, tmp_path):
    convert(sources["cs"], tmp_path / "old.star", "3.0")
    relion("relion_convert_star", "--i", "old.star", "--o", "theirs.star", cwd=tmp_path)
    convert(Source(tmp_path / "old.star"), tmp_path / "ours.star")
    theirs, ours = (starfile.read(tmp_path / name) for name in ("theirs.star", "ours.star"))
    assert list(theirs["particles"]["rlnImageName"]) == list(ours["particles"]["rlnImageName"])
    for column in (
        *("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"),
        *("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnRandomSubset"),
    ):
        # RELION writes six decimals.
        np.testing.assert_allclose(theirs["particles"][column], ours["particles"][column], atol=1e-5, err_msg=column)
    merged = [table["particles"].merge(table["optics"], on="rlnOpticsGroup") for table in (theirs, ours)]
    for column in ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast", "rlnImagePixelSize", "rlnImageSize"):
        np.testing.assert_allclose(*(table[column] for table in merged), atol=1e-6, err_msg=column)


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_cryodrgn_reads_our_tables_as_our_pickles(cryodrgn, sources, tmp_path, version):
    convert(sources["cs"], tmp_path / "a.star", version)
    convert(sources["cs"], tmp_path / "poses.pkl")
    told = ["-D", 64], ["--Apix", PIXEL_SIZE_A]
    size, pixel = told if version == "3.0" else ([], [])
    cryodrgn("parse_pose_star", "a.star", "-o", "their_poses.pkl", *size, cwd=tmp_path)
    cryodrgn("parse_ctf_star", "a.star", "-o", "their_ctf.pkl", *size, *pixel, cwd=tmp_path)
    for found, expected in zip(
        *(read_array_pickle(tmp_path / f"{who}poses.pkl") for who in ("their_", "")), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    theirs, ours = (read_array_pickle(tmp_path / f"{who}ctf.pkl") for who in ("their_", ""))
    np.testing.assert_allclose(theirs, ours, rtol=1e-6)


def test_we_read_what_cryodrgn_writes(cryodrgn_utils, sources, phantom, tmp_path):
    (tmp_path / "stacks.txt").write_text("particles/0000.mrcs\nparticles/0001.mrcs\n")
    (tmp_path / "particles").symlink_to(phantom / "particles")
    pickles = ["--poses", phantom / "poses.pkl", "--ctf", phantom / "ctf.pkl"]
    cryodrgn_utils("write_star", "stacks.txt", *pickles, "-o", "a.star", cwd=tmp_path)
    found, expected = read_source(Source(tmp_path / "a.star")), read_star(phantom / "particles.star")
    np.testing.assert_allclose(
        found.poses.rotation_object_to_image, expected.poses.rotation_object_to_image, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(found.poses.shift_A, expected.poses.shift_A, rtol=0, atol=1e-4)
    for name, values in vars(expected.ctf).items():
        np.testing.assert_allclose(getattr(found.ctf, name), values, rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found.slice_index, expected.slice_index)
    np.testing.assert_array_equal(found.stack_index, expected.stack_index)


def test_particles_that_cryodrgn_selects_keep_their_ids(cryodrgn_utils, sources, tmp_path):
    chosen = np.random.default_rng(2).permutation(IMAGES)[:100]
    (tmp_path / "chosen.pkl").write_bytes(pickle.dumps(chosen))
    cryodrgn_utils("filter_cs", sources["cs"].path, "--ind", "chosen.pkl", "-o", "some.cs", cwd=tmp_path)
    # The table has moved away from its stacks, whose folder is told.
    source = replace(sources["cs"], path=tmp_path / "some.cs", given=replace(sources["cs"].given, datadir=tmp_path))
    whole = read_cs(sources["cs"].path)
    for path in whole.stack_files:
        (tmp_path / path.name).symlink_to(path.resolve())
    convert(source, tmp_path / "out" / "a.star")
    found, expected = read_star(tmp_path / "out" / "a.star"), whole.subset(chosen)
    np.testing.assert_array_equal(found.particle_id, expected.particle_id)
    np.testing.assert_array_equal(found.images(slice(0, 9)), expected.images(slice(0, 9)))
