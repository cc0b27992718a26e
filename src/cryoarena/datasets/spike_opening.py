"""The opening of one receptor-binding domain (RBD) of the SARS-CoV-2 spike, between two models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms, select_chains
from cryoarena.structures.collective_variable import rmsd_A
from cryoarena.structures.dihedral import find_atom
from cryoarena.structures.screw import Screw, screw_between
from cryoarena.structures.superpose import superpose

CHAINS = ("A", "B", "C")
_MOVING_CHAIN = "A"
_FIRST_OF_S2 = 701
# Fraction of the RBD's motion by residue: cut where the screw displaces the chain least, so that no gap is wide.
_FRACTION_OF_RESIDUES = (
    (327, 328, 0.25),
    (329, 333, 0.5),
    (334, 335, 0.75),
    (336, 525, 1.0),
    (526, 526, 0.75),
    (527, 527, 0.5),
    (528, 528, 0.25),
)
_MODEL_DIFFERS_A = 5.0

# The surface: two wells along the opening, at 0.1 and 0.9 of the way, and a valley that winds in the twist.
_WELLS_AT = (0.1, 0.9)
_BARRIER_KT = 2.0
_OPEN_ABOVE_CLOSED_KT = 0.5
_TWIST_MEAN_DEG = 3.0
_TWIST_WINDING_DEG = 5.0
_TWIST_SIGMA_DEG = 4.0
_CELLS = 64


@dataclass(frozen=True)
class SpikeOpening:
    """How the RBD of chain A of the closed spike opens and twists.

    Attributes:
        closed: n atoms of the closed spike.
        body: (n,) 0: what stays; 1 … B-1: linkers and, last, the RBD.
        fraction: (B,) of the motion that each body makes.
        screw: from the RBD of the closed model to that of the open one.
        long_axis: (3,) unit vector from the hinge to the centre of the closed RBD.
        hinge_A: (3,) where the RBD is held.
    """

    closed: Atoms
    body: NDArray[np.int64]
    fraction: NDArray[np.float64]
    screw: Screw
    long_axis: NDArray[np.float64]
    hinge_A: NDArray[np.float64]

    @property
    def open_deg(self) -> float:
        """Return the opening of the open model."""
        return float(np.rad2deg(self.screw.angle_rad))

    def motion(
        self, opening_deg: NDArray[np.float64], twist_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return R (K, B, 3, 3) and t (K, B, 3) that move the closed atoms to K conformations.

        A body first twists about the long axis of the RBD, then goes along the screw, both by its fraction.
        """
        rotations, translations_A = [], []
        for fraction in self.fraction:
            turn = Rotation.from_rotvec(fraction * np.deg2rad(twist_deg)[:, None] * self.long_axis).as_matrix()
            screw_rotation, screw_A = self.screw.parts(fraction * opening_deg / self.open_deg)
            rotations.append(screw_rotation @ turn)
            twist_A = self.hinge_A - turn @ self.hinge_A
            translations_A.append(np.einsum("kij,kj->ki", screw_rotation, twist_A) + screw_A)
        return np.stack(rotations, axis=1), np.stack(translations_A, axis=1)

    def energy(self) -> EnergySurface:
        """Return the free energy in kT of opening u (fraction of the screw) and twist φ.

        E = 2 [(u - 0.1)(u - 0.9) / 0.16]² + 0.5 u + (φ - φ₀(u))² / (2 · (4°)²), φ₀(u) = 3° + 5° cos 2πu.
        """
        fraction = (np.arange(_CELLS) + 0.5) / _CELLS
        half_width = _TWIST_WINDING_DEG + 4 * _TWIST_SIGMA_DEG
        twist = _TWIST_MEAN_DEG + half_width * (2 * fraction - 1)
        first, second = _WELLS_AT
        barrier = _BARRIER_KT * ((fraction - first) * (fraction - second) / ((second - first) / 2) ** 2) ** 2
        valley = _TWIST_MEAN_DEG + _TWIST_WINDING_DEG * np.cos(2 * np.pi * fraction)
        energy_kT = (barrier + _OPEN_ABOVE_CLOSED_KT * fraction)[:, None]
        energy_kT = energy_kT + (twist[None] - valley[:, None]) ** 2 / (2 * _TWIST_SIGMA_DEG**2)
        return EnergySurface(("opening", "twist"), (fraction * self.open_deg, twist), energy_kT)


def spike_opening(closed: Atoms, opened: Atoms) -> SpikeOpening:
    """Find the screw that takes the RBD of chain A from its closed to its open place.

    The open model is laid on the closed one by the Cα of S2 (residues from 701), then the Cα of the RBD (336-525) that
    both have are superposed. Only its place is taken from the open model: the atoms are those of the closed one.

    Args:
        closed: chains A, B and C, which are kept.
        opened: the same and maybe more.

    Raises:
        UserError: when a chain or the RBD is missing, or the two RBDs are not the same domain.
    """
    opened = select_chains(opened, CHAINS, "the open spike")
    here, there = _matched(closed, opened)
    chain, residue = closed.chain[here], closed.residue_number[here]
    core = residue >= _FIRST_OF_S2
    rbd = (chain == _MOVING_CHAIN) & (residue >= 336) & (residue <= 525)
    if core.sum() < 3 or rbd.sum() < 3:
        raise UserError("the two spikes have no residues of S2 (from 701) or of the RBD (336-525) in common")
    from_A, to_A = opened.position_A[there], closed.position_A[here]
    rotation, translation_A = superpose(from_A[core], to_A[core])
    from_A = from_A @ rotation.T + translation_A
    left_A = rmsd_A(to_A[rbd], from_A[rbd])
    if left_A > _MODEL_DIFFERS_A:
        raise UserError(f"the RBDs of the two spikes differ by {left_A:.1f} Å (RMSD of Cα): they are not one domain")
    screw = screw_between(to_A[rbd], from_A[rbd])
    fraction = _fraction_of_atoms(closed)
    levels, body = np.unique(fraction, return_inverse=True)
    ends = [find_atom(closed, _MOVING_CHAIN, number, "CA") for number in (336, 525)]
    hinge_A = closed.position_A[ends].mean(axis=0)
    along = closed.position_A[fraction == 1].mean(axis=0) - hinge_A
    return SpikeOpening(closed, body.ravel(), levels, screw, along / np.linalg.norm(along), hinge_A)


def _matched(first: Atoms, second: Atoms) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the Cα that both have, by chain and residue number."""
    keys = [
        {
            (atoms.chain[i], atoms.residue_number[i], atoms.insertion_code[i]): i
            for i in np.flatnonzero(atoms.atom_name == "CA")
        }
        for atoms in (first, second)
    ]
    common = [key for key in keys[0] if key in keys[1]]
    return np.array([keys[0][key] for key in common], np.int64), np.array([keys[1][key] for key in common], np.int64)


def _fraction_of_atoms(atoms: Atoms) -> NDArray[np.float64]:
    fraction = np.zeros(len(atoms))
    for first, last, value in _FRACTION_OF_RESIDUES:
        in_range = (atoms.residue_number >= first) & (atoms.residue_number <= last)
        fraction[in_range & (atoms.chain == _MOVING_CHAIN)] = value
    return fraction
