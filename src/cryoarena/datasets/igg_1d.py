"""IgG-1D: one Fab of an antibody turns about one bond, a full circle."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    Settings,
    SourceFile,
    Sources,
    dataset,
)
from cryoarena.datasets.turning import TurnOptions, turning_ensemble
from cryoarena.structures.atoms import Atoms, centred, read_atoms, select_chains
from cryoarena.structures.bonds import covalent_bonds
from cryoarena.structures.clashes import CLASH_DISTANCE_A, count_clashes
from cryoarena.structures.dihedral import find_atom, moving_side

_PAPER = Settings(
    preset="paper",
    images=100_000,
    conformations=100,
    box_px=128,
    source_box_px=256,
    source_pixel_size_A=1.5,
    snr=0.01,
    max_shift_px=20.0,
    resolution_A=3.0,
)


@dataset
class Igg1d(Dataset[TurnOptions]):
    """ψ of heavy-chain residue H230 of 1HZH turned by 360° in equal steps (Jeon et al. 2024, §3.2 and A.1).

    The bond CA-C of H230 is turned: chain H up to it and, through the disulfide H230-L214, chain L move.
    """

    card = DatasetCard(
        name="igg-1d",
        title="IgG-1D",
        kind="conformational, continuous, one dimension, circular",
        summary="An intact antibody whose one Fab turns about a single bond of the hinge.",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks; model: Saphire et al. 2001, PDB 1HZH",
        licence="PDB entry 1HZH: CC0 1.0; recipe: BSD-3-Clause",
        sources=(
            SourceFile(
                "1hzh.pdb",
                "https://files.rcsb.org/download/1HZH.pdb.gz",
                None,
                "PDB entry 1HZH, intact IgG1 b12",
            ),
        ),
        cvs=(CollectiveVariable("psi_H230", "deg", 360.0, "rotation of ψ of residue H230 from the crystal structure"),),
        notes=(
            "Defocus is drawn from a parametric distribution unless --ctf names a table; the published set used "
            "EMPIAR-11247, whose table is not public.",
            "Images are bright (protein positive) and have unit noise variance; the published stacks are dark.",
        ),
    )
    options = TurnOptions
    takes = frozenset({"structure"})
    presets: ClassVar[dict[str, Settings]] = {
        "paper": _PAPER,
        "small": Settings(**{**vars(_PAPER), "preset": "small", "images": 5_000, "box_px": 64}),
    }

    def build(self, settings: Settings, sources: Sources, options: TurnOptions) -> Ensemble:
        """Turn ψ(H230) of 1HZH through a full circle in equal steps, or by its own angle per image."""
        path = sources.files["1hzh.pdb"]
        atoms = centred(read_atoms(path))
        select_chains(atoms, ("H", "L"), str(path))
        bonds = covalent_bonds(atoms)
        axis = (find_atom(atoms, "H", 230, "CA"), find_atom(atoms, "H", 230, "C"))
        moving = moving_side(atoms, bonds, *axis)
        ensemble = turning_ensemble(atoms, axis, moving, "psi_H230", settings, options)
        return replace(ensemble, notes=(_clash_note(atoms, bonds, moving, ensemble),))


def _clash_note(atoms: Atoms, bonds: NDArray[np.int64], moving: NDArray[np.bool_], ensemble: Ensemble) -> str:
    looked_at = np.arange(len(ensemble.population)) if ensemble.mapped is None else ensemble.mapped
    positions = (ensemble.specimen.position_A(int(number)).astype(np.float64) for number in looked_at)
    clashes = np.array([count_clashes(atoms.with_positions(position_A), bonds, moving) for position_A in positions])
    worst = int(clashes.argmax())
    angle = ensemble.cvs["psi_H230"][looked_at[worst]]
    return (
        f"Clashes between the turning Fab and the rest (heavy atoms nearer than {CLASH_DISTANCE_A} Å, not "
        f"bonded): {int((clashes > 0).sum())} of {len(looked_at)} conformations have some; the worst has "
        f"{clashes[worst]} at {angle:.1f}°. They are kept, as in the published set."
    )
