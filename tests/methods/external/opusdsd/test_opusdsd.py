"""OPUS-DSD: folders written as its code (alncat/opusDSD 595c28d) does; its own commands where it is installed."""

import argparse
import os
import pickle
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoarena.errors import UserError
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.opusdsd.place_map import place_map
from cryoarena.methods.external.opusdsd.program import OPUSDSD, ImportOptions, OpusdsdOptions
from cryoarena.methods.external.opusdsd.read_output import read_output
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.cryodrgn import write_cryodrgn_poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.safe_pickle import read_array_pickle
from cryoarena.particles.write_star import write_star
from cryosparc_jobs import write_maps
from outside import folder_of
from random_particles import make_particles

N, BOX_PX, PIXEL_A, ZDIM = 20, 8, 1.5, 3


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    return make_particles(tmp_path, N, BOX_PX, PIXEL_A, shard=9)


@pytest.fixture
def order() -> np.ndarray:
    return np.random.default_rng(1).permutation(N)


@pytest.fixture
def latents() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(N, ZDIM)).astype(np.float32)


def write_latents(path: Path, latents: np.ndarray) -> None:
    """Write what PoseTracker.save_emb writes."""
    nearest = [np.array([], dtype=np.int64) for _ in latents]
    torch.save({"mu": torch.tensor(latents), "nn": nearest, "multi_mu": torch.randn(len(latents), 4)}, path)


def write_log(folder: Path, **changed: object) -> None:
    """Write what commands.train_multi writes first."""
    told = {"particles": str(folder.parent / "given.star"), "outdir": str(folder), "zdim": ZDIM, "masks": None}
    told |= {"ind": None, "downfrac": 0.75, "lamb": 1.0, "beta_control": 2.0, "func": print, "norm": None}
    (folder / "run.log").write_text(
        "2026-01-01 00:00:00     /opt/bin/dsd train_multi given.star\n"
        f"2026-01-01 00:00:00     {argparse.Namespace(**(told | changed))}\n2026-01-01 00:00:01     Use cuda True\n"
    )


def write_config(path: Path, **more: object) -> None:
    """Write what commands.train_multi writes: the arguments, and when it began."""
    config = {"dataset_args": {"norm": [0, np.float32(1.5)]}, "model_args": {"zdim": ZDIM, "Apix": 1.5}, **more}
    path.write_bytes(pickle.dumps(config) + pickle.dumps({"time": datetime(2026, 1, 2)}))


@pytest.fixture
def folder(tmp_path: Path, particles: ParticleSet, order: np.ndarray, latents: np.ndarray) -> Path:
    write_star(tmp_path / "given.star", particles.subset(order))
    out = tmp_path / "out"
    out.mkdir()
    write_log(out)
    for epoch in (0, 1, 2):
        write_latents(out / f"z.{epoch}.pkl", latents[order] + np.float32(2 - epoch))
        torch.save({}, out / f"weights.{epoch}.pkl")
    # Interrupted while the weights of the last epoch were written.
    write_latents(out / "z.3.pkl", -latents)
    (out / "weights.3.pkl").write_bytes((out / "weights.2.pkl").read_bytes()[:-100])
    write_config(out / "config.pkl")
    return out


def test_latents_of_the_last_whole_epoch(folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    found = read_output(folder, particles, ImportOptions(maps=False))
    np.testing.assert_allclose(found.embedding, latents, atol=1e-6)
    assert found.found["epoch"] == 2
    assert found.rows is None
    first = read_output(folder, particles, ImportOptions(epoch=0, maps=False))
    np.testing.assert_allclose(first.embedding, latents + 2, atol=1e-6)


def test_images_that_no_batch_held(
    folder: Path, particles: ParticleSet, latents: np.ndarray, order: np.ndarray
) -> None:
    before = latents[order] + 1
    before[[4, 7]] = latents[order][[4, 7]]
    write_latents(folder / "z.1.pkl", before)
    found = read_output(folder, particles, ImportOptions(maps=False))
    seen = np.setdiff1d(np.arange(N), order[[4, 7]])
    np.testing.assert_array_equal(found.rows, seen)
    np.testing.assert_array_equal(found.embedding, latents[seen])
    assert any(f"2 of {N} particles were in no whole batch" in note for note in found.notes)


def test_particles_that_were_left_out(
    folder: Path, particles: ParticleSet, latents: np.ndarray, order: np.ndarray
) -> None:
    kept = np.arange(0, N, 3)
    (folder / "ind.pkl").write_bytes(pickle.dumps(kept))
    write_log(folder, ind=str(folder / "ind.pkl"))
    with pytest.raises(UserError, match=r"z\.2\.pkl has 20 latents but its table names 7 images"):
        read_output(folder, particles, ImportOptions())
    write_latents(folder / "z.2.pkl", latents[order][kept])
    found = read_output(folder, particles, ImportOptions(maps=False))
    np.testing.assert_array_equal(found.rows, np.sort(order[kept]))
    np.testing.assert_array_equal(found.embedding, latents[found.rows])


def test_maps_at_centres_in_the_frame_of_the_images(folder: Path, particles: ParticleSet, latents: np.ndarray) -> None:
    analysis = folder / "analyze.2" / "kmeans2"
    analysis.mkdir(parents=True)
    np.savetxt(analysis / "centers.txt", latents[:2])
    maps = write_maps(analysis, ["reference0.mrc", "reference1.mrc"], 6, PIXEL_A)
    found = read_output(folder, particles, ImportOptions())
    np.testing.assert_allclose(found.volumes_at(latents[[1, 0]]), [place_map(m, BOX_PX) for m in maps[::-1]], atol=1e-5)
    for path in analysis.glob("*.mrc"):
        path.unlink()
    write_maps(analysis, ["reference0.mrc", "reference1.mrc"], 6, 1.9)
    with pytest.raises(UserError, match="do not fit into the 12 Å of the images; make it again with the pixel size"):
        read_output(folder, particles, ImportOptions())
    (analysis / "reference1.mrc").unlink()
    with pytest.raises(UserError, match="copy all files of one analysis"):
        read_output(folder, particles, ImportOptions())


def test_the_middle_of_its_grid_comes_to_our_origin() -> None:
    def ball(box_px: int, centre: float) -> np.ndarray:
        axis = (np.arange(box_px) - centre) ** 2
        return np.exp(-sum(np.ix_(axis, axis, axis)) / 8).astype(np.float32)

    np.testing.assert_allclose(place_map(ball(24, 11.5), 32), ball(32, 16), atol=2e-4)


def test_maps_need_a_gpu_and_the_program(folder: Path, particles: ParticleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = "cryoarena.methods.external.opusdsd.decoder"
    monkeypatch.setattr(f"{decoder}.has_gpu", lambda: False)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.require", lambda self: Path("/opt/bin"))
    found = read_output(folder, particles, ImportOptions())
    with pytest.raises(UserError, match="dsd eval_vol needs a GPU and there is none"):
        found.volumes_at(found.embedding[:1])
    method = methods.get("opusdsd")
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: Path("/opt/bin"))
    monkeypatch.setattr("cryoarena.methods.external.external_method.has_gpu", lambda: False)
    assert "takes images of 128 px and more; these have 8" in method.not_applicable(particles)
    large = make_particles(folder, 3, 128, write_stacks=False)
    assert "OPUS-DSD needs a GPU and there is none" in method.not_applicable(large)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: None)
    assert "run `cryoarena tools install opusdsd`" in method.not_applicable(large)


def test_the_generator_is_asked_for_maps(
    folder: Path, particles: ParticleSet, latents: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of dsd a script that writes, for each row of the z file, the map of its first number."""
    program = tmp_path / "bin" / "dsd"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import sys, numpy as np, mrcfile\n"
        "given = dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
        "assert sys.argv[1] == 'eval_vol' and float(given['--Apix']) < 1.5\n"
        "import pathlib; pathlib.Path(given['-o']).mkdir()\n"
        "z = np.loadtxt(given['--zfile']); assert z.ndim == 2\n"
        "for i, row in enumerate(z):\n"
        "    mrcfile.write(f\"{given['-o']}/{given['--prefix']}{i}.mrc\", np.full((6, 6, 6), row[0], np.float32), "
        "voxel_size=1.5)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path(__import__('sys').executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv(OPUSDSD.variable, str(program.parent))
    monkeypatch.setattr("cryoarena.methods.external.opusdsd.decoder.has_gpu", lambda: True)
    found = read_output(folder, particles, ImportOptions())
    (tmp_path / "model").mkdir()
    found.save(tmp_path / "model")
    for result in (found, methods.get("opusdsd").load(tmp_path / "model", particles)):
        for wanted in (latents[:1], latents[3:6]):
            expected = [place_map(np.full((6, 6, 6), z[0], np.float32), BOX_PX) for z in wanted]
            np.testing.assert_allclose(result.volumes_at(wanted), expected, atol=1e-5)


def test_progress_is_that_of_the_bar_of_an_epoch() -> None:
    """Lines as tqdm writes them for train_multi."""
    method = methods.get("opusdsd")
    first, later = (
        method.progress(f"Train Epoch: [{epoch}/20]:  25%|##5       | 5/20 [00:01<00:03, 4.98it/s, beta=0.1, mu=0.2]\n")
        for epoch in (1, 3)
    )
    assert (first.done, first.total, first.note) == (0.25, 20, "epoch 1")
    assert (later.done, later.total) == (2.25, 20)
    assert method.progress(" 25%|##5       | 5/20 [00:01<00:03, 4.98it/s]\n") is None


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


def test_hostile_files_are_told_and_not_given_to_the_program(
    folder: Path, particles: ParticleSet, latents: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_both(command: Command, *_: object) -> None:
        """Do what the program does first."""
        words = list(command.words)
        pickle.loads(words[words.index("-c") + 1].read_bytes())
        torch.load(words[words.index("--load") + 1], weights_only=False)

    monkeypatch.setattr("cryoarena.methods.external.opusdsd.decoder.run_program", open_both)
    monkeypatch.setattr("cryoarena.methods.external.opusdsd.decoder.has_gpu", lambda: True)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.require", lambda self: Path("/opt/bin"))
    found = read_output(folder, particles, ImportOptions())
    write_config(folder / "config.pkl", seed=Hostile(tmp_path / "run"))
    with pytest.raises(UserError, match=r"config\.pkl asks for posix\.mkdir; only plain arrays"):
        found.volumes_at(latents[:1])
    write_config(folder / "config.pkl")
    torch.save({"model_state_dict": Hostile(tmp_path / "run")}, folder / "weights.2.pkl")
    with pytest.raises(UserError, match=r"weights\.2\.pkl holds something else than tensors, .* asks for posix\.mkdir"):
        found.volumes_at(latents[:1])
    assert not (tmp_path / "run").exists()


def test_folders_that_will_not_do(folder: Path, particles: ParticleSet, tmp_path: Path, latents: np.ndarray) -> None:
    def refused(sentence: str, **options: object) -> None:
        with pytest.raises(UserError, match=sentence):
            read_output(folder, particles, ImportOptions(**options))

    with pytest.raises(UserError, match=r"is no output folder of OPUS-DSD: it has no run\.log"):
        read_output(tmp_path, particles, ImportOptions())
    refused("has no epoch 3; there are: 0, 1, 2", epoch=3)
    # What cryoDRGN writes has the same names.
    (folder / "z.2.pkl").write_bytes(pickle.dumps(latents) * 2)
    refused("has no epoch 2; there are: 0, 1", epoch=2)
    torch.save({"z": torch.zeros(3)}, folder / "z.2.pkl")
    refused(r"z\.2\.pkl has no latents mu of dimension 3")
    write_latents(folder / "z.2.pkl", latents)
    write_log(folder, masks="mask.pkl")
    refused(r"of a training with bodies \(--masks\); import its latents and maps as a table")
    write_log(folder, particles="/gone/given.mrcs")
    refused(r"names /gone/given\.mrcs, which does not exist; give it with --set particles=FILE")
    (folder / "run.log").write_text("Namespace(particles='a', zdim=__import__('os').system('x'))")
    refused("is not of `dsd train_multi`")
    (folder / "run.log").write_text("Namespace(particles='a')")
    refused("it does not tell ind")


@pytest.mark.slow
def test_its_own_commands_read_what_we_write(tmp_path: Path) -> None:
    executables = folder_of(OPUSDSD, in_ci=False)
    particles = make_particles(tmp_path, 9, 128, PIXEL_A)
    commands = methods.get("opusdsd").commands(particles, OpusdsdOptions(downfrac=0.5), Run(seed=7), tmp_path)
    run_program(next(commands), executables, tmp_path, tmp_path / "log.txt")
    write_cryodrgn_poses(tmp_path / "expected.pkl", particles.poses, 128, PIXEL_A)
    rotation, shift, _ = read_array_pickle(tmp_path / "poses.pkl")
    for found, expected in zip((rotation, shift), read_array_pickle(tmp_path / "expected.pkl"), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    words = [str(word) for word in next(commands).words]
    assert words[words.index("--downfrac") + 1] == "1"
    assert words[words.index("--templateres") + 1] == "176"
    # The parser takes all of them.
    code = "import argparse, sys; from cryodrgn.commands.train_multi import add_args; "
    code += "print(add_args(argparse.ArgumentParser()).parse_args(sys.argv[1:]).seed)"
    lines: list[str] = []
    run_program(Command(["python", "-c", code, *words[2:]]), executables, tmp_path, tmp_path / "log.txt", lines.append)
    assert lines[-1].strip() == "7"
    with pytest.raises(StopIteration):
        next(commands)
