"""Spike-MD: the frames of a simulation, as often as a free energy says; or any trajectory that the user gives."""

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
from cryoarena.datasets.frame_shares import spread_along
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.rigid_bodies import RigidBodies, RigidMotion
from cryoarena.datasets.simulation import MAPS, SimulationOptions, simulation_ensemble
from cryoarena.datasets.spike_opening import CHAINS, SpikeOpening, spike_opening
from cryoarena.errors import UserError
from cryoarena.imaging.moving_bodies import MovingBodies
from cryoarena.structures.atoms import amino_acids, centred, read_atoms, select_chains
from cryoarena.structures.clashes import CLASH_DISTANCE_A, count_clashes
from cryoarena.structures.density import molmap_model

_CLOSED = SourceFile(
    "6vxx.pdb", "https://files.rcsb.org/download/6VXX.pdb.gz", None, "PDB entry 6VXX, the closed SARS-CoV-2 spike"
)
_OPEN = SourceFile(
    "swissmodel_6acg_6vsb_rbdup_ace2.pdb",
    "https://raw.githubusercontent.com/FoldingAtHome/coronavirus/19f9f08f66368b565710d501604ce95e1fb6ca98/"
    "system-preparation/6acg_6vsb/input/model.pdb",
    "02ac23b2e289e55479864bdeb008b8ed1ac7358330d5fb4a39d7dec1897b0cfa3f",
    "SWISS-MODEL of the spike with one RBD up (its ACE2 is left out)",
)
_PAPER = Settings(
    preset="paper",
    images=100_000,
    conformations=46_789,
    box_px=256,
    source_box_px=256,
    source_pixel_size_A=1.5,
    snr=0.1,
    max_shift_px=20.0,
    resolution_A=3.0,
)


@dataset
class SpikeMd(Dataset[SimulationOptions]):
    """Conformations of a simulation, drawn by a free energy over collective variables (Jeon et al. 2024, A.3)."""

    card = DatasetCard(
        name="spike-md",
        title="Spike-MD",
        kind="conformational, continuous, two dimensions",
        summary="Frames of a molecular dynamics simulation of the spike, one of whose RBDs opens and twists.",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks; simulation: Wieczór et al., "
        "iScience 26(2), 2023; stand-in: Walls et al. 2020, PDB 6VXX",
        licence="PDB entry 6VXX: CC0 1.0; SWISS-MODEL: CC BY-SA 4.0; recipe: BSD-3-Clause; a simulation: its own",
        sources=(),
        stand_ins=(_CLOSED, _OPEN),
        cvs=(
            CollectiveVariable("opening", "deg", None, "turn of the RBD about the screw from the closed to the open"),
            CollectiveVariable("twist", "deg", None, "turn of the RBD about its own long axis, from the closed model"),
        ),
        notes=(
            "The published set has 46,789 frames drawn at 6,000 K from enhanced-sampling simulations, which are not "
            "public in full: the preset paper takes a simulation of your own (--topology, --trajectory, --set cv1=…).",
            "Without one, the preset small shows a made motion: the RBD of chain A of 6VXX, as a rigid body, between "
            "its place there and that in a model with this RBD up, drawn from a free energy of ours.",
            "Defocus is drawn from a parametric distribution unless --ctf names a table.",
            "Images are bright (protein positive) and have unit noise variance; the published stacks are dark.",
        ),
    )
    options = SimulationOptions
    takes = frozenset({"models", "trajectory"})
    presets: ClassVar[dict[str, Settings]] = {
        "paper": _PAPER,
        "small": Settings(**{**vars(_PAPER), "preset": "small", "images": 5_000, "conformations": 1_000, "box_px": 64}),
    }

    def build(self, settings: Settings, sources: Sources, options: SimulationOptions) -> Ensemble:
        """Take the frames of a simulation, or draw conformations of the made motion."""
        if sources.are_stand_ins:
            if options != SimulationOptions():
                raise UserError("the options of spike-md are for a simulation; give --topology and --trajectory too")
            return _made_motion(settings, sources)
        if sources.models or sources.trajectory:
            return simulation_ensemble(settings, sources, options)
        raise UserError(
            "the published simulation cannot be downloaded; give one by --topology and --trajectory, or --models, or "
            "make the stand-in: --preset small (as large as the published set with --images 100000 --box 256)"
        )


def _made_motion(settings: Settings, sources: Sources) -> Ensemble:
    closed, opened = (amino_acids(read_atoms(sources.files[source.name])) for source in (_CLOSED, _OPEN))
    spike = spike_opening(centred(select_chains(closed, CHAINS, _CLOSED.name)), opened)
    energy = spike.energy()
    points = energy.draw(settings.conformations, RandomStreams(settings.seed).generator("conformations"))
    # In order of opening: the numbers of conformations then mean something.
    opening_deg, twist_deg = points[np.argsort(points[:, 0])].T
    rotation, translation_A = spike.motion(opening_deg, twist_deg)
    population = np.full(len(points), 1 / len(points))
    specimen = MovingBodies(
        spike.closed.position_A,
        spike.body,
        rotation,
        translation_A,
        molmap_model(spike.closed, settings.resolution_A),
    )
    mapped = spread_along(opening_deg, population, MAPS)
    return Ensemble(
        specimen=specimen,
        cvs={"opening": opening_deg, "twist": twist_deg},
        population=population,
        notes=(_clash_note(spike, specimen, mapped),),
        rigid_bodies=RigidBodies(spike.body, RigidMotion(rotation, translation_A).from_first()),
        mapped=mapped,
        energy=energy,
    )


def _clash_note(spike: SpikeOpening, specimen: MovingBodies, conformations: NDArray[np.int64]) -> str:
    """Count what the RBD runs into; the linkers, which bridge the gaps, are left out."""
    kept = np.isin(spike.fraction[spike.body], (0.0, 1.0))
    atoms, moving = spike.closed[kept], spike.fraction[spike.body][kept] == 1.0
    no_bonds = np.empty((0, 2), np.int64)
    clashes = np.array(
        [
            count_clashes(atoms.with_positions(specimen.position_A(number)[kept].astype(np.float64)), no_bonds, moving)
            for number in conformations
        ]
    )
    return (
        f"Clashes of the RBD with what stays (heavy atoms nearer than {CLASH_DISTANCE_A} Å): {(clashes > 0).sum()} of "
        f"the {len(clashes)} conformations with a map have some, {np.median(clashes):.0f} in the median, "
        f"{clashes.max()} at most. They are kept."
    )
