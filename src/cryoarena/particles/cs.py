"""cryoSPARC particle tables (.cs): a numpy structured array, one record per particle."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.euler import cryosparc_from_rotation, rotation_from_cryosparc
from cryoarena.particles.image_paths import find_stack, relative_stack_names
from cryoarena.particles.particle_set import ParticleSet

_MAGIC = b"\x93NUMPY"
_COMPRESSED_MAGIC = b"\x95CSDAT"
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


def read_cs(path: Path) -> ParticleSet:
    """Read a particle table of cryoSPARC; stacks are looked for but not opened.

    Beam tilt, higher aberrations and anisotropic magnification are not read.

    Raises:
        UserError: when the file is missing, truncated, compressed or no table, a field is missing (named), a value
            is not a number (row named), or particles differ in box, pixel size or contrast.
    """
    records = _load(path)
    for name in ("uid", "blob/path", "blob/idx", "blob/shape", "blob/psize_A"):
        if name not in (records.dtype.names or ()):
            raise UserError(f"{path} has no field {name}; join it with its passthrough file by uid")
    if len(records) == 0:
        raise UserError(f"{path} has no particles")
    stack_index, distinct = pd.factorize(records["blob/path"].astype(str))
    shapes = _numbers(path, records, "blob/shape")
    if np.any(shapes != shapes[0, 0]):
        raise UserError(f"{path} mixes box sizes or has images that are not square; rescale them to one box")
    pixel_size_A = _the_one(path, records, "blob/psize_A")
    # The shortest decimal that is this float32: 1.3 rather than 1.29999995.
    pixel_size_A = float(str(np.float32(pixel_size_A)))
    sign = _the_one(path, records, "blob/sign") if "blob/sign" in (records.dtype.names or ()) else 1.0
    poses, half_set = _poses(path, records, pixel_size_A)
    return ParticleSet(
        particle_id=records["uid"].astype(np.int64),
        box_px=int(shapes[0, 0]),
        pixel_size_A=pixel_size_A,
        contrast_sign=1 if sign > 0 else -1,
        stack_files=tuple(find_stack(path, str(name)) for name in distinct),
        stack_index=stack_index.astype(np.int64),
        slice_index=records["blob/idx"].astype(np.int64),
        poses=poses,
        ctf=_ctf(path, records),
        half_set=half_set,
    )


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    with path.open("rb") as stream:
        magic = stream.read(len(_MAGIC))
        if magic == _COMPRESSED_MAGIC:
            raise UserError(f"{path} is a compressed .cs file; rewrite it with cryosparc-tools (Dataset.load, .save)")
        if magic != _MAGIC:
            raise UserError(f"{path} is not a .cs file of cryoSPARC")
        stream.seek(0)
        try:
            records = np.load(stream, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{path} is truncated or damaged: {error}; copy it again") from error
    if records.ndim != 1 or records.dtype.names is None:
        raise UserError(f"{path} is a plain array, not a table of cryoSPARC")
    return np.asarray(records)


def _numbers(path: Path, records: NDArray[Any], name: str) -> NDArray[np.float64]:
    if name not in (records.dtype.names or ()):
        raise UserError(f"{path} has no field {name}; join it with its passthrough file by uid")
    values = records[name].astype(np.float64)
    good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not good.all():
        row = int(np.argmin(good)) + 1
        raise UserError(f"row {row} of {path} has no valid value in field {name}; remove the row")
    return np.asarray(values)


def _the_one(path: Path, records: NDArray[Any], name: str) -> float:
    distinct = np.unique(_numbers(path, records, name))
    if len(distinct) > 1:
        listed = ", ".join(f"{value:g}" for value in distinct)
        raise UserError(f"{path} mixes values of {name}: {listed}; split it")
    return float(distinct[0])


def _ctf(path: Path, records: NDArray[Any]) -> CtfParameters | None:
    names = records.dtype.names or ()
    if "ctf/df1_A" not in names:
        return None
    columns = {}
    for field, name in _CTF.items():
        if name in ("ctf/bfactor", "ctf/phase_shift_rad") and name not in names:
            columns[field] = np.zeros(len(records))
            continue
        values = _numbers(path, records, name)
        columns[field] = np.rad2deg(values) if name.endswith("_rad") else values
    return CtfParameters(**columns)


def _poses(path: Path, records: NDArray[Any], pixel_size_A: float) -> tuple[Poses | None, NDArray[np.int64] | None]:
    names = records.dtype.names or ()
    if "alignments3D/pose" not in names:
        return None, None
    # Shifts are in pixels of the alignment, which may have run on downsampled images.
    has_own_pixel = "alignments3D/psize_A" in names
    shift_pixel_A = _numbers(path, records, "alignments3D/psize_A")[:, None] if has_own_pixel else pixel_size_A
    rotation = rotation_from_cryosparc(_numbers(path, records, "alignments3D/pose"))
    shift_A = -_numbers(path, records, "alignments3D/shift") * shift_pixel_A + 0.0
    half_set = records["alignments3D/split"].astype(np.int64) if "alignments3D/split" in names else None
    return Poses(rotation, shift_A), half_set
