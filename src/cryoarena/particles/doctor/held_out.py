"""How much of each image is foretold by the images of the other half.

A map is reconstructed from either half by a Wiener filter (Scheres 2012, doi:10.1016/j.jsb.2012.09.006) and compared
with the images of the other. What a wrong reading of the table has in common with the noise of its own images does
not count, and the gains of images can be compared in pairs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.particles.doctor.reading import Reading
from cryoarena.particles.doctor.sampled_images import SampledImages
from cryoarena.volumes.slicing import FourierGrid, shell_means, soft_sphere

_FLAT_PRIOR = 0.1
_LOWEST_FSC, _HIGHEST_FSC = 1e-3, 0.999
_SPHERE_RADIUS, _SPHERE_EDGE = 0.42, 0.06


@dataclass(frozen=True)
class HeldOut:
    """What a reading of the table makes of the images.

    Attributes:
        gain: (n,) log-likelihood of an image with its projection over that without, in nats, if all its power
            were noise.
        half_maps: (2, S, S, S) maps of either half inside a sphere, in the box of `working_grid`.
        filtered: (2, S, S, S) the same as a Wiener filter has them.
    """

    gain: NDArray[np.float64]
    half_maps: Tensor
    filtered: Tensor


def working_grid(radius: int) -> FourierGrid:
    """Return the grid of maps that hold the images up to a radius: their box is no larger than it must be."""
    return FourierGrid(2 * (radius + 1), radius, torch.device("cpu"))


def held_out(images: SampledImages, reading: Reading) -> HeldOut:
    """Reconstruct both halves and score each by the map of the other."""
    grid = working_grid(images.radius)
    mask = soft_sphere(grid.box_px, _SPHERE_RADIUS * grid.box_px, _SPHERE_EDGE * grid.box_px, grid.device)
    data, transfer, rotations = reading.centred(images), reading.ctf_values(images), reading.rotations()
    members = [torch.from_numpy(np.flatnonzero(images.half == half)) for half in (0, 1)]
    sums = []
    for rows in members:
        accumulator = grid.accumulator(maps=1, weights=1)
        here = transfer[rows]
        grid.insert(images.points, rotations[rows], data[rows], here, accumulator)
        sums.append(grid.complete(accumulator, maps=1))
    flat = torch.full((grid.box_px // 2,), _FLAT_PRIOR)
    half_maps = torch.stack([_solved(grid, *half, flat) * mask for half in sums])
    noise_to_signal = _noise_to_signal(half_maps)
    filtered = torch.stack([_solved(grid, *half, noise_to_signal) * mask for half in sums])
    return HeldOut(gain_from_halves(images, reading, filtered), half_maps, filtered)


def gain_from_halves(images: SampledImages, reading: Reading, filtered: Tensor) -> NDArray[np.float64]:
    """Return the gain (n,) of images read in some way from the maps of the other half, (2, S, S, S)."""
    grid = working_grid(images.radius)
    data, transfer, rotations = reading.centred(images), reading.ctf_values(images), reading.rotations()
    likeness = torch.zeros((len(images), images.radius + 1, 2))
    for half in (0, 1):
        rows = torch.from_numpy(np.flatnonzero(images.half == half))
        values = grid.from_volumes(filtered[1 - half][None])
        likeness[rows] = grid.likeness(values, images.points, rotations[rows], data[rows], transfer[rows])[..., 0]
    return _gain(likeness)


def gain_from_map(images: SampledImages, reading: Reading, volume: Tensor) -> tuple[NDArray[np.float64], float]:
    """Return the gain (n,) of images from a map that they had no part in, and the sign of their agreement.

    Args:
        images: n images.
        reading: of their table.
        volume: (S, S, S) of the box of `working_grid`.
    """
    grid = working_grid(images.radius)
    likeness = grid.likeness(
        grid.from_volumes(volume[None]),
        images.points,
        reading.rotations(),
        reading.centred(images),
        reading.ctf_values(images),
    )[..., 0]
    sign = float(torch.sign(likeness[..., 0].sum()))
    return _gain(likeness * torch.tensor([sign, 1.0])), sign


def _solved(grid: FourierGrid, data: Tensor, weight: Tensor, noise_to_signal: Tensor) -> Tensor:
    """Return the map (S, S, S) of data over weight plus the mean weight of the shell times noise over signal."""
    shells, n_shells = grid.shells(), len(noise_to_signal)
    prior = shell_means(weight[:, 0], shells, n_shells) * noise_to_signal
    return grid.to_volumes(
        data / (weight[:, 0] + prior[shells.clamp(max=n_shells - 1)].clamp(min=1e-12))[:, None, None]
    )[0]


def _noise_to_signal(half_maps: Tensor) -> Tensor:
    """Return the power of noise over that of signal in one half-map by shell, (1 - FSC) / FSC."""
    box_px = half_maps.shape[-1]
    a, b = torch.fft.rfftn(half_maps, dim=(1, 2, 3))
    k = torch.fft.fftfreq(box_px, 1 / box_px)
    length = torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1].abs() ** 2)
    shells = torch.round(length).long().reshape(-1)
    products = torch.stack([(a * b.conj()).real, a.abs() ** 2, b.abs() ** 2], dim=-1).reshape(-1, 3)
    cross, power_a, power_b = shell_means(products, shells, box_px // 2).unbind(dim=1)
    fsc = (cross / torch.sqrt(power_a * power_b).clamp(min=1e-30)).clamp(_LOWEST_FSC, _HIGHEST_FSC)
    return (1 - fsc) / fsc


def _gain(likeness: Tensor) -> NDArray[np.float64]:
    """Return 2 Re<x, a m> - |a m|² of images (n,), with the scale a ≥ 0 of each shell that is best for all.

    Args:
        likeness: (n, shells, 2): Re<x, m> and |m|².
    """
    cross, power = likeness.double().unbind(dim=2)
    scale = (cross.sum(dim=0) / power.sum(dim=0).clamp(min=1e-30)).clamp(min=0)
    return np.asarray((2 * scale * cross - scale**2 * power).sum(dim=1).numpy())
