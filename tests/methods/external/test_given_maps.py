"""Results whose maps were made beforehand, and those that have none."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.methods.external.given_maps import GivenMaps, given_classes, load_given_maps
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.metrics.judge import Answer, NoResult, judge, judged_rows
from cryoarena.progress import silent
from cryosparc_jobs import write_maps
from random_particles import make_particles
from simulated import make_small_dataset

BOX_PX, PIXEL_A = 8, 1.5


def three_maps(folder: Path) -> tuple[MapFiles, np.ndarray]:
    folder.mkdir()
    names = ["a.mrc", "b.mrc", "c.mrc"]
    maps = write_maps(folder, names, BOX_PX, PIXEL_A)
    return MapFiles(tuple(folder / name for name in names), BOX_PX, PIXEL_A), maps


def test_latents_of_classes_are_as_far_apart_as_their_maps(tmp_path: Path) -> None:
    files, maps = three_maps(tmp_path / "maps")
    found = given_classes(np.eye(3, dtype=np.float32), files)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = np.linalg.norm(found.embedding[a] - found.embedding[b])
        assert apart == pytest.approx(np.linalg.norm(maps[a] - maps[b]), rel=1e-4)
    np.testing.assert_allclose(found.volumes_at(found.embedding[::-1]), maps[::-1], atol=1e-6)


def test_it_is_told_when_particles_have_the_maps_of_others(tmp_path: Path) -> None:
    files, _ = three_maps(tmp_path / "maps")
    latents = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    few = GivenMaps(latents, latents[:3], np.arange(3), files, notes=("first",))
    assert few.notes == ("first", "a particle has the map of the nearest latent that has one (number of maps: 3)")
    assert GivenMaps(latents[:3], latents[:3], np.arange(3), files).notes == ()
    assert GivenMaps(latents, latents[:0], np.empty(0, np.int64), MapFiles((), BOX_PX, PIXEL_A)).notes == ()
    # A class has one map.
    assert given_classes(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], files).notes == ()


def test_what_is_saved_is_whole(tmp_path: Path) -> None:
    files, maps = three_maps(tmp_path / "maps")
    particles = make_particles(tmp_path, 4, BOX_PX, PIXEL_A)
    (tmp_path / "model").mkdir()
    given_classes(np.eye(3, dtype=np.float32), files).save(tmp_path / "model")
    loaded = load_given_maps(tmp_path / "model", particles)
    np.testing.assert_allclose(loaded.volumes_at(loaded.embedding), maps, atol=1e-6)
    (tmp_path / "model" / "maps" / "000002.mrc").unlink()
    with pytest.raises(FileNotFoundError, match="has 2 maps, fewer than were written"):
        load_given_maps(tmp_path / "model", particles)


def test_maps_of_two_boxes_are_refused(tmp_path: Path) -> None:
    files, _ = three_maps(tmp_path / "maps")
    write_maps(tmp_path / "maps", ["c.mrc"], 6, PIXEL_A * BOX_PX / 6)
    with pytest.raises(UserError, match=r"c\.mrc has a box of 6 but .*a\.mrc of 8"):
        require_field(files.paths, make_particles(tmp_path, 4, BOX_PX, PIXEL_A))


def test_scores_of_a_result_without_maps(tmp_path: Path) -> None:
    truth = open_truth(make_small_dataset(tmp_path / "set", images=80, box_px=16, snr=1.0))
    latents = truth.embedding()[truth.conformation].astype(np.float32)
    none = MapFiles((), 16, 1.0)
    found = GivenMaps(latents, latents[:0], np.empty(0, np.int64), none)
    answer = Answer(latents, lambda rows: found.volumes_at(latents[rows]))
    chosen = ("per-conformation-fsc", "trustworthiness")
    results = judge(answer, truth, judged_rows(truth, 20), silent, wanted=lambda card: card.name in chosen)
    assert results["per-conformation-fsc"] == NoResult("not_applicable", "the imported result has no maps")
    assert not isinstance(results["trustworthiness"], NoResult)
