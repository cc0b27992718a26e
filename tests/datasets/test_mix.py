"""Mixing stacks whose origin is the label."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoarena.datasets.base import CollectiveVariable, Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.mix import Mixture, mix_stacks
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.limits.limits import limits_of
from cryoarena.metrics.base import MetricResult
from cryoarena.metrics.judge import Answer, NoResult, judge, judged_rows
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.read_star import read_star
from cryoarena.particles.write_star import write_star

COUNTS = (30, 10, 20)


def recorded(folder: Path, seed: int, images: int = 40, voltage_kV: float = 300.0) -> Path:
    """Make a stack of one conformation."""
    dataset = datasets.get("igg-pseudo")
    settings = resolve_settings(dataset, "small", images, 16, seed=seed, conformations=1)
    settings = replace(settings, voltage_kV=voltage_kV, conformations=2)
    make_dataset(dataset, settings, Sources(), folder)
    return folder


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("recorded")
    return tuple(
        recorded(folder / name, seed, voltage_kV=kV)
        for name, seed, kV in zip("abc", range(3), (300, 300, 200), strict=True)
    )


def mixed(stacks: tuple[Path, ...], out: Path, counts: tuple[int, ...] = COUNTS, **more: object) -> Path:
    mix_stacks(replace(Mixture(stacks, counts), **more), out)
    return out


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("copy", [False, True])
def test_every_particle_is_the_one_that_the_truth_says(stacks: tuple[Path, ...], tmp_path: Path, copy: bool) -> None:
    folder = mixed(stacks, tmp_path / "mix", copy=copy)
    particles = open_particles(folder)
    table = pd.read_parquet(folder / "truth" / "particles.parquet")
    names = pd.read_parquet(folder / "truth" / "conformations.parquet")["origin"]
    assert list(names) == ["a", "b", "c"]
    assert particles.poses is not None
    assert particles.ctf is not None
    np.testing.assert_array_equal(particles.particle_id, table["particle_id"])
    for origin, stack in enumerate(stacks):
        here = np.flatnonzero(table["conformation"] == origin)
        assert len(here) == COUNTS[origin]
        own = open_particles(stack)
        rows = table["origin_row"].to_numpy()[here] - 1
        assert len(np.unique(rows)) == len(rows)
        np.testing.assert_array_equal(particles.images(here), own.images(rows))
        np.testing.assert_array_equal(table["origin_particle_id"].to_numpy()[here], own.particle_id[rows])
        assert own.poses is not None
        assert own.ctf is not None
        np.testing.assert_allclose(particles.ctf.defocus_u_A[here], own.ctf.defocus_u_A[rows], rtol=1e-6)
        np.testing.assert_array_equal(particles.ctf.voltage_kV[here], own.ctf.voltage_kV[rows])
        np.testing.assert_allclose(
            particles.poses.rotation_object_to_image[here], own.poses.rotation_object_to_image[rows], atol=1e-6
        )
        stack_file, number = own.stack_files[own.stack_index[rows[0]]], own.slice_index[rows[0]] + 1
        assert table["origin_image"][here[0]] == f"{number:06d}@{stack_file}"


def test_rows_are_shuffled_and_half_sets_balanced(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    folder = mixed(stacks, tmp_path / "mix")
    conformation, particles = open_truth(folder).conformation, open_particles(folder)
    runs = 1 + np.count_nonzero(np.diff(conformation))
    assert runs > 20
    assert particles.half_set is not None
    assert np.bincount(particles.half_set).tolist() == [30, 30]


def test_a_copy_names_no_origin_outside_the_truth(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    folder = mixed(stacks, tmp_path / "mix", copy=True)
    for path in folder.iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert not any(str(stack).encode() in content for stack in stacks), path
    assert {str(path.parent) for path in open_particles(folder).stack_files} == {str(folder / "particles")}
    assert "origin" not in (folder / "particles.star").read_text()
    assert str(list(COUNTS)) not in (folder / "dataset.json").read_text()
    assert read_json(folder / "truth" / "mixture.json")["origins"][1]["particles"] == COUNTS[1]


def test_equal_seeds_give_equal_bytes(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    first, again, other = (
        digest(mixed(stacks, tmp_path / name, copy=True, seed=seed)) for name, seed in (("x", 0), ("y", 0), ("z", 1))
    )
    assert first == again
    assert first["particles.star"] != other["particles.star"]


def test_without_maps_and_poses_labels_are_scored_and_maps_do_not_apply(
    stacks: tuple[Path, ...], tmp_path: Path
) -> None:
    length = CollectiveVariable("length", "bp", None, "")
    folder = mixed(stacks, tmp_path / "mix", cvs=((length, (2.0, 8.0, 14.0)),))
    truth = open_truth(folder)
    assert truth.poses is None
    assert len(truth.mapped) == 0
    np.testing.assert_array_equal(truth.embedding(), [[2.0], [8.0], [14.0]])
    np.testing.assert_allclose(truth.population, np.array(COUNTS) / 60)
    one_hot = np.eye(3, dtype=np.float32)[truth.conformation]
    answer = Answer(one_hot, lambda rows: np.zeros((len(rows), 16, 16, 16), np.float32), one_hot)
    results = judge(answer, truth, judged_rows(truth, 10), lambda *_: None)
    for name in ("per-image-fsc", "per-conformation-fsc", "map-distance", "pose-error", "entanglement"):
        result = results[name]
        assert isinstance(result, NoResult), name
        assert result.status == "not_applicable", (name, result)
    agreement = results["posterior-class-agreement"]
    assert isinstance(agreement, MetricResult)
    assert agreement.scores["standard/ari"].value == 1
    assert not [name for name, result in results.items() if isinstance(result, NoResult) and result.status == "failed"]
    limits = limits_of(truth)
    assert "class-agreement/standard/ari" in limits["floor"]["scores"]
    assert not limits["ceiling"]["scores"]


def test_maps_of_the_origins_are_judged(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    maps = tuple(stacks[0] / "truth" / "volumes" / f"000{number}.mrc" for number in (0, 1, 0))
    truth = open_truth(mixed(stacks, tmp_path / "mix", maps=maps))
    rows = judged_rows(truth, 6)
    answer = Answer(
        truth.embedding()[truth.conformation].astype(np.float32),
        lambda chosen: np.stack([truth.volume(int(number)) for number in truth.conformation[chosen]]),
    )
    results = judge(answer, truth, rows, lambda *_: None, wanted=lambda card: card.name == "per-image-fsc")
    fsc = results["per-image-fsc"]
    assert isinstance(fsc, MetricResult)
    # The true map scores 1 in every shell up to D/2 - 1.
    assert fsc.scores["standard/moving_mask/auc"].value == pytest.approx(7 / 16)
    scores = limits_of(truth)["ceiling"]["scores"]
    assert scores["per-image-fsc/standard/mask/auc"]["source"] in ("known-label", "known-components")


def test_real_tables_can_be_mixed(mirror: Path, tmp_path: Path) -> None:
    real = read_star(mirror / "particles" / "relion31_5" / "relion31.star")
    for name, rows in (("first", np.array([0, 2, 4])), ("second", np.array([1, 3]))):
        write_star(tmp_path / f"{name}.star", real.subset(rows))
    tables = tmp_path / "first.star", tmp_path / "second.star"
    folder = mixed(tables, tmp_path / "mix", counts=(2, 2), copy=True)
    image = pd.read_parquet(folder / "truth" / "particles.parquet")["origin_image"]
    rows = np.array([int(name.split("@")[0]) - 1 for name in image])
    np.testing.assert_array_equal(open_particles(folder).images(slice(None)), real.images(rows))


def test_different_boxes_are_refused(mirror: Path, stacks: tuple[Path, ...], tmp_path: Path) -> None:
    real = mirror / "particles" / "relion31_5" / "relion31.star"
    with pytest.raises(UserError, match=r"has boxes of 16 px but .*relion31.star has boxes of 256 px"):
        mixed((stacks[0], real), tmp_path / "mix", counts=(2, 2))
    assert not (tmp_path / "mix").exists()


def changed_pixel(stack: Path, folder: Path) -> Path:
    particles = open_particles(stack)
    folder.mkdir()
    write_star(folder / "p.star", replace(particles, pixel_size_A=1.01 * particles.pixel_size_A))
    return folder / "p.star"


def test_what_does_not_go_together_is_said(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    def refused(sentence: str, tables: tuple[Path, ...] = stacks, **more: object) -> None:
        with pytest.raises(UserError, match=sentence):
            mix_stacks(replace(Mixture(tables, COUNTS[: len(tables)]), **more), tmp_path / "mix")
        assert not (tmp_path / "mix").exists()

    refused(r"b has 40 particles but --counts asks for 41", counts=(1, 41, 1))
    refused(r"--counts has 2 values for 3 stacks", counts=(1, 2))
    refused(r"--counts must be at least 1", counts=(1, 0, 1))
    refused("at least 2 stacks, not 1", stacks[:1])
    refused(r"names image 000001@0000.mrcs, which another", (stacks[0], stacks[0]))
    refused(r"pixels of 24 Å but .* pixels of 24.24 Å", (stacks[0], changed_pixel(stacks[1], tmp_path / "other")))
    maps = tuple(stacks[0] / "truth" / "volumes" / "0000.mrc" for _ in stacks)
    refused("no masks can be made of the --maps: all conformations are equal", maps=maps)
    refused("--maps has 2 values for 3 stacks", maps=maps[:2])


def test_a_full_folder_is_kept_unless_allowed(stacks: tuple[Path, ...], tmp_path: Path) -> None:
    folder = mixed(stacks, tmp_path / "mix")
    before = digest(folder)
    with pytest.raises(UserError, match="is not empty; add --overwrite"):
        mixed(stacks, folder, seed=3)
    assert digest(folder) == before


def test_an_interrupted_copy_goes_on(stacks: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digest(mixed(stacks, tmp_path / "whole", copy=True))

    def interrupt(*_: object) -> list[Path]:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("cryoarena.datasets.mix.write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            mixed(stacks, tmp_path / "mix", copy=True)
    written = (tmp_path / "mix" / "particles" / "0000.mrcs").stat().st_mtime_ns
    assert digest(mixed(stacks, tmp_path / "mix", copy=True)) == whole
    assert (tmp_path / "mix" / "particles" / "0000.mrcs").stat().st_mtime_ns == written
