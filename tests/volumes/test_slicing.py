"""The trilinear operator against analytic projections of Gaussians."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cryoarena.imaging.poses import random_poses
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, least_weight, shell_means, soft_sphere

BOX_PX, SIGMA_PX = 32, 1.8
CPU = torch.device("cpu")


def blobs(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(size=(9, 3)) * 3.5


def volume_of(centres: NDArray[np.float64]) -> torch.Tensor:
    axis = np.arange(BOX_PX) - BOX_PX // 2
    volume = np.zeros((BOX_PX,) * 3)
    for centre in centres:
        x, y, z = (np.exp(-((axis - c) ** 2) / (2 * SIGMA_PX**2)) for c in centre)
        volume += z[:, None, None] * y[:, None] * x
    return torch.from_numpy(volume).float()


def images_of(centres: NDArray[np.float64], rotations: NDArray[np.float64]) -> torch.Tensor:
    axis = np.arange(BOX_PX) - BOX_PX // 2
    images = np.zeros((len(rotations), BOX_PX, BOX_PX))
    for image, rotation in zip(images, rotations, strict=True):
        for x, y, _ in centres @ rotation.T:
            along_y, along_x = (np.exp(-((axis - c) ** 2) / (2 * SIGMA_PX**2)) for c in (y, x))
            image += np.sqrt(2 * np.pi) * SIGMA_PX * np.outer(along_y, along_x)
    return torch.from_numpy(images).float()


def test_points_count_every_coefficient_once() -> None:
    points = ImagePoints.within(BOX_PX, BOX_PX / 2 - 1, CPU)
    pairs = {(int(x), int(y)) for x, y in zip(points.kx, points.ky, strict=True)}
    assert len(pairs) == len(points)
    assert (0, 0) in pairs
    assert not any((-x, -y) in pairs for x, y in pairs if (x, y) != (0, 0))
    everything = {(x, y) for x in range(-15, 16) for y in range(-15, 16) if x**2 + y**2 <= 15**2}
    assert pairs | {(-x, -y) for x, y in pairs} == everything


def test_slices_are_projections() -> None:
    rng = np.random.default_rng(0)
    centres = blobs(rng)
    rotations = random_poses(6, 0.0, rng).rotation_object_to_image
    grid = FourierGrid(BOX_PX, BOX_PX / 2 - 1, CPU)
    points = ImagePoints.within(BOX_PX, BOX_PX / 2 - 1, CPU)
    slices = grid.slices(grid.from_volumes(volume_of(centres)[None]), points, torch.from_numpy(rotations))[:, :, 0]
    expected = points.of_images(images_of(centres, rotations))
    assert torch.linalg.norm(slices - expected) < 0.02 * torch.linalg.norm(expected)


def test_no_images_have_no_slices() -> None:
    grid = FourierGrid(BOX_PX, 12.0, CPU)
    points = ImagePoints.within(BOX_PX, 12.0, CPU)
    values, rotations = torch.zeros((grid.size, 2, 2)), torch.zeros((0, 3, 3))
    for slices in (grid.slices, grid.slices_by_tensors):
        assert slices(values, points, rotations).shape == (0, len(points), 2)


def test_insertion_is_the_adjoint_of_slicing() -> None:
    generator = torch.Generator().manual_seed(0)
    rotations = torch.from_numpy(random_poses(4, 0.0, np.random.default_rng(1)).rotation_object_to_image)
    grid = FourierGrid(BOX_PX, 12.0, CPU)
    points = ImagePoints.within(BOX_PX, 12.0, CPU)
    values = torch.randn((grid.size, 2, 2), generator=generator)
    data = torch.randn((4, len(points)), generator=generator, dtype=torch.complex64)
    ctf = torch.randn((4, len(points)), generator=generator)
    factors = torch.randn((4, 2), generator=generator)
    into = grid.accumulator(maps=2, weights=1)
    grid.insert(points, rotations, data, ctf, into, data_by=factors)
    of_maps = data[:, :, None] * factors[:, None, :]
    seen = ctf[:, :, None] * grid.slices(values, points, rotations)
    left = (torch.view_as_real(seen) * torch.view_as_real(of_maps)).double().sum()
    assert float(left) == pytest.approx(float((values.reshape(grid.size, 4) * into[:, :4]).double().sum()), rel=1e-4)
    assert float(into[:, 4].double().sum()) == pytest.approx(float((ctf**2).double().sum()), rel=1e-5)


def test_a_quotient_keeps_its_scale_where_there_is_weight_and_is_small_in_gaps() -> None:
    grid = FourierGrid(BOX_PX, 14.0, CPU)
    sums = grid.accumulator(1, 1) + torch.tensor([3.0, 0.0, 1.5])
    gap = grid.size // 2 + 3
    sums[gap] = torch.tensor([3e-3, 0.0, 1e-4])
    found = grid.quotient(sums, least_weight(torch.full((9,), 1.5 * grid.oversampling**3)))[:, 0]
    assert float(found[gap, 0]) == pytest.approx(3e-3 / (0.25 * 1.5))
    found[gap] = torch.tensor([2.0, 0.0])
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0]).expand(grid.size, 2))


def test_compiled_loops_and_tensor_operations_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    rotations = torch.from_numpy(random_poses(5, 0.0, np.random.default_rng(1)).rotation_object_to_image)
    grid = FourierGrid(BOX_PX, 14.0, CPU)
    points = ImagePoints.within(BOX_PX, 14.0, CPU)
    values = torch.randn((grid.size, 3, 2), generator=generator)
    torch.testing.assert_close(
        grid.slices(values, points, rotations), grid.slices_by_tensors(values, points, rotations), rtol=1e-4, atol=1e-4
    )
    data = torch.randn((5, len(points)), generator=generator, dtype=torch.complex64)
    ctf = torch.randn((5, len(points)), generator=generator)
    data_by, weight_by = torch.randn((5, 2), generator=generator), torch.rand((5, 3), generator=generator)
    compiled, by_tensors = grid.accumulator(2, 3), grid.accumulator(2, 3)
    grid.insert(points, rotations, data, ctf, compiled, data_by, weight_by)
    grid.insert_by_tensors(points, rotations, data, ctf, by_tensors, data_by, weight_by)
    torch.testing.assert_close(compiled, by_tensors, rtol=1e-4, atol=1e-4)
    sums, minus = compiled[:, [0, 1, 4]].contiguous(), torch.randn((grid.size, 2), generator=generator)
    least = torch.rand(9, generator=generator)
    torch.testing.assert_close(grid.quotient(sums, least, minus), grid.quotient_by_tensors(sums, least, minus))
    for compiled_products, products in (
        (grid.gram, grid.gram_by_tensors),
        (grid.likeness, grid.likeness_by_tensors),
    ):
        torch.testing.assert_close(
            compiled_products(values, points, rotations, data, ctf),
            products(values, points, rotations, data, ctf),
            rtol=1e-4,
            atol=1e-2,
        )


def test_products_of_images_and_slices_are_those_of_the_whole_images() -> None:
    generator = torch.Generator().manual_seed(0)
    rotations = torch.from_numpy(random_poses(3, 0.0, np.random.default_rng(1)).rotation_object_to_image)
    grid = FourierGrid(BOX_PX, 14.0, CPU)
    points = ImagePoints.within(BOX_PX, 14.0, CPU)
    values = torch.randn((grid.size, 2, 2), generator=generator)
    data = torch.randn((3, len(points)), generator=generator, dtype=torch.complex64)
    ctf = torch.randn((3, len(points)), generator=generator)
    gram = grid.gram(values, points, rotations, data, ctf)
    every = torch.cat([data[:, :, None], ctf[:, :, None] * grid.slices(values, points, rotations)], dim=2)
    whole = (every.conj()[:, :, :, None] * every[:, :, None, :]).real.sum(dim=1)
    torch.testing.assert_close(gram.sum(dim=1), whole, rtol=1e-4, atol=1e-2)
    in_shell_5 = points.shell == 5
    torch.testing.assert_close(gram[:, 5, 0, 0], (data[:, in_shell_5].abs() ** 2).sum(dim=1), rtol=1e-4, atol=1e-4)
    likeness = grid.likeness(values, points, rotations, data, ctf)
    torch.testing.assert_close(likeness[:, :, 0], gram[:, :, 0, 1:], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(likeness[:, :, 1], torch.diagonal(gram, dim1=2, dim2=3)[:, :, 1:], rtol=1e-4, atol=1e-2)


def test_sums_do_not_depend_on_threads() -> None:
    rotations = torch.from_numpy(random_poses(5, 0.0, np.random.default_rng(1)).rotation_object_to_image)
    grid = FourierGrid(BOX_PX, 14.0, CPU)
    points = ImagePoints.within(BOX_PX, 14.0, CPU)
    data = torch.randn((5, len(points)), generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    sums = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        sums.append(grid.accumulator(1, 1))
        grid.insert(points, rotations, data, torch.ones(data.shape), sums[-1])
    torch.set_num_threads(before)
    assert torch.equal(*sums)


def test_many_clean_slices_give_the_map_back() -> None:
    rng = np.random.default_rng(2)
    centres = blobs(rng)
    rotations = random_poses(600, 0.0, rng).rotation_object_to_image
    grid = FourierGrid(BOX_PX, BOX_PX / 2 - 1, CPU)
    points = ImagePoints.within(BOX_PX, BOX_PX / 2 - 1, CPU)
    data = points.of_images(images_of(centres, rotations))
    into = grid.accumulator(maps=1, weights=1)
    grid.insert(points, torch.from_numpy(rotations), data, torch.ones(data.shape), into)
    summed, weight = grid.complete(into, maps=1)
    volume = grid.to_volumes(summed / (weight[:, :, None] + 1e-3))[0]
    truth = volume_of(centres)
    assert torch.linalg.norm(volume - truth) < 0.05 * torch.linalg.norm(truth)
    mirrored = torch.flip(volume, dims=(0,)).roll(1, dims=0)
    assert torch.linalg.norm(mirrored - truth) > 0.5 * torch.linalg.norm(truth)


def test_the_mean_weight_of_a_voxel_follows_from_what_its_shell_receives() -> None:
    rotations = random_poses(300, 0.0, np.random.default_rng(3)).rotation_object_to_image
    grid = FourierGrid(BOX_PX, BOX_PX / 2 - 1, CPU)
    points = ImagePoints.within(BOX_PX, BOX_PX / 2 - 1, CPU)
    ctf = (1 + points.shell).float().sqrt().expand(len(rotations), -1)
    into = grid.accumulator(maps=1, weights=1)
    grid.insert(points, torch.from_numpy(rotations), torch.zeros(ctf.shape, dtype=torch.complex64), ctf, into)
    of_shell = torch.bincount(points.shell, (ctf**2).sum(dim=0)).float()
    found = shell_means(grid.complete(into, maps=1)[1][:, 0], grid.shells(), len(of_shell))
    ratio = (grid.per_voxel(of_shell) / found)[3:-1]
    # Rings of an image and shells of the grid hold whole numbers of points, and interpolation reaches the next shells.
    assert (ratio - 1).abs().max() < 0.25
    assert abs(float(ratio.mean()) - 1) < 0.08


def test_soft_sphere_is_one_inside_and_zero_outside() -> None:
    sphere = soft_sphere(BOX_PX, 8.0, 4.0, CPU)
    assert sphere[16, 16, 16] == 1
    assert sphere[16, 16, 16 + 8] == 1
    assert 0 < sphere[16, 16, 16 + 10] < 1
    assert sphere[16, 16, 16 + 12] == pytest.approx(0, abs=1e-6)
