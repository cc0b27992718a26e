"""An object like a ribosome: a real large subunit, and a small one cut out of it, free to turn at its interface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms, centred, joined
from cryoarena.structures.beads import residue_beads
from cryoarena.structures.docking import dock

# Residues of E. coli 23S RNA in the bridges B4, B5, B7a, B2a and B3 (Yusupov et al. 2001, Science 292:883).
_BRIDGES = ((715, 718), (1689, 1704), (1847, 1849), (1906, 1924), (1945, 1960))
# Centres and semi-axes (Å) of head and body; in all about the 210 x 130 x 100 Å of a 30S.
_HEAD = ((0.0, 60.0, 0.0), (46.0, 45.0, 52.0))
_BODY = ((0.0, -28.0, 0.0), (50.0, 78.0, 66.0))
_CONTACT_A = 6.0
_SHARE_IN_THE_WAY = 0.05


@dataclass(frozen=True)
class PseudoRibosome:
    """Two subunits in the crown view: the small one lies along x, its head and the central protuberance along y.

    Attributes:
        large, small: beads; the centre of the density of both together is the origin.
        centre_A: (3,) of the small subunit, about which it turns.
    """

    large: Atoms
    small: Atoms
    centre_A: NDArray[np.float64]


def build_pseudo_ribosome(rna_23s: Atoms, rna_5s: Atoms, proteins: Atoms, turns: NDArray[np.float64]) -> PseudoRibosome:
    """Build the object from a 50S subunit.

    The small subunit is what a head and a body, two ellipsoids, cut out of the middle of the large one, turned by 90°
    about x so that it is no shifted copy of what it faces. It approaches along x until 5 % of its beads are in the way
    in one of the orientations or other; those are left out.

    Args:
        rna_23s: numbered as in E. coli.
        rna_5s: its centre, in the central protuberance, tells where up is.
        proteins: of the large subunit.
        turns: (r, 3, 3) orientations that the small subunit must be able to take.

    Raises:
        UserError: when the RNA has none of the residues that make bridges, or the subunit is too small to be cut.
    """
    parts = [rna_23s, rna_5s, proteins]
    origin_A = _centre_A(joined(parts))
    outward = _unit(_bridges(rna_23s).position_A.mean(axis=0) - origin_A)
    upward = _centre_A(rna_5s) - origin_A
    upward = _unit(upward - np.dot(upward, outward) * outward)
    frame = np.stack([outward, upward, np.cross(outward, upward)])
    large = joined([residue_beads(part) for part in parts])
    large = large.with_positions((large.position_A - origin_A) @ frame.T)

    small = _cut_small_subunit(large)
    along_x = np.array([1.0, 0.0, 0.0])
    offset, free = dock(small.position_A, turns, large.position_A, along_x, _CONTACT_A, _SHARE_IN_THE_WAY)
    small = small.with_positions(small.position_A + offset * along_x)[free]
    middle_A = _centre_A(joined([large, small]))
    return PseudoRibosome(
        large.with_positions(large.position_A - middle_A),
        small.with_positions(small.position_A - middle_A),
        offset * along_x - middle_A,
    )


def _cut_small_subunit(large: Atoms) -> Atoms:
    x, y, z = large.position_A.T
    turned_A = np.stack([x, -z, y], axis=1)
    inside = np.any(
        [np.square((turned_A - centre) / semi_axes).sum(axis=1) <= 1 for centre, semi_axes in (_HEAD, _BODY)], axis=0
    )
    if not inside.any():
        raise UserError("the model of the large subunit has nothing near its centre; give a whole subunit")
    return centred(large.with_positions(turned_A)[inside])


def _bridges(rna_23s: Atoms) -> Atoms:
    number = rna_23s.residue_number
    found = rna_23s[np.any([(first <= number) & (number <= last) for first, last in _BRIDGES], axis=0)]
    if not len(found):
        raise UserError("the 23S RNA has none of the residues that face the small subunit; number it as in E. coli")
    return found


def _centre_A(atoms: Atoms) -> NDArray[np.float64]:
    return np.asarray(np.average(atoms.position_A, axis=0, weights=atoms.atomic_number))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))
