"""Maps that images show mixtures of: sums over images, and the regularised least squares that solves for all maps."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cryoarena.methods.batches import Batch
from cryoarena.methods.normal_equations import solve_voxels
from cryoarena.volumes.slicing import OVERSAMPLING, FourierGrid, ImagePoints

# of the mean weight of a voxel, in favour of the moments of all images where few were seen
_PULL_TO_MEAN = 1e-2


@dataclass(frozen=True)
class JointSums:
    """Sums over images data = CTF · P(Σ_m x_m V_m) + noise, of which E[x] and E[x xᵀ] are known.

    The normal equations of a voxel are Σ CTF²/σ² E[x xᵀ] V = Σ CTF/σ² E[x] data. Their matrix is written as
    Σ CTF²/σ² E[x₀²], which follows the sampling and is kept on the fine grid, times a matrix R of second moments
    relative to x₀². That varies slowly, since it is a mean over the images that pass by: it is summed on a grid of one
    voxel per coefficient from every second row and column of the images, an eighth of the memory and a quarter of the
    work.

    Attributes:
        grid, points: of the maps and images.
        maps: number of maps M.
    """

    grid: FourierGrid
    points: ImagePoints
    maps: int
    _coarse: FourierGrid = field(init=False)
    _even: Tensor = field(init=False)
    _even_points: ImagePoints = field(init=False)
    _sums: Tensor = field(init=False)
    _moments: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Start from zero."""
        even = ((self.points.kx % 2 == 0) & (self.points.ky % 2 == 0)).nonzero()[:, 0]
        # In units of two cycles per box, the fine grid of half the radius has one voxel per coefficient.
        coarse = FourierGrid(self.grid.box_px // 2, self.grid.radius / 2, self.grid.device)
        kx, ky, shell = (values[even] // 2 for values in (self.points.kx, self.points.ky, self.points.shell))
        object.__setattr__(self, "_coarse", coarse)
        object.__setattr__(self, "_even", even)
        object.__setattr__(self, "_even_points", ImagePoints(coarse.box_px, kx, ky, shell))
        object.__setattr__(self, "_sums", self.grid.accumulator(self.maps, weights=1))
        object.__setattr__(self, "_moments", coarse.accumulator(0, weights=self.maps * (self.maps + 1) // 2))

    def add(self, batch: Batch, precision: Tensor, of_data: Tensor, of_weight: Tensor) -> None:
        """Insert images.

        Args:
            batch: n images.
            precision: (P,) 1/σ² of their coefficients.
            of_data: (n, M) E[x].
            of_weight: (n, M, M) E[x xᵀ].
        """
        over_noise = precision.sqrt()
        data, ctf = over_noise * batch.data, over_noise * batch.ctf
        self.grid.insert(
            self.points,
            batch.rotations,
            data,
            ctf,
            self._sums,
            data_by=of_data,
            weight_by=of_weight[:, 0, :1],
        )
        rows, columns = torch.triu_indices(self.maps, self.maps, device=of_weight.device)
        self._coarse.insert(
            self._even_points,
            batch.rotations,
            data[:, self._even],
            ctf[:, self._even],
            self._moments,
            data_by=of_data[:, :0],
            weight_by=of_weight[:, rows, columns],
        )

    def solve(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Solve for the maps, each coefficient with a normal prior; the sums are used up.

        Args:
            signal: (M, S) prior variance of a coefficient by map and shell.

        Returns:
            Grid values (V, M, 2), 0 outside the radius, and the mean posterior variance (M, S).
        """
        self._sums.mul_(float(OVERSAMPLING**3))
        _make_hermitian(self._sums, self.grid, 2 * self.maps)
        _make_hermitian(self._moments, self._coarse, 0)
        total = self._moments.double().sum(dim=0).float()
        pull = _PULL_TO_MEAN * self._moments[:, 0].mean().clamp(min=1e-30)
        self._moments.add_(pull * total / total[0].clamp(min=1e-30))
        self._moments.div_(self._moments[:, :1].clone())
        variance = solve_voxels(self._sums, self._moments, signal, self.grid, self._coarse)
        return self._sums[:, : 2 * self.maps].reshape(-1, self.maps, 2), variance


def _make_hermitian(sums: Tensor, grid: FourierGrid, complex_columns: int) -> None:
    """Add to the x = 0 plane of sums what belongs there from its other half, in place."""
    nz, ny, nx = grid.shape
    plane = sums.view(nz, ny, nx, -1)[:, :, 0]
    mirrored = torch.flip(plane, dims=(0, 1))
    mirrored[:, :, 1:complex_columns:2] *= -1
    plane += mirrored
