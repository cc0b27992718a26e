"""CTF-weighted backprojection with a Wiener filter whose prior comes from half-sets."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.methods.batches import Batch
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, shell_means, soft_sphere

_LOWEST_FSC, _HIGHEST_FSC = 1e-3, 0.999


@dataclass(frozen=True)
class Accumulated:
    """Σ CTF·data and Σ CTF² on the grid of a map."""

    grid: FourierGrid
    data: Tensor
    weight: Tensor

    @staticmethod
    def empty(grid: FourierGrid) -> "Accumulated":
        """Return zeros."""
        data = torch.zeros((grid.size, 1, 2), device=grid.device)
        return Accumulated(grid, data, torch.zeros((grid.size, 1), device=grid.device))

    def add(self, batch: Batch, points: ImagePoints) -> None:
        """Insert a batch."""
        weighted = (batch.ctf * batch.data)[:, :, None]
        self.grid.insert(points, batch.rotations, weighted, (batch.ctf**2)[:, :, None], self.data, self.weight)

    def plus(self, other: "Accumulated") -> "Accumulated":
        """Return the sum with another accumulation on the same grid."""
        return Accumulated(self.grid, self.data + other.data, self.weight + other.weight)

    def completed(self) -> "Accumulated":
        """Return the accumulation ready to be solved (see FourierGrid.complete)."""
        return Accumulated(self.grid, *self.grid.complete(self.data.clone(), self.weight.clone()))


def accumulate(grid: FourierGrid, points: ImagePoints, batches: Iterable[Batch]) -> Accumulated:
    """Insert all batches into one accumulation."""
    total = Accumulated.empty(grid)
    for batch in batches:
        total.add(batch, points)
    return total


def reconstruct(half_a: Accumulated, half_b: Accumulated) -> Tensor:
    """Combine two half-sets into one Wiener-filtered map (D, D, D).

    map = Σ CTF·data / (Σ CTF² + σ²/τ²) with the ratio of noise to signal power per shell from the half-set FSC:
    σ²/τ² = <Σ CTF²> (1 - F)/F, F = 2 FSC/(1 + FSC) (Scheres 2012, doi:10.1016/j.jsb.2012.09.006, eqs. 8-10).
    """
    shells = half_a.grid.shells()
    n_shells = half_a.grid.box_px // 2
    half_maps = []
    for half in (half_a.completed(), half_b.completed()):
        # A small flat prior keeps the half-maps finite where no data lie.
        prior = 0.1 * shell_means(half.weight[:, 0], shells, n_shells)
        half_maps.append(_solve(half, prior, shells))
    fsc = _sphere_fsc(*half_maps)
    whole_fsc = 2 * fsc / (1 + fsc)
    whole = half_a.plus(half_b).completed()
    mean_weight = shell_means(whole.weight[:, 0], shells, n_shells)
    return _solve(whole, mean_weight * (1 - whole_fsc) / whole_fsc, shells)


def _solve(accumulated: Accumulated, prior_by_shell: Tensor, shells: Tensor) -> Tensor:
    prior = prior_by_shell[shells.clamp(max=len(prior_by_shell) - 1)].clamp(min=1e-12)
    values = accumulated.data / (accumulated.weight + prior[:, None])[:, :, None]
    return accumulated.grid.to_volumes(values)[0]


def _sphere_fsc(a: Tensor, b: Tensor) -> Tensor:
    """Return the FSC (D/2,) of two maps within a soft sphere, clipped to what a Wiener filter can use."""
    box_px = a.shape[0]
    sphere = soft_sphere(box_px, 0.4 * box_px, 0.08 * box_px, a.device)
    spectrum_a, spectrum_b = (torch.fft.rfftn(torch.fft.ifftshift(volume * sphere)) for volume in (a, b))
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
