"""Some images of a stack, as whitened Fourier coefficients in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import ImagePoints

_BATCH = 100


@dataclass(frozen=True)
class SampledImages:
    """n images up to a radius in Fourier space.

    Attributes:
        coefficients: (n, P) complex64, of one mean power in every shell; -1 times bright images, as
            `imaging.ctf` has it, and 0 at zero frequency, where ice and normalisation rule.
        points: P points of the image plane.
        radius: largest |k| in cycles per box.
        field_of_view_A: side of the box by the table.
        half: (n,) 0 or 1, random halves.
    """

    coefficients: Tensor
    points: ImagePoints
    radius: int
    field_of_view_A: float
    half: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.coefficients)

    def within(self, radius: int) -> "SampledImages":
        """Return the same images up to a smaller radius."""
        if radius >= self.radius:
            return self
        kept = self.points.kx**2 + self.points.ky**2 <= radius**2
        points = ImagePoints(self.points.box_px, self.points.kx[kept], self.points.ky[kept], self.points.shell[kept])
        return SampledImages(self.coefficients[:, kept], points, radius, self.field_of_view_A, self.half)


def spread_rows(n: int, wanted: int) -> NDArray[np.int64]:
    """Return up to `wanted` rows of n, spread evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64))


def image_batches(particles: ParticleSet) -> Iterator[NDArray[np.float32]]:
    """Yield all images, some at a time."""
    for start in range(0, len(particles), _BATCH):
        yield particles.images(slice(start, start + _BATCH))


def sample_images(particles: ParticleSet, radius: int, seed: int) -> SampledImages:
    """Read all images of `particles` up to a radius.

    Args:
        particles: n images; values that are not finite count as 0.
        radius: in cycles per box; cut to D/2 - 1.
        seed: of the halves.
    """
    radius = min(radius, particles.box_px // 2 - 1)
    points = ImagePoints.within(particles.box_px, radius, torch.device("cpu"))
    sign = -particles.contrast_sign
    spectra = torch.cat(
        [sign * points.of_images(torch.from_numpy(np.nan_to_num(batch))) for batch in image_batches(particles)]
    )
    counts = torch.bincount(points.shell).double()
    power = torch.bincount(points.shell, spectra.abs().square().mean(dim=0).double()) / counts
    whitening = 1 / power.clamp(min=1e-30).sqrt()
    whitening[0] = 0
    return SampledImages(
        spectra * whitening[points.shell].float(),
        points,
        radius,
        particles.box_px * particles.pixel_size_A,
        np.random.default_rng(seed).permutation(np.arange(len(particles)) % 2),
    )
