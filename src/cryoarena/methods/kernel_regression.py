"""Maps at a latent by kernel regression over images, with a bandwidth chosen per frequency band and neighbourhood.

x(h) = argmin Σ_i K(d_i / h) |y_i - CTF · slice(x)|² / σ², where d_i is the distance of image i's latent from
the one asked for in units of its posterior, and K is Epanechnikov's kernel (Gilles & Singer 2025,
doi:10.1073/pnas.2419140122, eqs. 16-19). A narrow kernel is noisy, a wide one mixes conformations. Each half-set's map
at bandwidth h is compared with the other's at the narrowest, whose noise is independent and whose bias is least; in
every band and neighbourhood the bandwidth with the smallest difference is taken. The map is the consensus plus the
difference from it, filtered locally by what the half-sets have in common (`local_wiener`).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.backprojection import half_set_fsc, lightly_regularised
from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.local_wiener import local_wiener
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_BANDWIDTHS = 6
_FEWEST_IMAGES, _FEWEST_FRACTION = 100, 0.01
_MOST_IMAGES, _MOST_FRACTION = 10_000, 0.5
_LOWEST_BANDS = 4
_LEAST_SQUARE = 1e-12


@dataclass(frozen=True)
class Candidate:
    """Maps (D, D, D) at one bandwidth: of each half-set, unbiased and regularised, and of both together."""

    unbiased: tuple[Tensor, Tensor]
    halves: tuple[Tensor, Tensor]
    whole: Tensor

    def as_array(self) -> NDArray[np.float32]:
        """Return all maps (5, D, D, D), as `of_array` reads them."""
        return as_volume(torch.stack([*self.unbiased, *self.halves, self.whole]))

    @staticmethod
    def of_array(maps: Tensor) -> "Candidate":
        """Return what `as_array` gave."""
        return Candidate((maps[0], maps[1]), (maps[2], maps[3]), maps[4])


@dataclass(frozen=True)
class KernelRegression:
    """What maps are regressed from.

    Attributes:
        particles: N images.
        half_set: (N,) 0 or 1.
        latents: (N, d).
        precision: (N, d, d) inverse posterior covariances.
        contrast: (N,).
        mask: (D, D, D) solvent mask.
        everything: the candidate of infinite bandwidth: the consensus.
        device: of torch.
    """

    particles: ParticleSet
    half_set: NDArray[np.int64]
    latents: Tensor
    precision: Tensor
    contrast: Tensor
    mask: Tensor
    everything: Candidate
    device: torch.device

    def map_at(self, latent: Tensor) -> NDArray[np.float32]:
        """Return the map (D, D, D) at a latent (d,)."""
        return as_volume(best_of(self._candidates(latent), self.mask) * self.mask)

    def _candidates(self, latent: Tensor) -> list[Candidate]:
        offset = self.latents - latent
        square = torch.einsum("na,nab,nb->n", offset, self.precision, offset)
        order = torch.argsort(square)
        box_px = self.particles.box_px
        radius = box_px / 2 - 1
        grid = FourierGrid(box_px, radius, self.device)
        points = ImagePoints.within(box_px, radius, self.device)
        sums = [grid.accumulator(maps=2, weights=2) for _ in range(2)]
        candidates, done = [], 0
        for count in _image_counts(len(order)):
            new = np.sort(order[done:count].cpu().numpy())
            for half in (0, 1):
                for batch in fourier_batches(self.particles, points, new[self.half_set[new] == half]):
                    rows = torch.as_tensor(batch.rows, device=self.device)
                    # The kernel 1 - d²/h² at any h follows from the sums without and with the factor d².
                    factors = torch.stack([torch.ones_like(square[rows]), square[rows]], dim=1)
                    contrast = self.contrast[rows, None]
                    grid.insert(
                        points,
                        batch.rotations,
                        batch.ctf * batch.data,
                        batch.ctf**2,
                        sums[half],
                        factors * contrast,
                        factors * contrast**2,
                    )
            done = count
            over_square = 1 / max(float(square[order[count - 1]]), _LEAST_SQUARE)
            half_a, half_b = (_half_map(grid, half, over_square) for half in sums)
            candidates.append(candidate_of(half_a, half_b, self.everything.whole, self.mask))
        return [*candidates, self.everything]


def _image_counts(n: int) -> list[int]:
    """Return how many images the kernel of each bandwidth holds, in geometric progression."""
    most = max(1, int(min(_MOST_IMAGES, _MOST_FRACTION * n)))
    fewest = min(most, int(max(_FEWEST_IMAGES, _FEWEST_FRACTION * n)))
    return sorted({round(count) for count in np.geomspace(fewest, most, _BANDWIDTHS)})


def _half_map(grid: FourierGrid, sums: Tensor, over_square: float) -> Tensor:
    """Return the map for the kernel 1 - d² · over_square from a half-set's sums."""
    data, weight = grid.complete(sums, maps=2)
    kernel = (weight[:, 0] - over_square * weight[:, 1]).clamp(min=0)
    return lightly_regularised(grid, data[:, :1] - over_square * data[:, 1:], kernel)[0]


def candidate_of(half_a: Tensor, half_b: Tensor, around: Tensor, mask: Tensor) -> Candidate:
    """Return the maps of two half-sets together: a known map and their locally filtered difference from it.

    Args:
        half_a, half_b: (D, D, D) not filtered.
        around: (D, D, D) what the maps are shrunk to.
        mask: (D, D, D).
    """
    fsc = half_set_fsc(half_a[None], half_b[None], mask)
    one = torch.ones(1, device=mask.device)
    difference = local_wiener((half_a - around)[None], (half_b - around)[None], one, one, mask).maps[0]
    return Candidate((half_a, half_b), (_filtered(half_a, fsc), _filtered(half_b, fsc)), around + difference)


def _filtered(volume: Tensor, by_shell: Tensor) -> Tensor:
    """Return a map whose shells are multiplied by (D/2,) factors; 0 beyond."""
    shells = _shells(len(volume), volume.device)
    factors = torch.cat([by_shell, torch.zeros(1, device=volume.device)])[shells.clamp(max=len(by_shell))]
    spectrum = torch.fft.rfftn(volume) * factors
    filtered: Tensor = torch.fft.irfftn(spectrum, s=volume.shape)
    return filtered


def _shells(box_px: int, device: torch.device) -> Tensor:
    return torch.round(_lengths(box_px, device)).long()


def _lengths(box_px: int, device: torch.device) -> Tensor:
    """Return |k| (D, D, D/2 + 1) of a real transform, in cycles per box."""
    k = torch.fft.fftfreq(box_px, 1 / box_px, device=device)
    return torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1].abs() ** 2)


def best_of(candidates: list[Candidate], mask: Tensor) -> Tensor:
    """Return the map (D, D, D) put together from the best candidate in each band and neighbourhood."""
    box_px = len(mask)
    length = _lengths(box_px, mask.device)
    reference = candidates[0].unbiased
    differences = [
        [torch.fft.rfftn((half - other) * mask) for half, other in zip(each.halves, reversed(reference), strict=True)]
        for each in candidates
    ]
    wholes = [torch.fft.rfftn(each.whole) for each in candidates]
    found = torch.zeros_like(mask)
    centres = _band_centres(box_px)
    for number, centre in enumerate(centres):
        band = _band(length, centres, number)
        blur = torch.exp(-2 * (math.pi * length / max(centre, _LOWEST_BANDS)) ** 2)
        least, chosen = None, None
        for difference, whole in zip(differences, wholes, strict=True):
            power = sum(torch.fft.irfftn(half * band, s=mask.shape) ** 2 for half in difference)
            error = torch.fft.irfftn(torch.fft.rfftn(power) * blur, s=mask.shape)
            part = torch.fft.irfftn(whole * band, s=mask.shape)
            if least is None or chosen is None:
                least, chosen = error, part
            else:
                chosen = torch.where(error < least, part, chosen)
                least = torch.minimum(error, least)
        assert chosen is not None
        found += chosen
    return found


def _band_centres(box_px: int) -> list[float]:
    """Return the centres of the bands (cycles per box): 0, 4, 8, then steps that grow by a half."""
    centres = [0.0, float(_LOWEST_BANDS), 2.0 * _LOWEST_BANDS]
    while centres[-1] < box_px / 2:
        centres.append(1.5 * centres[-1])
    return centres


def _band(length: Tensor, centres: list[float], number: int) -> Tensor:
    """Return weights that fall from 1 at a band's centre to 0 at its neighbours'; all bands add up to 1."""
    centre = centres[number]
    weight = torch.ones_like(length)
    if number > 0:
        weight = torch.minimum(weight, (length - centres[number - 1]) / (centre - centres[number - 1]))
    if number + 1 < len(centres):
        weight = torch.minimum(weight, (centres[number + 1] - length) / (centres[number + 1] - centre))
    return weight.clamp(min=0)
