"""The real antibody, read once."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.structures.atoms import Atoms, centred, read_atoms
from cryoarena.structures.bonds import covalent_bonds


@pytest.fixture(scope="session")
def igg_file(mirror: Path) -> Path:
    return mirror / "models" / "igg" / "1hzh.pdb"


@pytest.fixture(scope="session")
def igg(igg_file: Path) -> Atoms:
    return centred(read_atoms(igg_file))


@pytest.fixture(scope="session")
def igg_bonds(igg: Atoms) -> np.ndarray:
    return covalent_bonds(igg)


@pytest.fixture
def make_atoms():
    """Return a function that makes carbon atoms at given positions, overriding any attribute by keyword."""

    def make(position_A, **given) -> Atoms:
        n = len(position_A)
        values = {
            "atomic_number": np.full(n, 6),
            "b_factor_A2": np.zeros(n),
            "occupancy": np.ones(n),
            "chain": np.full(n, "A"),
            "residue_number": np.arange(1, n + 1),
            "insertion_code": np.full(n, ""),
            "residue_name": np.full(n, "GLY"),
            "atom_name": np.full(n, "CA"),
        }
        values |= {name: np.asarray(value) for name, value in given.items()}
        return Atoms(np.asarray(position_A, float), **values)

    return make
