"""Write particle tables for RELION ≥ 3.1: an optics table and a particle table."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import atomic_path
from cryoarena.particles.euler import relion_from_rotation
from cryoarena.particles.image_paths import relative_stack_names
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.relion_columns import ANGLES, BEAM_TILT, CTF, IMAGE_NAME, OPTICS_GROUP, PARTICLE_ID
from cryoarena.particles.star_table import Column, write_table


def write_star(path: Path, particles: ParticleSet) -> None:
    """Write `particles` for RELION ≥ 3.1, atomically; equal particles give equal bytes.

    Raises:
        UserError: when a stack name has white space or the disk is full.
    """
    names = relative_stack_names(path.parent, particles.stack_files)
    optics_group, optics = _optics(particles)
    columns = [
        Column(
            IMAGE_NAME,
            [
                f"{slice_index + 1:06d}@{names[stack]}"
                for slice_index, stack in zip(
                    particles.slice_index.tolist(), particles.stack_index.tolist(), strict=True
                )
            ],
        ),
        Column(PARTICLE_ID, particles.particle_id),
        Column(OPTICS_GROUP, optics_group),
    ]
    if particles.poses is not None:
        angles = relion_from_rotation(particles.poses.rotation_object_to_image)
        columns += [Column(name, angles[:, axis]) for axis, name in enumerate(ANGLES)]
        # RELION stores the shift that re-centres the object. Adding 0 turns -0 into 0.
        origin_A = -particles.poses.shift_A + 0.0
        columns += [Column(f"rlnOrigin{axis}Angst", origin_A[:, i]) for i, axis in enumerate("XY")]
    if particles.ctf is not None:
        per_particle = ["defocus_u_A", "defocus_v_A", "defocus_azimuth_deg", "phase_shift_deg"]
        if np.any(particles.ctf.b_factor_A2 != 0):
            per_particle.append("b_factor_A2")
        columns += [Column(CTF[field], getattr(particles.ctf, field)) for field in per_particle]
    if particles.half_set is not None:
        columns.append(Column("rlnRandomSubset", particles.half_set + 1))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        write_table(stream, "optics", optics)
        write_table(stream, "particles", columns)


def _optics(particles: ParticleSet) -> tuple[NDArray[np.int64], list[Column]]:
    """Return the optics group of each particle, from 1, and the table of groups."""
    group, groups, extra = np.ones(len(particles), np.int64), 1, list[Column]()
    values: dict[str, NDArray[np.float64]] = {}
    if particles.ctf is not None:
        fields = ("voltage_kV", "cs_mm", "amplitude_contrast")
        values |= {CTF[field]: getattr(particles.ctf, field) for field in fields}
    if particles.beam_tilt_mrad is not None:
        values |= dict(zip(BEAM_TILT, particles.beam_tilt_mrad.T, strict=True))
    if values:
        distinct, inverse = np.unique(np.stack(list(values.values()), axis=1), axis=0, return_inverse=True)
        group, groups = inverse.reshape(-1) + 1, len(distinct)
        extra = [Column(name, distinct[:, i]) for i, name in enumerate(values)]
    numbers = np.arange(1, groups + 1)
    return group, [
        Column(OPTICS_GROUP, numbers),
        Column("rlnOpticsGroupName", [f"opticsGroup{number}" for number in numbers]),
        *extra,
        Column("rlnImagePixelSize", np.full(groups, particles.pixel_size_A)),
        Column("rlnImageSize", np.full(groups, particles.box_px)),
        Column("rlnImageDimensionality", np.full(groups, 2)),
    ]
