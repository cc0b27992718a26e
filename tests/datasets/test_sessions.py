"""States recorded in sessions of their own: what changes, where the truth says so, and that it leaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoarena.datasets import engineered_labels
from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.sessions import unlike_sessions
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.limits.bayes_posterior import bayes_posterior
from cryoarena.limits.leakage import leakage_of
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import silent

DATASET = datasets.get("engineered-labels")


def made(folder: Path, session: str, snr: float = 0.01, images: int = 1200) -> Path:
    settings = resolve_settings(DATASET, "small", images, 32, snr, conformations=4)
    make_dataset(DATASET, settings, Sources(), folder, given_options={"longest": "5", "session": session})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sessions")
    return {session: made(folder / session, session) for session in ("none", "mild", "strong")}


def test_amounts_are_spread_over_their_ranges_in_an_order_of_their_own() -> None:
    sessions = unlike_sessions(np.repeat(np.arange(13), 5), 4000.0, (20.0, 80.0), 1.25, seed=0)
    np.testing.assert_allclose(np.sort(sessions.defocus_A), np.linspace(-4000, 4000, 13))
    np.testing.assert_allclose(np.sort(sessions.ice_nm), np.linspace(20, 80, 13))
    assert sessions.grey_scale.min() == pytest.approx(1 / 1.25)
    assert sessions.grey_scale.max() == pytest.approx(1.25)
    orders = {tuple(np.argsort(amount)) for amount in (sessions.defocus_A, sessions.ice_nm, sessions.grey_scale)}
    assert len(orders | {tuple(range(13))}) == 4


def test_truth_tells_what_the_tables_and_images_hold(folders: dict[str, Path]) -> None:
    table = pd.read_parquet(folders["strong"] / "truth" / "particles.parquet")
    truth, particles = open_truth(folders["strong"]), open_particles(folders["strong"])
    np.testing.assert_array_equal(table["session"], truth.state)
    without = open_particles(folders["none"])
    assert particles.ctf is not None
    assert without.ctf is not None
    change_A = particles.ctf.defocus_u_A - without.ctf.defocus_u_A
    assert np.ptp([change_A[truth.state == state].mean() for state in range(4)]) == pytest.approx(8000, rel=0.01)
    assert [np.ptp(change_A[truth.state == state]) for state in range(4)] == pytest.approx([0] * 4, abs=1)
    for state in range(4):
        here = np.flatnonzero(truth.state == state)
        grey_scale = table["grey_scale"].to_numpy()[here]
        # There is hardly any signal in the corner.
        assert particles.images(here)[:, :4, :4].std() == pytest.approx(grey_scale[0], rel=0.03)
    assert "grey_scale" not in (folders["strong"] / "particles.star").read_text()


def test_without_sessions_nothing_is_told(folders: dict[str, Path]) -> None:
    table = pd.read_parquet(folders["none"] / "truth" / "particles.parquet")
    assert not {"session", "ice_nm", "grey_scale"} & set(table)
    assert open_truth(folders["none"]).imperfections is None


def test_labels_leak_as_much_as_sessions_differ(folders: dict[str, Path]) -> None:
    found = {session: leakage_of(open_truth(folder)) for session, folder in folders.items()}
    none, mild, strong = found["none"], found["mild"], found["strong"]
    assert none is not None
    assert mild is not None
    assert strong is not None
    assert not none.is_found
    assert none.balanced_accuracy == pytest.approx(0.25, abs=3 * none.standard_error)
    assert strong.is_found
    assert strong.balanced_accuracy > 0.8
    assert none.balanced_accuracy + 0.02 < mild.balanced_accuracy < strong.balanced_accuracy - 0.1


Amounts = tuple[float, tuple[float, float], float]


def posteriors(folder: Path, amounts: Amounts, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Return p(true conformation) of an observer who knows of the sessions, and of one who does not."""
    monkeypatch.setitem(engineered_labels._SESSIONS, "mild", amounts)
    made(folder, "mild", snr=0.005, images=400)
    truth, particles, rows = open_truth(folder), open_particles(folder), np.arange(400)
    known, ignored = (
        bayes_posterior(particles, told, rows, silent).posterior[rows, truth.conformation]
        for told in (truth, replace(truth, imperfections=None))
    )
    return known, ignored


def test_the_bayes_observer_sees_through_grey_scale_and_ice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alike, _ = posteriors(tmp_path / "alike", (0.0, (0.0, 0.0), 1.0), monkeypatch)
    scaled, taken_at_face_value = posteriors(tmp_path / "scaled", (0.0, (0.0, 0.0), 1.5), monkeypatch)
    np.testing.assert_allclose(scaled, alike, atol=1e-4)
    assert np.abs(taken_at_face_value - alike).max() > 0.1
    # 200 nm of ice take half of the signal. One who knows is as sure as he is right; one who does not is too sure.
    known, ignored = posteriors(tmp_path / "ice", (0.0, (200.0, 200.0), 1.0), monkeypatch)
    assert np.log(known).mean() > np.log(ignored).mean() + 0.05


def test_an_unknown_session_is_refused() -> None:
    settings = resolve_settings(DATASET, "small", conformations=13)
    with pytest.raises(UserError, match="session must be one of none, mild, strong, not 'wild'"):
        DATASET.build(settings, Sources(), DATASET.options(session="wild"))
