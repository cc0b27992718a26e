"""cryoDRGN really run: trained, read, scored, imported, its maps of the right sign, hand and place."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.datasets.truth import open_truth
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.cryodrgn.program import CRYODRGN
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from outside import folder_of
from simulated import make_small_dataset

pytestmark = [pytest.mark.agreement, pytest.mark.slow]
SMALL = {"zdim": "2", "encoder_dim": "32", "decoder_dim": "32"}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    folder_of(CRYODRGN)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=200, box_px=16, snr=1.0)


def fit(name: str, particles: ParticleSet, work: Path, **options: str):
    method = methods.get(name)
    return method.fit(particles, parse_options(method.options, options), Run(work=WorkFolder(work)))


def correlation_with_the_truth(volume: np.ndarray, dataset: Path) -> float:
    truth = open_truth(dataset)
    mean = np.mean([truth.volume(conformation) for conformation in truth.mapped], axis=0)
    return float(np.corrcoef(volume.ravel(), mean.ravel())[0, 1])


def test_run_score_and_import_give_the_same(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkFolder, "remove", lambda self: None)
    info = run_method("cryodrgn", dataset, tmp_path / "run", SMALL | {"epochs": "2"})
    assert info["status"] == "ok", info["reason"]
    assert info["found"]["epoch"] == 2
    assert info["found"]["program"] == "cryoDRGN 4.3.1"
    assert [row["epoch"] for row in info["history"]] == [1, 2]
    assert "Training complete" in (tmp_path / "run" / "log.txt").read_text()

    # As a user has it: somewhere else, the stacks out of reach.
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / ".run.work", theirs, ignore=shutil.ignore_patterns("stacks"))
    shutil.rmtree(tmp_path / ".run.work")
    import_result("cryodrgn", theirs / "output", dataset, tmp_path / "import")
    written = [path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert Path("volumes/0000.mrc") in written
    for name in set(written) - {Path("result.json"), Path("log.txt")}:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "import" / name).read_bytes(), name

    shutil.rmtree(theirs)
    table = score_result(tmp_path / "import", dataset)
    assert set(table.loc[table["metric"].isin(["per-image-fsc", "pmn"]), "status"]) == {"ok"}
    assert "failed" not in set(table["status"])


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


def test_the_autodecoder_and_its_cpu_time(dataset: Path, tmp_path: Path) -> None:
    # So many epochs that the time is over before.
    seconds = 25
    info = run_method(
        "cryodrgn-ai",
        dataset,
        tmp_path / "r",
        {"zdim": "2", "dim": "32", "epochs": "9999", "cpu_hours": str(seconds / 3600)},
    )
    assert info["status"] == "ok", info["reason"]
    assert 1 <= info["found"]["epoch"] < 9999
    assert len(info["history"]) == info["found"]["epoch"]
    assert np.load(tmp_path / "r" / "embedding.npy").shape == (200, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cryodrgn-ai-abinit", {"search_epochs": "2", "dim": "32"}),
        ("cryodrgn-2", {"search_every": "2", "encoder_dim": "32", "decoder_dim": "32"}),
    ],
)
def test_ab_initio_shifts_are_in_the_right_unit(dataset: Path, tmp_path: Path, name: str, options: dict) -> None:
    particles = open_particles(dataset).subset(slice(0, 60))
    found = fit(name, particles, tmp_path / "work", zdim="2", epochs="3", l_start="3", l_end="5", **options)
    assert found.embedding.shape == (60, 2)
    assert particles.poses is not None
    assert found.poses is not None
    # So few images do not tell the rotations, but where the object is in each.
    slope = np.polyfit(particles.poses.shift_A.ravel(), found.poses.shift_A.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.5)
