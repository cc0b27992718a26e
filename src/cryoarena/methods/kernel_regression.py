"""Maps at a latent by kernel regression over images, with a bandwidth chosen per frequency band and neighbourhood.

x(h) = argmin Σ_i K(d_i / h) |y_i - CTF · slice(x)|² / σ², where d_i is the distance of image i's latent from
the one asked for in units of its posterior, and K is Epanechnikov's kernel (Gilles & Singer 2025,
doi:10.1073/pnas.2419140122). A narrow kernel is noisy, a wide one mixes conformations. Each half-set's map
at bandwidth h is compared with the other's at the narrowest, whose noise is independent and whose bias is least; in
every band and neighbourhood the bandwidth with the smallest difference is taken. The map is the consensus plus the
difference from it, filtered locally by what the half-sets have in common (`local_wiener`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.backprojection import fsc_of_spectra, lightly_regularised
from cryoarena.methods.batches import fourier_batches, may_be_kept
from cryoarena.methods.local_wiener import lengths, local_wiener
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_BANDWIDTHS = 6
# between two bandwidths
_RINGS = 3
_FEWEST_IMAGES, _FEWEST_FRACTION = 100, 0.01
_MOST_IMAGES, _MOST_FRACTION = 10_000, 0.5
_LOWEST_BANDS = 4
_LEAST_SQUARE = 1e-12
_BATCH_IMAGES = 100
_TENSORS = ("latents", "precision", "contrast", "mask", "everything")
_MOST_KEPT_BYTES = 500_000_000

HalfMaps = tuple[Tensor, Tensor]
# rotations (n, 3, 3), CTF · data (n, P) complex64 and CTF² (n, P)
Weighted = tuple[Tensor, Tensor, Tensor]


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
        everything: (3, D, D, D) at infinite bandwidth: two half-maps, not filtered, and the consensus.
        device: of torch.
    """

    particles: ParticleSet
    half_set: NDArray[np.int64]
    latents: Tensor
    precision: Tensor
    contrast: Tensor
    mask: Tensor
    everything: Tensor
    device: torch.device

    def on_device(self, device: torch.device) -> "KernelRegression":
        """Return the same on another device."""
        tensors = {name: getattr(self, name).to(device) for name in _TENSORS}
        return replace(self, device=device, **tensors)

    def map_at(self, latent: Tensor) -> NDArray[np.float32]:
        """Return the map (D, D, D) at a latent (d,)."""
        half_a, half_b, consensus = self.everything
        return as_volume(best_of([*self._half_maps(latent), (half_a, half_b)], consensus, self.mask))

    def _half_maps(self, latent: Tensor) -> list[HalfMaps]:
        """Return the maps of both half-sets at every bandwidth, the narrowest first."""
        offset = self.latents - latent
        square = torch.einsum("na,nab,nb->n", offset, self.precision, offset)
        order = torch.argsort(square)
        box_px = self.particles.box_px
        radius = box_px / 2 - 1
        grid = FourierGrid(box_px, radius, self.device)
        # The kernel 1 - d²/h² at any h follows from the sums without and with the factor d², which is taken to be the
        # same for all images of a ring.
        half_sums = [(grid.accumulator(1, 1), grid.accumulator(1, 1)) for _ in range(2)]
        ring_sums = grid.accumulator(maps=1, weights=1)
        maps, done = [], 0
        for count in _image_counts(len(order)):
            for ring in torch.tensor_split(order[done:count], _RINGS):
                rows = np.sort(ring.cpu().numpy())
                for half, (plain, by_square) in enumerate(half_sums):
                    of_half = rows[self.half_set[rows] == half]
                    for rotations, data, weight in self._weighted(of_half):
                        grid.insert(self._points, rotations, data, weight, ring_sums)
                    if len(of_half):
                        plain += ring_sums
                        by_square.add_(ring_sums, alpha=float(square[of_half].mean()))
                        ring_sums.zero_()
            done = count
            over_square = 1 / max(float(square[order[count - 1]]), _LEAST_SQUARE)
            half_a, half_b = (_half_map(grid, plain, by_square, over_square) for plain, by_square in half_sums)
            maps.append((half_a, half_b))
        return maps

    @cached_property
    def _points(self) -> ImagePoints:
        return ImagePoints.within(self.particles.box_px, self.particles.box_px / 2 - 1, self.device)

    def _weighted(self, rows: NDArray[np.int64]) -> Iterator[Weighted]:
        """Yield some images as they are inserted, in batches."""
        if self._kept is None:
            yield from self._read(rows)
            return
        for start in range(0, len(rows), _BATCH_IMAGES):
            batch = torch.as_tensor(rows[start : start + _BATCH_IMAGES], device=self.device)
            rotations, data, weight = (every[batch] for every in self._kept)
            yield rotations, data, weight

    @cached_property
    def _kept(self) -> Weighted | None:
        """All images as they are inserted, which saves reading them for every map; None where memory may be short."""
        if not may_be_kept(len(self.particles), self._points, _MOST_KEPT_BYTES):
            return None
        rotations, data, weight = zip(*self._read(np.arange(len(self.particles))), strict=True)
        return torch.cat(rotations), torch.cat(data), torch.cat(weight)

    def _read(self, rows: NDArray[np.int64]) -> Iterator[Weighted]:
        for batch in fourier_batches(self.particles, self._points, rows, _BATCH_IMAGES):
            contrast = self.contrast[torch.as_tensor(batch.rows, device=self.device), None]
            yield batch.rotations, contrast * batch.ctf * batch.data, (contrast * batch.ctf) ** 2


def _image_counts(n: int) -> list[int]:
    """Return how many images the kernel of each bandwidth holds, in geometric progression."""
    most = max(1, int(min(_MOST_IMAGES, _MOST_FRACTION * n)))
    fewest = min(most, int(max(_FEWEST_IMAGES, _FEWEST_FRACTION * n)))
    return sorted({round(count) for count in np.geomspace(fewest, most, _BANDWIDTHS)})


def _half_map(grid: FourierGrid, plain: Tensor, by_square: Tensor, over_square: float) -> Tensor:
    """Return the map for the kernel 1 - d² · over_square from a half-set's sums without and with the factor d²."""
    data, weight = grid.complete(plain - over_square * by_square, maps=1)
    return lightly_regularised(grid, data, weight[:, 0].clamp(min=0))[0]


def best_of(candidates: list[HalfMaps], consensus: Tensor, mask: Tensor) -> Tensor:
    """Return the map (D, D, D) of the best bandwidth in each band and neighbourhood, filtered locally.

    Args:
        candidates: half-maps (D, D, D), not filtered, at each bandwidth, the narrowest first.
        consensus: (D, D, D) what the map is shrunk to.
        mask: (D, D, D).
    """
    box_px = len(mask)
    length = lengths(box_px, mask.device)
    spectra = [[torch.fft.rfftn(half * mask) for half in halves] for halves in candidates]
    # What a Wiener filter leaves of a half-map, by shell.
    gains = [fsc_of_spectra(a[None], b[None]) for a, b in spectra]
    found = [torch.zeros_like(mask) for _ in range(2)]
    centres = _band_centres(box_px)
    for number, centre in enumerate(centres):
        band = _band(length, centres, number)
        blur = torch.exp(-2 * (math.pi * length / max(centre, _LOWEST_BANDS)) ** 2)
        shell = min(round(centre), box_px // 2 - 1)
        references = [torch.fft.irfftn(half * band, s=mask.shape) for half in spectra[0]]
        best, chosen = torch.full_like(mask, math.inf), references
        for halves, gain in zip(spectra, gains, strict=True):
            maps = [torch.fft.irfftn(half * band, s=mask.shape) for half in halves]
            power = (gain[shell] * maps[0] - references[1]) ** 2 + (gain[shell] * maps[1] - references[0]) ** 2
            error = torch.fft.irfftn(torch.fft.rfftn(power) * blur, s=mask.shape)
            chosen = [torch.where(error < best, new, old) for new, old in zip(maps, chosen, strict=True)]
            best = torch.minimum(error, best)
        found = [total + part for total, part in zip(found, chosen, strict=True)]
    one = torch.ones(1, device=mask.device)
    half_a, half_b = ((half - consensus * mask)[None] for half in found)
    return (consensus + local_wiener(half_a, half_b, one, one, mask).maps[0]) * mask


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
