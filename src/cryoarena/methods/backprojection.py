"""CTF-weighted backprojection with a Wiener filter whose prior comes from half-sets."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.methods.batches import Batch
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, shell_means, soft_sphere

_LOWEST_FSC, _HIGHEST_FSC = 1e-3, 0.999
_FLAT_PRIOR = 0.1


@dataclass(frozen=True)
class Accumulated:
    """Σ CTF·data and Σ CTF² of some images, on the grid of a map: (V, 3)."""

    grid: FourierGrid
    sums: Tensor

    def add(self, batch: Batch, points: ImagePoints) -> None:
        """Insert a batch."""
        self.grid.insert(points, batch.rotations, batch.ctf * batch.data, batch.ctf**2, self.sums)

    def plus(self, other: "Accumulated") -> "Accumulated":
        """Return the sum with another accumulation on the same grid."""
        return Accumulated(self.grid, self.sums + other.sums)

    def completed(self) -> tuple[Tensor, Tensor]:
        """Return data (V, 1, 2) and weight (V,), ready to be solved."""
        data, weight = self.grid.complete(self.sums, maps=1)
        return data, weight[:, 0]


def accumulate(grid: FourierGrid, points: ImagePoints, batches: Iterable[Batch]) -> Accumulated:
    """Insert all batches into one accumulation."""
    total = Accumulated(grid, grid.accumulator(maps=1, weights=1))
    for batch in batches:
        total.add(batch, points)
    return total


def reconstruct(half_a: Accumulated, half_b: Accumulated, mask: Tensor | None = None) -> Tensor:
    """Combine two half-sets into one Wiener-filtered map (D, D, D).

    map = Σ CTF·data / (Σ CTF² + σ²/τ²) with the ratio of noise to signal power per shell from the half-set FSC:
    σ²/τ² = <Σ CTF²> (1 - F)/F, F = 2 FSC/(1 + FSC) (Scheres 2012, doi:10.1016/j.jsb.2012.09.006, eqs. 8-10).

    Args:
        half_a, half_b: the half-sets.
        mask: (D, D, D) that the half-maps are compared in; a soft sphere by default.
    """
    if mask is None:
        box_px = half_a.grid.box_px
        mask = soft_sphere(box_px, 0.4 * box_px, 0.08 * box_px, half_a.grid.device)
    fsc = _masked_fsc(*half_maps(half_a, half_b), mask)
    whole_fsc = 2 * fsc / (1 + fsc)
    return _solve(half_a.plus(half_b), (1 - whole_fsc) / whole_fsc)


def half_maps(half_a: Accumulated, half_b: Accumulated) -> tuple[Tensor, Tensor]:
    """Return the maps (D, D, D) of two half-sets, alike in all but their images: what an FSC is measured on.

    A small flat prior keeps them finite where no data lie.
    """
    flat = torch.full((half_a.grid.box_px // 2,), _FLAT_PRIOR, device=half_a.grid.device)
    return _solve(half_a, flat), _solve(half_b, flat)


def _solve(accumulated: Accumulated, noise_to_signal: Tensor) -> Tensor:
    """Return Σ CTF·data / (Σ CTF² + <Σ CTF²> · ratio) with a ratio of noise to signal power per shell (D/2,)."""
    grid = accumulated.grid
    shells = grid.shells()
    n_shells = len(noise_to_signal)
    data, weight = accumulated.completed()
    prior = shell_means(weight, shells, n_shells) * noise_to_signal
    regularised = weight + prior[shells.clamp(max=n_shells - 1)].clamp(min=1e-12)
    return grid.to_volumes(data / regularised[:, None, None])[0]


def _masked_fsc(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Return the FSC (D/2,) of two maps within a mask, clipped to what a Wiener filter can use."""
    box_px = a.shape[0]
    spectrum_a, spectrum_b = (torch.fft.rfftn(torch.fft.ifftshift(volume * mask)) for volume in (a, b))
    k = torch.fft.fftfreq(box_px, 1 / box_px, device=a.device)
    length = torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1].abs() ** 2)
    shells = torch.round(length).long().reshape(-1)
    sums = [
        shell_means(power.reshape(-1), shells, box_px // 2)
        for power in (
            (spectrum_a * spectrum_b.conj()).real,
            spectrum_a.abs() ** 2,
            spectrum_b.abs() ** 2,
        )
    ]
    fsc = sums[0] / torch.sqrt(sums[1] * sums[2]).clamp(min=1e-30)
    return fsc.clamp(_LOWEST_FSC, _HIGHEST_FSC)
