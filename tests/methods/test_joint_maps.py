"""Joint sums and their solution: maps that are mixed in known amounts come back; both implementations agree."""

from typing import cast

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoarena.methods.batches import Batch
from cryoarena.methods.joint_maps import JointSums
from cryoarena.methods.normal_equations import solve_by_tensors, solve_voxels
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, soft_sphere

CPU = torch.device("cpu")


def smooth_maps(count: int, box_px: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    axis = torch.arange(box_px) - box_px // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    maps = []
    for _ in range(count):
        centres = box_px / 6 * torch.randn((5, 3), generator=generator)
        maps.append(sum(torch.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) / 6) for c in centres))
    return torch.stack(cast(list[Tensor], maps)) * soft_sphere(box_px, 0.35 * box_px, 0.1 * box_px, CPU)


@pytest.mark.parametrize("box_px", [24, 26])
def test_maps_mixed_in_known_amounts_come_back(box_px: int) -> None:
    n = 1000
    radius = box_px / 2 - 1
    grid, points = FourierGrid(box_px, radius, CPU), ImagePoints.within(box_px, radius, CPU)
    maps = smooth_maps(3, box_px)
    rotations = torch.from_numpy(Rotation.random(n, rng=0).as_matrix().astype(np.float32))
    generator = torch.Generator().manual_seed(1)
    x = torch.cat([torch.ones((n, 1)), torch.randn((n, 2), generator=generator)], dim=1)
    ctf = torch.rand((n, len(points)), generator=generator) - 0.3
    slices = grid.slices(grid.from_volumes(maps), points, rotations)
    data = ctf * torch.einsum("npm,nm->np", slices, x.to(slices.dtype))
    sums = JointSums(grid, points, maps=3)
    for start in (0, n // 2):
        part = slice(start, start + n // 2)
        batch = Batch(np.arange(n)[part], data[part], ctf[part], rotations[part])
        sums.add(batch, torch.ones(len(points)), x[part], x[part, :, None] * x[part, None, :])
    values, variance = sums.solve(torch.full((3, box_px // 2), 1e3))
    found = grid.to_volumes(values) * soft_sphere(box_px, 0.4 * box_px, 0.1 * box_px, CPU)
    for m in range(3):
        assert torch.corrcoef(torch.stack([found[m].ravel(), maps[m].ravel()]))[0, 1] > 0.98
        assert float((found[m] * maps[m]).sum() / (maps[m] ** 2).sum()) == pytest.approx(1, abs=0.05)
    # More images see a coefficient near the origin than far from it.
    assert variance[0, 2] < variance[0, -2] < 1e3


def test_compiled_and_tensor_solutions_agree_and_are_right() -> None:
    size, n_shells = 3, 8
    grid, coarse = FourierGrid(16, 7.0, CPU), FourierGrid(8, 3.5, CPU)
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn((coarse.size, size, size), generator=generator)
    rows, columns = torch.triu_indices(size, size)
    full = factors @ factors.transpose(1, 2) + torch.eye(size)
    moments = full[:, rows, columns]
    sums = torch.rand((grid.size, 2 * size + 1), generator=generator)
    signal = torch.rand((size, n_shells), generator=generator) + 0.1
    given, compiled, tensors = sums.clone(), sums.clone(), sums.clone()
    variance = solve_voxels(compiled, moments, signal, grid, coarse)
    torch.testing.assert_close(
        solve_by_tensors(tensors, moments, 1 / signal, grid, coarse), variance, rtol=1e-4, atol=0
    )
    torch.testing.assert_close(tensors, compiled, rtol=1e-3, atol=1e-4)
    # An even voxel of the fine grid is one of the coarse grid: z, y, x = 2, -4, 6.
    _, ny, nx = grid.shape
    _, cy, cx = coarse.shape
    voxel = ((2 + grid.reach) * ny - 4 + grid.reach) * nx + 6
    matrix = full[((1 + coarse.reach) * cy - 2 + coarse.reach) * cx + 3]
    shell = int(grid.shells()[voxel])
    normal = matrix * given[voxel, -1] + torch.diag(1 / signal[:, shell])
    expected = torch.linalg.solve(normal, given[voxel, :-1].reshape(size, 2))
    torch.testing.assert_close(compiled[voxel, :-1].reshape(size, 2), expected, rtol=1e-4, atol=1e-5)
    # Nothing is known outside the radius.
    assert not compiled[grid.shells() > grid.radius, :-1].any()
