"""Join particle sets of several tables into one."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.particle_set import ParticleSet


def join_particles(sets: Sequence[ParticleSet]) -> ParticleSet:
    """Return the particles of all sets one after another, numbered from 1; half-sets are dropped.

    Poses, CTF parameters and beam tilt are kept where every set has them. Particles keep their own voltage, Cs and
    amplitude contrast, by which optics groups are told apart.

    Raises:
        ValueError: when the sets differ in box, pixel size (by more than 0.01 %) or contrast.
    """
    first = sets[0]
    for other in sets[1:]:
        if (other.box_px, other.contrast_sign) != (first.box_px, first.contrast_sign) or not np.isclose(
            other.pixel_size_A, first.pixel_size_A, rtol=1e-4, atol=0
        ):
            raise ValueError("particle sets of different box, pixel size or contrast cannot be joined")
    starts = np.cumsum([0, *(len(one.stack_files) for one in sets)])
    poses = [one.poses for one in sets if one.poses is not None]
    tilts = [one.beam_tilt_mrad for one in sets if one.beam_tilt_mrad is not None]
    ctfs = [one.ctf for one in sets if one.ctf is not None]
    return ParticleSet(
        particle_id=np.arange(1, sum(map(len, sets)) + 1),
        box_px=first.box_px,
        pixel_size_A=first.pixel_size_A,
        contrast_sign=first.contrast_sign,
        stack_files=tuple(path for one in sets for path in one.stack_files),
        stack_index=np.concatenate([one.stack_index + start for one, start in zip(sets, starts, strict=False)]),
        slice_index=np.concatenate([one.slice_index for one in sets]),
        poses=_joined_poses(poses) if len(poses) == len(sets) else None,
        ctf=_joined_ctf(ctfs) if len(ctfs) == len(sets) else None,
        beam_tilt_mrad=np.concatenate(tilts) if len(tilts) == len(sets) else None,
    )


def _joined_poses(poses: list[Poses]) -> Poses:
    return Poses(
        np.concatenate([one.rotation_object_to_image for one in poses]), np.concatenate([one.shift_A for one in poses])
    )


def _joined_ctf(ctfs: list[CtfParameters]) -> CtfParameters:
    names = [field.name for field in fields(CtfParameters)]
    return CtfParameters(**{name: np.concatenate([getattr(one, name) for one in ctfs]) for name in names})
