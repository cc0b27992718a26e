"""Stream particle images as Fourier coefficients."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import ctf
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import ImagePoints

# A GPU that is given little at a time waits for the next order.
_BATCH_IMAGES = {"cpu": 100, "cuda": 2000}
# of the memory of a GPU that is free, for images that are read many times
_KEPT_PART = 0.25
# complex64 data and float32 CTF
BYTES_PER_POINT = 12


@dataclass(frozen=True)
class Batch:
    """Some particles, ready for slicing operators.

    Attributes:
        rows: (n,) rows of the particle set.
        data: (n, P) complex64 coefficients, centred by the shift, protein contrast as in data = ctf · slice + noise.
        ctf: (n, P) float32.
        rotations: (n, 3, 3) float32 object to image.
    """

    rows: NDArray[np.int64]
    data: Tensor
    ctf: Tensor
    rotations: Tensor


def fourier_batches(
    particles: ParticleSet,
    points: ImagePoints,
    rows: NDArray[np.int64] | None = None,
    batch_images: int | None = None,
) -> Iterator[Batch]:
    """Yield batches of particles as coefficients at `points`, whose first is zero frequency.

    The images are -contrast_sign · CTF · projection + noise; the sign is taken out here, so that every method
    works with data = ctf · slice + noise.

    Raises:
        UserError: when an image holds NaN or infinity.
    """
    assert particles.poses is not None
    assert particles.ctf is not None
    device = points.kx.device
    field_of_view_A = particles.box_px * particles.pixel_size_A
    frequency_x = points.kx.float() / field_of_view_A
    frequency_y = points.ky.float() / field_of_view_A
    all_rows = np.arange(len(particles)) if rows is None else rows
    at_once = batch_images or _BATCH_IMAGES[device.type]
    for start in range(0, len(all_rows), at_once):
        batch = all_rows[start : start + at_once]
        coefficients = points.of_images(torch.from_numpy(particles.images(batch)).to(device))
        # A pixel that is not finite leaves no coefficient finite.
        finite = coefficients[:, 0].isfinite()
        if not bool(finite.all()):
            number = particles.particle_id[batch[int(finite.int().argmin())]]
            raise UserError(f"the image of particle {number} holds values that are not finite numbers; remove it")
        poses = particles.poses[batch]
        shift_A = torch.as_tensor(poses.shift_A, dtype=torch.float32, device=device)
        phase = 2 * torch.pi * (shift_A[:, :1] * frequency_x + shift_A[:, 1:] * frequency_y)
        yield Batch(
            rows=batch,
            data=-particles.contrast_sign * coefficients * torch.polar(torch.ones_like(phase), phase),
            ctf=ctf(particles.ctf[batch], frequency_x, frequency_y),
            rotations=torch.as_tensor(poses.rotation_object_to_image, dtype=torch.float32, device=device),
        )


def may_be_kept(count: int, points: ImagePoints, on_cpu: int) -> bool:
    """Tell whether the coefficients of `count` images fit in the memory that a method may keep them in.

    Args:
        count: number of images.
        points: P of each; their device is where the coefficients would be.
        on_cpu: bytes that may be kept on a CPU; on CUDA it is a part of what is free.
    """
    device = points.kx.device
    available = on_cpu if device.type == "cpu" else _KEPT_PART * torch.cuda.mem_get_info(device)[0]
    return count * len(points) * BYTES_PER_POINT <= available
