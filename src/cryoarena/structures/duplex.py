"""A double helix of DNA built by code."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.atoms import Atoms

RISE_A = 3.4
TWIST_DEG = 36.0
# Radius (Å), angle (°) and height (Å) against the dyad of the base pair: the phosphate as in fibres of B-DNA (Arnott &
# Hukins 1972, doi:10.1016/0006-291X(72)90243-4), sugar and base as the centres of the groups that join it to the axis.
_GROUPS = {"P": (8.9, 95.0, 2.1), "S": (7.0, 80.0, 1.2), "B": (2.8, 50.0, 0.0)}
# Electrons of the heavy atoms of a nucleotide, 148 on average: PO3, C5O2 and the base.
_NUMBERS = {"P": 39, "S": 46, "B": 63}
_B_FACTOR_A2 = 60.0


def build_duplex(base_pairs: int) -> Atoms:
    """Return B-DNA of pseudo-atoms, three per nucleotide, along +z with its first base pair at z = 0.

    3.4 Å and 36° per base pair, ten to a turn, right-handed, about 20 Å wide. A longer duplex is a shorter one with
    base pairs added: the strands are chains T and N, each numbered from the first base pair.

    Raises:
        ValueError: when there is no base pair.
    """
    if base_pairs < 1:
        raise ValueError(f"a duplex needs at least one base pair, not {base_pairs}")
    pair = np.repeat(np.arange(base_pairs), 2 * len(_GROUPS))
    strand = np.tile(np.repeat([1.0, -1.0], len(_GROUPS)), base_pairs)
    radius, angle, height = np.tile(np.array(list(_GROUPS.values())), (2 * base_pairs, 1)).T
    # The dyad is the x axis: turning by 180° about it brings one strand onto the other.
    turned = np.deg2rad(strand * angle + TWIST_DEG * pair)
    names = np.tile(list(_GROUPS), 2 * base_pairs)
    n = len(pair)
    return Atoms(
        position_A=np.stack(
            [radius * np.cos(turned), radius * np.sin(turned), strand * height + RISE_A * pair], axis=1
        ),
        atomic_number=np.array([_NUMBERS[name] for name in names], np.int64),
        b_factor_A2=np.full(n, _B_FACTOR_A2),
        occupancy=np.ones(n),
        chain=np.where(strand > 0, "T", "N"),
        residue_number=pair + 1,
        insertion_code=np.full(n, ""),
        residue_name=np.full(n, "DN"),
        atom_name=names,
    )


def placed(atoms: Atoms, start_A: NDArray[np.float64], direction: NDArray[np.float64]) -> Atoms:
    """Return atoms moved so that z = 0 is at `start_A` (3,) and the z axis points along `direction` (3,)."""
    z = direction / np.linalg.norm(direction)
    x = np.cross(np.eye(3)[np.argmin(np.abs(z))], z)
    x /= np.linalg.norm(x)
    return atoms.with_positions(atoms.position_A @ np.stack([x, np.cross(z, x), z]) + start_A)
