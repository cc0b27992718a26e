"""Gather what relion_flex_analyse needs of the folder of a multi-body refinement."""

import re
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.relion.flex_folder import (
    BODIES,
    MODEL,
    FlexFolder,
    map_paths,
    mask_path,
    open_flex_folder,
    read_axes,
)
from cryoarena.methods.external.relion.job_folder import Iteration
from cryoarena.particles.star_table import Column, write_table
from cryoarena.volumes.mrc import read_volume, write_volume

_BODY_MAP = re.compile(r"\S+_body(\d{3})\.mrc")
# RELION writes six digits.
_SAME_AXIS = 1e-3


def gather_bodies(iteration: Iteration, folder: Path) -> FlexFolder:
    """Gather the files of a multi-body refinement in an empty folder. Before its end, halves are averaged.

    Raises:
        UserError: when one is missing, or bodies turn in a way that relion_flex_analyse cannot be told.
    """
    halves = ("",) if iteration.number is None else ("half1_", "half2_")
    model = iteration.beside(f"{halves[0]}model.star")
    axis = read_axes(model)
    numbers = range(1, len(axis) + 1)
    maps = [[iteration.beside(f"{half}body{number:03d}.mrc") for half in halves] for number in numbers]
    masks = [iteration.body_mask(number) for number in numbers]
    if missing := [path for path in (*chain.from_iterable(maps), *masks) if not path.is_file()]:
        raise UserError(f"{missing[0]} is missing; copy the maps and masks of all bodies, or choose another iteration")
    for path, sources, mask in zip(map_paths(folder, len(axis)), maps, masks, strict=True):
        volumes, pixel_sizes_A = zip(*(read_volume(source) for source in sources), strict=True)
        write_volume(path, np.mean(volumes, axis=0), pixel_sizes_A[0])
        shutil.copyfile(mask, mask_path(path))
    (folder / MODEL).write_text(_BODY_MAP.sub(r"body\1.mrc", model.read_text(encoding="utf-8")), encoding="utf-8")
    _write_bodies(folder, axis)
    return open_flex_folder(folder)


def _write_bodies(folder: Path, axis: NDArray[np.float64]) -> None:
    """Write bodies.star, with the body that each turns relative to as told by the directions of the model."""
    masks = [mask_path(path) for path in map_paths(folder, len(axis))]
    # RELION rounds the centres, and counts the middle of the box as number 0.
    centres = np.stack([np.zeros(3), *(_centre_px(read_volume(mask)[0]) for mask in masks)])
    relative_to = []
    for number, direction in enumerate(axis, 1):
        towards = centres - centres[number]
        length = np.linalg.norm(towards, axis=1)
        error = np.linalg.norm(towards / np.maximum(length, 1)[:, None] - direction, axis=1)
        error[length == 0] = np.inf
        if error.min() > _SAME_AXIS:
            raise UserError(
                f"body {number} of {folder} turns about a direction of its own, not relative to another body, which "
                "relion_flex_analyse cannot be told; refine again with _rlnBodyRotateRelativeTo"
            )
        # Number 0 last, where two bodies and the middle are in a line.
        relative_to.append(int(np.flatnonzero(error <= _SAME_AXIS)[-1]))
    columns = [
        Column("rlnBodyMaskName", [mask.name for mask in masks]),
        Column("rlnBodyRotateRelativeTo", np.array(relative_to)),
        Column("rlnBodySigmaAngles", np.ones(len(masks))),
        Column("rlnBodySigmaOffsetAngst", np.ones(len(masks))),
    ]
    with (folder / BODIES).open("w", encoding="utf-8") as stream:
        write_table(stream, "", columns)


def _centre_px(mask: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the centre of mass (x, y, z) from the middle of the box, in whole pixels as RELION rounds."""
    positive = np.maximum(mask, 0).astype(np.float64)
    places = np.stack([np.arange(side) - side // 2 for side in mask.shape])
    sums = [positive.sum(axis=tuple(np.delete([0, 1, 2], axis))) @ places[axis] for axis in (2, 1, 0)]
    centre = np.array(sums) / positive.sum()
    return np.asarray(np.sign(centre) * np.floor(np.abs(centre) + 0.5))
