"""A quick low-resolution PPCA of the images: coordinates that tell apart what differs most."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cryoarena.methods.band_images import BandImages
from cryoarena.methods.batches import Batch
from cryoarena.methods.class_maps import Consensus
from cryoarena.volumes.slicing import ImagePoints, shell_means

_ITERATIONS = 10
# of the mean weight of a shell, so that voxels without data stay small
_RIDGE = 0.1


def latent_sketch(images: BandImages, consensus: Consensus, noise: Tensor, components: int, seed: int) -> Tensor:
    """Return (N, q) coordinates whose distances approach those of the maps, by EM from random latents.

    Tipping & Bishop 1999 (doi:10.1111/1467-9868.00196) with the slices of Tagare et al. 2015
    (doi:10.1016/j.jsb.2015.05.007), the mean map fixed and one noise variance per shell.

    Args:
        images: of a low band.
        consensus: in the box of the band; its mask confines the components.
        noise: (S,) variance per shell of the band.
        components: q.
        seed: of the first latents.
    """
    grid, points = images.grid, images.points
    pairs = torch.triu_indices(components, components, device=grid.device)
    identity = torch.eye(components, device=grid.device)
    latents = torch.randn((images.count, components), generator=torch.Generator().manual_seed(seed)).to(grid.device)
    covariance = torch.zeros((images.count, components, components), device=grid.device)
    residuals = _without_mean(images, consensus.map)

    # One shell of all points, in units of the noise: what is summed by shell is not needed apart.
    together = ImagePoints(points.box_px, points.kx, points.ky, torch.zeros_like(points.shell))
    over_noise = noise[points.shell].rsqrt()

    def expect(batch: Batch, residual: Tensor, values: Tensor) -> None:
        products = 2 * grid.gram(values, together, batch.rotations, over_noise * residual, over_noise * batch.ctf)[:, 0]
        covariance[batch.rows] = torch.linalg.inv(products[:, 1:, 1:] + identity)
        latents[batch.rows] = (covariance[batch.rows] @ products[:, 1:, :1])[:, :, 0]

    values: Tensor | None = None
    for _ in range(_ITERATIONS):
        sums = grid.accumulator(components, pairs.shape[1])
        for batch, residual in residuals():
            if values is not None:
                expect(batch, residual, values)
            moments = _second_moments(latents[batch.rows], covariance[batch.rows])[:, pairs[0], pairs[1]]
            data, ctf = over_noise * residual, over_noise * batch.ctf
            grid.insert(points, batch.rotations, data, ctf, sums, latents[batch.rows], moments)
        volumes = grid.to_volumes(_solve(*grid.complete(sums, components), pairs, images)) * consensus.mask
        volumes = _principal(volumes, _second_moments(latents, covariance).mean(dim=0))
        values = grid.from_volumes(volumes)
    assert values is not None
    for batch, residual in residuals():
        expect(batch, residual, values)
    scaled: Tensor = latents * volumes.flatten(1).norm(dim=1)
    return scaled


def _without_mean(images: BandImages, mean: Tensor) -> Callable[[], Iterator[tuple[Batch, Tensor]]]:
    values = images.grid.from_volumes(mean[None])

    def residuals() -> Iterator[tuple[Batch, Tensor]]:
        for batch in images.batches():
            yield batch, batch.data - batch.ctf * images.grid.slices(values, images.points, batch.rotations)[:, :, 0]

    return residuals


def _second_moments(latents: Tensor, covariance: Tensor) -> Tensor:
    return covariance + latents[:, :, None] * latents[:, None, :]


def _principal(volumes: Tensor, second_moment: Tensor) -> Tensor:
    """Return orthogonal components (q, D, D, D) of the same maps for latents of unit variance."""
    whitened = torch.linalg.cholesky(second_moment).T @ volumes.flatten(1)
    _, strength, axes = torch.linalg.svd(whitened, full_matrices=False)
    components: Tensor = (strength[:, None] * axes).reshape(volumes.shape)
    return components


def _solve(data: Tensor, weight: Tensor, pairs: Tensor, images: BandImages) -> Tensor:
    """Solve the normal equations of every grid voxel within the radius, 0 beyond; (V, q, 2)."""
    size, shells = data.shape[1], images.grid.shells()
    inside = torch.nonzero(shells <= images.grid.radius)[:, 0]
    normal = torch.zeros((len(inside), size, size), device=data.device)
    normal[:, pairs[0], pairs[1]] = normal[:, pairs[1], pairs[0]] = weight[inside]
    trace = torch.diagonal(normal, dim1=1, dim2=2).mean(dim=1)
    ridge = _RIDGE * shell_means(trace, shells[inside], int(shells[inside].max()) + 1)[shells[inside]] + 1e-12
    normal += ridge[:, None, None] * torch.eye(size, device=data.device)
    solved = torch.zeros_like(data)
    solved[inside] = torch.linalg.solve(normal, data[inside])
    return solved
