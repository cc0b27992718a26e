"""The bodies of a multi-body refinement: given by a user, or cut out of a map."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from sklearn.cluster import KMeans

from cryoarena.errors import UserError
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.star_table import Column, Table, read_tables, write_table
from cryoarena.volumes.mask import soft_mask
from cryoarena.volumes.mrc import read_volume, write_volume

_MASK, _RELATIVE_TO, _SIGMA_ANGLE = "rlnBodyMaskName", "rlnBodyRotateRelativeTo", "rlnBodySigmaAngles"
# RELION 3.1 reads the width in pixels and forgets it.
_SIGMA_OFFSET, _SIGMA_OFFSET_PX = "rlnBodySigmaOffsetAngst", "rlnBodySigmaOffset"
# of the box
_SMOOTHING, _DILATION, _SOFT_EDGE = 1 / 48, 0.04, 0.06
# of the density that most of the molecule has
_FAINTEST = 0.2
# of the largest part
_SMALLEST_PART = 0.05


@dataclass(frozen=True)
class Body:
    """A part of a molecule that moves as a whole.

    Attributes:
        mask: (D, D, D) between 0 and 1.
        relative_to: number, from 1, of the body that it turns relative to; 0 for the middle of the box.
        sigma_angle_deg, sigma_offset_A: widths of the priors of its motion.
    """

    mask: NDArray[np.float32]
    relative_to: int
    sigma_angle_deg: float
    sigma_offset_A: float


def cut_bodies(consensus: NDArray[np.float32], count: int, sigma_angle_deg: float, sigma_offset_A: float) -> list[Body]:
    """Cut a map into compact bodies by k-means of its density, the heaviest first.

    Nothing is known of what moves: the places of the cuts are a guess that a user who knows the molecule betters.
    The masks are grown, so that neighbours overlap, and have soft edges.

    Args:
        consensus: (D, D, D) map of all images, protein positive.
        count: of bodies.
        sigma_angle_deg, sigma_offset_A: widths of the priors of every body.

    Raises:
        UserError: when the map has less density than bodies need.
    """
    box_px = len(consensus)
    density = gaussian_filter(np.maximum(consensus, 0), _SMOOTHING * box_px)
    typical = float(np.square(density).sum() / max(density.sum(), np.finfo(np.float32).tiny))
    region = _without_islands(density > _FAINTEST * typical)
    places = np.argwhere(region)
    if len(places) < count:
        raise UserError(f"the map of all images has too little density for {count} bodies; give masks with bodies=FILE")
    weight = density[region]
    found = KMeans(count, n_init=10, random_state=0).fit(places, sample_weight=weight)
    mass = np.bincount(found.labels_, weights=weight, minlength=count)
    bodies = []
    for number, heaviest in enumerate(np.argsort(-mass)):
        core = np.zeros_like(region)
        core[tuple(places[found.labels_ == heaviest].T)] = True
        mask = soft_mask(core, _DILATION * box_px, _SOFT_EDGE * box_px, pixel_size_A=1)
        bodies.append(Body(mask, 2 if number == 0 else 1, sigma_angle_deg, sigma_offset_A))
    return bodies


def read_bodies(path: Path, particles: ParticleSet, sigma_angle_deg: float, sigma_offset_A: float) -> list[Body]:
    """Read a STAR file of bodies as RELION defines it, and their masks, named as seen from here or from the file.

    Args:
        path: of the file.
        particles: of the dataset.
        sigma_angle_deg, sigma_offset_A: widths of the priors where the file tells none.

    Raises:
        UserError: when it is no such file, or a mask is missing, of another box, or not between 0 and 1.
    """
    numbers = {_RELATIVE_TO, _SIGMA_ANGLE, _SIGMA_OFFSET, _SIGMA_OFFSET_PX}
    tables = read_tables(path, numbers, {_MASK})
    table = next((table for table in tables.values() if _MASK in table), None)
    if table is None or len(table) < 2:
        raise UserError(f"{path} does not list the masks of two or more bodies in a column _{_MASK}")
    relative_to = _numbers(table, _RELATIVE_TO, 0)
    angle_deg = _numbers(table, _SIGMA_ANGLE, sigma_angle_deg)
    offset_A = _numbers(table, _SIGMA_OFFSET, sigma_offset_A)
    if _SIGMA_OFFSET not in table and _SIGMA_OFFSET_PX in table:
        offset_A = table.numbers[_SIGMA_OFFSET_PX] * particles.pixel_size_A
    bodies = []
    for row, name in enumerate(table.text[_MASK]):
        others = np.delete(np.arange(len(table) + 1), row + 1)
        if relative_to[row] not in others or not angle_deg[row] >= 0 or not offset_A[row] >= 0:
            raise UserError(
                f"row {row + 1} of {path} must name another body, or 0, in _{_RELATIVE_TO}, and no negative widths"
            )
        mask = _read_mask(path, name, particles)
        bodies.append(Body(mask, int(relative_to[row]), float(angle_deg[row]), float(offset_A[row])))
    return bodies


def write_bodies(folder: Path, name: str, bodies: list[Body], pixel_size_A: float) -> None:
    """Write the masks into a folder, as mask001.mrc …, and, last, the STAR file that names them as seen from there."""
    names = [f"mask{number:03d}.mrc" for number in range(1, len(bodies) + 1)]
    for mask_name, body in zip(names, bodies, strict=True):
        write_volume(folder / mask_name, body.mask, pixel_size_A)
    columns = [
        Column(_MASK, names),
        Column(_RELATIVE_TO, np.array([body.relative_to for body in bodies])),
        Column(_SIGMA_ANGLE, np.array([body.sigma_angle_deg for body in bodies])),
        Column(_SIGMA_OFFSET, np.array([body.sigma_offset_A for body in bodies])),
    ]
    partial = folder / f"partial_{name}"
    with partial.open("w", encoding="utf-8") as stream:
        write_table(stream, "", columns)
    partial.rename(folder / name)


def _without_islands(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a region without its small parts, which are noise."""
    parts, _ = label(region)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(region & (sizes[parts] > _SMALLEST_PART * sizes.max()))


def _numbers(table: Table, column: str, default: float) -> NDArray[np.float64]:
    return table.numbers[column] if column in table else np.full(len(table), float(default))


def _read_mask(path: Path, name: str, particles: ParticleSet) -> NDArray[np.float32]:
    """Read the mask that a STAR file names."""
    beside = path.parent / name
    mask = read_volume(beside if beside.is_file() else Path(name), particles.pixel_size_A)[0]
    if len(mask) != particles.box_px:
        raise UserError(f"the mask {name} has a box of {len(mask)} but the images of {particles.box_px}; resize it")
    if not (mask.min() >= 0 and 0 < mask.max() <= 1):
        raise UserError(f"the mask {name} has values from {mask.min():g} to {mask.max():g}; they must be from 0 to 1")
    return mask
