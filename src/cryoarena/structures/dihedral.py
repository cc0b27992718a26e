"""Turn one part of a molecule about a bond."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms


def find_atom(atoms: Atoms, chain: str, residue_number: int, atom_name: str, insertion_code: str = "") -> int:
    """Return the index of one atom.

    Raises:
        UserError: when it is not there.
    """
    in_residue = (
        (atoms.chain == chain) & (atoms.residue_number == residue_number) & (atoms.insertion_code == insertion_code)
    )
    found = np.flatnonzero(in_residue & (atoms.atom_name == atom_name))
    if len(found) == 0:
        has = ", ".join(atoms.atom_name[in_residue]) or "no atoms"
        raise UserError(
            f"there is no atom {atom_name} in residue {chain} {residue_number}{insertion_code}, "
            f"which has {has}; name another atom or give a complete model"
        )
    return int(found[0])


def dihedral_deg(
    p0: NDArray[np.float64], p1: NDArray[np.float64], p2: NDArray[np.float64], p3: NDArray[np.float64]
) -> float:
    """Return the dihedral angle (deg, in (-180, 180]) of four points.

    IUPAC sign: seen from p1 to p2, positive when p3 is clockwise from p0 (doi:10.1021/bi00820a001).
    """
    axis = (p2 - p1) / np.linalg.norm(p2 - p1)
    near = (p0 - p1) - np.dot(p0 - p1, axis) * axis
    far = (p3 - p2) - np.dot(p3 - p2, axis) * axis
    return float(np.rad2deg(np.arctan2(np.dot(np.cross(axis, near), far), np.dot(near, far))))


def moving_side(
    atoms: Atoms,
    bonds: NDArray[np.int64],
    axis_from: int,
    axis_to: int,
    riding_chains: Sequence[str] = (),
) -> NDArray[np.bool_]:
    """Return the (n,) mask of the atoms that stay connected to `axis_from` when one bond is cut.

    Args:
        atoms: the molecule.
        bonds: (m, 2) pairs of bonded atoms.
        axis_from, axis_to: ends of the bond; `axis_from` is on the moving side.
        riding_chains: chains that move along though no covalent bond holds them.

    Raises:
        UserError: when there is no such bond, it is in a ring, or a riding chain is bound to what stays.
    """
    cut = np.all(np.sort(bonds, axis=1) == sorted((axis_from, axis_to)), axis=1)
    bond = f"{_name(atoms, axis_from)} - {_name(atoms, axis_to)}"
    if not cut.any():
        raise UserError(f"the atoms {bond} are not bonded; choose the two ends of one bond")
    first, second = bonds[~cut].T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
    _, part = connected_components(graph, directed=False)
    if part[axis_from] == part[axis_to]:
        raise UserError(f"the bond {bond} is in a ring, nothing can turn about it; choose another bond")
    riding = np.isin(atoms.chain, list(riding_chains))
    held = riding & (part == part[axis_to])
    if held.any():
        raise UserError(
            f"chain {atoms.chain[held][0]} cannot ride along: it is covalently bound to the side of "
            f"{_name(atoms, axis_to)}, which stays; leave it out"
        )
    return np.asarray((part == part[axis_from]) | riding, np.bool_)


def rotate_about_bond(atoms: Atoms, axis_from: int, axis_to: int, moving: NDArray[np.bool_], angle_deg: float) -> Atoms:
    """Turn the moving atoms about a bond so that every dihedral across it grows by `angle_deg`.

    Args:
        atoms: n atoms.
        axis_from, axis_to: ends of the bond.
        moving: (n,) mask; holds exactly one of the two ends, whichever.
        angle_deg: the change of the dihedral angle.
    """
    if moving[axis_from] == moving[axis_to]:
        raise ValueError("the moving side must hold one end of the bond and not the other")
    still, turning = (axis_to, axis_from) if moving[axis_from] else (axis_from, axis_to)
    origin = atoms.position_A[still]
    # A right-handed turn of the far side about the axis that points to it makes a dihedral grow.
    axis = atoms.position_A[turning] - origin
    rotation = Rotation.from_rotvec(np.deg2rad(angle_deg) * axis / np.linalg.norm(axis))
    position_A = atoms.position_A.copy()
    position_A[moving] = rotation.apply(position_A[moving] - origin) + origin
    return atoms.with_positions(position_A)


def _name(atoms: Atoms, index: int) -> str:
    number = f"{atoms.residue_number[index]}{atoms.insertion_code[index]}"
    return f"{atoms.chain[index]} {number} {atoms.atom_name[index]}"
