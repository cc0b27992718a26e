"""3-D classification of small stacks whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor

from cryoarena.benchmark.run_cell import run_method
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.errors import UserError
from cryoarena.imaging.poses import random_poses
from cryoarena.methods.band_images import BandImages, by_view
from cryoarena.methods.base import Run, methods
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.class3d import Class3dOptions, Class3dReconstruction, merge, refill
from cryoarena.methods.class_maps import class_maps, consensus_of, mean_power
from cryoarena.methods.class_posteriors import expect
from cryoarena.methods.result_folder import open_result
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.slicing import FourierGrid
from simulated import make_small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth]:
    folder = make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=800, snr=0.1)
    return open_particles(folder), open_truth(folder)


def classify(particles: ParticleSet, classes: int, iterations: int = 10, run: Run = Run()) -> Class3dReconstruction:
    found = methods.get("class3d").fit(particles, Class3dOptions(classes, iterations), run)
    assert isinstance(found, Class3dReconstruction)
    return found


def test_classes_are_the_conformations(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, truth = dataset
    found = classify(particles, 8)
    assert adjusted_rand_score(truth.conformation, found.posterior.argmax(axis=1)) > 0.5
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-4)
    moving = truth.masks()["moving_mask"]
    rows = np.arange(0, 800, 50)
    consensus = methods.get("consensus").fit(particles, methods.get("consensus").options(), Run())
    mean = consensus.volumes_at(np.zeros((1, 1), np.float32))[0]
    of_classes = [
        fsc_auc(*fsc(volume, truth.volume(int(truth.conformation[row])), moving))
        for row, volume in zip(rows, found.volumes_at(found.embedding[rows]), strict=True)
    ]
    of_consensus = [fsc_auc(*fsc(mean, truth.volume(int(truth.conformation[row])), moving)) for row in rows]
    assert np.mean(of_classes) > np.mean(of_consensus) + 0.1


def test_latents_of_classes_are_as_far_apart_as_their_maps(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, _ = dataset
    fitted = classify(particles.subset(np.arange(200)), 4, 3)
    np.testing.assert_array_equal(fitted.volumes_at(fitted.representatives), fitted.maps)
    found = Class3dReconstruction(fitted.maps, fitted.posterior, [])
    maps = found.volumes_at(found.representatives)
    np.testing.assert_array_equal(maps, found.maps)
    between_maps = np.linalg.norm((maps[:, None] - maps).reshape(4, 4, -1), axis=2)
    between_latents = np.linalg.norm(found.representatives[:, None] - found.representatives, axis=2)
    np.testing.assert_allclose(between_latents, between_maps, rtol=1e-3, atol=1e-3 * between_maps.max())
    np.testing.assert_allclose(found.embedding, found.posterior @ found.representatives, rtol=1e-5)


def test_latents_tell_of_the_place_within_a_class(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, truth = dataset
    found = classify(particles, 3)
    place = truth.conformation / truth.conformation.max() * 2 * np.pi
    for cv in (np.sin(place), np.cos(place)):
        of_latents, of_classes = (
            cross_val_score(KNeighborsRegressor(20), features, cv, cv=KFold(5, shuffle=True, random_state=0)).mean()
            for features in (found.embedding, found.posterior)
        )
        assert of_latents > of_classes + 0.05


def test_the_map_between_two_classes_is_between_their_maps() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 8, 8, 8)).astype(np.float32)
    found = Class3dReconstruction(maps, np.eye(3, dtype=np.float32), [])
    between = 0.7 * found.representatives[:1] + 0.3 * found.representatives[1:2]
    np.testing.assert_allclose(found.volumes_at(between)[0], 0.7 * maps[0] + 0.3 * maps[1], atol=1e-4)


def test_an_empty_class_takes_no_image_from_others() -> None:
    maps = np.stack([np.full((4, 4, 4), value, np.float32) for value in (-1, 0.1, 1)])
    posterior = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    found = Class3dReconstruction(maps, posterior, [], np.array([[-2.0], [2.0]], np.float32))
    near_empty = found.representatives[1:2] + 0.01
    assert abs(found.volumes_at(near_empty)[0] - maps[1]).min() > 0.05
    np.testing.assert_array_equal(found.volumes_at(found.representatives), maps)


class Interrupted(Exception):
    pass


def test_a_resumed_run_equals_an_undisturbed_one(dataset: tuple[ParticleSet, Truth], tmp_path: Path) -> None:
    particles = dataset[0].subset(np.arange(300))

    def stop(done: float, total: float, note: str = "") -> None:
        if done == 2:
            raise Interrupted

    checkpoint = Checkpoint(tmp_path / "state.npz", "this run")
    with pytest.raises(Interrupted):
        classify(particles, 5, 5, Run(progress=stop, checkpoint=checkpoint))
    assert checkpoint.path is not None
    assert checkpoint.path.is_file()
    resumed, undisturbed = classify(particles, 5, 5, Run(checkpoint=checkpoint)), classify(particles, 5, 5)
    np.testing.assert_array_equal(resumed.posterior, undisturbed.posterior)
    np.testing.assert_array_equal(resumed.maps, undisturbed.maps)
    assert resumed.history == undisturbed.history


def test_a_classification_is_read_back_as_it_was_written(dataset: tuple[ParticleSet, Truth], tmp_path: Path) -> None:
    particles = dataset[0].subset(np.arange(100))
    found = classify(particles, 3, 2)
    found.save(tmp_path)
    again = methods.get("class3d").load(tmp_path, particles)
    np.testing.assert_array_equal(again.embedding, found.embedding)
    np.testing.assert_array_equal(again.volumes_at(found.embedding), found.volumes_at(found.embedding))


@pytest.mark.parametrize(("images", "classes"), [(1, 1), (3, 3), (20, 15), (200, 1), (200, 60)])
def test_any_number_of_classes_and_images_gives_maps(
    dataset: tuple[ParticleSet, Truth], images: int, classes: int
) -> None:
    found = classify(dataset[0].subset(np.arange(images)), classes, 3)
    assert found.maps.shape == (classes, 32, 32, 32)
    assert np.isfinite(found.maps).all()
    assert np.isfinite(found.embedding).all()
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-4)


def test_more_classes_than_images_are_refused(dataset: tuple[ParticleSet, Truth]) -> None:
    with pytest.raises(UserError, match="classes must be from 1 to 20"):
        classify(dataset[0].subset(np.arange(20)), 21)


@pytest.mark.parametrize(
    ("snr", "realism"),
    [
        (1e-8, Realism()),
        (0.001, Realism()),
        (0.05, Realism(junk_noise=0.3, junk_aggregate=0.3)),
    ],
)
def test_noise_and_junk_give_a_result(tmp_path: Path, snr: float, realism: Realism) -> None:
    folder = make_small_dataset(tmp_path / "d", images=200, box_px=24, snr=snr, realism=realism)
    info = run_method("class3d", folder, tmp_path / "r", {"classes": "4", "iterations": "4"})
    assert (info["status"], info["reason"]) == ("ok", "")
    result = open_result(tmp_path / "r", open_particles(folder))
    assert result.posterior is not None
    assert np.isfinite(result.embedding).all()
    np.testing.assert_allclose(result.posterior.sum(axis=1), 1, atol=1e-4)
    assert np.isfinite(result.volumes_at(result.embedding[:20])).all()


def test_classes_of_one_state_differ_less_than_classes_of_many(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, truth = dataset
    one = np.flatnonzero(truth.conformation == np.bincount(truth.conformation).argmax())

    def differ(rows: np.ndarray) -> float:
        found = classify(particles.subset(rows), 20, 8)
        assert np.isfinite(found.maps).all()
        assert np.isfinite(found.embedding).all()
        of_images = found.maps[found.posterior.argmax(axis=1)]
        return float((of_images - of_images.mean(axis=0)).std() / of_images.mean(axis=0).std())

    assert differ(one) < 0.4 * differ(np.arange(len(one)))


def test_an_image_of_noise_is_not_drawn_to_the_class_it_is_part_of(tmp_path: Path) -> None:
    particles = open_particles(make_small_dataset(tmp_path / "d", images=400, snr=0.001))
    images = BandImages(particles, 15.0, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    assigned = torch.randint(4, (400,), generator=generator)
    posterior = torch.nn.functional.one_hot(assigned, 4).float()
    half_set = torch.randint(2, (400,), generator=generator)
    model = class_maps(images, posterior, half_set, consensus_of(images, half_set).cropped(images))
    noise = mean_power(images)

    def faithful(leverage: torch.Tensor) -> float:
        found, _, _ = expect(images, replace(model, leverage=leverage), posterior, noise)
        return float((found.argmax(dim=1) == assigned).float().mean())

    # A map seems to explain the images it was made of, and does not when each is compared with the others' map.
    assert faithful(0 * model.leverage) > 0.8
    assert faithful(model.leverage) < 0.45


def test_leaving_out_unlikely_classes_changes_no_posterior(
    dataset: tuple[ParticleSet, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    particles, truth = dataset
    images = BandImages(particles, 15.0, torch.device("cpu"))
    posterior = torch.nn.functional.one_hot(torch.tensor(truth.conformation).long(), 8).float()
    half_set = torch.arange(800) % 2
    model = class_maps(images, posterior, half_set, consensus_of(images, half_set).cropped(images))
    noise = mean_power(images)
    compared = []
    likeness = FourierGrid.likeness

    def counted(grid: FourierGrid, values: torch.Tensor, *others: torch.Tensor, begin: int = 0) -> torch.Tensor:
        found = likeness(grid, values, *others, begin=begin)
        compared.append(values.shape[1] * len(found))
        return found

    monkeypatch.setattr(FourierGrid, "likeness", counted)
    some, left, log_likelihood = expect(images, model, posterior, noise)
    # All in the lower half, few in the upper half.
    assert 8 * 800 < sum(compared) < 1.7 * 8 * 800
    monkeypatch.setattr("cryoarena.methods.class_posteriors._CONCENTRATED", 0.0)
    every, left_of_every, log_likelihood_of_every = expect(images, model, posterior, noise)
    torch.testing.assert_close(some, every, rtol=0, atol=1e-4)
    torch.testing.assert_close(left, left_of_every, rtol=1e-4, atol=0)
    assert log_likelihood == pytest.approx(log_likelihood_of_every, rel=1e-5)


def test_neighbours_by_view_see_nearly_the_same_slice() -> None:
    rotations = random_poses(2000, 0.0, np.random.default_rng(0)).rotation_object_to_image
    axis = rotations[by_view(rotations), 2]
    between = np.abs(np.sum(axis[1:] * axis[:-1], axis=1))
    assert np.median(np.degrees(np.arccos(between.clip(max=1)))) < 6
    assert np.median(np.degrees(np.arccos(np.abs(np.sum(rotations[1:, 2] * rotations[:-1, 2], axis=1))))) > 45


def test_classes_that_exchange_their_images_are_joined() -> None:
    before = torch.nn.functional.one_hot(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2]), 3).float()
    after = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 0, 0, 1, 1, 2, 1]), 3).float()
    joined = merge(before, after)
    assert joined.sum(dim=0).tolist() == [9, 0, 1]
    assert torch.equal(merge(before, before), before)


def test_an_empty_class_takes_half_of_the_most_spread_along_its_longest_axis() -> None:
    latents = torch.tensor([[-2.0, 0.1], [-1.0, -0.1], [1.0, 0.1], [2.0, -0.1], [0.0, 9.0], [0.0, 9.1]])
    posterior = torch.tensor([[1.0, 0, 0]] * 4 + [[0, 0, 1.0]] * 2)
    filled = refill(posterior, latents)
    assert set(filled.argmax(dim=1)[:4].tolist()) == {0, 1}
    assert filled.argmax(dim=1)[0] == filled.argmax(dim=1)[1]
    assert filled.argmax(dim=1)[2] == filled.argmax(dim=1)[3]
    assert filled.argmax(dim=1)[4:].tolist() == [2, 2]
    assert torch.equal(filled.sum(dim=1), posterior.sum(dim=1))
