"""Write the truth of a dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.datasets.draw import Drawn
from cryoarena.datasets.parallel import in_parallel
from cryoarena.datasets.rigid_bodies import RigidBodies
from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.imaging.specimen import Conformations, Specimen
from cryoarena.structures.density import ScatteringModel
from cryoarena.structures.render import render_volume
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.mrc import read_volume, write_volume
from cryoarena.volumes.voxel_embedding import voxel_embedding


def write_truth(
    ensemble: Ensemble,
    drawn: Drawn,
    particle_id: NDArray[np.int64],
    settings: Settings,
    amplitude: float,
    continuous: bool,
    out: Path,
    processes: int,
) -> None:
    """Write `truth/`: maps, masks, tables and, where they are known, rigid bodies. Maps that are there are kept.

    Maps are in image units: the sum of a map along z is the CTF-free projection as it stands in the images.
    """
    truth = out / "truth"
    count = len(ensemble.population)
    mapped = np.arange(count) if ensemble.mapped is None else ensemble.mapped
    names = [f"{number:04d}.mrc" for number in mapped]
    jobs = [
        (ensemble.specimen, int(number), settings, amplitude, truth / "volumes" / name)
        for number, name in zip(mapped, names, strict=True)
        if not (truth / "volumes" / name).exists()
    ]
    in_parallel("Writing true maps", processes, _write_true_volume, jobs)
    masks = MaskBuilder(settings.box_px, settings.pixel_size_A)
    for name in names:
        masks.add(read_volume(truth / "volumes" / name)[0])
    try:
        mask, moving = masks.whole(), masks.moving()
    except ValueError as error:
        raise UserError(f"no masks can be made of the true maps: {error}; the conformations must differ") from error
    write_volume(truth / "mask.mrc", mask, settings.pixel_size_A)
    write_volume(truth / "mask_moving.mrc", moving, settings.pixel_size_A)
    if not continuous:
        _write_voxel_embedding(truth, names, mask, amplitude * settings.pixel_size_A)
    if ensemble.energy is not None:
        ensemble.energy.save(truth / "energy.npz")

    cvs = {f"cv_{name}": values for name, values in ensemble.cvs.items()}
    volume = np.full(count, "", dtype=object)
    volume[mapped] = names
    conformations = {"conformation": np.arange(count), **cvs, "population": ensemble.population, "volume": volume}
    if ensemble.state is not None:
        conformations["state"] = ensemble.state
    _write_parquet(truth / "conformations.parquet", conformations)
    particles = drawn.particles
    rotation = particles.poses.rotation_object_to_image
    columns: dict[str, NDArray[Any]] = {
        "particle_id": particle_id,
        "conformation": drawn.conformation,
        **{name: _of_particles(values, drawn.conformation) for name, values in cvs.items()},
        **{f"rotation_object_to_image_{i}{j}": rotation[:, i, j] for i in range(3) for j in range(3)},
        "shift_x_A": particles.poses.shift_A[:, 0],
        "shift_y_A": particles.poses.shift_A[:, 1],
        **drawn.columns,
    }
    _write_parquet(truth / "particles.parquet", columns)
    if ensemble.rigid_bodies is not None:
        _write_bodies(ensemble.specimen, ensemble.rigid_bodies, settings, amplitude, truth)


def _of_particles(values: NDArray[np.float64], conformation: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the CV of every particle; NaN where it has no conformation."""
    return np.where(conformation < 0, np.nan, values[conformation])


def _write_voxel_embedding(
    truth: Path, names: list[str], mask: NDArray[np.float32], image_units_per_density: float
) -> None:
    in_density = (read_volume(truth / "volumes" / name)[0] / np.float32(image_units_per_density) for name in names)
    with atomic_path(truth / "voxel_embedding.npy") as temporary, temporary.open("wb") as stream:
        np.save(stream, voxel_embedding(in_density, mask))


def _write_true_volume(specimen: Specimen, number: int, settings: Settings, amplitude: float, path: Path) -> None:
    scattering = specimen.scattering(number)
    volume = render_volume(specimen.position_A(number), scattering, settings.box_px, settings.pixel_size_A)
    write_volume(path, volume * np.float32(amplitude * settings.pixel_size_A), settings.pixel_size_A)


def _write_bodies(specimen: Specimen, rigid: RigidBodies, settings: Settings, amplitude: float, truth: Path) -> None:
    """Write the map of every body alone as it lies in conformation 0, and the motion of all."""
    motion = rigid.motion
    names = [f"{number:04d}.mrc" for number in range(motion.bodies)]
    for number, name in enumerate(names):
        path = truth / "bodies" / name
        if not path.exists():
            of_body = rigid.body == number
            whole = specimen.scattering(0)
            part = ScatteringModel(whole.weights[of_body], whole.profile)
            alone = Conformations(specimen.position_A(0)[None, of_body], part)
            _write_true_volume(alone, 0, settings, amplitude, path)
    conformation, body = (index.ravel() for index in np.indices(motion.rotation.shape[:2]))
    columns: dict[str, Any] = {"conformation": conformation, "body": body, "volume": np.array(names)[body]}
    rotation = motion.rotation.reshape(-1, 3, 3)
    columns |= {f"rotation_{i}{j}": rotation[:, i, j] for i in range(3) for j in range(3)}
    translation_A = motion.translation_A.reshape(-1, 3)
    columns |= {f"translation_{axis}_A": translation_A[:, i] for i, axis in enumerate("xyz")}
    _write_parquet(truth / "bodies.parquet", columns)


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)
