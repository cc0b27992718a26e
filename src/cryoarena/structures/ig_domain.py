"""One immunoglobulin domain of pseudo-atoms: a sandwich of two β-sheets."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_RISE_A = 3.3  # per residue along a strand
_STRAND_SPACING_A = 4.8
_PLEAT_A = 0.9  # zigzag out of the sheet; side chains point where it bends
_SHEET_SPACING_A = 10.0
_SHEET_TWIST_DEG = 30.0
_LOOP_HEIGHT_A = 6.0
_LOOP_STEP_A = 3.5


@dataclass(frozen=True)
class IgFold:
    """Where the strands of an immunoglobulin fold lie; the chain runs up the first, down the second, and so on.

    Attributes:
        strands: (sheet 0 or 1, column) of each strand in the order of the chain.
        strand_residues: in every strand.
    """

    strands: tuple[tuple[int, float], ...]
    strand_residues: int


# Strands A B C (C' C'') D E F G; sheets A B E D and G F C (C' C''), neighbours antiparallel.
VARIABLE = IgFold(((0, -1.5), (0, -0.5), (1, 0), (1, 1), (1, 2), (0, 1.5), (0, 0.5), (1, -1), (1, -2)), 8)
CONSTANT = IgFold(((0, -1.5), (0, -0.5), (1, 1), (0, 1.5), (0, 0.5), (1, 0), (1, -1)), 10)


def backbone(fold: IgFold) -> NDArray[np.float64]:
    """Return one position (Å) per residue, (n, 3), centred.

    x runs across the strands, y from sheet 0 to sheet 1, z along the strands; the chain enters at low z and leaves at
    high z. Strand spacing 4.8 Å, sheets 10 Å apart and crossed by -30° (Chothia & Janin 1981,
    doi:10.1073/pnas.78.7.4146), about 40 x 25 x 25 Å with side chains, as in antibodies (Padlan 1994,
    doi:10.1016/0161-5890(94)90001-9).
    """
    along = (np.arange(fold.strand_residues) - (fold.strand_residues - 1) / 2) * _RISE_A
    pleat = _PLEAT_A * (-1.0) ** np.arange(fold.strand_residues)
    strands = []
    for number, (sheet, column) in enumerate(fold.strands):
        up = 1 if number % 2 == 0 else -1
        side = 2 * sheet - 1
        across = np.full_like(along, column * _STRAND_SPACING_A)
        out_of_sheet = side * _SHEET_SPACING_A / 2 + pleat
        flat = np.stack([across, out_of_sheet, up * along], axis=1)
        twist = Rotation.from_euler("y", side * _SHEET_TWIST_DEG / 2, degrees=True)
        strands.append(twist.apply(flat))
    pieces = [strands[0]]
    for number, (before, after) in enumerate(pairwise(strands)):
        height_A = _LOOP_HEIGHT_A if number % 2 == 0 else -_LOOP_HEIGHT_A
        pieces += [_loop(before[-1], after[0], height_A), after]
    positions = np.concatenate(pieces)
    return np.asarray(positions - positions.mean(axis=0))


def _loop(start: NDArray[np.float64], end: NDArray[np.float64], height_A: float) -> NDArray[np.float64]:
    """Return residues at equal distances along half an ellipse over the gap, without its two ends."""
    angle = np.linspace(0, np.pi, 200)[:, None]
    arc = start + (1 - np.cos(angle)) / 2 * (end - start) + np.sin(angle) * [0, 0, height_A]
    length_A = np.r_[0, np.cumsum(np.linalg.norm(np.diff(arc, axis=0), axis=1))]
    steps = round(length_A[-1] / _LOOP_STEP_A)
    at = length_A[-1] * np.arange(1, steps) / steps
    return np.stack([np.interp(at, length_A, arc[:, axis]) for axis in range(3)], axis=1)
