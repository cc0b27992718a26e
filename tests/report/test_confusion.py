from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_bench import unpack

from cryoarena.report.confusion import confusion_payload
from cryoarena.report.curve_sources import CurveSource
from cryoarena.report.truth import Truth

UNKNOWN = Truth(None, None, ())
KEY = "class-agreement/confusion"


def source(curves: dict[str, Any], label: str = "ppca", kind: str = "method") -> CurveSource:
    return CurveSource(label, 0, kind, curves)


def matrix(cells: list[float | None], spread: list[float] | None = None) -> dict[str, Any]:
    return {"x": list(range(len(cells))), "mean": cells, "spread": spread or []}


def payload(curves: dict[str, Any], truth: Truth = UNKNOWN) -> dict[str, Any]:
    notes: list[str] = []
    found = confusion_payload([source(curves)], truth, notes)
    assert found is not None
    assert notes == []
    return found


def test_matrix_keeps_its_cells_row_by_row() -> None:
    (entry,) = payload({KEY: matrix([0.7, 0.2, 0.4, 0.5], [0.1, 0.1, 0.0, 0.2])})["matrices"]
    assert entry["label"] == "Class agreement"
    (series,) = entry["series"]
    np.testing.assert_allclose(unpack(series["mean"], np.float32), [0.7, 0.2, 0.4, 0.5])
    np.testing.assert_allclose(unpack(series["spread"], np.float32), [0.1, 0.1, 0.0, 0.2])
    assert series["recall"] == pytest.approx(0.6)


def test_states_without_particles_keep_the_numbers_of_the_others() -> None:
    curves = {KEY: matrix([1.0, 0, 0, 1.0]), "class-agreement/recall": {"x": [3.0, 8.0], "mean": [1.0, 1.0]}}
    assert payload(curves)["matrices"][0]["series"][0]["states"] == [3, 8]
    del curves["class-agreement/recall"]
    assert payload(curves)["matrices"][0]["series"][0]["states"] == [0, 1]


def test_spread_of_a_single_run_is_left_out() -> None:
    assert payload({KEY: matrix([1.0], [0.0])})["matrices"][0]["series"][0]["spread"] == ""


def test_cell_that_does_not_exist_is_no_zero() -> None:
    (series,) = payload({KEY: matrix([0.5, None, 0.5, 1.0])})["matrices"][0]["series"]
    assert np.isnan(unpack(series["mean"], np.float32)).tolist() == [False, True, False, False]


def test_captions_are_the_cvs() -> None:
    conformations = pd.DataFrame({"conformation": [0, 1], "cv_psi": [0.0, 90.0]})
    truth = Truth(None, conformations, ({"name": "psi", "unit": "deg"},))
    assert payload({KEY: matrix([1.0])}, truth)["captions"] == {0: "psi\u00a0=\u00a00°", 1: "psi\u00a0=\u00a090°"}


def test_states_of_several_conformations_are_described_by_what_these_share() -> None:
    conformations = pd.DataFrame(
        {"conformation": [0, 1, 2, 3], "cv_psi": [0.0, 90.0, 0.0, 90.0], "cv_n": [2.0, 2.0, 3.0, 3.0]}
    ).assign(state=[0, 0, 1, 1])
    truth = Truth(None, conformations, ({"name": "psi", "unit": "deg"}, {"name": "n", "unit": "bp"}))
    assert payload({KEY: matrix([1.0])}, truth)["captions"] == {0: "n\u00a0=\u00a02 bp", 1: "n\u00a0=\u00a03 bp"}


def test_hundred_states_stay_small() -> None:
    shares = np.random.default_rng(0).dirichlet(np.full(100, 0.02), 100)
    (series,) = payload({KEY: matrix(shares.ravel().tolist())})["matrices"][0]["series"]
    assert len(series["mean"]) < 30_000
    np.testing.assert_allclose(unpack(series["mean"], np.float32), shares.ravel(), atol=6e-5)


def test_what_is_not_square_becomes_a_note_and_limits_are_not_drawn() -> None:
    notes: list[str] = []
    sources = [source({KEY: matrix([1.0, 0, 0])}), source({KEY: matrix([1.0])}, "floor", "floor")]
    assert confusion_payload(sources, UNKNOWN, notes) is None
    assert notes == ["The confusion matrix of ppca is left out: it is not square."]
