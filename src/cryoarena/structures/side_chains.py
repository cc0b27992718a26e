"""Make a chain of pseudo-residues out of the course of its backbone."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.atoms import Atoms

_STEP_A = 3.6  # between residues
# A protein residue has 7.3 heavy atoms, Z ≈ 53 in all: 27 in N, CA, C, O, the rest in the side chain.
_BACKBONE_NUMBER = 27
_SIDE_CHAIN_NUMBERS = (12, 40)
_SIDE_CHAIN_LENGTH_A = (1.8, 3.2)
_B_FACTOR_A2 = 30.0


def with_side_chains(chains: dict[str, NDArray[np.float64]], rng: np.random.Generator) -> Atoms:
    """Give every residue a side chain of random size that points away from the bend of its backbone.

    Args:
        chains: name -> (n, 3) one position (Å) per residue.
        rng: of sizes and lengths.

    Returns:
        Two pseudo-atoms per residue, CA and CB, residues numbered from 1 in each chain.
    """
    positions, numbers, names, residues = [], [], [], []
    for name, main in chains.items():
        neighbours = np.concatenate([main[:1], main, main[-1:]])
        bend = 2 * main - neighbours[:-2] - neighbours[2:]
        # The noise lets residues of a straight linker, which has no bend, point anywhere.
        direction = bend / _STEP_A + 0.3 * rng.normal(size=main.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        side = main + direction * rng.uniform(*_SIDE_CHAIN_LENGTH_A, size=(len(main), 1))
        positions.append(np.stack([main, side], axis=1).reshape(-1, 3))
        side_numbers = rng.integers(*_SIDE_CHAIN_NUMBERS, endpoint=True, size=len(main))
        numbers.append(np.stack([np.full(len(main), _BACKBONE_NUMBER), side_numbers], axis=1).ravel())
        names.append(np.full(2 * len(main), name))
        residues.append(np.repeat(np.arange(1, len(main) + 1), 2))
    n = sum(map(len, positions))
    return Atoms(
        position_A=np.concatenate(positions),
        atomic_number=np.concatenate(numbers),
        b_factor_A2=np.full(n, _B_FACTOR_A2),
        occupancy=np.ones(n),
        chain=np.concatenate(names),
        residue_number=np.concatenate(residues),
        insertion_code=np.full(n, ""),
        residue_name=np.full(n, "UNK"),
        atom_name=np.tile(["CA", "CB"], n // 2),
    )
