"""cryoDRGN's two tables: poses.pkl (rotations, re-centring shifts as box fractions) and ctf.pkl (nine columns)."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.imaging.ctf import MICROSCOPE, CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.decimals import shortest_decimals
from cryoarena.particles.safe_pickle import read_array_pickle

_CTF_FIELDS = (
    "defocus_u_A",
    "defocus_v_A",
    "defocus_azimuth_deg",
    "voltage_kV",
    "cs_mm",
    "amplitude_contrast",
    "phase_shift_deg",
)
# The oldest protocol that writes bytes as bytes: every Python 3 reads it.
_PROTOCOL = 4


def write_cryodrgn_poses(path: Path, poses: Poses, box_px: int, pixel_size_A: float) -> None:
    """Write poses.pkl, atomically: (N, 3, 3) float32 R and (N, 2) float32 shifts that re-centre, as box fractions."""
    # Adding 0 turns -0 into 0.
    shift = -poses.shift_A / (box_px * pixel_size_A) + 0.0
    _write(path, (poses.rotation_object_to_image.astype(np.float32), shift.astype(np.float32)))


def read_cryodrgn_poses(path: Path, box_px: int, pixel_size_A: float) -> Poses:
    """Read poses.pkl: (rotations, shifts), or rotations only (then all shifts are 0).

    Raises:
        UserError: when it holds anything but these, or a value that is not a finite number.
    """
    content = read_array_pickle(path)
    rotation, shift = content if isinstance(content, tuple) and len(content) == 2 else (content, None)
    if not isinstance(rotation, np.ndarray) or rotation.ndim != 3 or rotation.shape[1:] != (3, 3):
        raise UserError(f"{path} holds no (N, 3, 3) rotations; make it with cryodrgn parse_pose_star")
    if shift is None:
        shift = np.zeros((len(rotation), 2))
    if not isinstance(shift, np.ndarray) or shift.shape != (len(rotation), 2):
        raise UserError(f"{path} holds {len(rotation)} rotations but not as many (x, y) shifts")
    _require_finite(path, np.concatenate([rotation.reshape(-1, 9), shift], axis=1))
    if np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(initial=0) > 1e-3:
        raise UserError(f"{path} holds matrices that are no rotations")
    shift_A = -shift.astype(np.float64) * (box_px * pixel_size_A) + 0.0
    return Poses(rotation.astype(np.float64), shift_A)


def write_cryodrgn_ctf(path: Path, ctf: CtfParameters, box_px: int, pixel_size_A: float) -> None:
    """Write ctf.pkl, atomically: (N, 9) float32 box, pixel, defocus U, V, azimuth, kV, Cs, w, phase shift (deg).

    cryoDRGN has no B-factor; it is left out.
    """
    n = len(ctf)
    columns = [np.full(n, box_px), np.full(n, pixel_size_A), *(getattr(ctf, field) for field in _CTF_FIELDS)]
    _write(path, np.stack(columns, axis=1).astype(np.float32))


def read_cryodrgn_ctf(path: Path) -> tuple[CtfParameters, int, float]:
    """Read ctf.pkl: the parameters, the box (px) and the pixel size (Å) they were written for.

    Raises:
        UserError: when it does not hold (N, 9) finite numbers of one box and pixel size.
    """
    table = read_array_pickle(path)
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[1] != 9 or len(table) == 0:
        raise UserError(f"{path} does not hold nine CTF columns; make it with cryodrgn parse_ctf_star")
    _require_finite(path, table)
    if np.any(table[:, :2] != table[0, :2]) or np.any(table[0, :2] <= 0):
        raise UserError(f"{path} mixes box or pixel sizes or has none; split it by image size")
    columns = {field: table[:, i].astype(np.float64) for i, field in enumerate(_CTF_FIELDS, 2)}
    columns |= {field: shortest_decimals(table[:, _CTF_FIELDS.index(field) + 2]) for field in MICROSCOPE}
    pixel_size_A = float(shortest_decimals(table[:1, 1].astype(np.float32))[0])
    return CtfParameters(**columns, b_factor_A2=np.zeros(len(table))), round(float(table[0, 0])), pixel_size_A


def _write(path: Path, content: Any) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(content, stream, protocol=_PROTOCOL)


def _require_finite(path: Path, rows: NDArray[Any]) -> None:
    good = np.isfinite(rows).all(axis=1)
    if not good.all():
        raise UserError(f"row {int(np.argmin(good)) + 1} of {path} holds a value that is not a finite number")
