"""Making datasets: bytes, resumption, truth and refusal."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import SHARD_IMAGES, make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.imaging.ctf import ctf
from cryoarena.imaging.project import VolumeProjector
from cryoarena.imaging.spectrum import frequencies, origin_phase
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset


def digest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_two_shards(folder: Path, processes: int = 1) -> None:
    dataset = datasets.get("igg-pseudo")
    settings = replace(resolve_settings(dataset, "small", SHARD_IMAGES + 50, 16, 0.1, 3), conformations=3)
    make_dataset(dataset, settings, Sources(), folder, processes=processes)


def test_bytes_do_not_depend_on_processes(tmp_path: Path) -> None:
    make_two_shards(tmp_path / "one", processes=1)
    make_two_shards(tmp_path / "two", processes=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_the_seed_changes_the_images(tmp_path: Path) -> None:
    a = make_small_dataset(tmp_path / "a", images=20, box_px=16, seed=0)
    b = make_small_dataset(tmp_path / "b", images=20, box_px=16, seed=1)
    assert digest(a)["particles/0000.mrcs"] != digest(b)["particles/0000.mrcs"]


@pytest.mark.slow
def test_killed_and_repeated_equals_undisturbed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cryoarena.cli", "make", "igg-pseudo", "--images", "6000", "--box", "32"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, "-o", str(killed), "--processes", "2"], env=environment)
    while not (killed / "particles" / "0001.mrcs").exists():
        assert process.poll() is None, "it finished before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "dataset.json").exists()
    subprocess.run([*command, "-o", str(killed), "--processes", "2"], env=environment, check=True)
    subprocess.run([*command, "-o", str(whole), "--processes", "1"], env=environment, check=True)
    assert digest(killed) == digest(whole)


def test_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=30, box_px=16)
    files = digest(folder)
    del files["dataset.json"]
    assert read_json(folder / "dataset.json")["files"] == files


def test_nothing_outside_truth_tells_the_conformation(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=400, box_px=16)
    truth = open_truth(folder)
    assert np.bincount(truth.conformation).tolist() == [50] * 8
    # Dealt in random order: the row number says nothing.
    assert abs(np.corrcoef(np.arange(400), truth.conformation)[0, 1]) < 0.2
    star = (folder / "particles.star").read_text()
    assert "conformation" not in star
    assert "cv_" not in star


def test_the_true_maps_explain_the_images(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=60, box_px=32, snr=0.5)
    particles, truth = open_particles(folder), open_truth(folder)
    assert particles.ctf is not None
    assert particles.poses is not None
    a = particles.pixel_size_A
    frequency_x, frequency_y = frequencies(32, a)
    # Beyond this radius the images hold corners that the maps do not reach.
    in_band = np.hypot(frequency_x, frequency_y) < 0.4 / a
    residual_power, signal_power = [], []
    for row, image in enumerate(particles.images(np.arange(60))):
        here = np.array([row])
        # In image units the sum of a true map along z is the projection as it stands in the images.
        volume = truth.volume(int(truth.conformation[row])) / np.float32(a)
        poses = particles.poses[here]
        spectrum = VolumeProjector(volume, a, 32, a).project(poses.rotation_object_to_image, poses.shift_A)
        predicted = -spectrum[0] * ctf(particles.ctf[here], frequency_x, frequency_y)[0]
        residual = np.fft.rfft2(image) * origin_phase(32) - predicted
        residual_power.append(np.mean(np.abs(residual[in_band]) ** 2) / 32**2)
        signal_power.append(np.mean(np.abs(predicted[in_band]) ** 2) / 32**2)
    # What is left is the noise of unit variance.
    assert np.mean(residual_power) == pytest.approx(1.0, abs=0.05)
    assert np.mean(signal_power) > 10


def test_snr_holds_at_the_source_box(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=200, box_px=32, snr=0.5)
    recipe = read_json(folder / "dataset.json")["recipe"]
    # Cropping from D0 = 192 to 32 leaves (32/192)² of the noise variance, which is then scaled to 1.
    noise_at_source = (192 / 32) ** 2 / recipe["image_units_per_projected_density"] ** 2
    assert recipe["signal_variance_at_source_box"] / noise_at_source == pytest.approx(0.5, rel=1e-6)


def test_conformations_get_their_share_exactly(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=43, box_px=16)
    counts = pd.read_parquet(folder / "truth" / "particles.parquet")["conformation"].value_counts()
    assert counts.sum() == 43
    assert set(counts) <= {5, 6}


def test_one_conformation_is_refused(tmp_path: Path) -> None:
    dataset = datasets.get("igg-pseudo")
    with pytest.raises(UserError, match="would have one conformation"):
        make_dataset(dataset, resolve_settings(dataset, "small", 20, 16, conformations=1), Sources(), tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"snr": 0.0}, "--snr must be a number greater than 0"),
        ({"snr": float("nan")}, "--snr must be a number greater than 0"),
        ({"box_px": 33}, "--box must be an even number"),
        ({"box_px": 512}, "--box 512 is larger than the box of 192 px"),
        ({"images": 0}, "--images must be at least 1"),
        ({"seed": -1}, "--seed must not be negative"),
    ],
)
def test_impossible_numbers_are_refused(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        resolve_settings(datasets.get("igg-pseudo"), "small", **arguments)


def test_a_molecule_too_large_for_the_box_is_refused(tmp_path: Path) -> None:
    dataset = datasets.get("igg-pseudo")
    settings = replace(resolve_settings(dataset, "small", 10), source_pixel_size_A=0.8)
    with pytest.raises(UserError, match="the molecule reaches"):
        make_dataset(dataset, settings, Sources(), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_full_folder_is_kept_unless_allowed(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=20, box_px=16)
    before = digest(folder)
    with pytest.raises(UserError, match="is not empty; add --overwrite"):
        make_small_dataset(folder, images=20, box_px=16, seed=5)
    assert digest(folder) == before


def test_an_unfinished_dataset_of_other_settings_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / ".making.json").write_text('{"id": "another"}')
    with pytest.raises(UserError, match="unfinished dataset of other settings"):
        make_small_dataset(folder, images=20, box_px=16)


def test_no_space_left_is_said_before_anything_is_written(tmp_path: Path) -> None:
    dataset = datasets.get("igg-pseudo")
    settings = resolve_settings(dataset, "small", images=10**12)
    with pytest.raises(UserError, match="no space left"):
        make_dataset(dataset, settings, Sources(), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_relative_paths_are_those_of_the_caller(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Worker processes are kept from one call to the next, and stay where they were.
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for file in ("top.psf", "path.dcd"):
            shutil.copyfile(mirror / "md" / "adk_dims001" / file, f"{name}-{file}")
        dataset = datasets.get("spike-md")
        settings = resolve_settings(dataset, "small", 20, 16, conformations=3)
        sources = Sources(topology=Path(f"{name}-top.psf"), trajectory=Path(f"{name}-path.dcd"))
        make_dataset(dataset, settings, sources, Path("made"), processes=2)
        assert len(open_particles(tmp_path / name / "made").images(slice(None))) == 20
