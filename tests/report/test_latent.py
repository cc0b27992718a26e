from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_bench import unpack

from cryoarena.report.collect import Group, ResultFolder, collect
from cryoarena.report.latent import latent_payload
from cryoarena.report.truth import Truth, read_truth


def test_points_are_matched_by_particle_id_not_by_row(bench: Path) -> None:
    (group,) = collect(bench).groups
    payload = latent_payload(group, read_truth(group.dataset, []), [])
    assert payload is not None
    psi = np.deg2rad(unpack(payload["cvs"][0]["values"], np.float32))
    plot = next(plot for plot in payload["plots"] if plot["label"] == "ppca")
    first, second = (unpack(axis["values"], np.int16).astype(float) for axis in plot["axes"][:2])
    # The latents were made on the circle of ψ: the circle must come back, turned or mirrored at most.
    found = np.exp(1j * np.arctan2(second, first))
    coherence = max(abs(np.mean(found * np.exp(-1j * psi))), abs(np.mean(found * np.exp(1j * psi))))
    assert coherence > 0.95


def test_constant_latents_are_named_as_such(bench: Path) -> None:
    (group,) = collect(bench).groups
    payload = latent_payload(group, read_truth(group.dataset, []), [])
    assert payload is not None
    assert {plot["label"]: plot["constant"] for plot in payload["plots"]} == {"consensus": True, "ppca": False}


def one_result(folder: Path, latent: np.ndarray, ids: np.ndarray) -> Group:
    np.save(folder / "embedding.npy", latent)
    np.save(folder / "particle_id.npy", ids)
    return Group("d", None, (ResultFolder(folder, {"status": "ok"}, "m", 0),))


def test_particles_without_latent_are_marked_missing(tmp_path: Path) -> None:
    group = one_result(tmp_path, np.array([[0.0], [1.0]]), np.array([5, 9]))
    truth = Truth(pd.DataFrame({"particle_id": [9, 7, 5]}), None, ())
    payload = latent_payload(group, truth, [])
    assert payload is not None
    ids = unpack(payload["ids"], np.int64).tolist()
    values = unpack(payload["plots"][0]["axes"][0]["values"], np.int16)
    assert values[ids.index(7)] == np.iinfo(np.int16).min
    assert values[ids.index(5)] < 0 < values[ids.index(9)]


def test_many_points_are_thinned_and_this_is_said(tmp_path: Path) -> None:
    n = 120_000
    group = one_result(tmp_path, np.random.default_rng(0).normal(size=(n, 2)), np.arange(n))
    notes: list[str] = []
    payload = latent_payload(group, Truth(None, None, ()), notes)
    assert payload is not None
    assert payload["n"] == 100_000
    assert "100,000 of 120,000" in notes[0]


def test_mismatched_embedding_is_a_note(tmp_path: Path) -> None:
    group = one_result(tmp_path, np.zeros((3, 2)), np.arange(4))
    notes: list[str] = []
    assert latent_payload(group, Truth(None, None, ()), notes) is None
    assert "shape (3, 2)" in notes[0]


def test_particles_of_discrete_data_are_coloured_by_their_state(tmp_path: Path) -> None:
    group = one_result(tmp_path, np.zeros((4, 2)), np.arange(4))
    particles = pd.DataFrame({"particle_id": [0, 1, 2, 3], "conformation": [0, 1, 2, 3], "state": [0, 0, 1, 1]})
    payload = latent_payload(group, Truth(particles, None, ()), [])
    assert payload is not None
    (state,) = payload["cvs"]
    assert (state["name"], state["label"], state["period"]) == ("state", True, None)
    ids = unpack(payload["ids"], np.int64)
    np.testing.assert_array_equal(unpack(state["values"], np.float32)[np.argsort(ids)], [0, 0, 1, 1])


def test_points_are_coloured_by_all_that_is_known_and_varies(tmp_path: Path) -> None:
    group = one_result(tmp_path, np.zeros((4, 2)), np.arange(4))
    particles = pd.DataFrame(
        {
            "particle_id": [0, 1, 2, 3],
            "conformation": [0, 1, -1, 1],
            "cv_psi": [0.0, 90.0, np.nan, 90.0],
            "junk": ["", "off-centre", "noise", ""],
            "neighbour": [True, False, False, False],
            "session": [1, 1, 1, 1],
            "optics_group": [1, 2, 3, 1],
            "ice_nm": [20.0, 30.00011, 40.0, 50.0],
            "defocus_u_A": [10_000.0, 12_000.0, 15_000.0, 11_000.0],
            "origin_row": [5, 6, 7, 8],
        }
    )
    truth = Truth(particles, None, ({"name": "psi", "unit": "deg", "period": 360},))
    payload = latent_payload(group, truth, [])
    assert payload is not None
    order = np.argsort(unpack(payload["ids"], np.int64))
    found = {cv["name"]: cv for cv in payload["cvs"]}
    values = {name: unpack(cv["values"], np.float32)[order].tolist() for name, cv in found.items()}
    # The session does not vary, and where a particle came from is no property of it.
    kinds, amounts = ["conformation", "junk", "neighbour", "optics group"], ["ice thickness", "defocus"]
    assert list(found) == ["psi", *kinds, *amounts]
    assert [name for name, cv in found.items() if cv["label"]] == kinds
    assert found["junk"]["words"] == ["none", "noise", "off-centre"]
    assert values["junk"] == [0, 2, 1, 0]
    assert (found["neighbour"]["words"], values["neighbour"]) == (["no", "yes"], [1, 0, 0, 0])
    assert values["ice thickness"] == [20, 30, 40, 50]
    assert (values["defocus"], found["defocus"]["unit"]) == (pytest.approx([1, 1.2, 1.5, 1.1]), " µm")


@pytest.mark.slow
def test_umap_keeps_neighbours_and_marks_what_is_missing(tmp_path: Path) -> None:
    """Two clusters in five dimensions are two clusters in the plane; a particle without latent has no place."""
    rng = np.random.default_rng(0)
    cluster = np.repeat([0, 1], 60)
    group = one_result(tmp_path, 8 * cluster[:, None] + rng.normal(size=(120, 5)), np.arange(120))
    payload = latent_payload(group, Truth(pd.DataFrame({"particle_id": np.arange(121)}), None, ()), [], umap=True)
    assert payload is not None
    ids = unpack(payload["ids"], np.int64)
    axes = {axis["name"]: unpack(axis["values"], np.int16) for axis in payload["plots"][0]["axes"]}
    placed = np.stack([axes["UMAP 1"], axes["UMAP 2"]], axis=1).astype(float)
    assert (placed[ids == 120] == np.iinfo(np.int16).min).all()
    of = [placed[(ids < 120) & (ids // 60 == number)] for number in (0, 1)]
    apart = np.linalg.norm(of[0].mean(axis=0) - of[1].mean(axis=0))
    assert apart > 3 * max(np.linalg.norm(each - each.mean(axis=0), axis=1).mean() for each in of)
