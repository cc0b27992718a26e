"""Run relion_refine: its input, a reference, and how to go on where it was interrupted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.methods.base import Run
from cryoarena.methods.external.external_method import Done
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.relion.job_folder import last_iteration
from cryoarena.methods.external.relion.reconstruct import reconstruct_command
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star

TABLE, REFERENCE = "particles.star", "reference.mrc"
_ROOT = "output/run"
# RELION 4 calls the descent of InitialModel an optimisation.
_ITERATION = re.compile(
    r"(?:Expectation|Stochastic Gradient Descent|Gradient optimisation) iteration (\d+)(?: of (\d+))?"
)
# of the box, where a user tells no diameter: the soft edge of the mask needs room
_DIAMETER = 0.9


@dataclass(frozen=True)
class RefineOptions:
    """What every run of relion_refine is told.

    Attributes:
        particle_diameter_A: of the mask around every particle; 0.9 of the box by default.
        threads: of the program.
    """

    particle_diameter_A: float | None = None
    threads: int = 1


def check_classes(classes: int, particles: ParticleSet) -> None:
    """Check the option `classes`.

    Raises:
        UserError: when there are fewer images than classes, or none are wanted.
    """
    if not 1 <= classes <= len(particles):
        raise UserError(f"option classes must be from 1 to {len(particles)}, the number of images, not {classes}")


def write_input(particles: ParticleSet, work: Path) -> None:
    """Write the particle table, with links to the stacks."""
    (work / "output").mkdir(exist_ok=True)
    write_star(work / TABLE, link_stacks(particles, work))


def make_reference(work: Path) -> Iterator[Command]:
    """Yield the command that reconstructs all images into reference.mrc, unless that is done.

    Made of these images and poses, it is on their grey scale, which relion_refine takes the reference to be.
    """
    if not (work / REFERENCE).is_file():
        yield reconstruct_command(TABLE, f"partial_{REFERENCE}")
        (work / f"partial_{REFERENCE}").rename(work / REFERENCE)


def refine(
    words: Sequence[str],
    always: Sequence[str],
    particles: ParticleSet,
    options: RefineOptions,
    run: Run,
    work: Path,
) -> Command:
    """Return the command that refines, from the last complete iteration on.

    Args:
        words: arguments of a new run.
        always: arguments that RELION must be told again when it goes on.
        particles, options, run: as given to the method.
        work: where it runs.
    """
    always = ["--o", _ROOT, "--j", str(options.threads), *always]
    last = last_iteration(work / "output")
    if last is not None:
        earlier = f"output/{last.beside('optimiser.star').name}"
        return Command(["relion_refine", "--continue", earlier, *always], options.threads)
    return Command(
        [
            *("relion_refine", "--i", TABLE, *words, *always),
            # The grey scale is that of the reference or of the first maps, whatever the images are normalised to.
            *("--ctf", "--flatten_solvent", "--zero_mask", "--dont_check_norm"),
            *("--particle_diameter", f"{particle_diameter_A(particles, options):g}", "--random_seed", str(run.seed)),
        ],
        options.threads,
    )


def particle_diameter_A(particles: ParticleSet, options: RefineOptions) -> float:
    """Return the diameter of the mask around every particle."""
    return options.particle_diameter_A or _DIAMETER * particles.box_px * particles.pixel_size_A


def finished(work: Path, iterations: int) -> bool:
    """Tell whether the last iteration is done."""
    last = last_iteration(work / "output")
    return last is not None and last.number is not None and last.number >= iterations


def progress_of(line: str, iterations: int) -> Done | None:
    """Return how far relion_refine is, where a line tells; `iterations` is for lines that do not tell the total."""
    if (found := _ITERATION.search(line)) is None:
        return None
    number, total = int(found[1]), int(found[2] or iterations)
    return Done(number - 1, total, f"iteration {number}")
