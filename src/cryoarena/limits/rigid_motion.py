"""The rigid-motion oracle: every body of the object reconstructed from all images, in its own frame.

An observer who knows how rigid bodies move needs no label per map: with the known motion all images show the same
few bodies, each under its own pose. As in multi-body refinement (Nakane et al. 2018, doi:10.7554/eLife.36861), each
body is reconstructed from what is left of the images once the others are subtracted, in turns and twice.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.datasets.rigid_bodies import RigidMotion
from cryoarena.datasets.truth import Truth
from cryoarena.imaging.poses import Poses
from cryoarena.methods.backprojection import accumulate, reconstruct
from cryoarena.methods.batches import Batch, fourier_batches
from cryoarena.methods.half_sets import random_halves
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.resample import move
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

# The first round only has to find what is to be subtracted.
_IMAGES_IN_FIRST_ROUND = 5_000


def rigid_body_maps(
    particles: ParticleSet, truth: Truth, motion: RigidMotion, device: str, report: Report
) -> list[NDArray[np.float32]]:
    """Reconstruct every body as it lies in conformation 0.

    Args:
        particles: whose rows match the truth.
        truth: of the dataset.
        motion: of its bodies.
        device: of torch.
        report: told how many images are done, over rounds and bodies.

    Returns:
        (D, D, D) Wiener-regularised map of each body inside a soft mask around its true map.
    """
    place = torch.device(device)
    radius = particles.box_px / 2
    grid = FourierGrid(particles.box_px, radius, place)
    points = ImagePoints.within(particles.box_px, radius, place)
    optics = _Optics(grid, points, truth.conformation, motion, particles.box_px * particles.pixel_size_A)
    masks = [torch.from_numpy(_mask_of(truth, body)).to(place) for body in range(motion.bodies)]
    maps: list[Tensor | None] = [None] * motion.bodies
    n = len(particles)
    first = np.sort(np.random.default_rng(0).permutation(n)[:_IMAGES_IN_FIRST_ROUND])
    rounds = (first, np.arange(n))
    done, total = 0, motion.bodies * sum(map(len, rounds))
    for rows in rounds:
        half_set = random_halves(len(rows), seed=0)
        for body in range(motion.bodies):
            others = {
                other: grid.from_volumes(volume[None])
                for other, volume in enumerate(maps)
                if other != body and volume is not None
            }
            halves = []
            for half in (0, 1):
                batches = fourier_batches(particles, points, rows[half_set == half])
                halves.append(accumulate(grid, points, (optics.only(batch, body, others) for batch in batches)))
            maps[body] = reconstruct(halves[0], halves[1], masks[body]) * masks[body]
            done += len(rows)
            report(done, total, f"body {body + 1} of {motion.bodies}")
    return [as_volume(volume) for volume in maps if volume is not None]


def assemble(
    bodies: list[NDArray[np.float32]], motion: RigidMotion, conformation: int, pixel_size_A: float
) -> NDArray[np.float32]:
    """Return the map (D, D, D) of a conformation: every body moved to its place, by exact interpolation, and added."""
    moved = [
        move(volume, motion.rotation[conformation, body], motion.translation_A[conformation, body] / pixel_size_A)
        for body, volume in enumerate(bodies)
    ]
    return np.asarray(np.sum(moved, axis=0), np.float32)


def _mask_of(truth: Truth, body: int) -> NDArray[np.float32]:
    builder = MaskBuilder(int(truth.info["recipe"]["box_px"]), truth.pixel_size_A)
    builder.add(truth.body_volume(body))
    # As wide as the mask that whole maps are judged in: a tighter one would put the truth's outline into the map.
    return builder.whole()


@dataclass(frozen=True)
class _Optics:
    """How bodies appear in batches of images.

    Attributes:
        grid, points: of the slicing operators.
        conformation: (N,) of every particle.
        motion: of the bodies.
        field_of_view_A: side of the images.
    """

    grid: FourierGrid
    points: ImagePoints
    conformation: NDArray[np.int64]
    motion: RigidMotion
    field_of_view_A: float

    def only(self, batch: Batch, body: int, others: dict[int, Tensor]) -> Batch:
        """Subtract the other bodies (grid values) and bring what is left into the frame of one body."""
        data = batch.data
        for other, values in others.items():
            rotations, shift_phase = self._view(batch, other)
            data = data - batch.ctf * shift_phase * self.grid.slices(values, self.points, rotations)[:, :, 0]
        rotations, shift_phase = self._view(batch, body)
        return Batch(batch.rows, data * shift_phase.conj(), batch.ctf, rotations)

    def _view(self, batch: Batch, body: int) -> tuple[Tensor, Tensor]:
        """Return rotations (n, 3, 3) of a body and the phase (n, P) of its shift in a batch, which is centred."""
        centred = Poses(batch.rotations.double().cpu().numpy(), np.zeros((len(batch.rows), 2)))
        poses = self.motion.poses_of_body(centred, self.conformation[batch.rows], body)
        device = self.grid.device
        rotations = torch.as_tensor(poses.rotation_object_to_image, dtype=torch.float32, device=device)
        turns = torch.as_tensor(poses.shift_A / self.field_of_view_A, dtype=torch.float32, device=device)
        radians = -2 * torch.pi * (turns[:, :1] * self.points.kx + turns[:, 1:] * self.points.ky)
        return rotations, torch.polar(torch.ones_like(radians), radians)
