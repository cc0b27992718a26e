"""What observers make of conformations whose true maps are not kept: their images count all the same."""

from dataclasses import replace

import numpy as np
import pytest

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.limits.bayes_posterior import prior_of
from cryoarena.limits.known_components import component_maps, true_coordinates
from cryoarena.limits.known_label import window_of
from cryoarena.limits.observers import Observers
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Return a truth of which conformations 0, 1, 2 and 5 of eight on a circle have maps."""
    whole = open_truth(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=160, box_px=24, snr=1.0))
    names = tuple(name if number in (0, 1, 2, 5) else "" for number, name in enumerate(whole.volume_names))
    return replace(whole, volume_names=names, population=np.arange(1, 9) / 36)


def test_a_map_speaks_for_the_conformations_around_it(truth: Truth) -> None:
    np.testing.assert_array_equal(truth.nearest_mapped(), [0, 1, 2, 2, 3, 3, 3, 0])
    np.testing.assert_allclose(prior_of(truth), np.array([1 + 8, 2, 3 + 4, 5 + 6 + 7]) / 36)


def test_states_without_a_map_are_nobodys_neighbours(truth: Truth) -> None:
    states = replace(truth, info=truth.info | {"card": truth.info["card"] | {"kind": "compositional"}})
    np.testing.assert_array_equal(states.nearest_mapped(), [0, 1, 2, -1, -1, 3, -1, -1])


def test_components_come_from_all_images(truth: Truth) -> None:
    told = []
    maps = component_maps(
        open_particles(truth.folder),
        truth,
        true_coordinates(truth),
        "cpu",
        lambda done, total, _: told.append((done, total)),
    )
    assert told[-1] == (160, 160)
    assert np.isfinite(maps).all()


def test_the_maps_of_components_go_with_their_coordinates(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Observers(truth, "cpu").known_components()
    # Another library turns the signs of singular vectors.
    monkeypatch.setattr("cryoarena.limits.observers.true_coordinates", lambda truth: -true_coordinates(truth))
    again = Observers(truth, "cpu").known_components()
    np.testing.assert_array_equal(again.answer.maps_of(again.rows[:2]), first.answer.maps_of(first.rows[:2]))


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_a_window_is_the_same_in_any_unit(scale: float) -> None:
    embedding = scale * np.linspace(0, 1, 2001)[:, None]
    assert set(window_of(embedding, 1500, 3)) == {1499, 1500, 1501}


def test_without_ctf_there_is_no_reconstruction(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    observers = Observers(truth, "cpu")
    assert observers.can_reconstruct()
    particles = open_particles(truth.folder)
    monkeypatch.setattr(Observers, "_particles", lambda self: replace(particles, ctf=None))
    assert not observers.can_reconstruct()
