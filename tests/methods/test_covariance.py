"""The covariance family: columns against their definition, latents and maps against truth, runs that go on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsRegressor

from cryoarena.datasets.realism import Realism
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.imaging.poses import random_poses
from cryoarena.methods.base import Run, methods
from cryoarena.methods.batches import Batch
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.covariance import CovarianceOptions, CovarianceReconstruction
from cryoarena.methods.covariance_columns import ColumnSums, choose_pivots
from cryoarena.methods.kernel_regression import HalfMaps, KernelRegression, best_of
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, soft_sphere
from simulated import make_small_dataset

CPU = torch.device("cpu")
QUICK = CovarianceOptions(components=3, pivots=40, refinements=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth]:
    folder = make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=800, snr=0.05)
    return open_particles(folder), open_truth(folder)


@pytest.fixture(scope="module")
def found(dataset: tuple[ParticleSet, Truth]) -> CovarianceReconstruction:
    return methods.get("covariance").fit(dataset[0], QUICK, Run())


def test_latents_find_the_circle(dataset: tuple[ParticleSet, Truth], found: CovarianceReconstruction) -> None:
    _, truth = dataset
    angle = truth.embedding()[truth.conformation]
    regressor = KNeighborsRegressor(20).fit(found.embedding[::2], angle[::2])
    assert regressor.score(found.embedding[1::2], angle[1::2]) > 0.85
    # Orthogonal axes in order of strength.
    spread = found.embedding.std(axis=0)
    assert (np.diff(spread) < 0.05 * spread[0]).all()


def test_maps_show_the_moving_part_better_than_one_map_for_all(
    dataset: tuple[ParticleSet, Truth], found: CovarianceReconstruction
) -> None:
    particles, truth = dataset
    consensus = methods.get("consensus").fit(particles, methods.get("consensus").options(), Run())
    moving = truth.masks()["moving_mask"]
    for conformation in (0, 3, 6):
        latents = found.embedding[truth.conformation == conformation]
        central = latents[np.argmin(np.linalg.norm(latents - latents.mean(axis=0), axis=1))]
        regressed = fsc_auc(*fsc(found.volumes_at(central[None])[0], truth.volume(conformation), moving))
        one = fsc_auc(*fsc(consensus.volumes_at(np.zeros((1, 1)))[0], truth.volume(conformation), moving))
        assert regressed > one + 0.05


def test_maps_keep_the_scale_of_the_truth(dataset: tuple[ParticleSet, Truth], found: CovarianceReconstruction) -> None:
    _, truth = dataset
    conformation = truth.volume(0)
    mask = truth.masks()["mask"] > 0.5
    latent = found.embedding[truth.conformation == 0].mean(axis=0)
    volume = found.volumes_at(latent[None])[0]
    assert np.sum((volume * conformation)[mask]) / np.sum(conformation[mask] ** 2) == pytest.approx(1, abs=0.3)


def test_a_result_is_read_back_as_it_was_written(
    dataset: tuple[ParticleSet, Truth], found: CovarianceReconstruction, tmp_path: Path
) -> None:
    found.save(tmp_path)
    again = methods.get("covariance").load(tmp_path, dataset[0])
    np.testing.assert_array_equal(again.embedding, found.embedding)
    latent = found.embedding[:1]
    for same in (again, again.on_device("cpu")):
        np.testing.assert_array_equal(same.volumes_at(latent), found.volumes_at(latent))


def test_a_resumed_run_equals_an_undisturbed_one(
    dataset: tuple[ParticleSet, Truth], found: CovarianceReconstruction, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "c.npz", "this run")

    def cut(done: float, total: float, note: str = "") -> None:
        if done > 0.85 * total:
            raise KeyboardInterrupt

    method = methods.get("covariance")
    with pytest.raises(KeyboardInterrupt):
        method.fit(dataset[0], QUICK, Run(progress=cut, checkpoint=checkpoint))
    reports: list[float] = []
    run = Run(progress=lambda done, total, note="": reports.append(done / total), checkpoint=checkpoint)
    again = method.fit(dataset[0], QUICK, run)
    assert reports[0] > 0.5
    assert reports[-1] == 1
    np.testing.assert_array_equal(again.embedding, found.embedding)
    np.testing.assert_array_equal(again.volumes_at(found.embedding[:1]), found.volumes_at(found.embedding[:1]))


def test_a_column_is_the_covariance_of_the_slices_without_the_noise() -> None:
    # Maps x = z · v with z of unit variance: Cov(x(ξ), Re x(ξ')) = v(ξ) · Re v(ξ'), whatever the noise.
    rng = np.random.default_rng(0)
    box_px, n = 16, 6000
    fine = FourierGrid(box_px, 7.0, CPU)
    coarse = FourierGrid(box_px, 7.0, CPU, oversampling=1)
    points = ImagePoints.within(box_px, 7.0, CPU)
    axis = np.arange(box_px) - box_px // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    # Small, so that its transform is smooth on the grid of the columns.
    component = np.exp(-((x - 0.8) ** 2 + (y + 0.4) ** 2 + z**2) / 3)
    values = fine.from_volumes(torch.from_numpy(component).float()[None])
    rotations = torch.from_numpy(random_poses(n, 0.0, rng).rotation_object_to_image).float()
    ctf = torch.from_numpy(rng.choice([0.5, 1.0], (n, len(points)))).float()
    slices = fine.slices(values, points, rotations)[:, :, 0] * torch.from_numpy(rng.normal(size=(n, 1))).float()
    noise = 20 * torch.complex(*(torch.from_numpy(rng.normal(size=ctf.shape)).float() for _ in range(2)))
    pivots = choose_pivots(12, 1.0, np.linspace(1, 0, 7))
    sums = ColumnSums.empty(coarse, pivots)
    data = ctf * slices + noise
    sums.add(Batch(np.arange(n), data, ctf, rotations), data, points)
    expected = torch.view_as_complex(coarse.from_volumes(torch.from_numpy(component).float()[None])[:, 0].contiguous())
    expected = expected.reshape(coarse.shape)
    near = (coarse.shells() <= 4).reshape(coarse.shape)
    for number, (px, py, pz) in enumerate(pivots):
        data_of, weight = coarse.complete(sums.sums[number], maps=2)
        column = torch.view_as_complex((data_of / weight[:, :, None].clamp(min=1e-6)).contiguous())
        at_pivot = expected[coarse.reach + pz, coarse.reach + py, px]
        for part, factor in ((0, at_pivot.real), (1, at_pivot.imag)):
            error = torch.linalg.norm(column[:, part].reshape(coarse.shape)[near] - (expected * factor)[near])
            assert error < 0.3 * torch.linalg.norm(expected[near]) * at_pivot.abs()
        # The noise has a variance of 800 per coefficient, which would stand out at the pivot itself.
        here = column[:, 0].reshape(coarse.shape)[coarse.reach + pz, coarse.reach + py, px]
        assert abs(here - at_pivot * at_pivot.real) < 0.3 * at_pivot.abs() ** 2


def test_compiled_columns_and_those_by_tensors_agree() -> None:
    rng = np.random.default_rng(1)
    points = ImagePoints.within(16, 7.0, CPU)
    coarse = FourierGrid(16, 7.0, CPU, oversampling=1)
    pivots = choose_pivots(20, 1.0, np.linspace(1, 0, 7))
    n = 40
    rotations = torch.from_numpy(random_poses(n, 0.0, rng).rotation_object_to_image).float()
    data = torch.complex(*(torch.from_numpy(rng.normal(size=(n, len(points)))).float() for _ in range(2)))
    batch = Batch(np.arange(n), data, torch.from_numpy(rng.uniform(0.2, 1, data.shape)).float(), rotations)
    compiled, by_tensors = (ColumnSums.empty(coarse, pivots) for _ in range(2))
    compiled.add(batch, data, points)
    by_tensors.add_by_tensors(batch, data, points)
    assert compiled.sums.abs().max() > 1
    torch.testing.assert_close(compiled.sums, by_tensors.sums, rtol=1e-3, atol=1e-3)


def test_pivots_are_low_frequencies_apart_from_each_other_and_their_conjugates() -> None:
    pivots = choose_pivots(50, 1.6, np.linspace(1, 0, 16))
    assert len(pivots) == 50
    assert np.linalg.norm(pivots[0]) < 1.5
    both = np.concatenate([pivots, -pivots])
    distance = np.linalg.norm(both[:, None] - both[None], axis=2) + 10 * np.eye(len(both))
    assert distance.min() >= 1.6


def test_the_bandwidth_is_chosen_for_each_place() -> None:
    # On the left a wide kernel sees a ball spread over its path, on the right one that stays: narrow there, wide here.
    rng = np.random.default_rng(0)
    box_px = 32
    axis = np.arange(box_px) - box_px // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    still = np.exp(-((x - 7) ** 2 + y**2 + z**2) / 2)
    path = [np.exp(-((x + 7) ** 2 + (y - dy) ** 2 + z**2) / 2) for dy in (4, 2, 0, -2, -4)]
    everywhere = sum(path) / len(path)

    def half_maps(volume: np.ndarray, noise: float) -> HalfMaps:
        a, b = (torch.from_numpy(volume + noise * rng.normal(size=volume.shape)).float() for _ in range(2))
        return a, b

    narrow = half_maps(still / 2 + path[0] - everywhere, 0.1)
    wide = half_maps(still / 2 + (path[0] + path[1] + path[2]) / 3 - everywhere, 0.02)
    consensus = torch.from_numpy(still / 2 + everywhere).float()
    mask = soft_sphere(box_px, 14.0, 2.0, CPU)
    found, noisy = (best_of(kernels, consensus, mask).numpy() for kernels in ([narrow, wide], [narrow]))
    right = (x > 2) & (np.sqrt(x**2 + y**2 + z**2) < 12)
    left = (np.abs(x + 7) < 3) & (np.abs(y) < 8) & (np.abs(z) < 3)
    assert np.abs(found - still)[right].std() < 0.8 * np.abs(noisy - still)[right].std()
    assert np.corrcoef(found[left], path[0][left])[0, 1] > 0.9


def test_images_kept_in_memory_give_the_same_map(
    dataset: tuple[ParticleSet, Truth],
    found: CovarianceReconstruction,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latent = found.embedding[:1]
    found.save(tmp_path)
    with monkeypatch.context() as scarce:
        scarce.setattr(KernelRegression, "_kept", None)
        read = methods.get("covariance").load(tmp_path, dataset[0]).volumes_at(latent)
    kept = methods.get("covariance").load(tmp_path, dataset[0]).volumes_at(latent)
    # Rounded in other batches, which in a few voxels decides between bandwidths that are as good.
    assert np.sqrt(np.mean((kept - read) ** 2)) < 1e-3 * kept.std()


@pytest.mark.parametrize("images", [2, 30])
def test_few_images_give_a_result(dataset: tuple[ParticleSet, Truth], images: int) -> None:
    few = dataset[0].subset(np.arange(images))
    found = methods.get("covariance").fit(few, CovarianceOptions(pivots=10, refinements=1), Run())
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.volumes_at(found.embedding[:1])).all()


@pytest.mark.parametrize(("snr", "junk"), [(0.001, 0.0), (0.05, 0.6)])
def test_noise_and_junk_give_a_result(tmp_path: Path, snr: float, junk: float) -> None:
    folder = make_small_dataset(tmp_path / "d", images=200, snr=snr, realism=Realism(junk_noise=junk))
    found = methods.get("covariance").fit(open_particles(folder), CovarianceOptions(pivots=20), Run())
    assert found.embedding.shape == (200, 10)
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.volumes_at(found.embedding[:1])).all()
