"""`cryoarena convert`, as a user types it."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf, write_cryodrgn_poses
from cryoarena.particles.cs import write_cs
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star
from cryoarena.particles.write_star import write_star
from random_particles import make_particles


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + result.stderr
    return result.output


def sentence_of(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture
def particles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParticleSet:
    monkeypatch.chdir(tmp_path)
    return make_particles(tmp_path)


def test_a_star_file_for_every_relion(particles: ParticleSet) -> None:
    write_cs(Path("a.cs"), replace(particles, contrast_sign=-1))
    output = invoke("convert", "a.cs", "a.star")
    assert "7 particles of 8 px, 1.3 Å, dark, with poses and CTF" in output
    assert "RELION needs them inverted" in output
    assert "written: a.star" in output
    assert "data_optics" in Path("a.star").read_text()
    invoke("convert", "a.cs", "-o", "b.star", "--star-version", "3.0")
    assert "data_optics" not in Path("b.star").read_text()
    np.testing.assert_allclose(
        read_star(Path("b.star")).poses.shift_A,
        read_star(Path("a.star")).poses.shift_A,
        atol=1e-6,
    )
    assert invoke("convert", "a.cs", "c.star", "--star-version", "5")
    assert Path("c.star").read_bytes() == Path("a.star").read_bytes()


def test_pickles_and_back(particles: ParticleSet) -> None:
    write_star(Path("a.star"), particles)
    invoke("convert", "a.star", "drgn/poses.pkl", "--contrast", "bright")
    output = invoke(
        *("convert", "drgn/poses.pkl", "b.cs", "--ctf", "drgn/ctf.pkl", "--stack", "drgn/particles.star"),
        *("--contrast", "dark"),
    )
    assert "dark" in output
    records = np.load("b.cs", allow_pickle=False)
    np.testing.assert_array_equal(records["uid"], particles.particle_id.astype(np.uint64))
    assert set(records["blob/sign"]) == {-1}


def test_nothing_is_replaced_unasked(particles: ParticleSet) -> None:
    write_star(Path("a.star"), particles)
    invoke("convert", "a.star", "b.cs")
    before = Path("b.cs").read_bytes()
    write_star(Path("a.star"), particles.subset(slice(0, 3)))
    assert "b.cs exists; add --overwrite" in sentence_of("convert", "a.star", "b.cs")
    assert Path("b.cs").read_bytes() == before
    invoke("convert", "a.star", "b.cs", "--overwrite")
    assert len(np.load("b.cs", allow_pickle=False)) == 3


def test_the_output_is_given_once(particles: ParticleSet) -> None:
    write_star(Path("a.star"), particles)
    assert "give the output once" in sentence_of("convert", "a.star")
    assert "give the output once" in sentence_of("convert", "a.star", "b.cs", "-o", "c.cs")


def test_wrong_input_leaves_nothing(particles: ParticleSet) -> None:
    write_cs(Path("a.cs"), particles)
    whole = Path("a.cs").read_bytes()
    write_cryodrgn_poses(Path("poses.pkl"), particles.poses, 8, 1.3)
    write_cryodrgn_ctf(Path("ctf.pkl"), particles.ctf, 8, 1.3)
    Path("cut.cs").write_bytes(whole[:-20])
    Path("zipped.cs").write_bytes(b"\x95CSDAT" + bytes(50))
    Path("evil.pkl").write_bytes(pickle.dumps((np.eye(3)[None], print)))
    before = set(Path().rglob("*"))
    assert "cut.cs is truncated or damaged" in sentence_of("convert", "cut.cs", "b.star")
    assert "rewrite it with cryosparc-tools" in sentence_of("convert", "zipped.cs", "b.star")
    assert "asks for builtins.print" in sentence_of("convert", "evil.pkl", "b.star", "--stack", "particles/0000.mrcs")
    wrong = sentence_of("convert", "poses.pkl", "b.star", "--ctf", "ctf.pkl", "--stack", "particles/0000.mrcs")
    assert "poses.pkl has 7 rows but particles/0000.mrcs has 4 images" in wrong
    assert set(Path().rglob("*")) == before


def test_passthrough(particles: ParticleSet) -> None:
    write_cs(Path("all.cs"), particles)
    records = np.load("all.cs", allow_pickle=False)
    poses = ["uid", *(name for name in records.dtype.names if name.startswith("alignments3D/"))]
    rest = [name for name in records.dtype.names if name not in poses[1:]]
    for name, fields, rows in (
        ("J1_particles.cs", poses, slice(None)),
        ("J1_passthrough.cs", rest, slice(None, None, -1)),
    ):
        with Path(name).open("wb") as stream:
            np.save(stream, records[fields][rows].copy())
    assert "no field blob/path; give its passthrough file (J1_passthrough.cs)" in sentence_of(
        "convert", "J1_particles.cs", "b.star"
    )
    invoke("convert", "J1_particles.cs", "b.star", "--passthrough", "J1_passthrough.cs")
    invoke("convert", "all.cs", "c.star")
    assert Path("b.star").read_bytes() == Path("c.star").read_bytes()
