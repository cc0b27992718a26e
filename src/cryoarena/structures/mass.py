"""How heavy a model is."""

import gemmi
import numpy as np

from cryoarena.structures.atoms import Atoms


def mass_kDa(atoms: Atoms) -> float:
    """Return the mass of the atoms that a model has."""
    numbers, counts = np.unique(atoms.atomic_number, return_counts=True)
    return float(sum(gemmi.Element(int(n)).weight * count for n, count in zip(numbers, counts, strict=True)) / 1000)
