"""Which atoms a simulation has, and which of them a selection picks. Needs MDAnalysis."""

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import gemmi
import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms


@final
@dataclass(frozen=True)
class Topology:
    """The atoms of a simulation.

    Attributes:
        source: file that names them, for messages.
        universe: of MDAnalysis (Gowers et al. 2016, doi:10.25080/Majora-629e541a-00e).
    """

    source: str
    universe: Any

    def __len__(self) -> int:
        return len(self.universe.atoms)

    def select(self, selection: str) -> NDArray[np.int64]:
        """Return the indices of the atoms that a selection in MDAnalysis' language picks.

        Raises:
            UserError: when it is no selection or picks nothing.
        """
        from MDAnalysis import NoDataError, SelectionError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                index = self.universe.select_atoms(selection).indices
        except (SelectionError, NoDataError, ValueError, AttributeError) as error:
            raise UserError(f"{selection!r} selects nothing from {self.source}: {error}") from error
        if len(index) == 0:
            raise UserError(f"{selection!r} picks no atom of {self.source}; choose another selection")
        return np.asarray(index, np.int64)

    def atomic_number(self) -> NDArray[np.int64]:
        """Return the atomic number of every atom: by its element, or by its name where there is none.

        An atom that neither tells is 0 (a virtual site, say).
        """
        from MDAnalysis.guesser.default_guesser import DefaultGuesser

        atoms = self.universe.atoms
        elements = np.asarray(atoms.elements if hasattr(atoms, "elements") else [""] * len(atoms), dtype=object)
        guess = DefaultGuesser(None).guess_atom_element
        number_of = {name: _atomic_number(guess(name)) for name in set(atoms.names)}
        return np.array(
            [_atomic_number(element) or number_of[name] for element, name in zip(elements, atoms.names, strict=True)],
            np.int64,
        )


def read_topology(path: Path) -> Topology:
    """Read a PSF, PDB, GRO or other topology.

    Raises:
        UserError: when it cannot be read or does not name its atoms, or MDAnalysis is not installed.
    """
    analysis = import_mdanalysis()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe = analysis.Universe(str(path))
    except (OSError, ValueError, TypeError, RuntimeError, EOFError, IndexError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read as a topology (PSF, PDB, GRO …): {reason}") from error
    if not hasattr(universe.atoms, "names"):
        raise UserError(f"{path} does not name its atoms; give a topology (PSF, PDB, GRO …)")
    return Topology(str(path), universe)


def topology_of(atoms: Atoms, source: str) -> Topology:
    """Make a topology of the atoms of a model; `source` names it in messages."""
    analysis = import_mdanalysis()
    same_as_before = (
        (atoms.chain[1:] == atoms.chain[:-1])
        & (atoms.residue_number[1:] == atoms.residue_number[:-1])
        & (atoms.insertion_code[1:] == atoms.insertion_code[:-1])
    )
    residue = np.concatenate([[0], np.cumsum(~same_as_before)])
    first = np.flatnonzero(np.concatenate([[True], ~same_as_before]))
    chains, segment = np.unique(atoms.chain[first], return_inverse=True)
    universe = analysis.Universe.empty(
        len(atoms), len(first), len(chains), atom_resindex=residue, residue_segindex=segment.ravel()
    )
    universe.add_TopologyAttr("names", atoms.atom_name.astype(object))
    universe.add_TopologyAttr("elements", [gemmi.Element(int(number)).name for number in atoms.atomic_number])
    universe.add_TopologyAttr("chainIDs", atoms.chain.astype(object))
    universe.add_TopologyAttr("resnames", atoms.residue_name[first].astype(object))
    universe.add_TopologyAttr("resids", atoms.residue_number[first])
    universe.add_TopologyAttr("icodes", atoms.insertion_code[first].astype(object))
    universe.add_TopologyAttr("segids", chains.astype(object))
    return Topology(source, universe)


def import_mdanalysis() -> Any:
    """Return the module MDAnalysis.

    Raises:
        UserError: when it is not installed.
    """
    try:
        return importlib.import_module("MDAnalysis")
    except ImportError as error:
        raise UserError("simulations are read with MDAnalysis; install it with: pip install cryoarena[md]") from error


def _atomic_number(element: str) -> int:
    return int(gemmi.Element(element.strip().capitalize()).atomic_number)
