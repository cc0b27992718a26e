"""Engineered labels: the length of a duplex is the state, a lobe that turns is not."""

from dataclasses import replace

import numpy as np
import pytest

from cryoarena.datasets.base import Ensemble, Sources, datasets
from cryoarena.datasets.engineered_labels import EngineeredLabelsOptions
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.errors import UserError

DATASET = datasets.get("engineered-labels")


def built(conformations: int = 65, **options: object) -> Ensemble:
    settings = resolve_settings(DATASET, "small", conformations=conformations)
    return DATASET.build(settings, Sources(), replace(EngineeredLabelsOptions(), **options))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("data") / "d"
    settings = resolve_settings(DATASET, "small", 400, 32, conformations=8)
    make_dataset(DATASET, settings, Sources(), folder, given_options={"longest": "5"})
    return open_truth(folder)


def test_every_length_has_every_angle() -> None:
    ensemble = built()
    assert ensemble.state is not None
    assert sorted(set(ensemble.cvs["length"])) == list(range(2, 15))
    table = set(zip(ensemble.cvs["length"], ensemble.cvs["lobe_angle"], strict=True))
    assert len(table) == 65
    np.testing.assert_array_equal(ensemble.state, ensemble.cvs["length"] - 2)
    np.testing.assert_allclose(np.unique(ensemble.cvs["lobe_angle"]), [-15, -7.5, 0, 7.5, 15])
    assert ensemble.population.sum() == pytest.approx(1)


def test_a_base_pair_adds_its_mass_and_leaves_the_body_where_it_is() -> None:
    specimen = built().specimen
    first, second = (specimen.scattering(conformation).weights.sum() for conformation in (0, 5))
    assert second - first == pytest.approx(296)
    short, long = specimen.position_A(0), specimen.position_A(60)
    np.testing.assert_array_equal(long[: len(short)], short)
    assert specimen.scattering(0) is specimen.scattering(4)


def test_states_are_the_lengths_and_lie_on_a_line_in_base_pairs(truth: Truth) -> None:
    assert len(truth.state_population) == 4
    np.testing.assert_array_equal(truth.state_embedding(), [[2.0], [3.0], [4.0], [5.0]])
    np.testing.assert_array_equal(truth.state, truth.cvs["length"][truth.conformation] - 2)
    np.testing.assert_array_equal(np.bincount(truth.state), 100)
    assert not truth.is_continuous


def test_true_maps_differ_between_lengths_only_where_the_duplex_is(truth: Truth) -> None:
    same_angle = truth.volume(6) - truth.volume(0)
    z, y, x = np.unravel_index(np.argmax(same_angle), same_angle.shape)
    at_A = (np.array([x, y, z]) - 16) * truth.pixel_size_A
    # Base pairs 3 to 5 begin 7 to 14 Å from the start of the duplex.
    start, direction = np.array([-36.0, -4.0, 24.0]), np.array([-0.35, -0.15, 0.92])
    along = (at_A - start) @ direction / np.linalg.norm(direction)
    assert 0 < along < 20
    assert np.linalg.norm(at_A - start) < 25


@pytest.mark.parametrize(
    ("conformations", "options", "sentence"),
    [
        (64, {}, "multiple of the 13 lengths, not 64"),
        (65, {"shortest": 0}, "shortest must be at least 1"),
        (65, {"longest": 2}, "longest more than that"),
        (65, {"lobe_deg": -1.0}, "lobe_deg must not be negative"),
    ],
)
def test_impossible_options_are_refused(conformations: int, options: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        built(conformations, **options)


def test_one_angle_is_no_nuisance() -> None:
    assert set(built(13).cvs["lobe_angle"]) == {0.0}
