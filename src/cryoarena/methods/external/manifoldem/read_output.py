"""Read a project of ManifoldEM as a reconstruction of a dataset's particles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cryoarena.errors import UserError
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.manifoldem.project_folder import LANDSCAPE, Direction, Project, read_project
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.particles.particle_set import ParticleSet


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about a project.

    Attributes:
        particles: the .star that ManifoldEM was given, if it is no longer where params_NAME.toml says.
    """

    particles: Path | None = None


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
    """Read what the stages of `manifold-cli` left in the folder that they ran in.

    Raises:
        UserError: when the folder is of another program, stages are missing, or rows and particles do not match.
    """
    project = read_project(folder)
    if project.level < LANDSCAPE:
        raise UserError(f"the project in {folder} has no coordinate yet; run it to the stage calc-probabilities")
    star = options.particles or folder / project.star
    if not star.is_file():
        raise UserError(f"{folder} names {star}, which does not exist; give it with --set particles=FILE.star")
    rows = match_star(star, particles)
    found = project.directions_found()
    named = max((int(direction.images.max()) + 1 for direction in found), default=0)
    if named > len(rows):
        raise UserError(f"the project in {folder} has {named} images or more but {star} {len(rows)} particles")
    values = coordinate(found, len(rows))
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        raise UserError(f"no projection direction of the project in {folder} has a coordinate; choose anchors in it")
    dropped = len(particles) - len(known)
    notes = []
    if dropped:
        notes.append(
            f"{dropped} of {len(particles)} particles have no coordinate: they are outliers, or their projection "
            "direction has too few images or no anchor"
        )
    bins = project.maps()
    paths = tuple(bins.values())
    if not paths:
        notes.append("the project has no maps; make them with manifold-cli utility mrcs2mrc")
    elif (box_px := require_field(paths, particles)) != particles.box_px:
        notes.append(f"the maps have a box of {box_px}; they are brought to {particles.box_px}")
    order = known[np.argsort(rows[known])]
    return GivenMaps(
        values[order, None].astype(np.float32),
        _centres(project, bins),
        np.arange(len(paths)),
        # It turns bright protein dark and back.
        MapFiles(paths, particles.box_px, particles.pixel_size_A, particles.contrast_sign < 0),
        rows=rows[order] if dropped else None,
        notes=tuple(notes),
        found={
            "program": "ManifoldEM",
            "directions": project.directions,
            "directions_with_coordinate": len(found),
            "states": project.states,
        },
    )


def coordinate(directions: list[Direction], images: int) -> NDArray[np.float64]:
    """Return the coordinate of images (N,), NaN where there is none.

    As the program does for its maps, the values of every direction are made to be distributed as those of all are.
    The first and last images of a direction, which fill a frame up, are given the value of the first and last frame.
    """
    values = np.full(images, np.nan)
    if not directions:
        return values
    pooled, counts = np.unique(np.concatenate([direction.tau for direction in directions]), return_counts=True)
    part = np.cumsum(counts) / counts.sum()
    for direction in directions:
        tau = np.interp(rankdata(direction.tau, "max") / len(direction.tau), part, pooled)
        after = len(direction.images) - direction.first - len(tau)
        values[direction.images] = np.pad(tau, (direction.first, after), mode="edge")
    return values


def _centres(project: Project, bins: dict[int, Path]) -> NDArray[np.float32]:
    """Return the coordinates (m, 1) that the maps of bins belong to."""
    return np.array([[(number + project.width / 2) / project.states] for number in bins], np.float32).reshape(-1, 1)
