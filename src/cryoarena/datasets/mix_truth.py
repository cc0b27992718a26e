"""Write the truth of a mixture of stacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.mrc import read_volume, write_volume
from cryoarena.volumes.voxel_embedding import voxel_embedding


@dataclass(frozen=True)
class Origin:
    """One of the stacks that are mixed: its name, its table and what is in that."""

    name: str
    table: Path
    particles: ParticleSet


def check_maps(maps: Sequence[Path], particles: ParticleSet) -> None:
    """Check that masks can be made of maps, and that they are as large as the images.

    Raises:
        UserError: when one has another box or pixel size, or all are equal or empty.
    """
    masks = MaskBuilder(particles.box_px, particles.pixel_size_A)
    for path in maps:
        volume, pixel_size_A = read_volume(path)
        if volume.shape[0] != particles.box_px or not np.isclose(
            pixel_size_A, particles.pixel_size_A, rtol=1e-3, atol=0
        ):
            raise UserError(
                f"{path} is a map of {volume.shape[0]} px of {pixel_size_A:.4g} Å but the images have "
                f"{particles.box_px} px of {particles.pixel_size_A:.4g} Å; rescale it"
            )
        masks.add(volume)
    try:
        if maps:
            masks.moving()
    except ValueError as error:
        raise UserError(f"no masks can be made of the --maps: {error}") from error


def write_mix_truth(
    out: Path,
    particles: ParticleSet,
    conformation: NDArray[np.int64],
    rows: NDArray[np.int64],
    origins: Sequence[Origin],
    maps: Sequence[Path],
    cvs: Mapping[str, Sequence[float]],
) -> None:
    """Write `truth/`: the origin of every particle, where it was there, and a map per origin where they are given.

    Args:
        out: dataset folder.
        particles: N, as they are in the folder.
        conformation: (N,) origin of each.
        rows: (N,) row of each in the table of its origin.
        origins: K.
        maps: K maps, or none.
        cvs: name -> (K,) value of each origin.

    Raises:
        UserError: when the disk is full.
    """
    truth = out / "truth"
    names = [f"{number:04d}.mrc" for number in range(len(maps))]
    if maps:
        _write_maps(truth, names, maps, particles)
    count = len(origins)
    columns: dict[str, Any] = {f"cv_{name}": np.asarray(values, np.float64) for name, values in cvs.items()}
    _write_parquet(
        truth / "conformations.parquet",
        {
            "conformation": np.arange(count),
            **columns,
            "population": np.bincount(conformation, minlength=count) / len(conformation),
            "volume": names or [""] * count,
            "origin": [origin.name for origin in origins],
        },
    )
    image = np.empty(len(rows), dtype=object)
    particle_id = np.empty(len(rows), np.int64)
    for number, origin in enumerate(origins):
        here = conformation == number
        mine = origin.particles.subset(rows[here])
        files = np.array([str(path) for path in mine.stack_files], dtype=object)[mine.stack_index]
        image[here] = [f"{index + 1:06d}@{file}" for index, file in zip(mine.slice_index, files, strict=True)]
        particle_id[here] = mine.particle_id
    _write_parquet(
        truth / "particles.parquet",
        {
            "particle_id": particles.particle_id,
            "conformation": conformation,
            **{name: values[conformation] for name, values in columns.items()},
            "origin_row": rows + 1,
            "origin_image": image,
            "origin_particle_id": particle_id,
        },
    )


def _write_maps(truth: Path, names: Sequence[str], maps: Sequence[Path], particles: ParticleSet) -> None:
    masks = MaskBuilder(particles.box_px, particles.pixel_size_A)
    for name, path in zip(names, maps, strict=True):
        volume = read_volume(path)[0]
        write_volume(truth / "volumes" / name, volume, particles.pixel_size_A)
        masks.add(volume)
    mask = masks.whole()
    write_volume(truth / "mask.mrc", mask, particles.pixel_size_A)
    write_volume(truth / "mask_moving.mrc", masks.moving(), particles.pixel_size_A)
    with atomic_path(truth / "voxel_embedding.npy") as temporary, temporary.open("wb") as stream:
        np.save(stream, voxel_embedding((read_volume(truth / "volumes" / name)[0] for name in names), mask))


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)
