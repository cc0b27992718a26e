"""DynaMight: what is refused, what it is asked for, and a real run where it is installed; it runs without a GPU."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.dynamight.program import DYNAMIGHT, ImportOptions
from cryoarena.methods.external.dynamight.read_output import read_output
from cryoarena.methods.external.run_program import ProgramFailed
from cryoarena.methods.result_folder import open_result
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from outside import folder_of
from random_particles import make_particles
from simulated import make_small_dataset

N, BOX_PX, PIXEL_A = 20, 8, 1.5


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    return make_particles(tmp_path, N, BOX_PX, PIXEL_A, shard=9)


@pytest.fixture
def order() -> np.ndarray:
    return np.random.default_rng(1).permutation(N)


@pytest.fixture
def latents() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(N, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, particles: ParticleSet, order: np.ndarray, latents: np.ndarray) -> Path:
    """Return an output folder with checkpoints that nobody opens, and the latents of the final one."""
    write_star(tmp_path / "given.star", particles.subset(order))
    out = tmp_path / "out"
    checkpoints = out / "forward_deformations" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("000.pth", "005.pth", "checkpoint_final.pth"):
        (checkpoints / name).write_bytes(b"never opened")
    (out / "latents").mkdir()
    np.save(out / "latents" / "latents.npy", latents[order])
    about = {"star": str(tmp_path / "given.star"), "half": 1, "checkpoint": "checkpoint_final.pth"}
    (out / "latents" / "latents.json").write_text(json.dumps(about))
    return out


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: None)


def test_latents_go_to_their_particles(folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    found = read_output(folder, particles, ImportOptions())
    np.testing.assert_array_equal(found.embedding, latents)
    assert found.found["checkpoint"] == "checkpoint_final.pth"


def test_other_checkpoints_are_encoded_anew(folder: Path, particles: ParticleSet, nowhere: None) -> None:
    for options in (ImportOptions(epoch=5), ImportOptions(half=2), ImportOptions(particles=folder)):
        with pytest.raises(UserError, match="DynaMight is not installed; run `cryoarena tools install dynamight`"):
            read_output(folder, particles, options)


def test_folders_that_will_not_do(folder: Path, particles: ParticleSet, tmp_path: Path, latents: np.ndarray) -> None:
    with pytest.raises(UserError, match="is no output folder of DynaMight: it has no forward_deformations/checkpoints"):
        read_output(tmp_path, particles, ImportOptions())
    with pytest.raises(UserError, match="has no checkpoint of epoch 7; there are those of epochs: 0, 5"):
        read_output(folder, particles, ImportOptions(epoch=7))
    with pytest.raises(UserError, match="option half is 3"):
        read_output(folder, particles, ImportOptions(half=3))
    np.save(folder / "latents" / "latents.npy", latents[:-1])
    with pytest.raises(UserError, match=r"has 19 latents but .*given\.star 20 particles"):
        read_output(folder, particles, ImportOptions())
    (tmp_path / "given.star").unlink()
    with pytest.raises(UserError, match=r"given\.star, which does not exist; give it with --set particles=FILE"):
        read_output(folder, particles, ImportOptions())


def test_a_checkpoint_is_never_opened_here(folder: Path, particles: ParticleSet, tmp_path: Path, nowhere: None) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"encoder_half1": Evil()}, folder / "forward_deformations" / "checkpoints" / "checkpoint_final.pth")
    found = read_output(folder, particles, ImportOptions())
    (tmp_path / "model").mkdir()
    found.save(tmp_path / "model")
    loaded = methods.get("dynamight").load(tmp_path / "model", particles)
    with pytest.raises(UserError, match="DynaMight is not installed"):
        loaded.volumes_at(loaded.embedding[:1])
    assert not (tmp_path / "ran").exists()


def test_images_that_dynamight_does_not_understand(particles: ParticleSet, nowhere: None) -> None:
    method = methods.get("dynamight")
    assert "in these it is dark" in method.not_applicable(replace(particles, contrast_sign=-1))
    assert "phase shift" in method.not_applicable(particles)
    flat = replace(particles, ctf=replace(particles.ctf, phase_shift_deg=np.zeros(N)))
    assert "not installed" in method.not_applicable(flat)


def test_progress() -> None:
    method = methods.get("dynamight")
    assert method.progress("Epoch: 3 Epoch time: 8.7").note == "epoch 3"
    assert method.progress("ENCODED 100/400")[:2] == (100, 400)
    assert method.progress("epoch ended") is None


class Runs:
    """Makes a file when it is unpickled without restriction."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.slow
def test_run_import_and_score(tmp_path: Path) -> None:
    folder_of(DYNAMIGHT, in_ci=False)
    dataset = make_small_dataset(tmp_path / "set", images=200, box_px=16, snr=2.0)
    options = {"gaussians": "200", "epochs": "2", "latent_dimensions": "2", "batch_size": "32"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryoarena.methods.work_folder.WorkFolder.remove", lambda self: None)
        info = run_method("dynamight", dataset, tmp_path / "run", options)
    assert info["status"] == "ok", info["reason"]
    output = tmp_path / ".run.work" / "output"
    result, truth = open_result(tmp_path / "run", open_particles(dataset)), open_truth(dataset)
    mean = np.tensordot(truth.population, [truth.volume(k) for k in range(len(truth.volume_names))], axes=1)
    volume = result.volumes_at(result.embedding[:1])[0]
    likeness = [np.corrcoef(np.flip(volume, axis).ravel(), mean.ravel())[0, 1] for axis in ((), 0, 1, 2, (0, 1, 2))]
    assert likeness[0] > max(0.6, *likeness[1:])
    # Imported with no latents in it, as users have it: DynaMight encodes the images again.
    (output / "latents" / "latents.json").unlink()
    import_result("dynamight", output, dataset, tmp_path / "imported")
    np.testing.assert_allclose(*[np.load(tmp_path / name / "embedding.npy") for name in ("run", "imported")], atol=1e-5)
    assert set(score_result(tmp_path / "imported", dataset).status) <= {"ok", "not_applicable"}
    checkpoint = output / "forward_deformations" / "checkpoints" / "checkpoint_final.pth"
    # A checkpoint that would run something is refused, and runs nothing.
    torch.save({"encoder_half1": Runs(tmp_path / "ran")}, checkpoint)
    with pytest.raises(ProgramFailed, match="is refused: it names"):
        read_output(output, open_particles(dataset), ImportOptions())
    assert not (tmp_path / "ran").exists()
    # What is no checkpoint makes DynaMight fail, and tells how.
    checkpoint.write_bytes(b"damaged")
    with pytest.raises(ProgramFailed, match="ended with exit code 1"):
        read_output(output, open_particles(dataset), ImportOptions())
