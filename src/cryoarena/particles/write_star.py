"""Write particle tables for RELION: 3.1 and later, with an optics table, or 3.0, without."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import atomic_path
from cryoarena.particles.euler import relion_from_rotation
from cryoarena.particles.image_paths import relative_stack_names
from cryoarena.particles.optics import optics_groups
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.relion_columns import (
    ANGLES,
    BEAM_TILT_CLASS,
    CTF,
    IMAGE_NAME,
    OPTICS_GROUP,
    OPTICS_NAME,
    PARTICLE_ID,
)
from cryoarena.particles.star_table import Column, write_table

# RELION 3.0 knows pixel sizes as a detector's pixel (µm) over a magnification; with this one it is the number in Å.
_MAGNIFICATION = 10_000


def write_star(path: Path, particles: ParticleSet, mrc_hint: bool = False) -> None:
    """Write `particles` for RELION ≥ 3.1, atomically; equal particles give equal bytes.

    Args:
        path: .star file.
        particles: to write.
        mrc_hint: name x.mrc as x.mrc:mrcs, for RELION takes it for a map otherwise; other programs do not know that.

    Raises:
        UserError: when a stack name has white space or the disk is full.
    """
    optics = optics_groups(particles)
    numbers = np.arange(1, len(optics.names) + 1)
    groups = [
        Column(OPTICS_GROUP, numbers),
        Column(OPTICS_NAME, optics.names),
        *(Column(name, values) for name, values in optics.values.items()),
        Column("rlnImagePixelSize", np.full(len(numbers), particles.pixel_size_A)),
        Column("rlnImageSize", np.full(len(numbers), particles.box_px)),
        Column("rlnImageDimensionality", np.full(len(numbers), 2)),
    ]
    identity = _identity(path, particles, mrc_hint)
    columns = [*identity, Column(OPTICS_GROUP, optics.group + 1), *_poses(particles, "Angst", 1.0), *_rest(particles)]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        write_table(stream, "optics", groups)
        write_table(stream, "particles", columns)


def write_star_30(path: Path, particles: ParticleSet, mrc_hint: bool = False) -> None:
    """Write `particles` for RELION 3.0 and earlier, atomically: one table, shifts in pixels.

    Optics groups become beam-tilt classes.

    Raises:
        UserError: when a stack name has white space or the disk is full.
    """
    n = len(particles)
    optics = optics_groups(particles)
    columns = [
        *_identity(path, particles, mrc_hint),
        Column(BEAM_TILT_CLASS, optics.group + 1),
        Column("rlnMagnification", np.full(n, _MAGNIFICATION)),
        Column("rlnDetectorPixelSize", np.full(n, particles.pixel_size_A * _MAGNIFICATION / 1e4)),
        *(Column(name, values[optics.group]) for name, values in optics.values.items()),
        *_poses(particles, "", particles.pixel_size_A),
        *_rest(particles),
    ]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        write_table(stream, "", columns)


def _identity(path: Path, particles: ParticleSet, mrc_hint: bool) -> list[Column]:
    names = relative_stack_names(path.parent, particles.stack_files)
    if mrc_hint:
        names = [f"{name}:mrcs" if name.endswith(".mrc") else name for name in names]
    image_names = [
        f"{slice_index + 1:06d}@{names[stack]}"
        for slice_index, stack in zip(particles.slice_index.tolist(), particles.stack_index.tolist(), strict=True)
    ]
    # Unsigned, as cryoSPARC writes its uid.
    return [Column(IMAGE_NAME, image_names), Column(PARTICLE_ID, particles.particle_id.astype(np.uint64))]


def _poses(particles: ParticleSet, unit: str, unit_A: float) -> list[Column]:
    if particles.poses is None:
        return []
    angles = relion_from_rotation(particles.poses.rotation_object_to_image)
    # RELION stores the shift that re-centres the object. Adding 0 turns -0 into 0.
    origin: NDArray[np.float64] = -particles.poses.shift_A / unit_A + 0.0
    return [
        *(Column(name, angles[:, axis]) for axis, name in enumerate(ANGLES)),
        *(Column(f"rlnOrigin{axis}{unit}", origin[:, i]) for i, axis in enumerate("XY")),
    ]


def _rest(particles: ParticleSet) -> list[Column]:
    columns = []
    if particles.ctf is not None:
        per_particle = ["defocus_u_A", "defocus_v_A", "defocus_azimuth_deg", "phase_shift_deg"]
        if np.any(particles.ctf.b_factor_A2 != 0):
            per_particle.append("b_factor_A2")
        columns += [Column(CTF[field], getattr(particles.ctf, field)) for field in per_particle]
    if particles.half_set is not None:
        columns.append(Column("rlnRandomSubset", particles.half_set + 1))
    return columns
