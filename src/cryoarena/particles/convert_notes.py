"""Tell what a conversion took for granted and what it did not keep."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cryoarena.particles.convert_source import Kind, Source
from cryoarena.particles.cs import READ_FIELDS
from cryoarena.particles.cs_table import read_cs_table
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star_images
from cryoarena.particles.star_particles import READ_COLUMNS

# What tells nothing when it has this value; other fields tell nothing when they are 0.
_PLAIN = {"ctf/scale": 1, "alignments3D/alpha": 1}
_NOT_OF_PARTICLES = ("ctf/type", "blob/import_sig")


def conversion_notes(source: Source, kind: Kind, particles: ParticleSet) -> Iterator[str]:
    """Yield a sentence for everything that a user must know of a conversion into `kind`."""
    if _numbered_by_row(source, particles):
        yield f"particles are numbered by row, because {source.path} gives them no ids"
    dark = particles.contrast_sign < 0
    if source.given.contrast_sign is None and not _tells_contrast(source):
        yield "taken as bright, as RELION and cryoDRGN expect; where protein is dark, give --contrast dark"
    if dark and kind == "star":
        yield (
            "particles are dark, which a .star file cannot tell: RELION needs them inverted "
            "(relion_image_handler --multiply_constant -1)"
        )
    if dark and kind == "pkl":
        yield "particles are dark, which pickles cannot tell: give cryoDRGN --uninvert-data"
    if any(path.suffix == ".mrc" for path in particles.stack_files):
        if kind == "star":
            yield "stacks are named x.mrc:mrcs, which only RELION understands; for other programs link them as x.mrcs"
        if kind == "folder":
            yield "RELION takes the stacks for maps, because they end in .mrc; link them as .mrcs and convert again"
    lost = [*_unread(source), *_unwritten(kind, particles)]
    if lost:
        yield f"not kept: {', '.join(lost)}"


def _tells_contrast(source: Source) -> bool:
    if source.kind == "cs":
        return "blob/sign" in read_cs_table(source.path, source.passthrough)
    return source.kind == "folder" or (source.stack is not None and source.stack.suffix == ".cs")


def _numbered_by_row(source: Source, particles: ParticleSet) -> bool:
    table = source.stack if source.kind == "pkl" else source.path
    if not np.array_equal(particles.particle_id, np.arange(1, len(particles) + 1)) or table is None:
        return False
    # These may be the very ids that a table gives.
    return table.suffix not in (".star", ".cs") or (
        table.suffix == ".star" and read_star_images(table).particle_id is None
    )


def _unread(source: Source) -> Iterator[str]:
    """Yield the columns and fields of the source that nothing here reads and that tell something."""
    for table in source.tables:
        if table.suffix == ".star":
            yield from sorted(_star_columns(table) - READ_COLUMNS)
    if source.kind == "cs":
        fields = read_cs_table(source.path, source.passthrough).fields
        for name in sorted(set(fields) - READ_FIELDS - set(_NOT_OF_PARTICLES)):
            values = fields[name]
            if values.dtype.kind in "SU" or np.any(values != _PLAIN.get(name, 0)):
                yield name


def _star_columns(path: Path) -> set[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return {line.split()[0][1:] for line in stream if line.startswith("_")}


def _unwritten(kind: Kind, particles: ParticleSet) -> Iterator[str]:
    if kind == "cs" and particles.beam_tilt_mrad is not None and np.any(particles.beam_tilt_mrad != 0):
        yield "beam tilt"
    if kind == "cs" and particles.poses is None and particles.half_set is not None:
        yield "half-sets, which cryoSPARC keeps with poses"
