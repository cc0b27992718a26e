"""Whatever is wrong with a result, `cryoarena score` says so: one sentence, or rows with a status and a reason."""

import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.datasets.truth import open_truth
from cryoarena.files import read_json, write_json
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics
from cryoarena.volumes.mrc import write_volume
from given_results import GivenMethod, write_given_result
from simulated import make_small_dataset

IMAGES, BOX, STATES = 80, 16, 8
# Here is no free energy, poses are given, and no images restored.
NOT_APPLICABLE = {"aligned-fsc", "pose-error", "image-quality", "energy-landscape"}
OF_LATENTS = {name for name, metric in metrics.all().items() if "embedding" in metric.card.needs} - NOT_APPLICABLE
OF_POSTERIORS = {name for name, metric in metrics.all().items() if "posterior" in metric.card.needs}
OF_MAPS = {"per-image-fsc", "per-conformation-fsc", "sample-fsc", "map-distance"}
# Their maps are chosen by the latents.
OF_MAPS_AT_LATENTS = {"per-conformation-fsc", "sample-fsc"}

Spoil = Callable[[NDArray[Any]], NDArray[Any]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=IMAGES, box_px=BOX, snr=1.0)


@pytest.fixture(scope="module")
def perfect(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_given_result(tmp_path_factory.mktemp("results") / "perfect", open_truth(dataset))


@pytest.fixture
def result(perfect: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(methods._entries, "given", GivenMethod())
    return Path(shutil.copytree(perfect, tmp_path / "result"))


def sentence(result: Path, dataset: Path) -> str:
    """Score on the command line, insist on exit code 2 and one line on standard error, and return it."""
    found = CliRunner().invoke(app, ["score", str(result), "--dataset", str(dataset)])
    assert found.exit_code == 2, found.output
    lines = [line for line in found.stderr.splitlines() if not re.search(r": \d+%", line)]
    assert len(lines) == 1, found.stderr
    assert not (result / "scores.csv").exists()
    return lines[0]


def scored(result: Path, dataset: Path) -> pd.DataFrame:
    """Score on the command line and return the table: a value in a row that is ok, else a reason and no value."""
    found = CliRunner().invoke(app, ["score", str(result), "--dataset", str(dataset)])
    assert found.exit_code == 0, found.output
    table = pd.read_csv(result / "scores.csv")
    assert set(table["metric"]) == set(metrics.all())
    ok = table["status"] == "ok"
    assert np.isfinite(table.loc[ok, "value"]).all()
    assert table.loc[~ok, ["value", "normalised"]].isna().all(axis=None)
    assert (table.loc[~ok, "reason"].str.len() > 10).all()
    return table


def failed(table: pd.DataFrame, reason: str) -> set[str]:
    """Return the metrics that failed, all for a reason like this; the usual ones are not applicable."""
    rows = table[table["status"] == "failed"]
    assert rows["reason"].str.contains(reason).all(), rows["reason"].tolist()
    whole = table[table["statistic"].isna() & (table["status"] == "not_applicable")]
    assert set(whole["metric"]) == NOT_APPLICABLE
    return set(rows["metric"])


def change(result: Path, name: str, spoil: Spoil) -> None:
    np.save(result / f"{name}.npy", spoil(np.load(result / f"{name}.npy")))


def in_row(row: int, value: float) -> Spoil:
    """Return what puts a value into a row."""

    def spoil(array: NDArray[Any]) -> NDArray[Any]:
        array[row] = value
        return array

    return spoil


def test_a_perfect_result_has_every_value(result: Path, dataset: Path) -> None:
    table = scored(result, dataset)
    assert failed(table, "") == set()
    best = table.set_index(["metric", "statistic"])["value"]
    assert best["per-image-fsc", "standard/mask/auc"] == pytest.approx(0.5 - 1 / BOX)
    assert best["class-agreement", "standard/ari"] == best["posterior-class-agreement", "standard/ari"] == 1
    # Of each conformation all but one image repeat another.
    absent = table[table["statistic"].notna() & (table["status"] == "not_applicable")]
    assert absent["statistic"].str.startswith("cryobench/").all()
    assert set(absent["metric"]) == {"information-imbalance", "entanglement"}


@pytest.mark.parametrize(
    ("name", "spoil", "expected"),
    [
        (
            "particle_id",
            lambda ids: ids + 1000,
            "names 80 particles that are not in the dataset, the first is particle 1",
        ),
        ("particle_id", lambda ids: np.where(ids == ids[3], ids[2], ids), "2 times; give one row per particle"),
        ("particle_id", lambda ids: ids.astype(float), "float64 values of shape (80,), not (N,) particle ids"),
        ("particle_id", lambda ids: ids[:0], "shape (0,), not (N,) particle ids"),
        ("embedding", lambda latents: latents[:-1], "embedding.npy has 79 rows for 80 particle ids"),
        ("embedding", lambda latents: latents[:, 0], "shape (80,), not (N, d) latents"),
        ("embedding", lambda latents: latents[:, :0], "shape (80, 0), not (N, d) latents"),
        ("embedding", lambda latents: latents.astype(str), "not (N, d) latents"),
        ("embedding", lambda latents: latents + 1j, "not (N, d) latents"),
        ("posterior", lambda shares: shares[:-1], "posterior.npy has 79 rows for 80 particle ids"),
        ("posterior", lambda shares: shares.argmax(axis=1), "shape (80,), not (N, K) class probabilities"),
    ],
)
def test_wrong_arrays(result: Path, dataset: Path, name: str, spoil: Spoil, expected: str) -> None:
    change(result, name, spoil)
    assert expected in sentence(result, dataset)


def test_one_particle_too_many(result: Path, dataset: Path) -> None:
    for name in ("particle_id", "embedding", "posterior"):
        change(result, name, lambda array: array[[*range(IMAGES), 0]])
    change(result, "particle_id", in_row(-1, 999_999))
    assert "names 1 particles that are not in the dataset, the first is particle 999999" in sentence(result, dataset)


@dataclass
class Trap:
    """Unpickling it leaves a file."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_array", [True, False])
def test_pickles_are_not_run(result: Path, dataset: Path, as_array: bool) -> None:
    trap = Trap(result / "sprung")
    if as_array:
        np.save(result / "embedding.npy", np.array([[trap]] * IMAGES, object), allow_pickle=True)
    else:
        (result / "embedding.npy").write_bytes(pickle.dumps(trap))
    assert "embedding.npy is no plain array file" in sentence(result, dataset)
    assert not (result / "sprung").exists()


def test_damaged_files(result: Path, dataset: Path) -> None:
    path = result / "embedding.npy"
    whole = path.read_bytes()
    for content in (whole[:-5], whole[:20], b"", b"text"):
        path.write_bytes(content)
        assert "embedding.npy is no plain array file, is empty or is truncated" in sentence(result, dataset)
    # A header that promises more than memory holds.
    path.write_bytes(re.sub(rb"\(80, (\d+)\), \}", rb"(80, \g<1>000000000), }", whole))
    assert "embedding.npy is no plain array file, is empty or is truncated" in sentence(result, dataset)
    with path.open("wb") as stream:
        np.savez(stream, embedding=np.zeros((IMAGES, 2)))
    assert "is an archive, not one array" in sentence(result, dataset)
    path.unlink()
    assert "embedding.npy does not exist" in sentence(result, dataset)


def test_damaged_model(result: Path, dataset: Path) -> None:
    (result / "model" / "maps.npy").write_bytes(b"")
    assert f"{result / 'model'} is missing or damaged" in sentence(result, dataset)
    shutil.rmtree(result / "model")
    assert f"{result / 'model'} is missing or damaged" in sentence(result, dataset)


def test_no_result_at_all(result: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty is no result folder: it has no result.json" in sentence(tmp_path / "empty", dataset)
    assert "none is no result folder" in sentence(tmp_path / "none", dataset)
    info = read_json(result / "result.json")
    for changed, expected in (
        ([], "does not tell status"),
        (info | {"status": "fine"}, "status 'fine', which is none of ok, failed, not_applicable"),
        (info | {"dataset": "d"}, "does not tell dataset id"),
        (info | {"method": {}}, "does not tell method name"),
        (info | {"method": {"name": "gven"}}, "did you mean 'given'?"),
    ):
        write_json(result / "result.json", changed)
        assert expected in sentence(result, dataset)
    (result / "result.json").write_text("{")
    assert "result.json is not valid JSON" in sentence(result, dataset)


def test_a_failed_run_has_failed_rows(result: Path, dataset: Path) -> None:
    info = read_json(result / "result.json")
    write_json(result / "result.json", info | {"status": "failed", "reason": "out of memory at iteration 3"})
    table = scored(result, dataset)
    assert set(table["status"]) == {"failed"}
    assert set(table["reason"]) == {"out of memory at iteration 3"}
    assert set(table["metric"]) == set(metrics.all())


@pytest.mark.parametrize(("box", "pixel", "expected"), [(BOX, 1.01, "a box of 16 at"), (18, 1.0, "a box of 18 at")])
def test_maps_on_another_grid(result: Path, dataset: Path, box: int, pixel: float, expected: str) -> None:
    true_pixel = open_truth(dataset).pixel_size_A
    write_volume(result / "volumes" / "0000.mrc", np.ones((BOX,) * 3, np.float32), true_pixel)
    write_volume(result / "volumes" / "0001.mrc", np.ones((box,) * 3, np.float32), pixel * true_pixel)
    found = sentence(result, dataset)
    assert expected in found
    assert "0001.mrc" in found


def test_truncated_map(result: Path, dataset: Path) -> None:
    path = result / "volumes" / "0000.mrc"
    write_volume(path, np.ones((BOX,) * 3, np.float32), open_truth(dataset).pixel_size_A)
    path.write_bytes(path.read_bytes()[:-100])
    assert "0000.mrc is truncated" in sentence(result, dataset)


@pytest.mark.parametrize("share", [0.01, 1.0])
def test_nan_latents(result: Path, dataset: Path, share: float) -> None:
    change(result, "embedding", in_row(5, np.nan) if share < 1 else lambda latents: np.full_like(latents, np.nan))
    lost = "1 of 80" if share < 1 else "80 of 80"
    table = scored(result, dataset)
    assert (
        failed(table, rf"(?:{lost} rows of the|row \d+ of the) embedding holds? NaN") == OF_LATENTS | OF_MAPS_AT_LATENTS
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda maps: np.full_like(maps, np.nan), "holds NaN or infinity"),
        (lambda maps: maps[:, 2:, 2:, 2:], r"maps of shape \(14, 14, 14\) for a dataset of box 16"),
        (lambda maps: maps[:, 0], r"maps of shape \(16, 16\) for a dataset of box 16"),
        (np.zeros_like, "is constant"),
        (lambda maps: maps[:1], "IndexError: index"),
    ],
)
def test_bad_maps(result: Path, dataset: Path, spoil: Spoil, reason: str) -> None:
    stale = result / "comparison" / "conformation_0000.mrc"
    write_volume(stale, np.ones((BOX,) * 3, np.float32), 1.0)
    before = stale.read_bytes()
    change(result, "model/maps", spoil)
    assert failed(scored(result, dataset), reason) == OF_MAPS
    assert not (stale.exists() and stale.read_bytes() == before)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_latents_have_the_value_of_the_floor(result: Path, dataset: Path, value: float) -> None:
    change(result, "embedding", lambda latents: np.full_like(latents, value))
    table = scored(result, dataset)
    assert failed(table, "") == set()
    rows = table.set_index(["metric", "statistic"])
    for key in (("class-agreement", "standard/ari"), ("cv-regression", "r2/hinge_angle")):
        assert rows.loc[key, "value"] == pytest.approx(0, abs=1e-6)
    for key in (("pmn", "standard/radius_10"), ("information-imbalance", "standard/latent_to_truth")):
        assert rows.loc[key, "value"] == pytest.approx(rows.loc[key, "floor"], rel=0.05)
    absent = rows.loc[[("information-imbalance", "cryobench/latent_to_truth")]]
    assert absent["reason"].str.contains("of 80 images only 1 differ").all()


def test_one_class_only(result: Path, dataset: Path) -> None:
    for spoil in (lambda shares: np.ones_like(shares[:, :1]), lambda shares: np.eye(STATES)[np.full(len(shares), 3)]):
        change(result, "posterior", spoil)
        table = scored(result, dataset)
        assert failed(table, "") == set()
        rows = table.set_index(["metric", "statistic"])["value"]
        assert rows["posterior-class-agreement", "standard/ari"] == pytest.approx(0, abs=1e-9)
        assert rows["posterior-class-agreement", "standard/accuracy"] == pytest.approx(1 / STATES, abs=0.1)
        assert rows["posterior-populations", "counting/l1"] == pytest.approx(2 - 2 / STATES)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda shares: 2 * shares, "row 0 of the posterior sums to 2, not to 1"),
        (in_row(4, 0.0), "row 4 of the posterior sums to 0, not to 1"),
        (in_row(4, -1.0), "row 4 of the posterior has a negative probability"),
        (in_row(4, np.nan), "1 of 80 rows of the posterior hold NaN"),
    ],
)
def test_what_are_no_probabilities(result: Path, dataset: Path, spoil: Spoil, reason: str) -> None:
    change(result, "posterior", spoil)
    assert failed(scored(result, dataset), reason) == OF_POSTERIORS
