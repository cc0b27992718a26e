"""cryoDRGN really run: trained, read, scored, imported, its maps of the right sign, hand and place."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.truth import open_truth
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.cryodrgn.program import CRYODRGN
from cryoarena.methods.result_folder import open_result
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from finished_run import FinishedRun, assert_import_equals_run, finish, score
from outside import folder_of
from simulated import make_small_dataset

pytestmark = [pytest.mark.agreement, pytest.mark.slow]
SMALL = {"zdim": "2", "encoder_dim": "32", "decoder_dim": "32"}
SEARCH = {"zdim": "2", "epochs": "3", "l_start": "3", "l_end": "5"}
AB_INITIO = {
    "cryodrgn-ai-abinit": SEARCH | {"search_epochs": "2", "dim": "32"},
    "cryodrgn-2": SEARCH | {"search_every": "2", "encoder_dim": "32", "decoder_dim": "32"},
}
# Of these the CPU time is over before.
TOO_MANY_EPOCHS = 9999
RUNS = AB_INITIO | {
    "cryodrgn": SMALL | {"epochs": "2"},
    "cryodrgn-ai": {"zdim": "2", "dim": "32", "epochs": str(TOO_MANY_EPOCHS), "cpu_hours": str(25 / 3600)},
}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    folder_of(CRYODRGN)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=200, box_px=16, snr=1.0)


@pytest.fixture(scope="module")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "few", images=30, box_px=16, snr=1.0)


@pytest.fixture(scope="module")
def finished(dataset: Path, few_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FinishedRun]:
    """Return what gives a run of each of RUNS; every program is run once."""

    @cache
    def run(name: str) -> FinishedRun:
        # A search of poses is slow.
        used = few_images if name in AB_INITIO else dataset
        return finish(name, used, tmp_path_factory.mktemp(name), RUNS[name])

    return run


def fit(name: str, particles: ParticleSet, work: Path, **options: str):
    method = methods.get(name)
    return method.fit(particles, parse_options(method.options, options), Run(work=WorkFolder(work)))


def correlation_with_the_truth(volume: np.ndarray, dataset: Path) -> float:
    truth = open_truth(dataset)
    mean = np.mean([truth.volume(conformation) for conformation in truth.mapped], axis=0)
    return float(np.corrcoef(volume.ravel(), mean.ravel())[0, 1])


@pytest.mark.parametrize("name", RUNS)
def test_an_import_equals_the_run(finished: Callable[[str], FinishedRun], name: str, tmp_path: Path) -> None:
    assert_import_equals_run(finished(name), tmp_path / "import")


@pytest.mark.parametrize("name", RUNS)
def test_scores(finished: Callable[[str], FinishedRun], name: str) -> None:
    table = score(finished(name))
    rows = table.set_index("metric")
    own_frame, given_frame = ("ok", "not_applicable") if name in AB_INITIO else ("not_applicable", "ok")
    assert set(rows.loc[["pmn", "cv-regression"], "status"]) == {"ok"}
    assert set(rows.loc[["per-image-fsc"], "status"]) == {given_frame}
    assert set(rows.loc[["pose-error", "aligned-fsc"], "status"]) == {own_frame}


def test_what_is_told_of_a_run(finished: Callable[[str], FinishedRun]) -> None:
    run = finished("cryodrgn")
    assert run.info["found"]["epoch"] == 2
    assert run.info["found"]["program"] == "cryoDRGN 4.3.1"
    assert [row["epoch"] for row in run.info["history"]] == [1, 2]
    assert "Training complete" in (run.result / "log.txt").read_text()


def test_maps_are_upright_from_dark_downsampled_images_and_training_goes_on(dataset: Path, tmp_path: Path) -> None:
    bright = open_particles(dataset)
    with StackWriter(tmp_path / "dark images.mrcs", len(bright), bright.box_px, bright.pixel_size_A) as stack:
        stack.append(-bright.images(slice(None)))
    index = np.arange(len(bright))
    dark = replace(
        bright,
        contrast_sign=-1,
        stack_files=(tmp_path / "dark images.mrcs",),
        stack_index=0 * index,
        slice_index=index,
    )
    options = SMALL | {"downsample_px": "12", "learning_rate": "1e-3"}
    fit("cryodrgn", dark, tmp_path / "work", epochs="1", **options)
    found = fit("cryodrgn", dark, tmp_path / "work", epochs="6", **options)
    assert (tmp_path / "work" / "log.txt").read_text().count("$ ") == 3
    assert [row["epoch"] for row in found.history] == [1, 2, 3, 4, 5, 6]
    assert "images of 12 px; its maps are brought to 16 px" in found.notes[0]
    volume = found.volumes_at(found.representatives[:1])[0]
    assert volume.shape == (16, 16, 16)
    upright = correlation_with_the_truth(volume, dataset)
    assert upright > 0.6
    assert correlation_with_the_truth(np.roll(volume[::-1], 1, axis=0), dataset) < upright


def test_the_cpu_time_of_a_run_ends_it(finished: Callable[[str], FinishedRun]) -> None:
    run = finished("cryodrgn-ai")
    epoch = run.info["found"]["epoch"]
    assert 1 <= epoch < TOO_MANY_EPOCHS
    assert len(run.info["history"]) == epoch
    assert np.load(run.result / "embedding.npy").shape == (200, 2)


@pytest.mark.parametrize("name", AB_INITIO)
def test_ab_initio_shifts_are_in_the_right_unit(finished: Callable[[str], FinishedRun], name: str) -> None:
    run = finished(name)
    particles = open_particles(run.dataset)
    found = open_result(run.result, particles)
    np.testing.assert_array_equal(found.particle_id, particles.particle_id)
    assert particles.poses is not None
    assert found.poses is not None
    # So few images do not tell the rotations, but where the object is in each.
    slope = np.polyfit(particles.poses.shift_A.ravel(), found.poses.shift_A.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.5)
