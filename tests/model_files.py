"""Write small atomic models as PDB files."""

from pathlib import Path

import numpy as np


def write_pdb(
    path: Path, position_A: np.ndarray, residue_number: np.ndarray, atom_name: str = "C4'", chain: str = "A"
) -> Path:
    """Write one atom (n, 3) per residue; nucleotides for C4', amino acids otherwise."""
    residue = "G" if atom_name == "C4'" else "ALA"
    lines = [
        f"ATOM  {serial:5d} {atom_name:>4s} {residue:>3s} {chain}{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
        f"  1.00  0.00          {atom_name[0]:>2s}"
        for serial, (number, (x, y, z)) in enumerate(zip(residue_number, position_A, strict=True), start=1)
    ]
    path.write_text("\n".join([*lines, "END", ""]))
    return path
