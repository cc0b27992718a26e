"""RELION's multi-body refinement as a method."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod
from cryoarena.methods.external.relion.bodies import Body, cut_bodies, read_bodies, write_bodies
from cryoarena.methods.external.relion.body_maps import BodyMaps, load_body_maps
from cryoarena.methods.external.relion.job_folder import Iteration, whole_iterations
from cryoarena.methods.external.relion.mpirun import has_mpirun, no_mpirun, refine_mpi
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.relion.read_multibody import ANALYSIS, MultibodyImportOptions, read_multibody
from cryoarena.methods.external.relion.refine import (
    REFERENCE,
    TABLE,
    RefineOptions,
    make_reference,
    particle_diameter_A,
    progress_of,
    write_input,
)
from cryoarena.methods.external.run_program import Command, ProgramFailed
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import read_volume

_BODIES, _CONSENSUS = "bodies.star", "consensus"
# Of RELION's interface: the search for shifts, and below which resolution half-sets are not independent.
_OFFSET_RANGE_PX, _OFFSET_STEP_PX, _JOINED_A = 3.0, 1.5, 40
_MOVIES = 10


@dataclass(frozen=True)
class MultibodyOptions(RefineOptions):
    """Options of `relion-multibody`.

    Attributes:
        bodies: STAR file of the bodies and their masks, as RELION reads it; by default they are cut out of the map of
            all images, which is a guess.
        body_count: number of bodies to cut.
        sigma_angle_deg, sigma_offset_A: widths of the priors of motion of every body, where `bodies` tells none.
        healpix_order: of the first search for orientations, before oversampling: 3 for 7.5°, 4 for 3.75°. A search goes
            three of these steps far from where a body was last.
        iterations: at most; what has not converged then is brought to its end in one more.
        components: number of principal components of motion that the latents are of.
    """

    bodies: Path | None = None
    body_count: int = 2
    sigma_angle_deg: float = 10.0
    sigma_offset_A: float = 10.0
    healpix_order: int = 3
    iterations: int = 10
    components: int = 3


@method
class RelionMultibody(ExternalMethod[MultibodyOptions]):
    """Multi-body refinement from given poses, and the principal components of the bodies' motion."""

    card = MethodCard(
        name="relion-multibody",
        title="RELION multi-body",
        family="rigid bodies",
        summary="RELION multi-body refinement from given poses: latents are principal components of the motion of "
        "bodies, maps are bodies put together by relion_flex_analyse. Unless masks are given, bodies are cut out of "
        "the map of all images by k-means.",
        citation="Nakane et al. 2018, doi:10.7554/eLife.36861",
        heterogeneity="continuous",
        resources=Resources(threads=2, minutes=120.0, minutes_per_gigapixel=6000.0),
    )
    options = MultibodyOptions
    import_options = MultibodyImportOptions
    tool = RELION

    def commands(self, particles: ParticleSet, options: MultibodyOptions, run: Run, work: Path) -> Iterator[Command]:
        """Make half-maps of the given poses, refine the bodies from those, and analyse their motion."""
        given = _given_bodies(particles, options)
        _check(particles, options, options.body_count if given is None else len(given))
        if given is not None:
            write_bodies(work, _BODIES, given, particles.pixel_size_A)
        write_input(particles, work)
        (work / _CONSENSUS).mkdir(exist_ok=True)
        yield from make_reference(work)
        if _last(work / _CONSENSUS) is None:
            yield _consensus(particles, options, run)
        consensus = _required(work / _CONSENSUS)
        if not (work / _BODIES).is_file():
            _cut_bodies(consensus, particles, options, work)
        yield from _refine(consensus, particles, options, run, work)
        yield _analyse(_required(work / self.output), options)

    def progress(self, line: str) -> Done | None:
        """Return which iteration is running; how many there will be is not told."""
        done = progress_of(line, 0)
        return None if done is None else Done(done.done, done.done + 2, done.note)

    def reading(self, options: MultibodyOptions) -> MultibodyImportOptions:
        """Return how many components are wanted."""
        return MultibodyImportOptions(components=options.components)

    def read(self, folder: Path, particles: ParticleSet, options: MultibodyImportOptions) -> BodyMaps:
        """Read a job folder."""
        return read_multibody(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> BodyMaps:
        """Read saved bodies and their motion."""
        return load_body_maps(folder, particles)

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why it cannot run on these particles, or here."""
        if (reason := super().not_applicable(particles)) is not None:
            return reason
        return None if has_mpirun() else no_mpirun()


def _given_bodies(particles: ParticleSet, options: MultibodyOptions) -> list[Body] | None:
    """Return the bodies of the option `bodies`, or None where they are to be cut."""
    if options.bodies is None:
        return None
    return read_bodies(options.bodies, particles, options.sigma_angle_deg, options.sigma_offset_A)


def _check(particles: ParticleSet, options: MultibodyOptions, bodies: int) -> None:
    """Check options that may be wrong; `bodies` is the number of bodies, given or to be cut.

    Raises:
        UserError: when one is.
    """
    # relion_flex_analyse wants as many images as there are coordinates.
    most = len(particles) // 6
    if not 2 <= bodies <= most:
        raise UserError(f"{len(particles)} images allow 2 to {most} bodies, not {bodies}; change option body_count")
    if options.iterations < 1:
        raise UserError(f"option iterations must be at least 1, not {options.iterations}")
    if not 1 <= options.components <= 6 * bodies:
        raise UserError(
            f"option components must be from 1 to {6 * bodies}, six for every body, not {options.components}"
        )


def _consensus(particles: ParticleSet, options: MultibodyOptions, run: Run) -> Command:
    """Return the command for one iteration of an auto-refinement that leaves the poses as they are."""
    words = ["--i", TABLE, "--ref", REFERENCE, "--o", f"{_CONSENSUS}/run"]
    words += ["--auto_refine", "--split_random_halves", "--skip_align", "--auto_iter_max", "1"]
    words += ["--ctf", "--flatten_solvent", "--zero_mask", "--dont_check_norm", "--norm", "--scale", "--pad", "2"]
    words += ["--low_resol_join_halves", str(_JOINED_A), "--random_seed", str(run.seed)]
    words += ["--particle_diameter", f"{particle_diameter_A(particles, options):g}"]
    return refine_mpi(words, options.threads)


def _cut_bodies(consensus: Iteration, particles: ParticleSet, options: MultibodyOptions, work: Path) -> None:
    """Cut bodies out of the mean of the half-maps."""
    halves = [read_volume(consensus.beside(f"half{half}_class001.mrc"))[0] for half in (1, 2)]
    volume = np.asarray(particles.contrast_sign * np.mean(halves, axis=0), np.float32)
    bodies = cut_bodies(volume, options.body_count, options.sigma_angle_deg, options.sigma_offset_A)
    write_bodies(work, _BODIES, bodies, particles.pixel_size_A)


def _refine(
    consensus: Iteration, particles: ParticleSet, options: MultibodyOptions, run: Run, work: Path
) -> Iterator[Command]:
    """Yield the commands that refine the bodies to the end, from the last complete iteration on."""
    output = work / RelionMultibody.output
    always = ["--o", f"{output.name}/run", "--reconstruct_subtracted_bodies"]
    always += ["--gpu"] if run.device.startswith("cuda") else []
    last = _last(output)
    if last is None:
        # RELION takes these for pixels, twice.
        per_px = particles.pixel_size_A
        words = ["--multibody_masks", _BODIES, "--solvent_correct_fsc", "--oversampling", "1"]
        words += ["--healpix_order", str(options.healpix_order)]
        words += ["--auto_local_healpix_order", str(options.healpix_order)]
        words += ["--offset_range", f"{_OFFSET_RANGE_PX / per_px:g}", "--offset_step", f"{_OFFSET_STEP_PX / per_px:g}"]
        # Without, angles are not brought to ±180°, and -2° is 358° to the principal components.
        words += ["--perturb", "0.5"]
        yield _go_on(consensus, [*words, *always, "--auto_iter_max", str(options.iterations)], options, work)
    elif last.number is not None and last.number < options.iterations:
        yield _go_on(last, [*always, "--auto_iter_max", str(options.iterations)], options, work)
    last = _required(output)
    if last.number is not None:
        yield _go_on(last, [*always, "--force_converge"], options, work)


def _last(folder: Path) -> Iteration | None:
    """Return the last iteration that is complete: each process writes a part of the files."""
    for iteration in reversed(whole_iterations(folder)):
        at_end = iteration.number is None
        endings = ("model.star",) if at_end else ("half1_model.star", "half2_model.star", "optimiser.star")
        if all(iteration.beside(ending).is_file() for ending in endings):
            return iteration
    return None


def _required(folder: Path) -> Iteration:
    """Return the last complete iteration.

    Raises:
        ProgramFailed: when there is none.
    """
    last = _last(folder)
    if last is None:
        raise ProgramFailed(f"relion_refine_mpi ended without an error but left no iteration in {folder.name}")
    return last


def _go_on(iteration: Iteration, words: list[str], options: MultibodyOptions, work: Path) -> Command:
    """Return the command that goes on from an iteration."""
    optimiser = iteration.beside("optimiser.star").relative_to(work)
    return refine_mpi(["--continue", str(optimiser), *words], options.threads)


def _analyse(last: Iteration, options: MultibodyOptions) -> Command:
    """Return the command that finds the principal components of the bodies' motion, and shows them."""
    words = ["relion_flex_analyse", "--PCA_orient", "--write_pca_projections"]
    words += ["--do_maps", "--k", str(options.components), "--maps_per_movie", str(_MOVIES)]
    folder = last.data.parent.name
    words += ["--data", f"{folder}/{last.data.name}", "--model", f"{folder}/{last.beside('model.star').name}"]
    return Command([*words, "--bodies", _BODIES, "--o", f"{folder}/{ANALYSIS}"])
