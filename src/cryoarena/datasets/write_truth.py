"""Write the truth of a dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.datasets.parallel import in_parallel
from cryoarena.files import atomic_path
from cryoarena.imaging.simulate import Particles, Specimen
from cryoarena.structures.render import render_volume
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.mrc import read_volume, write_volume


def write_truth(
    ensemble: Ensemble,
    particles: Particles,
    particle_id: NDArray[np.int64],
    settings: Settings,
    amplitude: float,
    out: Path,
    processes: int,
) -> None:
    """Write `truth/`: maps, masks and tables. Maps that are there already are kept.

    Maps are in image units: the sum of a map along z is the CTF-free projection as it stands in the images.
    """
    truth = out / "truth"
    names = [f"{number:04d}.mrc" for number in range(len(ensemble.population))]
    jobs = [
        (ensemble.specimen, number, settings, amplitude, truth / "volumes" / name)
        for number, name in enumerate(names)
        if not (truth / "volumes" / name).exists()
    ]
    in_parallel("Writing true maps", processes, _write_true_volume, jobs)
    masks = MaskBuilder(settings.box_px, settings.pixel_size_A)
    for name in names:
        masks.add(read_volume(truth / "volumes" / name)[0])
    write_volume(truth / "mask.mrc", masks.whole(), settings.pixel_size_A)
    write_volume(truth / "mask_moving.mrc", masks.moving(), settings.pixel_size_A)

    cvs = {f"cv_{name}": values for name, values in ensemble.cvs.items()}
    conformations = {
        "conformation": np.arange(len(names)),
        **cvs,
        "population": ensemble.population,
        "volume": names,
    }
    _write_parquet(truth / "conformations.parquet", conformations)
    rotation = particles.poses.rotation_object_to_image
    columns: dict[str, NDArray[Any]] = {
        "particle_id": particle_id,
        "conformation": particles.conformation,
        **{name: values[particles.conformation] for name, values in cvs.items()},
        **{f"rotation_object_to_image_{i}{j}": rotation[:, i, j] for i in range(3) for j in range(3)},
        "shift_x_A": particles.poses.shift_A[:, 0],
        "shift_y_A": particles.poses.shift_A[:, 1],
    }
    _write_parquet(truth / "particles.parquet", columns)


def _write_true_volume(specimen: Specimen, number: int, settings: Settings, amplitude: float, path: Path) -> None:
    volume = render_volume(specimen.position_A[number], specimen.scattering, settings.box_px, settings.pixel_size_A)
    write_volume(path, volume * np.float32(amplitude * settings.pixel_size_A), settings.pixel_size_A)


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)
