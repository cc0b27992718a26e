"""The truth of datasets whose states are made of several conformations."""

from dataclasses import replace

import numpy as np
import pytest

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.metrics.base import MetricCard, MetricResult
from cryoarena.metrics.judge import Answer, judge
from simulated import make_small_dataset

STATES = np.array([0, 0, 0, 1, 1, 1, 1, 1])


@pytest.fixture(scope="module")
def every_conformation_a_state(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return open_truth(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=80, box_px=16))


@pytest.fixture
def truth(every_conformation_a_state: Truth) -> Truth:
    angle = every_conformation_a_state.cvs["hinge_angle"]
    cvs = {"length": np.where(STATES == 0, 2.0, 5.0), "hinge_angle": angle}
    return replace(every_conformation_a_state, cvs=cvs, periods={"length": None, "hinge_angle": 360.0}, states=STATES)


def test_without_states_every_conformation_is_one(every_conformation_a_state: Truth) -> None:
    truth = every_conformation_a_state
    np.testing.assert_array_equal(truth.state, truth.conformation)
    np.testing.assert_array_equal(truth.state_population, truth.population)
    np.testing.assert_array_equal(truth.state_embedding(), truth.embedding())
    assert truth.state_cvs().keys() == truth.cvs.keys()


def test_populations_of_conformations_add_up(truth: Truth) -> None:
    np.testing.assert_allclose(truth.state_population, [3 / 8, 5 / 8])
    np.testing.assert_array_equal(truth.state, STATES[truth.conformation])
    rows = np.array([5, 2])
    np.testing.assert_array_equal(truth.subset(rows).state, truth.state[rows])


def test_states_lie_where_the_cvs_that_tell_them_apart_say(truth: Truth) -> None:
    np.testing.assert_array_equal(truth.state_embedding(), [[2.0], [5.0]])


def test_states_that_no_cv_tells_apart_lie_at_the_mean_of_their_conformations(truth: Truth) -> None:
    cvs = {"hinge_angle": truth.cvs["hinge_angle"]}
    truth = replace(truth, cvs=cvs, population=np.array([1, 0, 0, 2, 2, 0, 0, 0]) / 5)
    expected = [truth.embedding()[0], truth.embedding()[3:5].mean(axis=0)]
    np.testing.assert_allclose(truth.state_embedding(), expected)


def of_classes(card: MetricCard) -> bool:
    return card.name in ("class-agreement", "posterior-class-agreement", "populations", "posterior-populations")


def test_classes_are_judged_by_states_not_by_conformations(truth: Truth) -> None:
    one_hot = np.eye(2, dtype=np.float32)[truth.state]
    answer = Answer(one_hot, lambda rows: np.zeros((len(rows), 16, 16, 16), np.float32), one_hot)
    results = judge(answer, truth, np.arange(0), lambda *_: None, wanted=of_classes)
    agreement, own, populations, own_populations = (results[name] for name in sorted(results))
    for result in (agreement, populations, own, own_populations):
        assert isinstance(result, MetricResult), result
        for name, score in result.scores.items():
            perfect = 0.0 if name.endswith(("l1", "kl", "emd")) else 1.0
            assert score.value == pytest.approx(perfect, abs=2e-3), name
