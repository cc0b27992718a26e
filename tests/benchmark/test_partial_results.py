"""Results that lack particles: scored over those that they have, and everybody is told how many these are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoarena.benchmark.score import JUDGED_IMAGES, score_result, summary
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.methods.base import methods
from cryoarena.metrics.judge import judge, judged_rows
from cryoarena.progress import silent
from given_results import GivenMethod, write_given_result
from mock_results import perfect
from simulated import make_small_dataset

IMAGES, BOX, STATES = 200, 16, 8
OF_PARTICLES = ("particle_id", "embedding", "posterior")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=IMAGES, box_px=BOX, snr=1.0)


@pytest.fixture(scope="module")
def truth(dataset: Path) -> Truth:
    return open_truth(dataset)


@pytest.fixture
def result(truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(methods._entries, "given", GivenMethod())
    return write_given_result(tmp_path / "result", truth)


def keep(result: Path, rows: np.ndarray) -> None:
    for name in OF_PARTICLES:
        np.save(result / f"{name}.npy", np.load(result / f"{name}.npy")[rows])


def values(table: pd.DataFrame, column: str = "value") -> pd.Series:
    return table[table["status"] == "ok"].set_index(["metric", "statistic"])[column]


def test_a_perfect_answer_that_lacks_some_particles_is_still_perfect(result: Path, dataset: Path, truth: Truth) -> None:
    whole = score_result(result, dataset)
    kept = np.random.default_rng(0).permutation(IMAGES)[: IMAGES * 9 // 10]
    keep(result, kept)
    table = score_result(result, dataset)
    assert (table["coverage"] == 0.9).all()
    assert (table["particles"] == IMAGES).all()
    assert "failed" not in set(table["status"])
    assert summary(table)[0] == ("covers", f"180 of {IMAGES} particles; the others are not judged")

    found = values(table)
    areas = found[[key for key in found.index if key[1].endswith("/auc") and key[1].startswith("standard")]]
    assert {name for name, _ in areas.index} == {"per-image-fsc", "per-conformation-fsc", "sample-fsc"}
    np.testing.assert_allclose(areas, 0.5 - 1 / BOX, atol=1e-6)
    for key, best in (
        (("class-agreement", "standard/ari"), 1),
        (("posterior-class-agreement", "standard/accuracy"), 1),
        (("cv-regression", "r2/hinge_angle"), 1),
        (("map-distance", "standard/mask/l2"), 0),
    ):
        assert found[key] == pytest.approx(best, abs=1e-4)
    # How many of each state were lost is chance.
    l1 = ("populations", "kmeans_counting/l1")
    assert 0 < found[l1] < 3 * values(table, "standard_error")[l1]
    # Everything is as if there had been no other particles.
    there = np.sort(kept)
    alone = judge(perfect(truth.subset(there)), truth.subset(there), np.arange(0), silent)
    for name, statistic in (("pmn", "standard/mean_1_10"), ("trustworthiness", "continuity/radius_5")):
        assert found[name, statistic] == pytest.approx(alone[name].scores[statistic].value, abs=1e-6)

    drawn = judged_rows(truth, JUDGED_IMAGES)
    n = values(table, "n")
    assert n["per-image-fsc", "standard/mask/auc"] == np.isin(drawn, kept).sum() < len(drawn)
    assert n["pmn", "standard/mean_1_10"] == 180
    assert n["per-conformation-fsc", "standard/mask/auc"] == STATES
    for limit in ("floor", "ceiling"):
        pd.testing.assert_series_equal(values(table, limit), values(whole, limit))
    assert (whole["coverage"] == 1).all()
    assert summary(whole)[0][0] != "covers"


def test_only_the_easy_particles(result: Path, dataset: Path, truth: Truth) -> None:
    # The first three states of eight cannot be told apart.
    embedding = np.load(result / "embedding.npy")
    hard = truth.conformation < 3
    embedding[hard] = np.random.default_rng(0).permutation(embedding[hard])
    np.save(result / "embedding.npy", embedding)
    honest = score_result(result, dataset)
    keep(result, np.flatnonzero(~hard))
    chosen = score_result(result, dataset)
    ari, l1 = ("class-agreement", "standard/ari"), ("populations", "kmeans_counting/l1")
    assert values(honest)[ari] < 0.8 < values(chosen)[ari]
    assert (chosen["coverage"] == 5 / 8).all()
    assert dict(summary(chosen))["covers"].startswith(f"125 of {IMAGES} particles")
    # The populations are those of the whole dataset: what is lacking is missed.
    assert values(honest)[l1] < 0.1
    assert values(chosen)[l1] == pytest.approx(2 * 3 / 8)
    # A state without a particle has no map to compare.
    assert values(chosen, "n")["per-conformation-fsc", "standard/mask/auc"] == 5
    assert {path.name for path in (result / "comparison").glob("*.mrc")} == {
        f"conformation_{state:04d}.mrc" for state in range(3, STATES)
    }


def test_a_conformation_is_judged_when_the_particle_drawn_of_it_is_lacking(truth: Truth) -> None:
    drawn = judged_rows(truth, STATES)
    there = np.setdiff1d(np.arange(IMAGES), drawn[:3])
    part = perfect(truth.subset(there))
    answer = type(part)(part.embedding, part.maps_of, rows=there)
    found = judge(answer, truth, drawn, silent, wanted=lambda card: card.name.endswith("-fsc"))
    key = "standard/mask/auc"
    assert found["per-image-fsc"].scores[key].n == STATES - 3
    assert found["per-conformation-fsc"].scores[key].n == STATES
    assert found["per-image-fsc"].scores[key].value == pytest.approx(0.5 - 1 / BOX, abs=1e-6)


@pytest.mark.parametrize(("rows", "status"), [(IMAGES // 2, "ok"), (IMAGES // 2 - 1, "failed")])
def test_less_than_half_of_the_particles_is_not_judged(result: Path, dataset: Path, rows: int, status: str) -> None:
    keep(result, np.arange(rows))
    table = score_result(result, dataset)
    assert set(table["status"]) - {"not_applicable"} == {status}
    assert (table["coverage"] == rows / IMAGES).all()
    if status == "failed":
        assert table["value"].isna().all()
        assert set(table["reason"]) == {
            f"the result has {rows} of {IMAGES} particles; at least half are needed to judge it"
        }


def test_junk_may_be_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods._entries, "given", GivenMethod())
    dataset = make_small_dataset(tmp_path / "d", images=80, box_px=BOX, realism=Realism(junk_noise=0.25))
    truth = open_truth(dataset)
    table = score_result(write_given_result(tmp_path / "result", truth), dataset)
    assert len(truth.particle_id) == 60
    assert set(table["coverage"]) == {1.0}
    assert set(table["particles"]) == {60}
