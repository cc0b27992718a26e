"""A way to read what a table says of some images."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.imaging.ctf import CtfParameters, ctf
from cryoarena.imaging.poses import Poses
from cryoarena.particles.doctor.sampled_images import SampledImages


class Applied(StrEnum):
    """What the CTF did to the images, by the time they were written."""

    RAW = "the CTF as it is"
    FLIPPED = "flipped phases, |CTF|"
    MULTIPLIED = "the CTF twice, CTF²"
    NOTHING = "no CTF"


@final
@dataclass(frozen=True)
class Reading:
    """Poses and CTF of n images, as read.

    Attributes:
        poses: of the images.
        ctf: of the images, or None when unknown: then they count as free of it.
        applied: what of the CTF is in the images.
        pixel_scale: pixel size divided by that of the table.
    """

    poses: Poses
    ctf: CtfParameters | None
    applied: Applied = Applied.RAW
    pixel_scale: float = 1.0

    def ctf_values(self, images: SampledImages) -> Tensor:
        """Return what the images are multiplied by at their points, (n, P) float32."""
        if self.ctf is None or self.applied is Applied.NOTHING:
            return -torch.ones(images.coefficients.shape)
        field_of_view_A = images.field_of_view_A * self.pixel_scale
        frequency = (images.points.kx.float() / field_of_view_A, images.points.ky.float() / field_of_view_A)
        values: Tensor = ctf(self.ctf, *frequency)
        # -1 times bright images: the sign of the CTF at low frequency.
        match self.applied:
            case Applied.FLIPPED:
                return -values.abs()
            case Applied.MULTIPLIED:
                return -values.square()
            case _:
                return values

    def centred(self, images: SampledImages) -> Tensor:
        """Return the coefficients of the images with their shifts taken out, (n, P)."""
        shift = torch.as_tensor(self.poses.shift_A / (images.field_of_view_A * self.pixel_scale), dtype=torch.float32)
        phase = 2 * torch.pi * (shift[:, :1] * images.points.kx + shift[:, 1:] * images.points.ky)
        return images.coefficients * torch.polar(torch.ones_like(phase), phase)

    def rotations(self) -> Tensor:
        """Return the rotations, object to image, (n, 3, 3) float32."""
        return torch.as_tensor(self.poses.rotation_object_to_image, dtype=torch.float32)


def shuffled(reading: Reading, seed: int) -> Reading:
    """Return a reading with the rotations of other images."""
    order: NDArray[np.int64] = np.random.default_rng(seed).permutation(len(reading.poses))
    poses = Poses(reading.poses.rotation_object_to_image[order], reading.poses.shift_A)
    return Reading(poses, reading.ctf, reading.applied, reading.pixel_scale)
