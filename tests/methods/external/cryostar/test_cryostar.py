"""Work folders of CryoSTAR, written as its documentation and source tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.methods.base import NoMaps, Run, methods
from cryoarena.methods.external.cryostar.adapter import CryostarOptions
from cryoarena.methods.external.cryostar.read_output import ImportOptions
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryosparc_jobs import write_maps
from random_particles import make_particles

N, BOX_PX, PIXEL_A, DIMENSIONS = 20, 8, 1.5, 4


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    return make_particles(tmp_path, N, BOX_PX, PIXEL_A, shard=9)


@pytest.fixture
def order() -> np.ndarray:
    return np.random.default_rng(1).permutation(N)


@pytest.fixture
def latents() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(N, DIMENSIONS)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, particles: ParticleSet, order: np.ndarray, latents: np.ndarray) -> Path:
    """Return a work folder with two evaluations, of particles in another order."""
    write_star(tmp_path / "given.star", particles.subset(order))
    work = tmp_path / "density_test"
    for number, name in enumerate(("0004_0014470", "0009_0028940")):
        (work / name).mkdir(parents=True)
        np.save(work / name / "z.npy", latents[order] if number else -latents[order])
    config = f"raise SystemExit\ndataset_attr = dict(dataset_dir='x', starfile_path='{tmp_path / 'given.star'}')\n"
    (work / "config.py").write_text(config)
    (work / name / "ckpt.pt").write_bytes(b"never opened")
    return work


def read(folder: Path, particles: ParticleSet, **options: object):
    return methods.get("cryostar").read(folder, particles, ImportOptions(**options))


def test_latents_and_the_nearest_of_all_maps(folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    evaluation = folder / "0009_0028940"
    centres = {"kmeans": latents[:3], "pca_1": latents[5:7]}
    maps = []
    for seed, (name, z) in enumerate(centres.items()):
        names = [f"vol_{name}_{number:03d}.mrc" for number in range(len(z))]
        maps += list(write_maps(evaluation, names, BOX_PX, PIXEL_A, seed))
        np.savetxt(evaluation / f"z_{name}.txt", z, fmt="%.5f")
    found = read(folder, particles)
    np.testing.assert_array_equal(found.embedding, latents)
    np.testing.assert_allclose(found.volumes_at(latents[[1, 6, 5]]), [maps[1], maps[4], maps[3]], atol=1e-6)
    inverted = read(folder, particles, inverted=True)
    np.testing.assert_allclose(inverted.volumes_at(latents[[1]])[0], -maps[1], atol=1e-6)
    np.savetxt(evaluation / "z_kmeans.txt", latents[:2])
    with pytest.raises(UserError, match=r"z_kmeans.txt has latents of shape \(2, 4\), not \(3, 4\)"):
        read(folder, particles)


def test_the_atom_generator_has_no_maps(folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    found = read(folder, particles)
    with pytest.raises(NoMaps):
        found.volumes_at(latents)
    assert any("density generator" in note for note in found.notes)


def test_folders_that_will_not_do(tmp_path: Path, folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    with pytest.raises(UserError, match="has no evaluation"):
        read(tmp_path, particles)
    np.save(folder / "0009_0028940" / "z.npy", latents[:-1])
    with pytest.raises(UserError, match=r"has 19 latents but .* 20 particles"):
        read(folder, particles)
    (tmp_path / "given.star").rename(tmp_path / "moved.star")
    with pytest.raises(UserError, match=r"given\.star, which does not exist; give it with --set particles=FILE"):
        read(folder, particles)
    with pytest.raises(UserError, match="has 19 latents"):
        methods.get("cryostar").read(folder, particles, ImportOptions(tmp_path / "moved.star"))


def test_both_trainings_one_after_the_other(tmp_path: Path, particles: ParticleSet) -> None:
    method, model = methods.get("cryostar"), tmp_path / "model.pdb"
    model.write_text("END\n")
    options = CryostarOptions(model, atom_steps=24_000, density_epochs=3)
    work = tmp_path / "work"
    work.mkdir()

    def started() -> list[list[str]]:
        """Return the words of the commands, doing what each would leave."""
        words = []
        for command in method.commands(particles, options, Run(seed=5), work):
            words.append([str(word) for word in command.words])
            folder = work / words[-1][2]
            folder.mkdir()
            evaluation = folder / "work_dirs" / words[-1][2] / "0003_0024000"
            evaluation.mkdir(parents=True)
            np.save(evaluation / "z.npy", np.zeros((N, DIMENSIONS)))
        return words

    atom, density = started()
    assert atom[2:5] == ["atom", "train_atom.py", "atom_configs/example.py"]
    assert {"trainer.max_steps=24000", "trainer.val_check_interval=12000", "seed=5"} <= set(atom)
    assert f"dataset_attr.ref_pdb_path={model}" in atom
    assert density[2:5] == ["density", "train_density.py", "density_configs/example.py"]
    assert f"extra_input_data_attr.given_z={work}/atom/work_dirs/atom/0003_0024000/z.npy" in density
    assert {"trainer.max_epochs=3", "trainer.check_val_every_n_epoch=3"} <= set(density)
    assert started() == []
    # Interrupted between the two, and in the second.
    (work / "density_ended").unlink()
    assert [words[2] for words in started()] == ["density"]
    # The table is one that a reader of the configuration finds.
    star = next(word for word in density if "starfile_path" in word).split("=")[1]
    (work / method.output / "config.py").write_text(f"dataset_attr = dict(starfile_path='{star}')\n")
    assert len(method.read(work / method.output, particles, ImportOptions()).embedding) == N


def test_progress_is_that_of_its_log() -> None:
    """Lines as its training_step writes them."""
    method = methods.get("cryostar")
    lines = [
        "2026/01/02 10:00:00 - MMEngine - INFO - epoch 0 [0/1447] | loss: 1.23456",
        "2026/01/02 10:00:09 - MMEngine - INFO - epoch 0 [50/1447] | loss: 0.98765",
        "2026/01/02 10:09:00 - MMEngine - INFO - epoch 1 [53/1447] | em: 0.98765|kld: 0.00000",
    ]
    told = [method.progress(line) for line in lines]
    shares = [one.done / one.total for one in told]
    assert shares[0] == 0
    assert shares == sorted(set(shares))
    assert told[-1].note == "epoch 1"
    assert method.progress("Epoch 4 Step 14470 start validation") is None


def test_a_run_needs_a_model_a_gpu_and_the_program(
    tmp_path: Path, particles: ParticleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = methods.get("cryostar")
    with pytest.raises(UserError, match="option model tells no atomic model; give one docked"):
        next(method.commands(particles, CryostarOptions(), Run(), tmp_path))
    with pytest.raises(UserError, match=r"gone\.pdb, which does not exist"):
        next(method.commands(particles, CryostarOptions(tmp_path / "gone.pdb"), Run(), tmp_path))
    assert "in these it is dark" in method.not_applicable(replace(particles, contrast_sign=-1))
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: None)
    assert "run `cryoarena tools install cryostar`" in method.not_applicable(particles)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: tmp_path)
    monkeypatch.setattr("cryoarena.methods.external.external_method.has_gpu", lambda: False)
    assert "CryoSTAR needs a GPU and there is none" in method.not_applicable(particles)
