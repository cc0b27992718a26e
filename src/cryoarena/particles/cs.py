"""cryoSPARC particle tables (.cs): a numpy structured array, one record per particle."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.imaging.ctf import MICROSCOPE, CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.cs_table import CsTable, read_cs_table
from cryoarena.particles.decimals import shortest_decimals
from cryoarena.particles.euler import cryosparc_from_rotation, rotation_from_cryosparc
from cryoarena.particles.given import FLAGS, Given, require_no_conflict
from cryoarena.particles.image_paths import find_stack, relative_stack_names
from cryoarena.particles.optics import optics_groups
from cryoarena.particles.particle_set import ParticleSet

_BLOB_FIELDS = [
    ("uid", "<u8"),
    ("blob/idx", "<u4"),
    ("blob/shape", "<u4", (2,)),
    ("blob/psize_A", "<f4"),
    ("blob/sign", "<f4"),
    ("blob/import_sig", "<u8"),
]
_CTF_FIELDS = [
    ("ctf/type", "S9"),
    ("ctf/exp_group_id", "<u4"),
    ("ctf/accel_kv", "<f4"),
    ("ctf/cs_mm", "<f4"),
    ("ctf/amp_contrast", "<f4"),
    ("ctf/df1_A", "<f4"),
    ("ctf/df2_A", "<f4"),
    ("ctf/df_angle_rad", "<f4"),
    ("ctf/phase_shift_rad", "<f4"),
    ("ctf/scale", "<f4"),
    ("ctf/scale_const", "<f4"),
    ("ctf/shift_A", "<f4", (2,)),
    ("ctf/tilt_A", "<f4", (2,)),
    ("ctf/trefoil_A", "<f4", (2,)),
    ("ctf/tetra_A", "<f4", (4,)),
    ("ctf/anisomag", "<f4", (4,)),
    ("ctf/bfactor", "<f4"),
]
_POSE_FIELDS = [
    ("alignments3D/pose", "<f4", (3,)),
    ("alignments3D/shift", "<f4", (2,)),
    ("alignments3D/psize_A", "<f4"),
    ("alignments3D/alpha", "<f4"),
    ("alignments3D/split", "<u4"),
]
_CTF = {
    "defocus_u_A": "ctf/df1_A",
    "defocus_v_A": "ctf/df2_A",
    "defocus_azimuth_deg": "ctf/df_angle_rad",
    "voltage_kV": "ctf/accel_kv",
    "cs_mm": "ctf/cs_mm",
    "amplitude_contrast": "ctf/amp_contrast",
    "phase_shift_deg": "ctf/phase_shift_rad",
    "b_factor_A2": "ctf/bfactor",
}
_ZERO_IF_ABSENT = ("ctf/bfactor", "ctf/phase_shift_rad")
READ_FIELDS = frozenset(
    {
        *("uid", "blob/path", "blob/idx", "blob/shape", "blob/psize_A", "blob/sign", "ctf/exp_group_id"),
        *_CTF.values(),
        *("alignments3D/pose", "alignments3D/shift", "alignments3D/psize_A", "alignments3D/split"),
    }
)


def write_cs(path: Path, particles: ParticleSet) -> None:
    """Write `particles` for cryoSPARC, atomically; equal particles give equal bytes.

    Raises:
        UserError: when the disk is full.
    """
    names = np.array([name.encode() for name in relative_stack_names(path.parent, particles.stack_files)])
    fields = [*_BLOB_FIELDS, ("blob/path", names.dtype)]
    fields += _CTF_FIELDS if particles.ctf is not None else []
    fields += _POSE_FIELDS if particles.poses is not None else []
    records = np.zeros(len(particles), np.dtype(fields))
    records["uid"] = particles.particle_id.astype(np.uint64)
    records["blob/path"] = names[particles.stack_index]
    records["blob/idx"] = particles.slice_index
    records["blob/shape"] = particles.box_px
    records["blob/psize_A"] = particles.pixel_size_A
    records["blob/sign"] = particles.contrast_sign
    if particles.ctf is not None:
        records["ctf/type"] = b"imported"
        records["ctf/exp_group_id"] = _exposure_groups(particles)
        records["ctf/scale"] = 1
        for field, name in _CTF.items():
            values = getattr(particles.ctf, field)
            records[name] = np.deg2rad(values) if name.endswith("_rad") else values
    if particles.poses is not None:
        records["alignments3D/pose"] = cryosparc_from_rotation(particles.poses.rotation_object_to_image)
        # cryoSPARC stores the shift that re-centres the object. Adding 0 turns -0 into 0.
        records["alignments3D/shift"] = -particles.poses.shift_A / particles.pixel_size_A + 0.0
        records["alignments3D/psize_A"] = particles.pixel_size_A
        records["alignments3D/alpha"] = 1
        if particles.half_set is not None:
            records["alignments3D/split"] = particles.half_set
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, records, allow_pickle=False)


def _exposure_groups(particles: ParticleSet) -> NDArray[np.int64]:
    """Return the optics groups as cryoSPARC numbers them: by their own numbers where their names tell them."""
    optics = optics_groups(particles)
    numbers = [re.fullmatch(r"opticsGroup(\d{1,9})", name) for name in optics.names]
    if all(numbers):
        return np.array([int(match[1]) for match in numbers if match])[optics.group]
    return optics.group + 1


def read_cs(path: Path, passthrough: Sequence[Path] = (), given: Given = Given()) -> ParticleSet:
    """Read a particle table of cryoSPARC; stacks are looked for but not opened.

    Beam tilt, higher aberrations and anisotropic magnification are not read.

    Args:
        path: .cs file.
        passthrough: files that hold the fields which the table lacks, joined by uid.
        given: what the table may lack.

    Raises:
        UserError: when a file is missing, truncated, compressed or no table, a field is missing (named), a value
            is not a number (row named), particles differ in box, pixel size or contrast, or `given` contradicts them.
    """
    table = read_cs_table(path, passthrough)
    stack_index, distinct = pd.factorize(np.char.decode(table.values("blob/path").astype("S"), "utf-8", "replace"))
    shapes = table.numbers("blob/shape")
    if np.any(shapes != shapes[0, 0]):
        raise UserError(f"{path} mixes box sizes or has images that are not square; rescale them to one box")
    pixel_size_A = _pixel_size_A(table, given)
    poses, half_set = _poses(table, pixel_size_A)
    group, group_names = _optics(table)
    return ParticleSet(
        particle_id=table.values("uid").astype(np.int64),
        box_px=int(shapes[0, 0]),
        pixel_size_A=pixel_size_A,
        contrast_sign=_contrast_sign(table, given),
        stack_files=tuple(find_stack(path, str(name), given.datadir) for name in distinct),
        stack_index=stack_index.astype(np.int64),
        slice_index=table.values("blob/idx").astype(np.int64),
        poses=poses,
        ctf=_ctf(table, given),
        half_set=half_set,
        optics_group=group,
        optics_names=group_names,
    )


def _optics(table: CsTable) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    if "ctf/exp_group_id" not in table:
        return None, ()
    numbers, group = np.unique(table.values("ctf/exp_group_id"), return_inverse=True)
    return group, tuple(f"opticsGroup{number}" for number in numbers)


def _pixel_size_A(table: CsTable, given: Given) -> float:
    if "blob/psize_A" not in table and given.pixel_size_A is not None:
        return given.pixel_size_A
    pixel_size_A = float(shortest_decimals(np.array([table.the_one("blob/psize_A")], np.float32))[0])
    if given.pixel_size_A is not None:
        require_no_conflict(table.path, FLAGS["pixel_size_A"], given.pixel_size_A, pixel_size_A)
    return pixel_size_A


def _contrast_sign(table: CsTable, given: Given) -> int:
    if "blob/sign" not in table:
        return given.contrast_sign or 1
    sign = 1 if table.the_one("blob/sign") > 0 else -1
    if given.contrast_sign not in (None, sign):
        raise UserError(
            f"{table.path} tells by blob/sign that particles are {'bright' if sign > 0 else 'dark'}; "
            "leave out --contrast or correct the table"
        )
    return sign


def _ctf(table: CsTable, given: Given) -> CtfParameters | None:
    if "ctf/df1_A" not in table:
        return None
    columns = {}
    for field, name in _CTF.items():
        value = getattr(given, field, None)
        if name not in table and (value is not None or name in _ZERO_IF_ABSENT):
            columns[field] = np.full(len(table), value or 0.0)
            continue
        values = table.numbers(name)
        if field in MICROSCOPE:
            values = shortest_decimals(table.values(name))
        if value is not None:
            require_no_conflict(table.path, FLAGS[field], value, values)
        columns[field] = np.rad2deg(values) if name.endswith("_rad") else values
    return CtfParameters(**columns)


def _poses(table: CsTable, pixel_size_A: float) -> tuple[Poses | None, NDArray[np.int64] | None]:
    if "alignments3D/pose" not in table:
        return None, None
    # Shifts are in pixels of the alignment, which may have run on downsampled images.
    shift_pixel_A = table.numbers("alignments3D/psize_A")[:, None] if "alignments3D/psize_A" in table else pixel_size_A
    rotation = rotation_from_cryosparc(table.numbers("alignments3D/pose"))
    shift_A = -table.numbers("alignments3D/shift") * shift_pixel_A + 0.0
    split = table.fields.get("alignments3D/split")
    return Poses(rotation, shift_A), None if split is None else split.astype(np.int64)
