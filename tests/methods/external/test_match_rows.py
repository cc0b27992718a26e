"""Rows are matched by what particles are, not by where they stand."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.match_rows import match_table
from cryoarena.particles.cs import write_cs
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star

BOX_PX = 4


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    stacks = []
    for number in range(2):
        stacks.append(tmp_path / "data" / "particles" / f"{number:04d}.mrcs")
        with StackWriter(stacks[-1], 5, BOX_PX, 1.0) as writer:
            writer.append(np.zeros((5, BOX_PX, BOX_PX), np.float32))
    index = np.random.default_rng(0).permutation(10)
    return ParticleSet(1000 + np.arange(10), BOX_PX, 1.0, 1, tuple(stacks), index // 5, index % 5, None, None)


def without_ids(path: Path) -> None:
    lines = path.read_text().replace("_rlnParticleName", "_rlnUnknown")
    path.write_text(lines)


@pytest.mark.parametrize("kind", ["id", "image", "cs"])
def test_shuffled_and_incomplete_tables(tmp_path: Path, particles: ParticleSet, kind: str) -> None:
    rows = np.array([7, 2, 9, 0, 4])
    table = tmp_path / "data" / ("t.cs" if kind == "cs" else "t.star")
    (write_cs if kind == "cs" else write_star)(table, particles.subset(rows))
    if kind == "image":
        without_ids(table)
    np.testing.assert_array_equal(match_table(table, particles), rows)


def test_images_of_a_moved_project_are_known_by_the_end_of_their_path(tmp_path: Path, particles: ParticleSet) -> None:
    table = tmp_path / "data" / "t.star"
    write_star(table, particles)
    without_ids(table)
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.copy(table, tmp_path / "elsewhere" / "t.star"))
    np.testing.assert_array_equal(match_table(moved, particles), np.arange(10))
    # RELION names a stack that is an .mrc file so.
    as_mrc = replace(particles, stack_files=tuple(path.with_suffix(".mrc") for path in particles.stack_files))
    tagged = tmp_path / "elsewhere" / "tagged.star"
    tagged.write_text(moved.read_text().replace(".mrcs", ".mrc:mrcs"))
    np.testing.assert_array_equal(match_table(tagged, as_mrc), np.arange(10))
    # Two stacks that end alike could be either.
    twins = replace(particles, stack_files=(tmp_path / "a" / "x.mrcs", tmp_path / "b" / "x.mrcs"))
    moved.write_text(moved.read_text().replace("particles/0000.mrcs", "c/x.mrcs").replace("particles/0001", "c/x"))
    with pytest.raises(UserError, match="which is no particle of the dataset"):
        match_table(moved, twins)


def test_stacks_and_lists_of_stacks(tmp_path: Path, particles: ParticleSet) -> None:
    rows = match_table(particles.stack_files[1], particles)
    np.testing.assert_array_equal(particles.stack_index[rows], 1)
    np.testing.assert_array_equal(particles.slice_index[rows], np.arange(5))
    listing = tmp_path / "data" / "list.txt"
    listing.write_text("particles/0001.mrcs\nparticles/0000.mrcs\n")
    rows = match_table(listing, particles)
    np.testing.assert_array_equal(particles.stack_index[rows], np.repeat([1, 0], 5))


def test_links_lead_to_the_same_particles(tmp_path: Path, particles: ParticleSet) -> None:
    work = tmp_path / "work"
    work.mkdir()
    linked = link_stacks(particles, work)
    np.testing.assert_array_equal(linked.images(slice(None)), particles.images(slice(None)))
    write_star(work / "t.star", linked)
    without_ids(work / "t.star")
    assert "@stacks/0001.mrcs" in (work / "t.star").read_text()
    np.testing.assert_array_equal(match_table(work / "t.star", particles), np.arange(10))
    link_stacks(particles, work)


def test_unknown_and_repeated_images_are_told(tmp_path: Path, particles: ParticleSet) -> None:
    table = tmp_path / "data" / "t.star"
    write_star(table, particles)
    without_ids(table)
    with pytest.raises(
        UserError, match=r"row 4 of .*t.star is image 00000\d@particles/000\d.mrcs, which is no particle"
    ):
        match_table(table, particles.subset(np.array([0, 1, 2])))
    text = table.read_text().rstrip()
    table.write_text(f"{text}\n{text.splitlines()[-1]}\n")
    with pytest.raises(UserError, match="names an image twice"):
        match_table(table, particles)
