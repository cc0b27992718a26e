"""Principal volumes from columns of the covariance."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.covariance_columns import ColumnSums, choose_pivots, regularised_columns
from cryoarena.methods.ppca_model import PpcaModel, shell_power
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

# Pivots closer than the correlation length of a particle in a mask of this volume say the same.
_PIVOT_SPACING = 0.6
_LEAST_SIGNAL = 0.03
_CONTRAST_DEVIATION = 0.1
_SAMPLED_IMAGES = 500


def columns_model(
    particles: ParticleSet,
    half_set: NDArray[np.int64],
    mean: Tensor,
    mask: Tensor,
    components: int,
    pivots: int,
    radius: float,
    step: Callable[[int], None],
) -> PpcaModel:
    """Return the linear model whose components span the leading singular vectors of covariance columns.

    Args:
        particles: N images.
        half_set: (N,) 0 or 1.
        mean: (D, D, D) masked.
        mask: (D, D, D).
        components: number q.
        pivots: number of columns.
        radius: of the band, cycles per box.
        step: told how many images are done.

    Raises:
        ValueError: when the images show no covariance.
    """
    grid = FourierGrid(particles.box_px, radius, mask.device)
    # Maps of the band need no more voxels than this.
    coarse = FourierGrid(min(particles.box_px, 2 * (int(radius) + 1)), radius, mask.device, oversampling=1)
    points = ImagePoints.within(particles.box_px, radius, mask.device)
    values = grid.from_volumes(mean[None])
    signal, images = _powers(particles, grid, points, values)
    # A particle that fills a part of the box correlates frequencies up to about the inverse of its diameter.
    diameter = 2 * (3 * float(mask.mean()) / (4 * np.pi)) ** (1 / 3)
    chosen = choose_pivots(pivots, max(1.0, _PIVOT_SPACING / diameter), (signal / images)[:-1])
    halves = [ColumnSums.empty(coarse, chosen) for _ in range(2)]
    power = torch.zeros(len(signal), device=mask.device)
    done = 0
    for half in (0, 1):
        for batch in fourier_batches(particles, points, np.flatnonzero(half_set == half)):
            residual = batch.data - batch.ctf * grid.slices(values, points, batch.rotations)[:, :, 0]
            halves[half].add(batch, residual, points)
            power.index_add_(0, points.shell, (residual.abs() ** 2).sum(dim=0))
            done += len(batch.rows)
            step(done)
    small_mask = torch.from_numpy(fourier_crop_volume(as_volume(mask), coarse.box_px)).to(mask.device).clamp(0, 1)
    columns = regularised_columns(halves[0], halves[1], small_mask)
    basis = _principal(columns, chosen, components)
    if not bool(basis.any()):
        raise ValueError(f"the stack of {len(particles)} images shows no covariance that its two halves share")
    # Grids of one radius agree on where a frequency is, whatever the box.
    small = FourierGrid(coarse.box_px, radius, mask.device)
    volumes = torch.cat([mean[None], grid.to_volumes(small.from_volumes(basis)) * mask])
    powers = shell_power(volumes)
    noise = torch.full((particles.box_px // 2 + 1,), float(power[-1]), device=mask.device)
    noise[: len(power)] = power / torch.bincount(points.shell) / len(particles)
    noise[len(power) :] = noise[len(power) - 1]
    shared = powers[1:].mean(dim=0) + _LEAST_SIGNAL * powers[0]
    prior = torch.cat([powers[:1], shared.expand(len(basis), -1)])
    return PpcaModel(volumes, mask, noise, prior, torch.zeros_like(prior), _CONTRAST_DEVIATION)


def _powers(
    particles: ParticleSet, grid: FourierGrid, points: ImagePoints, values: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the power of CTF times the slices of the mean, and of the images, by shell (S,), of some images."""
    some = np.arange(0, len(particles), max(1, len(particles) // _SAMPLED_IMAGES))
    power = np.zeros((2, int(points.shell.max()) + 1))
    for batch in fourier_batches(particles, points, some):
        gram = grid.gram(values, points, batch.rotations, batch.data, batch.ctf).double().sum(dim=0)
        power += torch.stack([gram[:, 1, 1], gram[:, 0, 0]]).cpu().numpy()
    return power[0], power[1].clip(min=1e-30)


def _principal(columns: Tensor, pivots: NDArray[np.int64], components: int) -> Tensor:
    """Return principal volumes (q, D, D, D) whose latents have unit variance.

    With U the leading left singular vectors of the columns C = Σ Φ, where Φ takes the real and imaginary parts at the
    pivots, the covariance within U follows from UᵀC = (UᵀΣU)(UᵀΦ) by least squares (Nyström's method).

    Args:
        columns: (2 J, D, D, D).
        pivots: (J, 3) x, y, z.
        components: q.
    """
    flat = columns.flatten(1)
    # The left singular vectors, by way of the small Gram matrix.
    _, vectors = torch.linalg.eigh((flat @ flat.T).double())
    basis = vectors[:, -min(components, len(flat)) :].T.float() @ flat
    basis = basis / basis.norm(dim=1, keepdim=True).clamp(min=1e-30)
    maps = basis.reshape(-1, *columns.shape[1:])
    spectra = torch.fft.fftn(torch.fft.ifftshift(maps, (1, 2, 3)), dim=(1, 2, 3))
    x, y, z = (torch.as_tensor(axis, device=columns.device) for axis in pivots.T)
    at_pivots = spectra[:, z, y, x]
    # Columns alternate: the covariance with the real part at a pivot, then with the imaginary part.
    probes = torch.view_as_real(at_pivots.contiguous()).reshape(len(basis), -1).double()
    covariance = (basis @ flat.T).double() @ torch.linalg.pinv(probes)
    variance, axes = torch.linalg.eigh((covariance + covariance.T) / 2)
    order = torch.argsort(variance, descending=True)
    strength = variance[order].clamp(min=1e-3 * variance.max()).clamp(min=0).sqrt()
    volumes: Tensor = torch.tensordot((axes[:, order] * strength).T.float(), maps, dims=1)
    return volumes
