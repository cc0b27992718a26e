"""Atoms of a model: read them from PDB or mmCIF, pick some, centre them."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Atoms:
    """n atoms; every attribute is an array of length n.

    Attributes:
        position_A: (n, 3) float64, x, y, z.
        atomic_number: (n,) int.
        b_factor_A2: (n,) float64, isotropic.
        occupancy: (n,) float64.
        chain: (n,) str, the author's chain name.
        residue_number: (n,) int, the author's number; neither unique nor consecutive.
        insertion_code: (n,) str, "" where there is none.
        residue_name: (n,) str.
        atom_name: (n,) str.
    """

    position_A: NDArray[np.float64]
    atomic_number: NDArray[np.int64]
    b_factor_A2: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    chain: NDArray[np.str_]
    residue_number: NDArray[np.int64]
    insertion_code: NDArray[np.str_]
    residue_name: NDArray[np.str_]
    atom_name: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.position_A)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "Atoms":
        """Return some atoms, by mask, indices or slice."""
        return Atoms(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def with_positions(self, position_A: NDArray[np.float64]) -> "Atoms":
        """Return the same atoms at other positions (n, 3)."""
        if position_A.shape != self.position_A.shape:
            raise ValueError(f"positions of shape {position_A.shape} for {len(self)} atoms")
        return replace(self, position_A=position_A)


def read_atoms(path: Path, chains: Sequence[str] | None = None) -> Atoms:
    """Read the first model of a PDB or mmCIF file, gzipped or not.

    Waters are left out; glycans, ligands and ions stay. Of a residue with alternative conformations only the
    one with the greatest summed occupancy is kept (the first of equals), so that its atoms belong together.

    Args:
        path: the file; its format is told from its content.
        chains: names of the chains to keep; all by default.

    Raises:
        UserError: when the file is missing, damaged, holds no atoms, an atom has no element or no finite
            position, or a chain is not in it.
    """
    structure = _parse(path)
    sites = list(_sites(structure[0])) if len(structure) else []
    if not sites:
        raise UserError(f"{path} holds no atoms; give a PDB or mmCIF file of a model")
    for chain, residue, atom in sites:
        if atom.element.atomic_number == 0 or not np.all(np.isfinite(atom.pos.tolist())):
            raise UserError(
                f"{path}: atom {atom.name} of residue {chain} {residue.seqid} has no element or no position; "
                "correct the file"
            )
    atoms = Atoms(
        position_A=np.array([atom.pos.tolist() for _, _, atom in sites], np.float64),
        atomic_number=np.array([atom.element.atomic_number for _, _, atom in sites], np.int64),
        b_factor_A2=np.array([atom.b_iso for _, _, atom in sites], np.float64),
        occupancy=np.array([atom.occ for _, _, atom in sites], np.float64),
        chain=np.array([chain for chain, _, _ in sites]),
        residue_number=np.array([residue.seqid.num for _, residue, _ in sites], np.int64),
        insertion_code=np.array([residue.seqid.icode.strip() for _, residue, _ in sites]),
        residue_name=np.array([residue.name for _, residue, _ in sites]),
        atom_name=np.array([atom.name for _, _, atom in sites]),
    )
    return atoms if chains is None else select_chains(atoms, chains, str(path))


def select_chains(atoms: Atoms, chains: Sequence[str], source: str = "the model") -> Atoms:
    """Return the atoms of some chains, in the order of `atoms`; `source` names them in an error.

    Raises:
        UserError: when a chain is not there.
    """
    present = sorted({str(name) for name in atoms.chain})
    for chain in chains:
        if chain not in present:
            raise UserError(f"{source} has no chain {chain}; it has {', '.join(present)}")
    return atoms[np.isin(atoms.chain, list(chains))]


def joined(parts: Sequence[Atoms]) -> Atoms:
    """Return the atoms of all parts, one after the other."""
    return Atoms(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Atoms)}
    )


def amino_acids(atoms: Atoms) -> Atoms:
    """Return the atoms of amino acids, standard or modified: no glycans, ligands or nucleic acids."""
    is_amino_acid = {name: gemmi.find_tabulated_residue(name).is_amino_acid() for name in set(atoms.residue_name)}
    return atoms[np.array([is_amino_acid[name] for name in atoms.residue_name], bool)]


def centred(atoms: Atoms) -> Atoms:
    """Return the atoms with their centre, weighted by atomic number (that of the density), at the origin."""
    centre = np.average(atoms.position_A, axis=0, weights=atoms.atomic_number)
    return atoms.with_positions(atoms.position_A - centre)


def _parse(path: Path) -> Any:
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        if not content.strip():
            raise UserError(f"{path} is empty; give a PDB or mmCIF file of a model")
        return gemmi.read_structure_string(content.decode("latin-1"), format=gemmi.CoorFormat.Detect)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; give a PDB or mmCIF file of a model") from error
    except (OSError, EOFError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as a PDB or mmCIF file: {reason}") from error


def _sites(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (chain, residue, atom) without waters and without minor alternative conformations."""
    for chain in model:
        # Residues that share a number and insertion code are alternatives of one residue (a point mutation).
        occupancy: dict[str, dict[str, float]] = {}
        for residue in chain:
            alternatives = occupancy.setdefault(str(residue.seqid), {})
            for atom in residue:
                if atom.has_altloc():
                    alternatives[atom.altloc] = alternatives.get(atom.altloc, 0.0) + atom.occ
        for residue in chain:
            alternatives = occupancy[str(residue.seqid)]
            kept = max(alternatives, key=lambda name: alternatives[name], default=None)
            for atom in residue:
                if not residue.is_water() and (not atom.has_altloc() or atom.altloc == kept):
                    yield chain.name, residue, atom
