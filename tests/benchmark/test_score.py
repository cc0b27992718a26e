"""Running and scoring: the tidy table, floor and ceiling, and what becomes of failures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.benchmark.score_limits import score_limits
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, methods
from cryoarena.methods.consensus import ConsensusOptions
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset

MOVING = "standard/moving_mask/auc"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=400, box_px=24, snr=0.05)


def value(table: pd.DataFrame, metric: str, statistic: str, column: str = "value") -> float:
    return float(table.set_index(["metric", "statistic"]).loc[(metric, statistic), column])


def test_consensus_is_the_floor_and_ppca_lies_above_it(dataset: Path, tmp_path: Path) -> None:
    run_method("consensus", dataset, tmp_path / "consensus")
    run_method("ppca", dataset, tmp_path / "ppca", {"components": "3", "iterations": "8"})
    consensus = score_result(tmp_path / "consensus", dataset)
    ppca = score_result(tmp_path / "ppca", dataset)
    assert value(consensus, "per-image-fsc", MOVING, "normalised") == pytest.approx(0, abs=0.1)
    assert value(consensus, "pmn", "standard/mean_1_10", "normalised") == pytest.approx(0, abs=1e-6)
    assert value(ppca, "per-image-fsc", MOVING) > value(consensus, "per-image-fsc", MOVING)
    assert 0.1 < value(ppca, "pmn", "standard/mean_1_10", "normalised") < 1.5
    row = ppca.set_index(["metric", "statistic"]).loc[("per-image-fsc", MOVING)]
    assert row["floor"] < row["ceiling"]
    assert row["n"] == 100
    assert row["standard_error"] > 0
    written = pd.read_csv(tmp_path / "ppca" / "scores.csv")
    assert list(written.columns) == list(ppca.columns)
    curves = read_json(tmp_path / "ppca" / "comparison" / "curves.json")
    assert f"per-image-fsc/{MOVING.removesuffix('/auc')}" in curves
    assert len(list((tmp_path / "ppca" / "comparison").glob("conformation_*.mrc"))) == 8


def test_observers_are_rows_of_their_own_between_0_and_1(dataset: Path) -> None:
    table = score_limits(dataset)
    assert list(table["method"].unique()) == [
        "chance",
        "one-for-all",
        "consensus",
        "turned-consensus",
        "known-label",
        "known-components",
        "rigid-motion",
        "bayes",
    ]
    of = dict(list(table.groupby("method")))
    assert value(of["consensus"], "per-image-fsc", MOVING, "normalised") == 0
    assert value(of["rigid-motion"], "per-image-fsc", MOVING, "normalised") == 1
    assert 0 < value(of["known-label"], "per-image-fsc", MOVING, "normalised") < 1
    assert value(of["bayes"], "pmn", "standard/mean_1_10", "normalised") == 1
    assert value(of["one-for-all"], "pmn", "standard/mean_1_10", "normalised") == 0
    assert pd.read_csv(dataset / "truth" / "limits" / "scores.csv").shape == table.shape
    assert set(table[table["metric"] == "pmn"]["unit"]) == {"%"}
    # The maps of an oracle say nothing of single images.
    assert set(of["known-label"]["metric"]) <= {"per-image-fsc", "per-conformation-fsc", "sample-fsc", "map-distance"}


def test_rows_are_matched_by_particle_id_not_by_order(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "ppca"
    run_method("ppca", dataset, out, {"components": "2", "iterations": "4"})
    before = score_result(out, dataset)
    order = np.random.default_rng(0).permutation(400)
    for name in ("embedding", "particle_id"):
        np.save(out / f"{name}.npy", np.load(out / f"{name}.npy")[order])
    after = score_result(out, dataset)
    assert value(after, "pmn", "standard/radius_5") == pytest.approx(value(before, "pmn", "standard/radius_5"))
    assert value(after, "per-image-fsc", MOVING) == pytest.approx(value(before, "per-image-fsc", MOVING))


def test_a_nan_in_the_embedding_fails_the_metric_and_nothing_else(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    run_method("consensus", dataset, out)
    embedding = np.load(out / "embedding.npy")
    embedding[5] = np.nan
    np.save(out / "embedding.npy", embedding)
    table = score_result(out, dataset)
    pmn = table[table["metric"] == "pmn"]
    assert set(pmn["status"]) == {"failed"}
    assert pmn["value"].isna().all()
    assert pmn["reason"].str.len().min() > 0
    assert value(table, "per-image-fsc", MOVING) > 0


def test_a_result_on_another_dataset_is_refused(dataset: Path, tmp_path: Path) -> None:
    run_method("consensus", dataset, tmp_path / "r")
    other = make_small_dataset(tmp_path / "other", images=20, box_px=16)
    with pytest.raises(UserError, match="is a result on another dataset"):
        score_result(tmp_path / "r", other)


class Failing(Method[ConsensusOptions]):
    """A method that dies."""

    card: ClassVar[MethodCard] = MethodCard("failing", "Failing", "none", "It fails.", "none", "none")
    options = ConsensusOptions

    def fit(self, particles: ParticleSet, options: ConsensusOptions, run: Run) -> Reconstruction:
        raise RuntimeError("out of luck")

    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        raise AssertionError


def test_a_failed_method_is_a_result_with_a_reason(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods._entries, "failing", Failing())
    info = run_method("failing", dataset, tmp_path / "r")
    assert info["status"] == "failed"
    assert "out of luck" in json.loads((tmp_path / "r" / "result.json").read_text())["reason"]
    table = score_result(tmp_path / "r", dataset)
    assert set(table["status"]) == {"failed"}
    assert table["value"].isna().all()
    assert table["reason"].str.contains("out of luck").all()


def test_a_method_without_poses_is_not_applicable(dataset: Path) -> None:
    particles = replace(open_particles(dataset), poses=None)
    assert methods.get("ppca").not_applicable(particles) == "the particles have no poses"
