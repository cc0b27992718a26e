"""Read the folder of `recovar pipeline` as a reconstruction of a dataset's particles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.match_rows import match_table
from cryoarena.methods.external.recovar.result_folder import Pipeline, read_pipeline
from cryoarena.methods.external.recovar.states import StateMaker, state_maps
from cryoarena.particles.particle_set import ParticleSet

STATES = "states/latent_coords.txt"


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about the folder of a pipeline.

    Attributes:
        zdim: rank of the latents to take; the largest by default.
        particles: the table that RECOVAR was given, if it is no longer where job.json says.
        states: latent_coords.txt of a folder of `recovar compute_state`: every latent has the map of the nearest of
            its states. By default states/latent_coords.txt in the folder of the pipeline, or, where there is none,
            every map that is asked for is computed, which takes minutes each.
        maps: whether maps are wanted; without, the latents alone are taken.
    """

    zdim: int | None = None
    particles: Path | None = None
    states: Path | None = None
    maps: bool = True


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions) -> Reconstruction:
    """Read what `recovar pipeline -o folder` wrote.

    Raises:
        UserError: when the folder is of another program, latents or states are missing, or rows and particles do not
            match.
    """
    pipeline = read_pipeline(folder)
    zdim = options.zdim or max(pipeline.zdims, default=0)
    if zdim not in pipeline.zdims:
        have = ", ".join(map(str, pipeline.zdims)) or "none"
        raise UserError(f"{folder} has no latents of zdim {zdim}; there are: {have}")
    latents = pipeline.latents(zdim)
    order = match_table(options.particles or _table(pipeline), particles)
    if len(order) != len(latents):
        raise UserError(
            f"{folder} has {len(latents)} latents but its table names {len(order)} images; give the table that "
            "RECOVAR was given with --set particles=TABLE"
        )
    used = np.isfinite(latents).all(axis=1)
    kept = np.flatnonzero(used)[np.argsort(order[used])]
    embedding, rows = latents[kept], order[kept]
    # Automatically, RECOVAR makes protein positive; images of bright particles must have their sign changed for that.
    opposite = pipeline.sign in ("true", "false") and (pipeline.sign == "true") != (particles.contrast_sign > 0)
    states, paths = _states(options, folder, zdim)
    notes = _notes(pipeline, particles, len(rows), opposite)
    about = {
        "program": f"RECOVAR {pipeline.version}",
        "arguments": pipeline.command,
        "zdim": zdim,
        "box_px": pipeline.box_px,
    }
    all_rows = rows if len(rows) < len(particles) else None
    if options.maps and not paths:
        maker = StateMaker(pipeline, particles, order, opposite)
        return DecodedReconstruction(maker, embedding, all_rows, notes=notes, found=about)
    if paths:
        require_field(paths, particles)
    maps = MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite)
    return GivenMaps(embedding, states, np.arange(len(paths)), maps, rows=all_rows, notes=notes, found=about)


def _table(pipeline: Pipeline) -> Path:
    """Return the table that RECOVAR was given: where it says, else beside its folder."""
    path = Path(pipeline.particles)
    for candidate in (path, pipeline.folder.parent / path.name):
        if candidate.is_file():
            return candidate
    raise UserError(
        f"{pipeline.folder / 'job.json'} names {path}, which does not exist; give it with --set particles=FILE"
    )


def _states(options: ImportOptions, folder: Path, zdim: int) -> tuple[NDArray[np.float32], tuple[Path, ...]]:
    """Return the states (m, zdim) that have maps, and the maps; m is 0 where there are none, or none are wanted."""
    path = options.states or folder / STATES
    if not (options.maps and path.is_file()):
        return np.empty((0, zdim), np.float32), ()
    try:
        states = np.loadtxt(path, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise UserError(f"{path} holds no latents: {error}") from error
    if states.shape[1] != zdim:
        raise UserError(
            f"{path} holds states of zdim {states.shape[1]}, not {zdim}; choose --set zdim={states.shape[1]}"
        )
    return states, state_maps(path.parent, len(states))


def _notes(pipeline: Pipeline, particles: ParticleSet, rows: int, opposite: bool) -> tuple[str, ...]:
    notes = []
    if rows < len(particles):
        notes.append(
            f"{len(particles) - rows} of {len(particles)} particles have no latent: the program was run without"
        )
    if pipeline.box_px != particles.box_px:
        notes.append(
            f"the program worked on images of {pipeline.box_px} px; its maps are brought to {particles.box_px} px"
        )
    if pipeline.oversized:
        notes.append(
            "without a GPU RECOVAR 1.0.5 makes mean and maps twice as large as they are: scores of maps, and perhaps "
            "of latents, say nothing of the program; `cryoarena run recovar` puts it right"
        )
    if opposite:
        notes.append("the program was told the wrong sign of the images; the sign of its maps is changed")
    return tuple(notes)
