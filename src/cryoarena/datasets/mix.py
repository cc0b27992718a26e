"""Mix stacks that were recorded one by one: the origin of a particle is its label.

The idea of engineered labels (Kinman, Grassetti, Carreira & Davis 2025, doi:10.1063/4.0001019): complexes that differ
by design are prepared, frozen and imaged apart, so that the state of every real image is known for certain.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena import __version__
from cryoarena.datasets.base import CollectiveVariable, DatasetCard
from cryoarena.datasets.making import MAKING, is_begun
from cryoarena.datasets.mix_truth import Origin, check_maps, write_mix_truth
from cryoarena.datasets.mixable import require_mixable
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.errors import UserError
from cryoarena.files import remove_temporary_files, require_empty_output, require_free_space, sha256_of, write_json
from cryoarena.particles.dataset_folder import open_particles, write_tables
from cryoarena.particles.join import join_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.progress import progress_bar

_SHARD_IMAGES = 1000
_BATCH = 100


@dataclass(frozen=True)
class Mixture:
    """What to mix.

    Attributes:
        tables: K dataset folders, .star or .cs files, one per origin.
        counts: (K,) particles to take of each.
        name: of the new dataset.
        seed: of the draw, the order and the half-sets.
        copy: write the images anew; otherwise tables name them where they are, which tells the origin.
        maps: (K,) a map per origin in the frame of the given poses, or empty.
        cvs: (K,) values of what tells the origins apart, e.g. a length.
    """

    tables: tuple[Path, ...]
    counts: tuple[int, ...]
    name: str = "mix"
    seed: int = 0
    copy: bool = False
    maps: tuple[Path, ...] = ()
    cvs: tuple[tuple[CollectiveVariable, tuple[float, ...]], ...] = ()


def mix_stacks(mixture: Mixture, out: Path, overwrite: bool = False) -> int:
    """Write a dataset folder of particles drawn without replacement, in random order; return how many there are.

    Labels, origins and the identity of every particle in its own table are in `truth/` only.

    Raises:
        UserError: when a stack is smaller than asked for, the stacks do not go together, or the folder is in use.
    """
    _require_one_each(mixture)
    sets = [open_particles(table) for table in mixture.tables]
    require_mixable(mixture.tables, sets, mixture.counts)
    check_maps(mixture.maps, sets[0])
    sources = _sources(mixture)
    dataset_id = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    begun = is_begun(out, dataset_id, overwrite)
    inputs = [*mixture.tables, *mixture.maps, *(file for one in sets for file in one.stack_files)]
    if not begun and not overwrite:
        require_empty_output(out, False, inputs)
    n, box_px = sum(mixture.counts), sets[0].box_px
    require_free_space(out, 4 * n * box_px**2 if mixture.copy else 0)
    if begun:
        remove_temporary_files(out)
    else:
        require_empty_output(out, overwrite, inputs)
    write_json(out / MAKING, {"id": dataset_id})

    conformation, rows = _draw(mixture, sets)
    drawn = join_particles(sets).subset(_row_of_all(sets, conformation, rows))
    halves = RandomStreams(mixture.seed).generator("half-set").permutation(np.arange(n) % 2)
    particles = replace(drawn, particle_id=np.arange(1, n + 1), half_set=halves)
    if mixture.copy:
        particles = _copied(particles, out)
    origins = [
        Origin(name, table, one) for name, table, one in zip(_names(mixture.tables), mixture.tables, sets, strict=True)
    ]
    write_mix_truth(
        out, particles, conformation, rows, origins, mixture.maps, {cv.name: values for cv, values in mixture.cvs}
    )
    write_json(out / "truth" / "mixture.json", sources)
    _write_card(mixture, particles, dataset_id, write_tables(out, particles), out)
    (out / MAKING).unlink()
    return n


def _require_one_each(mixture: Mixture) -> None:
    k = len(mixture.tables)
    if k < 2:
        raise UserError(f"a mixture needs at least 2 stacks, not {k}")
    lengths = {"--counts": len(mixture.counts), "--maps": len(mixture.maps) or k}
    lengths |= {f"--cv {cv.name}": len(values) for cv, values in mixture.cvs}
    for what, length in lengths.items():
        if length != k:
            raise UserError(f"{what} has {length} values for {k} stacks; give one for each, in the same order")
    names = [cv.name for cv, _ in mixture.cvs]
    for cv, values in mixture.cvs:
        if not np.isfinite(values).all():
            raise UserError(f"--cv {cv.name} has a value that is not a finite number")
        if names.count(cv.name) > 1:
            raise UserError(f"--cv {cv.name} is given twice; give it once")
    if min(mixture.counts) < 1:
        raise UserError(f"--counts must be at least 1 for each stack, not {min(mixture.counts)}")


def _draw(mixture: Mixture, sets: Sequence[ParticleSet]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return origin (N,) and row in its own table (N,) of every particle, in random order."""
    streams = RandomStreams(mixture.seed)
    picked = [
        streams.generator("pick", number).choice(len(one), count, replace=False)
        for number, (one, count) in enumerate(zip(sets, mixture.counts, strict=True))
    ]
    order = streams.generator("order").permutation(sum(mixture.counts))
    return np.repeat(np.arange(len(sets)), mixture.counts)[order], np.concatenate(picked)[order]


def _row_of_all(
    sets: Sequence[ParticleSet], conformation: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    starts = np.cumsum([0, *(len(one) for one in sets)])
    return np.asarray(starts[conformation] + rows)


def _copied(particles: ParticleSet, out: Path) -> ParticleSet:
    """Write the images into shards of their own, one after another; shards that are there are kept."""
    n = len(particles)
    starts = range(0, n, _SHARD_IMAGES)
    paths = [out / "particles" / f"{number:04d}.mrcs" for number in range(len(starts))]
    with progress_bar("Copying images") as report:
        for start, path in zip(starts, paths, strict=True):
            end = min(start + _SHARD_IMAGES, n)
            if path.exists():
                continue
            with StackWriter(path, end - start, particles.box_px, particles.pixel_size_A) as stack:
                for first in range(start, end, _BATCH):
                    stack.append(particles.images(slice(first, min(first + _BATCH, end))))
                    report(min(first + _BATCH, end), n)
    index = np.arange(n)
    return replace(
        particles, stack_files=tuple(paths), stack_index=index // _SHARD_IMAGES, slice_index=index % _SHARD_IMAGES
    )


def _names(tables: Sequence[Path]) -> list[str]:
    """Call every origin by the name of its folder or file or, where these are not distinct, by its path."""
    names = [table.name if table.is_dir() else table.stem for table in tables]
    return names if len(set(names)) == len(names) else [str(table) for table in tables]


def _sources(mixture: Mixture) -> dict[str, Any]:
    """Return all that fixes the mixture. It tells the populations, so that it is kept in the truth."""
    stars = [table / "particles.star" if table.is_dir() else table for table in mixture.tables]
    return {
        "name": mixture.name,
        "origins": [
            {"name": name, "table": str(table.resolve()), "sha256": sha256_of(star), "particles": count}
            for name, table, star, count in zip(
                _names(mixture.tables), mixture.tables, stars, mixture.counts, strict=True
            )
        ],
        "maps": [{"file": path.name, "sha256": sha256_of(path)} for path in mixture.maps],
        "cvs": {cv.name: list(values) for cv, values in mixture.cvs},
        "seed": mixture.seed,
        "copy": mixture.copy,
        "generator": __version__,
    }


def _write_card(mixture: Mixture, particles: ParticleSet, dataset_id: str, tables: list[Path], out: Path) -> None:
    """Write dataset.json, the last file; it tells neither the origins nor how many particles are of each."""
    card = asdict(
        DatasetCard(
            name=mixture.name,
            title=mixture.name,
            kind="discrete, recorded apart",
            summary=f"{len(mixture.tables)} stacks in one; a particle's label is the stack that it comes from.",
            citation="Kinman, Grassetti, Carreira & Davis 2025, doi:10.1063/4.0001019",
            licence="that of the stacks",
            sources=(),
            cvs=tuple(cv for cv, _ in mixture.cvs),
        )
    )
    notes = [] if mixture.copy else ["Images are where they were: their paths in particles.star tell the origin."]
    if particles.poses is None or particles.ctf is None:
        notes.append("Poses and CTF parameters are given where every stack has them.")
    shards = particles.stack_files if mixture.copy else ()
    files = sorted({*tables, *shards, *(path for path in (out / "truth").rglob("*") if path.is_file())})
    write_json(
        out / "dataset.json",
        {
            "format": 1,
            "id": dataset_id,
            "name": mixture.name,
            "cvs": card.pop("cvs"),
            "card": card,
            "recipe": {
                "images": len(particles),
                "conformations": len(mixture.tables),
                "box_px": particles.box_px,
                "pixel_size_A": particles.pixel_size_A,
                "contrast_sign": particles.contrast_sign,
                "seed": mixture.seed,
                "linked": not mixture.copy,
            },
            "generator": {"cryoarena": __version__},
            "notes": notes,
            "files": {path.relative_to(out).as_posix(): sha256_of(path) for path in files},
        },
    )
