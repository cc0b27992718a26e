"""ManifoldEM as a method."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod, wrong_ctf
from cryoarena.methods.external.given_maps import GivenMaps, load_given_maps
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.manifoldem.program import MANIFOLDEM
from cryoarena.methods.external.manifoldem.project_folder import PARAMETERS, TRAJECTORY, read_project
from cryoarena.methods.external.manifoldem.read_output import ImportOptions, read_output
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star

_STAGE = Path(__file__).with_name("run_stage.py")
_ANCHORS = Path(__file__).with_name("choose_anchors.py")
_STACK, _STAR, _PROJECT = "all.mrcs", "particles.star", "project"
# Of a direction; with fewer a frame would join no image.
_LEAST_IMAGES = 50
_IMAGES_AT_ONCE = 1000
# Names of stages, and how the file of parameters numbers them.
_STAGES = {"calc-distance": 2, "manifold-analysis": 3, "psi-analysis": 4}
_LAST_STAGES = {"find-ccs": 7, "calc-probabilities": 8, "trajectory": TRAJECTORY}
# What begins, with the part of the time that is then over.
_PHASES = {
    "Computing the distances": 0.02,
    "Computing the eigenfunctions": 0.1,
    "Computing the NLSA snapshots": 0.12,
    "computing optical flow": 0.5,
    "Recomputing the NLSA snapshots": 0.6,
    "Writing output files": 0.65,
    "star+mrcs files to mrc": 0.7,
}


@dataclass(frozen=True)
class ManifoldemOptions:
    """Options of `manifoldem`.

    Attributes:
        images_per_direction: mean number of images of a projection direction, at least 50. Fewer see less of the
            motion through the noise, more mix views.
        states: bins of the coordinate, each with a map; images lie between these.
        threads: directions worked on at once.
    """

    images_per_direction: int = 200
    states: int = 50
    threads: int = 1


@method
class Manifoldem(ExternalMethod[ManifoldemOptions]):
    """`manifold-cli`: diffusion maps of the images of every projection direction, joined by belief propagation."""

    card = MethodCard(
        name="manifoldem",
        title="ManifoldEM",
        family="manifold of images",
        summary="ManifoldEM: a coordinate from manifolds of projection directions, joined by rule; given poses.",
        citation="Dashti et al. 2020, doi:10.1038/s41467-020-18403-x",
        heterogeneity="continuous",
        resources=Resources(minutes=60.0, minutes_per_gigapixel=10000.0),
    )
    options = ManifoldemOptions
    import_options = ImportOptions
    tool = MANIFOLDEM
    # It works where it is run.
    output = "."

    def commands(self, particles: ParticleSet, options: ManifoldemOptions, run: Run, work: Path) -> Iterator[Command]:
        """Run the stages that are not over, and reconstruct a map of the images of every bin with RELION."""
        width = _width(particles, options)
        words: list[str | Path] = ["python", _STAGE, RELION.require(), "-n", str(options.threads)]
        parameters = PARAMETERS.format(_PROJECT)
        if not (work / parameters).is_file():
            _write_input(particles, work)
            # What counts is the ratio of resolution and diameter.
            field_A = particles.box_px * particles.pixel_size_A
            size = ["-s", f"{particles.pixel_size_A:.9g}", "-d", f"{field_A:.9g}", "-r", f"{width * field_A:.9g}"]
            least = ["--prd_thres_low", str(_LEAST_IMAGES)]
            yield Command([*words, "init", "-p", _PROJECT, "-a", _STAR, "-i", _STACK, *size, *least, "-o"])
        _set_states(work / parameters, options.states)
        level = read_project(work).level
        for name in (stage for stage, number in _STAGES.items() if number > level):
            yield Command([*words, name, parameters], options.threads)
        if level < _LAST_STAGES["find-ccs"]:
            yield Command(["python", _ANCHORS, parameters])
        for name in (stage for stage, number in _LAST_STAGES.items() if number > level):
            yield Command([*words, name, parameters], options.threads)
        project = read_project(work)
        if project.tables().keys() != project.maps().keys():
            yield Command([*words, "utility", "mrcs2mrc", parameters], options.threads)

    def progress(self, line: str) -> Done | None:
        """Return which stage has begun."""
        return next((Done(part, 1, name) for name, part in _PHASES.items() if name in line), None)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read the folder that ManifoldEM worked in."""
        return read_output(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> GivenMaps:
        """Read back maps that belong to bins."""
        return load_given_maps(folder, particles)

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why ManifoldEM, or RELION for its maps, cannot run."""
        reason = super().not_applicable(particles) or wrong_ctf("ManifoldEM", particles, one_microscope=True)
        if reason is not None:
            return reason
        return RELION.missing() if RELION.find() is None else None


def _width(particles: ParticleSet, options: ManifoldemOptions) -> float:
    """Return the width in radians of a projection direction; the program puts all of them on half of the sphere.

    Raises:
        UserError: when an option makes no sense.
    """
    images = options.images_per_direction
    if not _LEAST_IMAGES <= images <= len(particles) // 2:
        raise UserError(
            f"option images_per_direction is {images}; it must be from {_LEAST_IMAGES} to half of the "
            f"{len(particles)} images"
        )
    if options.states < 2:
        raise UserError(f"option states is {options.states}; it must be at least 2")
    return math.sqrt(2 * math.pi * images / len(particles))


def _write_input(particles: ParticleSet, work: Path) -> None:
    """Write the table, and all images in its order in one stack."""
    write_star(work / _STAR, link_stacks(particles, work))
    with StackWriter(work / _STACK, len(particles), particles.box_px, particles.pixel_size_A) as stack:
        for start in range(0, len(particles), _IMAGES_AT_ONCE):
            stack.append(particles.images(np.arange(start, min(start + _IMAGES_AT_ONCE, len(particles)))))


def _set_states(parameters: Path, states: int) -> None:
    """Write what no argument of the program tells into its file of parameters."""
    lines = parameters.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [f"states_per_coord = {states}\n" if line.startswith("states_per_coord ") else line for line in lines]
    parameters.write_text("".join(changed), encoding="utf-8")
