"""Maps at a latent by kernel regression over images, with a bandwidth chosen per frequency band and neighbourhood.

x(h) = argmin Σ_i K(d_i / h) |r_i - CTF · slice(x)|² / σ², where d_i is the distance of image i's latent from
the one asked for in units of its posterior, and K is Epanechnikov's kernel (Gilles & Singer 2025,
doi:10.1073/pnas.2419140122). r_i is the image less the map of all images of its half-set: few images leave
gaps between their slices, where a map of the images themselves would be too faint, and what is common to all
conformations, much the greatest part, would tell bandwidths apart. A narrow kernel is noisy, a wide one mixes
conformations. Each half-set's x(h) is correlated with the other's at the narrowest, whose noise is independent and
whose bias is least; in every band and neighbourhood the bandwidth that correlates best is taken, or the widest where
none correlates more than noise may. The map is the consensus plus x, filtered locally by what the half-sets have in
common (`local_wiener`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from cryoarena.methods.backprojection import Accumulated
from cryoarena.methods.batches import Batch, fourier_batches, may_be_kept
from cryoarena.methods.local_wiener import chance, lengths, local_wiener, smoothed
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_BANDWIDTHS = 6
_FEWEST_IMAGES, _FEWEST_FRACTION = 100, 0.01
_MOST_IMAGES, _MOST_FRACTION = 10_000, 0.5
_LOWEST_BANDS = 4
# Neighbourhoods per box side: as many as cycles of a band, but no more. In smaller ones noise would choose.
_MOST_NEIGHBOURHOODS = 16
_LEAST_SQUARE = 1e-12
# standard deviations of chance
_SIGNIFICANT = 2.0
_BATCH_IMAGES = 100
_TENSORS = ("latents", "precision", "contrast", "mask", "everything")
_MOST_KEPT_BYTES = 500_000_000

HalfMaps = tuple[Tensor, Tensor]


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
        return as_volume(best_of(self._differences(latent), self.everything[2], self.mask))

    def _differences(self, latent: Tensor) -> list[HalfMaps]:
        """Return how maps of both half-sets differ from those of all their images, the narrowest bandwidth first."""
        offset = self.latents - latent
        square = torch.einsum("na,nab,nb->n", offset, self.precision, offset)
        order = torch.argsort(square)
        # The kernel 1 - d²/h² at any h follows from the sums without and with the factor d².
        plain, by_square = ([Accumulated.none(self._grid, self._points) for _ in range(2)] for _ in range(2))
        maps, done = [], 0
        for count in _image_counts(len(order)):
            rows = np.sort(order[done:count].cpu().numpy())
            for half in range(2):
                for images in self._residuals(rows[self.half_set[rows] == half]):
                    plain[half].add(images, self._points)
                    by_square[half].add(images, self._points, square[images.rows, None])
            done = count
            minus_square = -1 / max(float(square[order[count - 1]]), _LEAST_SQUARE)
            half_a, half_b = (
                one.plus(other, minus_square).unfiltered() for one, other in zip(plain, by_square, strict=True)
            )
            maps.append((half_a, half_b))
        return maps

    @cached_property
    def _points(self) -> ImagePoints:
        return ImagePoints.within(self.particles.box_px, self.particles.box_px / 2, self.device)

    @cached_property
    def _grid(self) -> FourierGrid:
        return FourierGrid(self.particles.box_px, self.particles.box_px / 2, self.device)

    @cached_property
    def _half_values(self) -> list[Tensor]:
        """Grid values of the map of all images of each half-set."""
        return [self._grid.from_volumes(half[None]) for half in self.everything[:2]]

    def _residuals(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        """Yield some images less the map of their half-set, with their contrast in the CTF."""
        if self._kept is None:
            yield from self._read(rows)
            return
        for start in range(0, len(rows), _BATCH_IMAGES):
            batch = rows[start : start + _BATCH_IMAGES]
            here = torch.as_tensor(batch, device=self.device)
            yield Batch(batch, self._kept.data[here], self._kept.ctf[here], self._kept.rotations[here])

    @cached_property
    def _kept(self) -> Batch | None:
        """All images as they are inserted, which saves reading them for every map; None where memory may be short."""
        if not may_be_kept(len(self.particles), self._points, _MOST_KEPT_BYTES):
            return None
        every = np.arange(len(self.particles))
        parts = [(batch.data, batch.ctf, batch.rotations) for batch in self._read(every)]
        return Batch(every, *(torch.cat(part) for part in zip(*parts, strict=True)))

    def _read(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        for batch in fourier_batches(self.particles, self._points, rows, _BATCH_IMAGES):
            here = torch.as_tensor(batch.rows, device=self.device)
            factor = self.contrast[here, None] * batch.ctf
            residual = batch.data.clone()
            for number, values in enumerate(self._half_values):
                own = torch.as_tensor(self.half_set[batch.rows] == number, device=self.device)
                residual[own] -= factor[own] * self._grid.slices(values, self._points, batch.rotations[own])[:, :, 0]
            yield Batch(batch.rows, residual, factor, batch.rotations)


def _image_counts(n: int) -> list[int]:
    """Return how many images the kernel of each bandwidth holds, in geometric progression."""
    most = max(1, int(min(_MOST_IMAGES, _MOST_FRACTION * n)))
    fewest = min(most, int(max(_FEWEST_IMAGES, _FEWEST_FRACTION * n)))
    return sorted({round(count) for count in np.geomspace(fewest, most, _BANDWIDTHS)})


def best_of(candidates: list[HalfMaps], consensus: Tensor, mask: Tensor) -> Tensor:
    """Return the map (D, D, D) of the best bandwidth in each band and neighbourhood, filtered locally.

    Args:
        candidates: differences (D, D, D) of half-maps from those of all images, not filtered, at each bandwidth, the
            narrowest first.
        consensus: (D, D, D) map of all images.
        mask: (D, D, D).
    """
    box_px = len(mask)
    spectra = [[torch.fft.rfftn(half * mask) for half in halves] for halves in candidates]
    found = [torch.zeros_like(spectrum) for spectrum in spectra[0]]
    centres = _band_centres(box_px)
    for number, centre in enumerate(centres):
        # A band is looked at in as few voxels as its products need: what they alias to, the blur takes away.
        highest = centres[number + 1] if number + 1 < len(centres) else box_px
        few_px = min(box_px, 2 * next_fast_len(math.ceil(1.5 * highest)))
        kept = _lowest(box_px, few_px, mask.device)
        length = lengths(few_px, mask.device)
        band = _band(length, centres, number)
        neighbourhoods = min(max(centre, _LOWEST_BANDS), _MOST_NEIGHBOURHOODS)
        blur = torch.exp(-2 * (math.pi * length / neighbourhoods) ** 2)
        scale = (few_px / box_px) ** 3
        bands = [[torch.fft.irfftn(half[kept] * band * scale, s=(few_px,) * 3) for half in pair] for pair in spectra]
        # Two pairs of half-maps are correlated.
        least = _SIGNIFICANT * chance(band, blur) / math.sqrt(2)
        for total, part in zip(found, _most_alike(bands, blur, least), strict=True):
            total[kept] += torch.fft.rfftn(part) / scale
    one = torch.ones(1, device=mask.device)
    half_a, half_b = (torch.fft.irfftn(half, s=mask.shape)[None] for half in found)
    return (consensus + local_wiener(half_a, half_b, one, one, mask, own=1.0).maps[0]) * mask


def _most_alike(candidates: list[list[Tensor]], blur: Tensor, least: float) -> list[Tensor]:
    """Return two half-maps made of those that, place by place, correlate best with the other half-map of the first.

    Where no correlation is above the least, they are the last.
    """
    narrow_a, narrow_b = candidates[0]
    power = smoothed(narrow_a**2 + narrow_b**2, blur).clamp(min=1e-30)
    chosen = candidates[-1]
    best = torch.full_like(power, least)
    for half_a, half_b in reversed(candidates):
        alike = smoothed(half_a * narrow_b + half_b * narrow_a, blur)
        alike /= torch.sqrt(smoothed(half_a**2 + half_b**2, blur).clamp(min=1e-30) * power)
        chosen = [torch.where(alike > best, new, old) for new, old in zip((half_a, half_b), chosen, strict=True)]
        best = torch.maximum(alike, best)
    return chosen


def _lowest(box_px: int, few_px: int, device: torch.device) -> tuple[Tensor, Tensor, slice]:
    """Return where a spectrum (D, D, D/2 + 1) has the frequencies of a box of fewer voxels."""
    k = torch.fft.fftfreq(few_px, 1 / few_px, device=device).long() % box_px
    return k[:, None], k[None], slice(few_px // 2 + 1)


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
