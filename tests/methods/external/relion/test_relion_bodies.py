"""The bodies of a multi-body refinement: cut out of a map, or given."""

from pathlib import Path

import numpy as np
import pytest
import starfile

from cryoarena.errors import UserError
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.relion.bodies import cut_bodies, read_bodies, write_bodies
from cryoarena.methods.external.relion.multibody import MultibodyOptions
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import read_volume, write_volume

BOX_PX = 24


@pytest.fixture
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


def ball(centre, radius: float) -> np.ndarray:
    return np.linalg.norm(np.indices((BOX_PX,) * 3) - np.reshape(centre, (3, 1, 1, 1)), axis=0) < radius


def star(folder: Path, masks: list[np.ndarray], columns: str, rows: list[str], particles: ParticleSet) -> Path:
    """Write masks and the STAR file of bodies that names them."""
    lines = ["data_", "", "loop_", "_rlnBodyMaskName", *columns.split()]
    for number, (mask, row) in enumerate(zip(masks, rows, strict=True)):
        write_volume(folder / f"m{number}.mrc", mask.astype(np.float32), particles.pixel_size_A)
        lines.append(f"m{number}.mrc {row}")
    (folder / "given.star").write_text("\n".join(lines) + "\n")
    return folder / "given.star"


def test_two_lumps_are_two_bodies_the_heavier_first() -> None:
    small, large = ball((12, 12, 5), 3), ball((12, 10, 16), 5)
    noise = np.random.default_rng(0).normal(0, 0.1, (BOX_PX,) * 3)
    island = ball((3, 3, 3), 1.1)
    first, second = cut_bodies((small + large + island + noise).astype(np.float32), 2, 10, 5)
    for body, lump, other in ((first, large, small), (second, small, large)):
        assert body.mask[lump].min() > 0.99
        assert body.mask[other].mean() < 0.1
        assert body.mask[island].max() == 0
        assert body.mask.min() >= 0
        assert body.mask.max() <= 1
        assert ((body.mask > 0.01) & (body.mask < 0.99)).any()
    assert (first.relative_to, second.relative_to) == (2, 1)
    assert (first.sigma_angle_deg, first.sigma_offset_A) == (10, 5)


def test_bodies_that_touch_overlap() -> None:
    rod = sum(ball((12, 12, x), 3) for x in range(5, 20)) > 0
    first, second = cut_bodies(rod.astype(np.float32), 2, 10, 5)
    assert np.minimum(first.mask, second.mask).max() > 0.5
    assert np.maximum(first.mask, second.mask)[rod].min() > 0.99


def test_a_map_of_nothing_has_no_bodies() -> None:
    with pytest.raises(UserError, match=r"too little density for 2 bodies; give masks with bodies=FILE"):
        cut_bodies(np.zeros((BOX_PX,) * 3, np.float32), 2, 10, 5)


def test_given_bodies_are_what_relion_is_given(dataset: Path, particles: ParticleSet, tmp_path: Path) -> None:
    masks = [ball((12, 12, 5), 4), ball((12, 12, 16), 6)]
    columns = "_rlnBodyRotateRelativeTo _rlnBodySigmaAngles _rlnBodySigmaOffset"
    given = star(tmp_path, masks, columns, ["2 15 2", "1 20 3"], particles)
    work = tmp_path / "work"
    work.mkdir()
    options = MultibodyOptions(bodies=given)
    # Before anything is run.
    next(iter(methods.get("relion-multibody").commands(particles, options, Run(), work)))
    table = starfile.read(work / "bodies.star")
    assert table.rlnBodySigmaAngles.tolist() == [15, 20]
    assert table.rlnBodyRotateRelativeTo.tolist() == [2, 1]
    # RELION 3.1 takes no heed of widths in pixels.
    np.testing.assert_allclose(table.rlnBodySigmaOffsetAngst, np.array([2, 3]) * particles.pixel_size_A, rtol=1e-6)
    for name, mask in zip(table.rlnBodyMaskName, masks, strict=True):
        np.testing.assert_array_equal(read_volume(work / name)[0], mask)


def test_widths_that_are_not_told_are_those_of_the_options(particles: ParticleSet, tmp_path: Path) -> None:
    masks = [ball((12, 12, 5), 4), ball((12, 12, 16), 6)]
    bodies = read_bodies(star(tmp_path, masks, "", ["", ""], particles), particles, 12, 7)
    assert [(body.relative_to, body.sigma_angle_deg, body.sigma_offset_A) for body in bodies] == [(0, 12, 7)] * 2
    write_bodies(tmp_path, "bodies.star", bodies, particles.pixel_size_A)
    again = read_bodies(tmp_path / "bodies.star", particles, 1, 1)
    assert [(body.relative_to, body.sigma_angle_deg, body.sigma_offset_A) for body in again] == [(0, 12, 7)] * 2


def test_bad_bodies_are_told_in_a_sentence(dataset: Path, particles: ParticleSet, tmp_path: Path) -> None:
    good = [ball((12, 12, 5), 4), ball((12, 12, 16), 6)]
    column = "_rlnBodyRotateRelativeTo"

    def refused(masks: list[np.ndarray], rows: list[str], sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            read_bodies(star(tmp_path, masks, column, rows, particles), particles, 10, 5)

    refused(good, ["2", "2"], r"row 2 of .*given\.star must name another body")
    refused(good, ["2", "5"], r"row 2 of .*given\.star must name another body")
    refused([good[0], 2.0 * good[1]], ["2", "1"], r"values from 0 to 2; they must be from 0 to 1")
    refused([good[0], 0.0 * good[1]], ["2", "1"], r"values from 0 to 0")
    refused([good[0], good[1][4:-4, 4:-4, 4:-4]], ["2", "1"], r"box of 16 but the images of 24; resize it")
    refused(good[:1], ["0"], r"does not list the masks of two or more bodies")
    with pytest.raises(UserError, match=r"does not list the masks of two or more bodies"):
        read_bodies(dataset / "particles.star", particles, 10, 5)
    given = star(tmp_path, good, column, ["2", "1"], particles)
    (tmp_path / "m1.mrc").unlink()
    with pytest.raises(UserError, match=r"m1\.mrc does not exist"):
        read_bodies(given, particles, 10, 5)
