"""A folder of maps, and what each belongs to: latents, a class or a particle."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.table.columns import Columns, read_columns
from cryoarena.methods.external.table.read_values import LABELS, LATENTS, Values
from cryoarena.particles.particle_set import ParticleSet

_SUFFIXES = (".mrc", ".map", ".mrc.gz", ".map.gz")
_LIST = "volumes.csv"


def class_maps(folder: Path, values: Values) -> tuple[Path, ...] | None:
    """Return the map of every class, in their order; None where maps belong to something else.

    Raises:
        UserError: when a class has no map or several, or a map is of no class.
    """
    listed = _listed(folder)
    label = listed.first_of(LABELS) if listed else None
    if values.posterior is None or (listed is not None and label is None):
        return None
    if listed is not None and label is not None:
        names = listed.words[label]
        paths = _files(folder, listed)
    else:
        paths = _all_maps(folder)
        names = [_class_of(path) for path in paths]
    classes = values.classes or _plain_numbers(names, values.posterior.shape[1])
    if sorted(names) != sorted(classes):
        raise UserError(
            f"the maps in {folder} are of the classes {', '.join(names)} but particles of {', '.join(classes)}; give "
            f"one map per class, named by it, or tell the class of each in {_LIST} (columns volume,class)"
        )
    return tuple(paths[names.index(name)] for name in classes)


def latent_maps(folder: Path, values: Values, particles: ParticleSet) -> tuple[tuple[Path, ...], NDArray[np.float32]]:
    """Return maps and the latents (m, d) that they belong to.

    Raises:
        UserError: when volumes.csv is missing, names a map that is missing, or does not tell latents or particles.
    """
    listed = _listed(folder)
    if listed is None:
        raise UserError(
            f"{folder} has no {_LIST} that tells what each map belongs to; write one with the columns volume (a file) "
            "and z0,z1,… (latents), class, particle_id or image"
        )
    if values.latents is None:
        raise UserError(f"{folder / _LIST} has no column class, but particles have classes and no latents; add it")
    paths = tuple(_files(folder, listed))
    if listed.tells_particles():
        rows = listed.rows(particles)
        place = np.minimum(np.searchsorted(values.rows, rows), len(values.rows) - 1)
        if (unknown := values.rows[place] != rows).any():
            raise UserError(
                f"row {int(unknown.argmax()) + 1} of {listed.path} is of a particle that the table has no latent of"
            )
        return paths, values.latents[place]
    columns = [name for name in values.latent_columns if name in listed.words] or listed.numbered(LATENTS)
    if len(columns) != values.latents.shape[1]:
        raise UserError(
            f"{listed.path} has {len(columns)} columns of latents but particles have {values.latents.shape[1]} "
            f"({', '.join(values.latent_columns)}); name them alike"
        )
    return paths, listed.numbers(columns)


def _listed(folder: Path) -> Columns | None:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give the folder of the maps by --maps")
    return read_columns(folder / _LIST) if (folder / _LIST).is_file() else None


def _files(folder: Path, listed: Columns) -> list[Path]:
    listed.require(["volume"])
    paths = [folder / name for name in listed.words["volume"]]
    for row, path in enumerate(paths):
        if not path.is_file():
            raise UserError(f"row {row + 1} of {listed.path} names {path}, which does not exist")
    return paths


def _all_maps(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    if not paths:
        raise UserError(f"{folder} has no maps (.mrc or .map)")
    return paths


def _class_of(path: Path) -> str:
    """Return the class that the name of a map tells: run_it025_class003.mrc is 3, open.mrc is open."""
    stem = path.name.split(".")[0]
    numbers = re.findall(r"class_?(\d+)", stem, re.IGNORECASE) or re.findall(r"\d+", stem)
    return str(int(numbers[-1])) if numbers else stem


def _plain_numbers(names: list[str], count: int) -> tuple[str, ...]:
    """Return the numbers of classes that have no names: from 0, or from 1 where the maps are."""
    start = 0 if "0" in names else 1
    return tuple(str(number) for number in range(start, start + count))
