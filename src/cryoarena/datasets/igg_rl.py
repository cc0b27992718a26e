"""IgG-RL: one Fab of an antibody at the end of a random linker."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    Settings,
    Sources,
    dataset,
)
from cryoarena.datasets.igg_1d import Igg1d
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.errors import UserError
from cryoarena.imaging.moving_bodies import MovingBodies
from cryoarena.progress import progress_bar
from cryoarena.structures.atoms import Atoms, centred, read_atoms, select_chains
from cryoarena.structures.backbone_linker import find_linker
from cryoarena.structures.body_clashes import BodyClashes
from cryoarena.structures.bonds import covalent_bonds
from cryoarena.structures.clashes import CLASH_DISTANCE_A
from cryoarena.structures.density import molmap_model
from cryoarena.structures.dihedral import dihedral_deg, find_atom
from cryoarena.structures.sample_linker import sample_linker

# Bonded one to the next: the author's numbers jump where nothing is missing.
_LINKER = (232, 235, 236, 237, 238)
_HINGE = 239
_LAST_OF_FAB, _FIRST_OF_FC = 230, 244


@dataclass(frozen=True)
class RandomLinkerOptions:
    """Options of IgG-RL.

    Attributes:
        per_image: a new conformation for every image, so that no two images show the same object; maps are kept of
            `--conformations` of them.
    """

    per_image: bool = False


@dataset
class IggRl(Dataset[RandomLinkerOptions]):
    """φ and ψ of five hinge residues of 1HZH drawn as in a disordered peptide (Jeon et al. 2024, §3.2 and A.2)."""

    card = DatasetCard(
        name="igg-rl",
        title="IgG-RL",
        kind="conformational, continuous, a linker of ten dihedral angles",
        summary="An intact antibody whose one Fab hangs on a disordered linker of five residues.",
        citation=Igg1d.card.citation,
        licence=Igg1d.card.licence,
        sources=Igg1d.card.sources,
        cvs=(
            CollectiveVariable("distance", "Å", None, "from the centre of the moving Fab to the centre of the Fc"),
            CollectiveVariable(
                "dihedral", "deg", 360.0, "moving Fab - hinge (CA of H239) - Fc - other Fab: around the axis of the Fc"
            ),
        ),
        notes=(
            "Published: the linker D232, K235, T236, H237, T238 of chain H, dihedral angles of disordered peptides "
            "(Towse et al. 2016), rejection of clashes. Ours: the density of the angles (five basins, round weights), "
            "what counts as a clash, the collective variables as defined here, and so the conformations.",
            *Igg1d.card.notes,
        ),
    )
    options = RandomLinkerOptions
    takes = Igg1d.takes
    presets: ClassVar[dict[str, Settings]] = Igg1d.presets

    def build(self, settings: Settings, sources: Sources, options: RandomLinkerOptions) -> Ensemble:
        """Draw the linker of 1HZH until enough conformations are free of clashes."""
        path = sources.files["1hzh.pdb"]
        atoms = centred(read_atoms(path))
        select_chains(atoms, ("H", "L", "K", "M"), str(path))
        bonds = covalent_bonds(atoms)
        linker = find_linker(atoms, bonds, "H", _LINKER)
        count = settings.images if options.per_image else settings.conformations
        generator = RandomStreams(settings.seed).generator("linker")
        with progress_bar("Drawing linkers") as report:
            phi_psi_deg, tries = sample_linker(linker, BodyClashes(atoms, bonds, linker.body), count, generator, report)
        rotation, translation_A = linker.motion(phi_psi_deg)
        specimen = MovingBodies(
            atoms.position_A, linker.body, rotation, translation_A, molmap_model(atoms, settings.resolution_A)
        )
        kept = min(settings.conformations, count)
        return Ensemble(
            specimen=specimen,
            cvs=_collective_variables(atoms, rotation[:, -1], translation_A[:, -1], str(path)),
            population=np.full(count, 1.0 / count),
            notes=(
                f"{count} of {tries} linkers ({100 * count / tries:.1f} %) were free of clashes: heavy atoms that the "
                f"linker moves against each other, nearer than {CLASH_DISTANCE_A} Å and more than three bonds apart.",
            ),
            mapped=np.linspace(0, count - 1, kept).round().astype(np.int64) if options.per_image else None,
        )


def _collective_variables(
    atoms: Atoms, rotation: NDArray[np.float64], translation_A: NDArray[np.float64], path: str
) -> dict[str, NDArray[np.float64]]:
    """Return the CVs; rotation (K, 3, 3) and translation (K, 3) are those of the moving Fab."""
    heavy_chains = np.isin(atoms.chain, ["H", "K"])
    before = atoms.residue_number <= _LAST_OF_FAB
    fab = (atoms.chain == "L") | ((atoms.chain == "H") & before)
    other_fab = _centre_A(atoms, (atoms.chain == "M") | ((atoms.chain == "K") & before), "second Fab", path)
    fc = _centre_A(atoms, heavy_chains & (atoms.residue_number >= _FIRST_OF_FC), "Fc", path)
    hinge = atoms.position_A[find_atom(atoms, "H", _HINGE, "CA")]
    fabs = rotation @ _centre_A(atoms, fab, "first Fab", path) + translation_A
    return {
        "distance": np.linalg.norm(fabs - fc, axis=1),
        "dihedral": np.array([dihedral_deg(moved, hinge, fc, other_fab) for moved in fabs]) % 360.0,
    }


def _centre_A(atoms: Atoms, part: NDArray[np.bool_], name: str, path: str) -> NDArray[np.float64]:
    if not part.any():
        raise UserError(f"{path} has no {name} (chains H, L, K, M, numbered as in PDB entry 1HZH)")
    return np.asarray(np.average(atoms.position_A[part], axis=0, weights=atoms.atomic_number[part]))
