"""Class probabilities and poses of the most probable class, in both forms that cryoSPARC has written."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.particles.cs_table import CsTable
from cryoarena.particles.euler import rotation_from_cryosparc

# From 4.5 on: (N, K) columns. Until 4.4: fields of each class.
_TOGETHER = "alignments3D_multi"
_APART = re.compile(r"alignments_class_(\d+)/class_posterior")
_SUM_TOLERANCE = 0.01


def has_classes(fields: Sequence[str]) -> bool:
    """Tell whether a table with these fields has class probabilities."""
    return f"{_TOGETHER}/class_posterior" in fields or any(_APART.fullmatch(name) for name in fields)


def class_posterior(table: CsTable) -> NDArray[np.float32]:
    """Return the class probabilities (N, K).

    Raises:
        UserError: when the fields are not of one form, or a row is no set of probabilities.
    """
    posterior = _by_column(table, "class_posterior")
    number = _class_of_column(table)
    if number is not None:
        sorted_by_class = np.zeros((len(posterior), int(number.max()) + 1))
        np.add.at(sorted_by_class, (np.arange(len(posterior))[:, None], number), posterior)
        posterior = sorted_by_class
    total = posterior.sum(axis=1)
    if (wrong := (np.abs(total - 1) > _SUM_TOLERANCE) | (posterior < 0).any(axis=1)).any():
        row = int(wrong.argmax())
        raise UserError(
            f"the class probabilities in row {row + 1} of {table.path} add up to {total[row]:.3g}, not 1; "
            "the table was changed or is not of a classification"
        )
    return np.asarray(posterior / total[:, None], np.float32)


def best_poses(table: CsTable) -> Poses:
    """Return the pose of every particle in its most probable class.

    Raises:
        UserError: when a field is missing.
    """
    best = _by_column(table, "class_posterior").argmax(axis=1)
    pose, shift_px = (_picked(_by_column(table, name), best) for name in ("pose", "shift"))
    return poses_of(pose, shift_px, _picked(_by_column(table, "psize_A"), best))


def single_poses(table: CsTable) -> Poses:
    """Return the poses of a table that has one per particle.

    Raises:
        UserError: when a field is missing.
    """
    fields = (_numbers(table, f"alignments3D/{name}") for name in ("pose", "shift", "psize_A"))
    return poses_of(*fields)


def poses_of(pose: NDArray[np.float64], shift_px: NDArray[np.float64], pixel_size_A: NDArray[np.float64]) -> Poses:
    """Return poses from rotation vectors (N, 3) and shifts (N, 2) in pixels (N,) of the alignment.

    A job may align downsampled images: its pixels are then larger than those of the images. cryoSPARC stores the shift
    that re-centres the object.
    """
    return Poses(rotation_from_cryosparc(pose), -shift_px * pixel_size_A[:, None] + 0.0)


def _by_column(table: CsTable, name: str) -> NDArray[np.float64]:
    """Return a field as (N, K, …), or (N, …) where all classes share it."""
    if f"{_TOGETHER}/class_posterior" in table:
        return _numbers(table, f"{_TOGETHER}/{name}")
    count = len([field for field in table.fields if _APART.fullmatch(field)])
    return np.stack([_numbers(table, f"alignments_class_{k}/{name}") for k in range(count)], axis=1)


def _numbers(table: CsTable, name: str) -> NDArray[np.float64]:
    if name not in table:
        raise UserError(
            f"{table.path} has no field {name}, without which its classes or poses cannot be told; give the job "
            "folder as cryoSPARC 3 or later wrote it"
        )
    return table.numbers(name)


def _class_of_column(table: CsTable) -> NDArray[np.int64] | None:
    """Return which class each column (N, K) is; None where columns are in the order of classes."""
    if f"{_TOGETHER}/class" not in table:
        return None
    number = table.numbers(f"{_TOGETHER}/class").astype(np.int64)
    columns = table.fields[f"{_TOGETHER}/class_posterior"].shape[1]
    return number if number.ndim == 2 and number.min() >= 0 and number.max() < columns else None


def _picked(values: NDArray[np.float64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return of (N, K, …) the entry of the best class, and what is (N,) as it is."""
    return values if values.ndim == 1 else values[np.arange(len(values)), best]
