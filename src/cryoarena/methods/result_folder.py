"""Write and read result folders (docs/formats.md)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import Reconstruction, methods
from cryoarena.methods.read_array import read_array
from cryoarena.methods.result_info import read_info
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star_poses
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.mrc import read_grid, write_volume

# Headers keep single precision, and some programs three digits.
_PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Result:
    """A result folder.

    Attributes:
        folder: where it is.
        info: result.json.
        particle_id: (N,).
        embedding: (N, d).
        posterior: (N, K) class probabilities, or None.
        poses: of the N particles, or None where the method estimated none.
        volumes_at: latents (k, d) -> maps (k, D, D, D).
        maps_at_once: how many maps are best asked for in one call.
    """

    folder: Path
    info: dict[str, Any]
    particle_id: NDArray[np.int64]
    embedding: NDArray[np.float32]
    posterior: NDArray[np.float32] | None
    poses: Poses | None
    volumes_at: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    maps_at_once: int


def write_arrays(folder: Path, reconstruction: Reconstruction, particles: ParticleSet) -> None:
    """Write everything of a result but result.json into an existing folder."""
    if reconstruction.rows is not None:
        particles = particles.subset(reconstruction.rows)
    np.save(folder / "embedding.npy", reconstruction.embedding.astype(np.float32))
    np.save(folder / "particle_id.npy", particles.particle_id.astype(np.int64))
    if reconstruction.posterior is not None:
        np.save(folder / "posterior.npy", reconstruction.posterior.astype(np.float32))
    if reconstruction.poses is not None:
        write_star(folder / "poses.star", replace(particles, poses=reconstruction.poses))
    (folder / "model").mkdir()
    reconstruction.save(folder / "model")
    names = [f"{number:04d}.mrc" for number in range(len(reconstruction.representatives))]
    at_once = reconstruction.maps_at_once
    for start in range(0, len(names), at_once):
        volumes = reconstruction.volumes_at(reconstruction.representatives[start : start + at_once])
        for name, volume in zip(names[start : start + at_once], volumes, strict=True):
            write_volume(folder / "volumes" / name, volume, particles.pixel_size_A)
    table = pd.DataFrame({"volume": names})
    for axis in range(reconstruction.representatives.shape[1]):
        table[f"z{axis}"] = reconstruction.representatives[:, axis]
    table.to_csv(folder / "volumes.csv", index=False)


def open_result(folder: Path, particles: ParticleSet, device: str = "cpu") -> Result:
    """Open a result folder whose run succeeded.

    Args:
        folder: the result.
        particles: that it is a result of.
        device: of torch, for maps that are made when they are asked for.

    Raises:
        UserError: when it is none, when the run failed, or when its arrays are damaged or do not match.
    """
    info = read_info(folder)
    if info["status"] != "ok":
        raise UserError(f"{folder} holds a run that is {info['status']}: {info['reason']}")
    particle_id = read_array(folder / "particle_id.npy", 1, "iu", "(N,) particle ids").astype(np.int64)
    ids, times = np.unique(particle_id, return_counts=True)
    if (times > 1).any():
        raise UserError(
            f"{folder / 'particle_id.npy'} names particle {ids[times > 1][0]} {times.max()} times; "
            "give one row per particle"
        )
    unknown = np.setdiff1d(ids, particles.particle_id)
    if len(unknown):
        raise UserError(
            f"{folder / 'particle_id.npy'} names {len(unknown)} particles that are not in the dataset, the first is "
            f"particle {unknown[0]}; remove them"
        )
    embedding = read_array(folder / "embedding.npy", 2, "fiu", "(N, d) latents")
    path = folder / "posterior.npy"
    posterior = read_array(path, 2, "fiu", "(N, K) class probabilities") if path.exists() else None
    for name, array in (("embedding", embedding), ("posterior", posterior)):
        if array is not None and len(array) != len(particle_id):
            raise UserError(
                f"{folder / name}.npy has {len(array)} rows for {len(particle_id)} particle ids; run the method again"
            )
    try:
        reconstruction = methods.get(info["method"]["name"]).load(folder / "model", particles).on_device(device)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"{folder / 'model'} is missing or damaged: {error}; run the method again") from error
    path = folder / "poses.star"
    poses = _poses_of(path, particle_id) if path.exists() else None
    return Result(
        folder, info, particle_id, embedding, posterior, poses, reconstruction.volumes_at, reconstruction.maps_at_once
    )


def check_volumes(folder: Path, box_px: int, pixel_size_A: float) -> None:
    """Check that the maps of a result folder lie on the grid of its dataset; only their headers are read.

    Raises:
        UserError: when one is damaged, or has another box or pixel size.
    """
    for path in sorted((folder / "volumes").glob("*.mrc")):
        box, pixel = read_grid(path)
        if box != box_px or not np.isclose(pixel, pixel_size_A, rtol=_PIXEL_TOLERANCE, atol=0):
            raise UserError(
                f"{path} has a box of {box} at {pixel:g} Å but the dataset has {box_px} at {pixel_size_A:g} Å; "
                "resample the maps to the grid of the dataset, or correct the header"
            )


def _poses_of(path: Path, particle_id: NDArray[np.int64]) -> Poses:
    """Return the poses of a table in the order of the particle ids."""
    in_table, poses = read_star_poses(path)
    order = np.argsort(in_table)
    rows = order[np.minimum(np.searchsorted(in_table, particle_id, sorter=order), len(order) - 1)]
    missing = particle_id[in_table[rows] != particle_id]
    if len(missing):
        raise UserError(
            f"{path} has no pose for {len(missing)} of {len(particle_id)} particles, the first is particle {missing[0]}"
        )
    return poses[rows]
