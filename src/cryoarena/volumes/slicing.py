"""Central slices of maps by trilinear interpolation on an oversampled Fourier grid, and the adjoint.

This is the ordinary operator of reconstruction programs (RELION: Scheres 2012, doi:10.1016/j.jsb.2012.09.006),
on CPU (compiled loops) or CUDA (torch). The simulator does not use it.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.volumes import trilinear_cpu
from cryoarena.volumes.in_threads import in_threads
from cryoarena.volumes.quotient_cpu import quotient

OVERSAMPLING = 2
# of the mean weight of a shell; what has less is in a gap between slices
_LEAST_WEIGHT = 0.25
_POINTS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class ImagePoints:
    """The independent Fourier coefficients of a real D x D image within a radius.

    One point for every pair ±k with 0 <= |k| <= radius: columns kx >= 0, and ky >= 0 where kx is 0. They are in
    the order of |k|: the points of a lower radius, or of the first shells, come first.

    Attributes:
        box_px: image side D.
        kx, ky: (P,) int64, in cycles per box.
        shell: (P,) int64, |k| rounded to the nearest integer.
    """

    box_px: int
    kx: Tensor
    ky: Tensor
    shell: Tensor

    @staticmethod
    def within(box_px: int, radius: float, device: torch.device) -> "ImagePoints":
        """Return the points of a D x D image with |k| <= radius, and below Nyquist, D/2, along each axis."""
        limit = min(math.floor(radius), box_px // 2 - 1)
        k = torch.arange(-limit, limit + 1, device=device)
        ky, kx = torch.meshgrid(k, k[limit:], indexing="ij")
        length = torch.sqrt((kx**2 + ky**2).double())
        kept = torch.nonzero(((length <= radius) & ((kx > 0) | (ky >= 0))).reshape(-1))[:, 0]
        order = kept[torch.argsort(length.reshape(-1)[kept], stable=True)]
        return ImagePoints(
            box_px, kx.reshape(-1)[order], ky.reshape(-1)[order], torch.round(length.reshape(-1)[order]).long()
        )

    def __len__(self) -> int:
        return len(self.kx)

    def split(self, shell: int) -> tuple["ImagePoints", "ImagePoints"]:
        """Return the points up to a shell, and those beyond it."""
        count = int((self.shell <= shell).sum())
        inner, outer = (
            ImagePoints(self.box_px, self.kx[part], self.ky[part], self.shell[part])
            for part in (slice(0, count), slice(count, None))
        )
        return inner, outer

    def of_images(self, images: Tensor) -> Tensor:
        """Return centred Fourier coefficients (n, P) of images (n, D, D) with origin D//2."""
        spectra = torch.fft.rfft2(images)
        values = spectra[:, self.ky % self.box_px, self.kx]
        centred: Tensor = values * (1 - 2 * ((self.kx + self.ky) % 2))
        return centred


@dataclass(frozen=True)
class FourierGrid:
    """An oversampled half-space grid (kx >= 0) that holds maps of box D up to a radius.

    Grid values are (V, M) float32 tables of M real channels, or (V, M, 2) for M complex maps, so that all
    channels of a voxel are neighbours in memory.

    Attributes:
        box_px: map side D.
        radius: largest |k| (cycles per box) that is sliced or inserted.
        device: where the tables live.
        oversampling: grid steps per cycle per box; 1 saves memory where a coarser interpolation will do.
    """

    box_px: int
    radius: float
    device: torch.device
    oversampling: int = OVERSAMPLING
    reach: int = field(init=False)

    def __post_init__(self) -> None:
        """Fix the number of grid steps from the centre to the edge (one more than the radius needs)."""
        object.__setattr__(self, "reach", math.floor(self.oversampling * self.radius) + 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the grid's (z, y, x) size; z and y run from -reach to reach, x from 0 to reach."""
        side = 2 * self.reach + 1
        return side, side, self.reach + 1

    @property
    def size(self) -> int:
        """Return the number of grid voxels V."""
        return math.prod(self.shape)

    def shells(self) -> Tensor:
        """Return |k| of every grid voxel, rounded to the nearest integer in cycles per box; (V,) int64."""
        return self._shells

    @cached_property
    def _shells(self) -> Tensor:
        axis = torch.arange(-self.reach, self.reach + 1, device=self.device, dtype=torch.float32)
        z, y, x = torch.meshgrid(axis, axis, axis[self.reach :], indexing="ij")
        return torch.round(torch.sqrt(x**2 + y**2 + z**2) / self.oversampling).long().reshape(-1)

    def per_voxel(self, of_shell: Tensor) -> Tensor:
        """Return the mean weight that a voxel of a shell receives, counted as in `complete`; (…, S).

        Args:
            of_shell: (…, S) weights inserted, summed over shells.
        """
        return of_shell * self.oversampling**3 / self._voxels[: of_shell.shape[-1]]

    @cached_property
    def _voxels(self) -> Tensor:
        """Count the voxels of every shell."""
        return torch.bincount(self._shells)

    @cached_property
    def _outside(self) -> Tensor:
        """Return whether a voxel is in a shell beyond the radius; (V,)."""
        return self._shells > self.radius

    def _plane(self, points: ImagePoints) -> Tensor:
        """Return kx and ky (2, P) in grid steps."""
        return torch.stack([points.kx, points.ky]).float() * self.oversampling

    def corners(self, points: ImagePoints, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return voxel numbers and weights (n·P, 8), and the sign of the imaginary part (n·P,)."""
        plane = self._plane(points).T
        # F2(k) = F3(kx R[0] + ky R[1]): the rows of R are the image axes in the object's frame.
        position = (plane @ rotations[:, :2].float()).reshape(-1, 3)
        # The map is real: F3(-k) is the conjugate of F3(k), so only x >= 0 is kept.
        sign = torch.where(position[:, 0] < 0, -1.0, 1.0)
        position = position * sign[:, None]
        low = torch.floor(position)
        high_weight = position - low
        low_weight = 1 - high_weight
        _, ny, nx = self.shape
        first = low.long()
        base = ((first[:, 2] + self.reach) * ny + first[:, 1] + self.reach) * nx + first[:, 0]
        steps = torch.tensor([0, 1, nx, nx + 1, ny * nx, ny * nx + 1, ny * nx + nx, ny * nx + nx + 1])
        zy = torch.stack(
            [
                low_weight[:, 2] * low_weight[:, 1],
                low_weight[:, 2] * high_weight[:, 1],
                high_weight[:, 2] * low_weight[:, 1],
                high_weight[:, 2] * high_weight[:, 1],
            ],
            dim=1,
        )
        along_x = torch.stack([low_weight[:, 0], high_weight[:, 0]], dim=1)
        weights = (zy[:, :, None] * along_x[:, None, :]).reshape(-1, 8)
        return base[:, None] + steps.to(self.device), weights, sign

    def slices(self, values: Tensor, points: ImagePoints, rotations: Tensor) -> Tensor:
        """Return central slices (n, P, M) complex64 of complex maps.

        Args:
            values: (V, M, 2) grid values.
            points: P points of the image plane.
            rotations: (n, 3, 3) object to image.
        """
        if self.device.type == "cpu":
            plane, turns = _as_numpy(self._plane(points)), _as_numpy(rotations)
            found = trilinear_cpu.slices(_as_numpy(values.reshape(self.size, -1)), self.shape, plane, turns)
            return torch.view_as_complex(torch.from_numpy(found.reshape(*found.shape[:2], values.shape[1], 2)))
        return self.slices_by_tensors(values, points, rotations)

    def slices_by_tensors(self, values: Tensor, points: ImagePoints, rotations: Tensor) -> Tensor:
        """Do what `slices` does by tensor operations, on any device."""
        corners, weights, sign = self.corners(points, rotations)
        table = values.reshape(self.size, -1)
        flat = torch.nn.functional.embedding_bag(corners, table, per_sample_weights=weights, mode="sum")
        maps = values.shape[1]
        pairs = flat.reshape(len(corners), maps, 2) * torch.stack([torch.ones_like(sign), sign], dim=1)[:, None]
        return torch.view_as_complex(pairs.contiguous()).reshape(len(rotations), len(points), maps)

    def accumulator(self, maps: int, weights: int) -> Tensor:
        """Return an empty accumulator for `insert`: (V, 2 maps + weights) zeros."""
        return torch.zeros((self.size, 2 * maps + weights), device=self.device)

    def insert(
        self,
        points: ImagePoints,
        rotations: Tensor,
        data: Tensor,
        ctf: Tensor,
        into: Tensor,
        data_by: Tensor | None = None,
        weight_by: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> None:
        """Add CTF·data and CTF² of n images, or the r of them that `rows` names: the adjoint of `slices` times the CTF.

        Data and weights of a voxel share a row, so that they are neighbours in memory.

        Args:
            points: P points of the image plane.
            rotations: (n, 3, 3) object to image.
            data: (n, P) complex64 images, e.g. over the standard deviation of their noise.
            ctf: (n, P) float32, over the same.
            into: (V, 2 M + W) float32, changed in place.
            data_by: (r, M) factor of an image's CTF·data in each of M maps; one map by default.
            weight_by: (r, W) factor of an image's CTF² in each of W channels; one channel by default.
            rows: (r,) int64; all images by default.
        """
        rows = torch.arange(len(rotations), device=self.device) if rows is None else rows
        ones = torch.ones((len(rows), 1), device=self.device)
        data_by = ones if data_by is None else data_by
        weight_by = ones if weight_by is None else weight_by
        if self.device.type == "cpu":
            trilinear_cpu.insert(
                into.numpy(),
                self.shape,
                _as_numpy(self._plane(points)),
                _as_numpy(rotations),
                _as_numpy(torch.view_as_real(data)),
                _as_numpy(ctf),
                _as_numpy(data_by),
                _as_numpy(weight_by),
                rows.numpy(),
            )
        else:
            self.insert_by_tensors(points, rotations[rows], data[rows], ctf[rows], into, data_by, weight_by)

    def insert_by_tensors(
        self,
        points: ImagePoints,
        rotations: Tensor,
        data: Tensor,
        ctf: Tensor,
        into: Tensor,
        data_by: Tensor,
        weight_by: Tensor,
    ) -> None:
        """Do what `insert` does by tensor operations, on any device."""
        at_once = max(1, _POINTS_AT_ONCE // len(points))
        for start in range(0, len(rotations), at_once):
            part = slice(start, start + at_once)
            corners, weights, sign = self.corners(points, rotations[part])
            products = (ctf[part] * data[part])[:, :, None] * data_by[part, None, :]
            pairs = torch.view_as_real(products.reshape(len(corners), data_by.shape[1]))
            pairs = pairs * torch.stack([torch.ones_like(sign), sign], dim=1)[:, None]
            spread = (ctf[part, :, None] ** 2 * weight_by[part, None, :]).reshape(len(corners), weight_by.shape[1])
            rows = torch.cat([pairs.reshape(len(corners), 2 * data_by.shape[1]), spread], dim=1)
            for corner in range(8):
                into.index_add_(0, corners[:, corner], rows * weights[:, corner, None])

    def gram(self, values: Tensor, points: ImagePoints, rotations: Tensor, data: Tensor, ctf: Tensor) -> Tensor:
        """Return the real inner products of each image and its CTF times M slices, summed by shell.

        Args:
            values: (V, M, 2) grid values of the M maps.
            points: P points of the image plane, in shells 0 to S - 1.
            rotations: (n, 3, 3) object to image.
            data: (n, P) complex64 images.
            ctf: (n, P) float32.

        Returns:
            (n, S, M + 1, M + 1) float32; index 0 of the last two axes is the image, index m the m-th slice.
        """
        if self.device.type == "cpu":
            return torch.from_numpy(trilinear_cpu.gram(*self._for_cpu(values, points, rotations, data, ctf)))
        return self.gram_by_tensors(values, points, rotations, data, ctf)

    def gram_by_tensors(
        self, values: Tensor, points: ImagePoints, rotations: Tensor, data: Tensor, ctf: Tensor
    ) -> Tensor:
        """Do what `gram` does by tensor operations, on any device."""
        every = torch.cat([data[:, :, None], ctf[:, :, None] * self.slices(values, points, rotations)], dim=2)
        n, _, size = every.shape
        order = torch.argsort(points.shell)
        found = []
        for members in torch.split(order, torch.bincount(points.shell).tolist()):
            pairs = torch.view_as_real(every[:, members]).permute(0, 1, 3, 2).reshape(n, -1, size)
            found.append(pairs.transpose(1, 2) @ pairs)
        return torch.stack(found, dim=1)

    def likeness(
        self,
        values: Tensor,
        points: ImagePoints,
        rotations: Tensor,
        data: Tensor,
        ctf: Tensor,
        rows: Tensor | None = None,
        begin: int = 0,
    ) -> Tensor:
        """Return Re <image, CTF · slice> and |CTF · slice|² of M slices, summed by shell; (r, S, 2, M).

        Args:
            values, points, rotations: as in `gram`, of which this is the part that M classes need.
            data, ctf: (n, P') whose columns from `begin` on are the points.
            rows: (r,) int64 of the n images; all by default.
        """
        rows = torch.arange(len(rotations), device=self.device) if rows is None else rows
        if self.device.type == "cpu":
            arrays = self._for_cpu(values, points, rotations, data, ctf)
            return torch.from_numpy(trilinear_cpu.likeness(*arrays, rows.numpy(), begin))
        columns = slice(begin, begin + len(points))
        return self.likeness_by_tensors(values, points, rotations[rows], data[rows, columns], ctf[rows, columns])

    def likeness_by_tensors(
        self, values: Tensor, points: ImagePoints, rotations: Tensor, data: Tensor, ctf: Tensor
    ) -> Tensor:
        """Do what `likeness` does by tensor operations, on any device."""
        predicted = ctf[:, :, None] * self.slices(values, points, rotations)
        both = torch.stack([(data.conj()[:, :, None] * predicted).real, predicted.abs() ** 2], dim=2)
        of_shell = torch.nn.functional.one_hot(points.shell).T.float()
        return (of_shell @ both.flatten(2)).reshape(len(both), -1, *both.shape[2:])

    def _for_cpu(
        self, values: Tensor, points: ImagePoints, rotations: Tensor, data: Tensor, ctf: Tensor
    ) -> tuple[NDArray[np.float32], tuple[int, int, int], NDArray[np.float32], NDArray[np.int64], Any, Any, Any]:
        """Return the arguments of the compiled products."""
        return (
            _as_numpy(values.reshape(self.size, -1)),
            self.shape,
            _as_numpy(self._plane(points)),
            points.shell.numpy(),
            _as_numpy(rotations),
            _as_numpy(torch.view_as_real(data)),
            _as_numpy(ctf),
        )

    def quotient(self, accumulator: Tensor, least: Tensor, minus: Tensor | None = None) -> Tensor:
        """Return (data - weight · minus) / max(weight, least), as in `complete`, of one map's accumulator; (V, 1, 2).

        Args:
            accumulator: (V, 3).
            least: (S,) by shell; voxels beyond have the last.
            minus: (V, 2) values of a map; none by default.
        """
        minus = accumulator.new_zeros((0, 2)) if minus is None else minus
        if self.device.type == "cpu":
            found = np.empty((self.size, 2), np.float32)
            factor = np.float32(self.oversampling**3)
            sums, of_shell, subtracted = (_as_numpy(each) for each in (accumulator, least, minus))
            shells = self.shells().numpy()
            in_threads(quotient, sums, *self.shape[1:], factor, shells, of_shell, subtracted, found)
            return torch.from_numpy(found)[:, None]
        return self.quotient_by_tensors(accumulator, least, minus)

    def quotient_by_tensors(self, accumulator: Tensor, least: Tensor, minus: Tensor) -> Tensor:
        """Do what `quotient` does by tensor operations, on any device; `minus` may be of no voxel."""
        data, weight = self.complete(accumulator, maps=1)
        if len(minus):
            data = data - weight[:, :, None] * minus[:, None]
        return data / torch.maximum(weight, least[self.shells().clamp(max=len(least) - 1), None])[:, :, None]

    def complete(self, accumulator: Tensor, maps: int) -> tuple[Tensor, Tensor]:
        """Return data (V, M, 2) and weights (V, W) with a Hermitian x = 0 plane, counted per voxel of the map.

        A datum's weight is spread over an oversampling³ times finer grid; multiplying by that factor makes weights
        comparable with a prior per voxel (as RELION does).
        """
        nz, ny, nx = self.shape
        factor = float(self.oversampling**3)
        data = (accumulator[:, : 2 * maps] * factor).view(nz, ny, nx, maps, 2)
        weight = (accumulator[:, 2 * maps :] * factor).view(nz, ny, nx, -1)
        conjugate = torch.tensor([1.0, -1.0], device=self.device)
        data[:, :, 0] += torch.flip(data[:, :, 0], dims=(0, 1)) * conjugate
        weight[:, :, 0] += torch.flip(weight[:, :, 0], dims=(0, 1))
        return data.view(self.size, maps, 2), weight.view(self.size, -1)

    def from_volumes(self, volumes: Tensor) -> Tensor:
        """Return grid values (V, M, 2) of real maps (M, D, D, D), corrected for the kernel."""
        values = torch.empty((self.size, len(volumes), 2), device=self.device)
        forward = self._transform
        along_x = torch.view_as_real(forward[self.reach :].T.contiguous()).reshape(self.box_px, -1)
        for number, volume in enumerate(volumes):
            plane = torch.view_as_complex((volume.float() @ along_x).reshape(*volume.shape[:2], -1, 2))
            kept = forward @ torch.matmul(forward, plane).reshape(self.box_px, -1)
            values[:, number] = torch.view_as_real(kept).reshape(self.size, 2)
        return values

    def to_volumes(self, values: Tensor) -> Tensor:
        """Return real maps (M, D, D, D) of grid values (V, M, 2), corrected for the kernel."""
        volumes = torch.empty((values.shape[1], *(self.box_px,) * 3), device=self.device)
        padded_px = self.oversampling * self.box_px
        backward = (self._transform.conj().T / padded_px).contiguous()
        # The map is real: frequencies x > 0 stand for their negatives too.
        x = torch.arange(self.reach + 1, device=self.device)
        along_x = backward[:, self.reach :] * torch.where(x == 0, 1.0, 2.0)
        along_x = torch.view_as_real(along_x.conj().T.contiguous()).permute(0, 2, 1).reshape(-1, self.box_px)
        for number in range(values.shape[1]):
            found = torch.view_as_complex(values[:, number].contiguous())
            kept = found.masked_fill(self._outside, 0).reshape(self.shape[0], -1)
            plane = torch.matmul(backward, (backward @ kept).reshape(self.box_px, *self.shape[1:]))
            volumes[number] = torch.view_as_real(plane).reshape(*plane.shape[:2], -1) @ along_x
        return volumes

    @cached_property
    def _transform(self) -> Tensor:
        """Return exp(-2πi k p / N) of an axis over the transform of the kernel; (2 reach + 1, D).

        Products with so small matrices take less time than a transform of the padded map, of which most is thrown away.
        """
        place = torch.arange(self.box_px, device=self.device, dtype=torch.float64) - self.box_px // 2
        cycles = place / (self.oversampling * self.box_px)
        k = torch.arange(-self.reach, self.reach + 1, device=self.device)
        phase = -2 * math.pi * k[:, None] * cycles
        return torch.polar((1 / torch.sinc(cycles) ** 2).expand(phase.shape).contiguous(), phase).to(torch.complex64)

    def cropped(self, values: Tensor, radius: float) -> tuple["FourierGrid", Tensor]:
        """Return a grid of a lower radius, and what of some values (V, …) it holds."""
        lower = FourierGrid(self.box_px, radius, self.device, self.oversampling)
        middle = slice(self.reach - lower.reach, self.reach + lower.reach + 1)
        inside = values.reshape(*self.shape, *values.shape[1:])[middle, middle, : lower.reach + 1]
        return lower, inside.reshape(lower.size, *values.shape[1:])


def least_weight(shell_weight: Tensor) -> Tensor:
    """Return the least weight (S,) that inserted images are divided by, of the mean weight of a voxel by shell (S,)."""
    return (_LEAST_WEIGHT * shell_weight).clamp(min=1e-12)


def soft_sphere(box_px: int, radius_px: float, edge_px: float, device: torch.device) -> Tensor:
    """Return a spherical mask (D, D, D) with a raised-cosine edge outside `radius_px`."""
    offset = torch.arange(box_px, device=device, dtype=torch.float32) - box_px // 2
    distance = torch.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    ramp = ((distance - radius_px) / edge_px).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * ramp)


def shell_means(values: Tensor, shells: Tensor, n_shells: int) -> Tensor:
    """Average values (V, …) over shells; (n_shells, …). Empty shells give 0; shells beyond are left out."""
    numbers = shells.clamp(max=n_shells)
    columns = values.reshape(len(values), -1)
    sums = [torch.bincount(numbers, column.double(), n_shells + 1)[:n_shells] for column in columns.unbind(dim=1)]
    counts = torch.bincount(numbers, minlength=n_shells + 1)[:n_shells].clamp(min=1)
    return (torch.stack(sums, dim=1) / counts[:, None]).reshape((n_shells, *values.shape[1:])).float()


def _as_numpy(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.numpy(), np.float32)


def as_volume(volume: Tensor) -> NDArray[np.float32]:
    """Copy a map to numpy float32."""
    return np.asarray(volume.detach().cpu().numpy(), np.float32)
