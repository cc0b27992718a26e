"""The conformance suite keeps quiet about what is right, and names what is wrong."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from cryoarena.benchmark.conformance.check_dataset import check_dataset
from cryoarena.benchmark.conformance.check_method import check_method
from cryoarena.benchmark.conformance.check_metric import check_metric
from cryoarena.benchmark.conformance.clause import Clause
from cryoarena.datasets.base import datasets
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, methods
from cryoarena.metrics.base import Metric, MetricCard, MetricResult, Score, metrics
from cryoarena.particles.particle_set import ParticleSet


def broken(clauses: list[Clause]) -> dict[str, str]:
    return {clause.says: clause.reason for clause in clauses if clause.status == "broken"}


@pytest.mark.parametrize("name", ["consensus", "class3d", "ppca", "covariance"])
@pytest.mark.slow
def test_built_in_methods_keep_the_contract(name: str, tmp_path: Path) -> None:
    clauses = list(check_method(methods.get(name), tmp_path))
    assert broken(clauses) == {}
    assert [clause.says for clause in clauses if clause.status == "untried"] in (
        [],
        ["class probabilities of an image add up to 1"],
    )


@pytest.mark.parametrize("name", sorted(metrics.all()))
def test_metrics_keep_the_contract(name: str, tmp_path: Path) -> None:
    clauses = list(check_metric(metrics.get(name), tmp_path))
    assert broken(clauses) == {}
    # Maps in the frame of the dataset can be tried by a made-up answer, whatever else cannot.
    if "volume_pairs" in " ".join(metrics.get(name).card.needs):
        assert {clause.status for clause in clauses} == {"kept"}


@pytest.mark.parametrize("name", ["igg-pseudo", "igg-1d"])
def test_datasets_keep_the_contract(name: str, tmp_path: Path) -> None:
    assert broken(list(check_dataset(datasets.get(name), tmp_path))) == {}


@dataclass(frozen=True)
class NoOptions:
    pass


class Sloppy(Reconstruction):
    """Its maps depend on what else is asked for, and what is saved is not what is read."""

    def __init__(self, n: int, box_px: int, offset: float) -> None:
        self.embedding = np.random.default_rng().standard_normal((n, 2)).astype(np.float32)
        self.posterior = np.full((n, 2), 0.6, np.float32)
        self.representatives = self.embedding[:2]
        self.history = []
        self.box_px, self.offset = box_px, offset

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((len(latents), *[self.box_px] * 3), len(latents) + self.offset, np.float32)

    def save(self, folder: Path) -> None:
        np.save(folder / "n.npy", np.array(self.box_px))


class SloppyMethod(Method[NoOptions]):
    card: ClassVar[MethodCard] = MethodCard("sloppy", "Sloppy", "none", "It keeps no clause.", "none", "discrete")
    options = NoOptions

    def fit(self, particles: ParticleSet, options: NoOptions, run: Run) -> Reconstruction:
        run.progress(1, 2)
        run.progress(2, 2)
        return Sloppy(len(particles), particles.box_px, 0)

    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        return Sloppy(len(particles), int(np.load(folder / "n.npy")), 1)


def test_a_sloppy_method_is_told_what_it_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sloppy = SloppyMethod()
    monkeypatch.setitem(methods._entries, "sloppy", sloppy)
    found = broken(list(check_method(sloppy, tmp_path)))
    assert set(found) == {
        "class probabilities of an image add up to 1",
        "a map depends on its latent alone",
        "what is read back gives the maps that were written",
        "equal seeds give equal results",
        "an interrupted run goes on and ends the same",
        "every score that applies can be computed",
    }
    assert "1.2" in found["class probabilities of an image add up to 1"]


def test_a_method_that_fails_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(SloppyMethod):
        def fit(self, particles: ParticleSet, options: NoOptions, run: Run) -> Reconstruction:
            raise RuntimeError("no luck")

    monkeypatch.setitem(methods._entries, "sloppy", Failing())
    clauses = list(check_method(Failing(), tmp_path))
    assert broken(clauses) == {
        "it runs with its defaults, without the truth": "the run is failed: RuntimeError: no luck"
    }
    assert clauses[-1].status == "broken"


def test_a_metric_that_prefers_chance_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = MetricCard("upside-down", 1, "", (0.0, 1.0), "higher", "none", "It is upside down.", ("embedding",))

    def compute(embedding: NDArray[np.float32]) -> MetricResult:
        # The true latents of a turning arm lie on a circle.
        return MetricResult({"": Score(float(np.linalg.norm(embedding, axis=1).std()) * 9, 0.01, len(embedding))})

    metric = Metric(card, compute)
    monkeypatch.setitem(metrics._entries, "upside-down", metric)
    assert (
        "for chance"
        in broken(list(check_metric(metric, tmp_path / "a")))[
            "the truth is judged no worse than an answer that knows nothing"
        ]
    )
    narrow = Metric(replace(card, range=(5.0, 6.0), summary="no sentence"), compute)
    monkeypatch.setitem(metrics._entries, "upside-down", narrow)
    found = broken(list(check_metric(narrow, tmp_path / "b")))
    assert found["the card is complete"] == "the summary is not a sentence"
    assert "not from 5 to 6" in found["values are in the range of the card"]
