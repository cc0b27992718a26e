"""CTF-weighted backprojection with a Wiener filter whose prior comes from half-sets."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.methods.batches import Batch
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, least_weight, shell_means, soft_sphere

_LOWEST_FSC, _HIGHEST_FSC = 1e-3, 0.999


@dataclass(frozen=True)
class Accumulated:
    """Images inserted into the grid of a map.

    Attributes:
        grid: of V voxels.
        sums: (V, 3) Σ CTF·data and Σ CTF².
        of_shell: (S,) Σ CTF² of the points of each shell.
    """

    grid: FourierGrid
    sums: Tensor
    of_shell: Tensor

    @staticmethod
    def none(grid: FourierGrid, points: ImagePoints) -> "Accumulated":
        """Return what no images add up to."""
        n_shells = int(points.shell.max()) + 1
        return Accumulated(grid, grid.accumulator(maps=1, weights=1), torch.zeros(n_shells, device=grid.device))

    def add(self, batch: Batch, points: ImagePoints, factor: Tensor | None = None) -> None:
        """Insert n images, each times its factor (n, 1)."""
        self.grid.insert(points, batch.rotations, batch.data, batch.ctf, self.sums, factor, factor)
        weight = batch.ctf**2
        total = weight.sum(dim=0) if factor is None else (factor * weight).sum(dim=0)
        self.of_shell.index_add_(0, points.shell, total)

    def plus(self, other: "Accumulated", factor: float = 1.0) -> "Accumulated":
        """Return these sums and a multiple of others."""
        sums = torch.add(self.sums, other.sums, alpha=factor)
        return Accumulated(self.grid, sums, self.of_shell + factor * other.of_shell)

    def per_voxel(self) -> Tensor:
        """Return the mean weight of a voxel by shell; (S,)."""
        return self.grid.per_voxel(self.of_shell)

    def completed(self) -> tuple[Tensor, Tensor]:
        """Return data (V, 1, 2) and weight (V,), ready to be solved."""
        data, weight = self.grid.complete(self.sums, maps=1)
        return data, weight[:, 0]

    def unfiltered(self, minus: Tensor | None = None) -> Tensor:
        """Return the map (D, D, D) that the images, less the slices of a map (V, 2), add up to.

        An FSC is measured on those of two half-sets.
        """
        return self.grid.to_volumes(self.grid.quotient(self.sums, least_weight(self.per_voxel()), minus))[0]


def accumulate(grid: FourierGrid, points: ImagePoints, batches: Iterable[Batch]) -> Accumulated:
    """Insert all batches into one accumulation."""
    total = Accumulated.none(grid, points)
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
    grid = half_a.grid
    a, b = half_a.completed(), half_b.completed()
    if mask is None:
        mask = soft_sphere(grid.box_px, 0.4 * grid.box_px, 0.08 * grid.box_px, grid.device)
    fsc = half_set_fsc(half_a.unfiltered()[None], half_b.unfiltered()[None], mask)
    prior = half_set_prior(grid, a[1] + b[1], fsc)
    return grid.to_volumes((a[0] + b[0]) / (a[1] + b[1] + prior)[:, None, None])[0]


def half_set_prior(grid: FourierGrid, weight: Tensor, fsc: Tensor) -> Tensor:
    """Return what is added to the summed weights (V,) of both half-sets: their mean in a shell times (1 - F)/F."""
    whole_fsc = 2 * fsc / (1 + fsc)
    return _by_shell(grid, weight, (1 - whole_fsc) / whole_fsc)


def _by_shell(grid: FourierGrid, weight: Tensor, noise_to_signal: Tensor) -> Tensor:
    """Return the mean weight of a voxel's shell times the shell's ratio of noise to signal power; (V,)."""
    shells = grid.shells()
    n_shells = len(noise_to_signal)
    prior = shell_means(weight, shells, n_shells) * noise_to_signal
    return prior[shells.clamp(max=n_shells - 1)].clamp(min=1e-12)


def half_set_fsc(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Return the FSC (D/2 + 1,) of maps (M, D, D, D) within a mask, clipped to what a Wiener filter can use."""
    axes = (1, 2, 3)
    return fsc_of_spectra(torch.fft.rfftn(a * mask, dim=axes), torch.fft.rfftn(b * mask, dim=axes))


def fsc_of_spectra(a: Tensor, b: Tensor) -> Tensor:
    """Return the FSC (D/2 + 1,) of spectra (M, D, D, D/2 + 1) as `half_set_fsc` does, whatever origin both share."""
    box_px = a.shape[1]
    k = torch.fft.fftfreq(box_px, 1 / box_px, device=a.device)
    length = torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1].abs() ** 2)
    shells = torch.round(length).long().reshape(-1)
    sums = [
        shell_means(power.sum(dim=0).reshape(-1), shells, box_px // 2 + 1)
        for power in ((a * b.conj()).real, a.abs() ** 2, b.abs() ** 2)
    ]
    fsc = sums[0] / torch.sqrt(sums[1] * sums[2]).clamp(min=1e-30)
    return fsc.clamp(_LOWEST_FSC, _HIGHEST_FSC)
