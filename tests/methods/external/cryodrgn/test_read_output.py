"""Output folders of cryoDRGN, whole, moved, filtered, damaged and hostile, read without cryoDRGN."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cryoarena.benchmark.import_result import import_result
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.cryodrgn.output_folder import last_whole_epoch
from cryoarena.methods.external.cryodrgn.program import ImportOptions
from cryoarena.methods.external.cryodrgn.read_output import read_output
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset

N, ZDIM, BOX_PX = 60, 3, 16


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=N, box_px=BOX_PX)


@pytest.fixture(scope="module")
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


def latents(epoch: int, rows: int = N) -> np.ndarray:
    return np.random.default_rng(epoch).normal(size=(rows, ZDIM)).astype(np.float32)


def write_config(folder: Path, dataset: Path, command: str = "train_vae", **dataset_args: object) -> None:
    given = {"particles": str(dataset / "particles.star"), "ind": None, "invert_data": True} | dataset_args
    config = {
        "cmd": ["/opt/bin/cryodrgn", command, "particles.star", "--zdim", str(ZDIM)],
        "dataset_args": given,
        "lattice_args": {"D": BOX_PX + 1},
        "model_args": {"zdim": ZDIM},
        "version": "4.3.1",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def write_epoch(folder: Path, epoch: int, *arrays: object) -> None:
    with (folder / f"z.{epoch}.pkl").open("wb") as stream:
        for array in arrays:
            pickle.dump(array, stream)
    with zipfile.ZipFile(folder / f"weights.{epoch}.pkl", "w") as archive:
        archive.writestr("weights/data.pkl", b"only cryoDRGN opens this")


@pytest.fixture
def folder(tmp_path: Path, dataset: Path) -> Path:
    """Return a whole output folder of two epochs of train_vae."""
    out = tmp_path / "project" / "vae"
    out.mkdir(parents=True)
    write_config(out, dataset)
    for epoch in (9, 10):
        write_epoch(out, epoch, latents(epoch), np.zeros((N, ZDIM), np.float32))
    return out


def read(folder: Path, particles: ParticleSet, command: str = "train_vae", epoch=None, table=None):
    return read_output(folder, particles, ImportOptions(epoch, table), command)


def test_the_last_epoch_by_number_and_any_other(folder: Path, particles: ParticleSet) -> None:
    found = read(folder, particles)
    # The means, not the variances that follow them in the file.
    np.testing.assert_array_equal(found.embedding, latents(10))
    assert found.rows is None
    assert found.notes == ()
    assert found.found["epoch"] == 10
    assert found.found["program"] == "cryoDRGN 4.3.1"
    np.testing.assert_array_equal(read(folder, particles, epoch=9).embedding, latents(9))
    # Shown are latents of particles.
    assert {tuple(row) for row in found.representatives} <= {tuple(row) for row in latents(10)}


def test_an_autodecoder_has_no_variances(folder: Path, dataset: Path, particles: ParticleSet) -> None:
    write_config(folder, dataset, "train_dec")
    write_epoch(folder, 10, latents(4).astype(np.float64))
    found = read(folder, particles, "train_dec")
    np.testing.assert_array_equal(found.embedding, latents(4))
    assert found.embedding.dtype == np.float32


def test_an_epoch_that_was_being_written_does_not_count(folder: Path, particles: ParticleSet) -> None:
    whole = (folder / "weights.10.pkl").read_bytes()
    (folder / "weights.10.pkl").write_bytes(whole[:-10])
    assert last_whole_epoch(folder) == 9
    (folder / "weights.10.pkl").write_bytes(whole)
    (folder / "z.10.pkl").write_bytes((folder / "z.10.pkl").read_bytes()[:100])
    assert read(folder, particles).found["epoch"] == 9
    with pytest.raises(UserError, match=r"no whole epoch 10: its files are damaged; there are: 9"):
        read(folder, particles, epoch=10)
    # Pretraining tells nothing of the images.
    write_epoch(folder, 0, latents(0))
    for path in folder.glob("weights.[19]*.pkl"):
        path.unlink()
    with pytest.raises(UserError, match=r"no whole epoch 9: weights.9.pkl missing; there are: none"):
        read(folder, particles, epoch=9)
    with pytest.raises(UserError, match=r"has no whole epoch: z.N.pkl and weights.N.pkl of one N are needed"):
        read(folder, particles)


def test_a_hostile_pickle_is_told_and_not_run(
    folder: Path, dataset: Path, tmp_path: Path, particles: ParticleSet
) -> None:
    for arrays in ([Hostile(tmp_path / "run")], [latents(1), Hostile(tmp_path / "run")]):
        write_epoch(folder, 10, *arrays)
        with pytest.raises(UserError, match=r"z.10.pkl asks for .*mkdir; only plain arrays"):
            read(folder, particles)
    write_epoch(folder, 10, latents(10))
    ind = folder / "ind.pkl"
    ind.write_bytes(pickle.dumps(Hostile(tmp_path / "run")))
    write_config(folder, dataset, ind=str(ind))
    with pytest.raises(UserError, match=r"ind.pkl asks for .*mkdir"):
        read(folder, particles)
    assert not (tmp_path / "run").exists()


def test_hostile_weights_are_told_and_not_given_to_the_program(
    folder: Path, dataset: Path, tmp_path: Path, particles: ParticleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of cryoDRGN what it does first: to open the weights, whatever they hold."""
    decoder = "cryoarena.methods.external.cryodrgn.decoder"
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.require", lambda self: Path("/opt/bin"))
    monkeypatch.setattr(f"{decoder}.run_program", lambda command, *_: torch.load(command.words[2], weights_only=False))
    found = read(folder, particles)
    torch.save({"model_state_dict": Hostile(tmp_path / "run")}, folder / "weights.10.pkl")
    with pytest.raises(UserError, match=r"weights.10.pkl holds something else than tensors, .* asks for posix.mkdir"):
        import_result("cryodrgn", folder, dataset, tmp_path / "result")
    assert not (tmp_path / "result").exists()
    (tmp_path / "model").mkdir()
    found.save(tmp_path / "model")
    loaded = methods.get("cryodrgn").load(tmp_path / "model", particles)
    with pytest.raises(UserError, match=r"model/weights.pkl holds something else than tensors"):
        loaded.volumes_at(found.embedding[:1])
    assert not (tmp_path / "run").exists()
    with pytest.raises(FileExistsError):
        torch.load(folder / "weights.10.pkl", weights_only=False)
        torch.load(folder / "weights.10.pkl", weights_only=False)


def test_filtered_particles_are_matched_and_told(folder: Path, dataset: Path, particles: ParticleSet) -> None:
    kept = np.array([5, 3, 40, 17])
    (folder.parent / "ind.pkl").write_bytes(pickle.dumps(kept))
    write_config(folder, dataset, ind=str(folder.parent / "ind.pkl"))
    with pytest.raises(UserError, match=r"z.10.pkl has 60 latents but its table names 4 images"):
        read(folder, particles)
    write_epoch(folder, 10, latents(1, 4))
    found = read(folder, particles)
    np.testing.assert_array_equal(found.rows, np.sort(kept))
    np.testing.assert_array_equal(found.embedding, latents(1, 4)[np.argsort(kept)])
    assert found.notes == ("56 of 60 particles have no latent: the program was run without them",)
    for wrong in ([60], [-1], [3, 3], [[1, 2]], [0.5]):
        (folder.parent / "ind.pkl").write_bytes(pickle.dumps(np.array(wrong)))
        with pytest.raises(UserError, match="does not hold distinct indices of the 60 images"):
            read(folder, particles)


def test_rows_follow_the_table_that_was_trained_on(folder: Path, dataset: Path, particles: ParticleSet) -> None:
    lines = (dataset / "particles.star").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "@" in line)
    rows = [line for line in lines[first:] if line.strip()]
    (folder / "reversed.star").write_text("\n".join([*lines[:first], *rows[::-1]]) + "\n")
    write_config(folder, dataset, particles="/no/longer/there/reversed.star")
    # Found beside the output, as in a copied folder.
    np.testing.assert_array_equal(read(folder, particles).embedding, latents(10)[::-1])
    write_config(folder, dataset, particles="/no/longer/there/p.star")
    with pytest.raises(
        UserError, match=r"names /no/longer/there/p.star, which does not exist; give it with --set part"
    ):
        read(folder, particles)
    given = read(folder, particles, table=folder / "reversed.star")
    np.testing.assert_array_equal(given.embedding, latents(10)[::-1])


def test_a_stack_that_tells_no_particles_is_refused_until_its_table_is_given(
    folder: Path, dataset: Path, particles: ParticleSet
) -> None:
    (folder / "small.mrcs").write_bytes((dataset / "particles" / "0000.mrcs").read_bytes())
    write_config(folder, dataset, particles=str(folder / "small.mrcs"))
    with pytest.raises(UserError, match=r"small.mrcs is no stack of the dataset; give the .star or .cs file"):
        read(folder, particles)
    np.testing.assert_array_equal(read(folder, particles, table=dataset / "particles.star").embedding, latents(10))


def test_a_run_on_other_particles_of_the_same_names_is_refused(
    folder: Path, tmp_path: Path, particles: ParticleSet
) -> None:
    other = make_small_dataset(tmp_path / "other", images=N, box_px=BOX_PX, seed=1)
    write_config(folder, other)
    with pytest.raises(UserError, match="is about other particles than those of the dataset, although they are called"):
        read(folder, particles)


def test_the_wrong_sign_is_told(folder: Path, dataset: Path, particles: ParticleSet) -> None:
    write_config(folder, dataset, invert_data=False)
    assert "wrong sign" in read(folder, particles).notes[0]


def test_folders_of_something_else(folder: Path, dataset: Path, particles: ParticleSet) -> None:
    with pytest.raises(UserError, match=r"of `cryodrgn train_vae`, not of train_dec; import it with cryodrgn$"):
        read(folder, particles, "train_dec")
    write_config(folder, dataset, "abinit")
    with pytest.raises(UserError, match=r"of `cryodrgn abinit`, not of train_vae; import it with cryodrgn-ai-abinit$"):
        read(folder, particles)
    write_config(folder, dataset, "train_nn")
    with pytest.raises(UserError, match="of `cryodrgn train_nn`, not of train_vae; no method imports that"):
        read(folder, particles)
    (folder / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError, match=r"config.yaml is damaged or of another program than cryoDRGN"):
        read(folder, particles)
    (folder / "config.yaml").write_text(f"!!python/object/apply:os.mkdir [{folder / 'run'}]\n")
    with pytest.raises(UserError, match=r"config.yaml is damaged or of another program than cryoDRGN"):
        read(folder, particles)
    assert not (folder / "run").exists()
    (folder / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"is no output folder of cryoDRGN: it has no config.yaml"):
        read(folder, particles)
    (folder / "config.pkl").write_bytes(pickle.dumps(Hostile(folder / "run")))
    with pytest.raises(UserError, match=r"is of cryoDRGN before version 3, .*; train again with cryoDRGN 4, or import"):
        read(folder, particles)
    assert not (folder / "run").exists()


def test_latents_that_are_none(folder: Path, particles: ParticleSet) -> None:
    bad = latents(1)
    bad[7, 1] = np.nan
    write_epoch(folder, 10, bad)
    with pytest.raises(UserError, match=r"row 8 of .*z.10.pkl is not finite: training diverged"):
        read(folder, particles)
    write_epoch(folder, 10, latents(1)[:, :2])
    with pytest.raises(UserError, match=r"shape \(60, 2\); config.yaml tells 3 dimensions"):
        read(folder, particles)
    write_epoch(folder, 10, "text")
    with pytest.raises(UserError, match="does not hold latents"):
        read(folder, particles)


@pytest.mark.parametrize(("command", "unit_px"), [("abinit", BOX_PX), ("abinit_het_old", BOX_PX / (BOX_PX + 1))])
def test_estimated_poses(folder: Path, dataset: Path, particles: ParticleSet, command: str, unit_px: float) -> None:
    write_config(folder, dataset, command)
    poses = particles.poses
    assert poses is not None
    fraction = -poses.shift_A / (BOX_PX * particles.pixel_size_A)
    content = (poses.rotation_object_to_image.astype(np.float32), fraction * unit_px)
    (folder / "pose.10.pkl").write_bytes(pickle.dumps(content))
    found = read(folder, particles, command).poses
    assert found is not None
    np.testing.assert_allclose(found.rotation_object_to_image, poses.rotation_object_to_image, atol=1e-6)
    np.testing.assert_allclose(found.shift_A, poses.shift_A, atol=1e-4)
    (folder / "pose.10.pkl").unlink()
    with pytest.raises(UserError, match=r"pose.10.pkl does not exist"):
        read(folder, particles, command)
