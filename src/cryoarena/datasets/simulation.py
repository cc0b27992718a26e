"""An ensemble made of the frames of a simulation that the user gives."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryoarena.datasets.base import Ensemble, Settings, Sources
from cryoarena.datasets.cv_table import read_cv_table
from cryoarena.datasets.energy_surface import read_energy_surface
from cryoarena.datasets.frame_shares import boltzmann_shares, choose_frames, spread_along
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.simulation_frames import measure_frames
from cryoarena.errors import UserError
from cryoarena.imaging.placed_specimen import PlacedSpecimen
from cryoarena.imaging.specimen import Conformations, Specimen
from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.collective_variable import CvExpression, parse_cv
from cryoarena.structures.density import ScatteringModel, gaussian_model
from cryoarena.structures.frames import Frames, ModelFrames, TrajectoryFrames
from cryoarena.structures.placed_frames import PlacedFrames, place_frames
from cryoarena.structures.topology import Topology, read_topology, topology_of

MAPS = 100
_HYDROGEN = 1
# of the positions of all models
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class SimulationOptions:
    """Options of a simulation (`--topology` and `--trajectory`, or `--models`); selections are in MDAnalysis' language.

    Attributes:
        selection: atoms that are shown; hydrogens never are.
        superpose: which of them every frame is superposed on the first by, or "none".
        cv1, cv2, cv3: collective variables: "distance: A | B" (Å), "angle: A | B | C" (deg, at B), "dihedral: A | B |
            C | D" (deg) of the centres of selections, or "rmsd: A" (Å, from the first frame); the latter of all that is
            shown if there is none.
        cv_table: file of collective variables instead (.csv or .npy, one row per frame; docs/datasets).
        energy: .npz file of a free energy over some of them (docs/formats.md), which frames are imaged by; without it,
            all frames are imaged equally often.
        temperature_K: of the ensemble, where the energy is in kJ/mol or kcal/mol.
    """

    selection: str = "protein or nucleic"
    superpose: str = "all"
    cv1: str = ""
    cv2: str = ""
    cv3: str = ""
    cv_table: Path | None = None
    energy: Path | None = None
    temperature_K: float | None = None


def simulation_ensemble(settings: Settings, sources: Sources, options: SimulationOptions) -> Ensemble:
    """Take frames as often as the options say; true maps are those of 100 frames spread along the first variable.

    Raises:
        UserError: when files, options and atoms do not go together.
    """
    if options.energy is not None and sources.counts:
        raise UserError("an energy tells how often each model is imaged; leave the counts of --models out")
    topology, frames = _open(sources)
    placed, model = _placed(topology, frames, settings, options)
    expressions = _expressions(options)
    # What can be wrong with small files is found before all frames are read.
    energy = None if options.energy is None else read_energy_surface(options.energy, options.temperature_K)
    from_table = {} if options.cv_table is None else read_cv_table(options.cv_table, len(frames))
    table = measure_frames(placed, topology, expressions)
    cvs = from_table or table.cvs
    values = {variable.name: value for variable, value in cvs.items()}
    share = np.array(sources.counts or [1] * len(frames), np.float64)
    if energy is not None:
        share = boltzmann_shares(energy, values, {variable.name: variable.period for variable in cvs})
    rng = RandomStreams(settings.seed).generator("frames")
    frame, population = choose_frames(share / share.sum(), settings.conformations, rng)
    if len(frame) < 2:
        raise UserError("only one frame is left to image; heterogeneity needs two")
    chosen = {name: value[frame] for name, value in values.items()}
    specimen: Specimen = PlacedSpecimen(placed, frame, model, float(table.reach_A[frame].max()))
    # A model is parsed whenever it is asked for, which takes far longer than its projection.
    if sources.models and 12 * len(frame) * len(placed.shown) <= _MOST_BYTES:
        specimen = Conformations(np.stack([placed.position_A(int(number)) for number in frame]), model)
    return Ensemble(
        specimen=specimen,
        cvs=chosen,
        population=population,
        notes=(f"{len(frame)} of {len(frames)} frames of a simulation, {len(placed.shown)} atoms.",),
        mapped=spread_along(next(iter(chosen.values())), population, MAPS),
        energy=energy,
        variables=tuple(cvs),
    )


def _expressions(options: SimulationOptions) -> dict[str, CvExpression]:
    texts = {name: getattr(options, name) for name in ("cv1", "cv2", "cv3") if getattr(options, name)}
    if options.cv_table is not None:
        if texts:
            raise UserError("give collective variables by expressions or by cv_table, not both")
        return {}
    return {name: parse_cv(text) for name, text in (texts or {"cv1": f"rmsd: {options.selection}"}).items()}


def _open(sources: Sources) -> tuple[Topology, Frames]:
    if sources.models:
        atoms = read_atoms(sources.models[0])
        return topology_of(atoms, str(sources.models[0])), ModelFrames(sources.models, atoms.atom_name)
    if sources.topology is None or sources.trajectory is None:
        raise ValueError("a trajectory comes with its topology")
    topology = read_topology(sources.topology)
    return topology, TrajectoryFrames(sources.trajectory, len(topology))


def _placed(
    topology: Topology, frames: Frames, settings: Settings, options: SimulationOptions
) -> tuple[PlacedFrames, ScatteringModel]:
    atomic_number = topology.atomic_number()
    selected = topology.select(options.selection)
    shown = selected[atomic_number[selected] != _HYDROGEN]
    if len(shown) == 0:
        raise UserError(f"{options.selection!r} picks only hydrogens of {topology.source}, which are never shown")
    unknown = shown[atomic_number[shown] == 0]
    if len(unknown):
        name = topology.universe.atoms.names[unknown[0]]
        raise UserError(
            f"{topology.source}: atom {name} is no element; leave it out: --set selection='… not name {name}'"
        )
    fitted = np.empty(0, np.int64)
    if options.superpose != "none":
        fitted = np.flatnonzero(np.isin(shown, topology.select(options.superpose)))
        if len(fitted) < 3:
            raise UserError(f"{options.superpose!r} picks {len(fitted)} of the shown atoms; superposing needs three")
    placed = place_frames(frames, shown, fitted, atomic_number[shown].astype(np.float64))
    return placed, gaussian_model(atomic_number[shown], settings.resolution_A)
