"""Give an outside program the stacks under names that every program can read."""

from dataclasses import replace
from pathlib import Path

from cryoarena.particles.particle_set import ParticleSet


def link_stacks(particles: ParticleSet, work: Path) -> ParticleSet:
    """Link the stacks as `work/stacks/0000.mrcs` …, and return the particles with these paths.

    Links have no white space in their names, and nothing of a dataset's folder can be reached through them by name.
    """
    folder = work / "stacks"
    folder.mkdir(exist_ok=True)
    links = []
    for number, stack in enumerate(particles.stack_files):
        link = folder / f"{number:04d}.mrcs"
        link.unlink(missing_ok=True)
        link.symlink_to(stack.resolve())
        links.append(link)
    return replace(particles, stack_files=tuple(links))
