"""What a user may have to tell about a table."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TableOptions:
    """What a user may have to tell about a table.

    A .csv has a header; it and a .star tell particles by a column particle_id (of our particles.star:
    rlnParticleName) or image (rlnImageName, 000012@stack.mrcs). Recognised without telling: latents z0, z1, …; class
    probabilities p0, p1, …; a class as class, label or rlnClassNumber. An .npy holds (N, d) latents, (N,) classes or,
    if told, (N, K) probabilities; its rows are those of `ids`, or all particles in the order of the dataset.

    The folder of maps has volumes.csv with a column volume (a file of the folder) and what it belongs to: latents z0,
    z1, …, or class, or particle_id or image. Without volumes.csv there is one map per class, numbered or named as it
    (class003.mrc, open.mrc).

    Attributes:
        program: name and version of the program, recorded in the result.
        ids: of an .npy: .npy or .txt of particle ids or images, or the .star or .cs that the program was given.
        values: what an .npy holds: latents, classes or probabilities.
        latents: columns of the latents, separated by commas.
        label: column of the class, a number or a name.
        probabilities: columns of the class probabilities, separated by commas.
        maps: folder of the maps.
        pixel_size_A: of the maps, where their headers do not tell it.
        inverted: whether protein is negative in the maps.
    """

    program: str = ""
    ids: Path | None = None
    values: str | None = None
    latents: str | None = None
    label: str | None = None
    probabilities: str | None = None
    maps: str | None = None
    pixel_size_A: float | None = None
    inverted: bool = False
