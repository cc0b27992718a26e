"""The project folder of ManifoldEM: its parameters, and what its stages wrote."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.safe_pickle import read_array_dict

PARAMETERS = "params_{}.toml"
# The stages as params_*.toml numbers them.
LANDSCAPE, TRAJECTORY = 8, 9
_OUT, _VOLUMES = "output", Path("postproc", "vols")


@dataclass(frozen=True)
class Direction:
    """What was found of a projection direction.

    Attributes:
        images: (n,) images along the coordinate, by their place in the stack, from 0.
        first: of these, the first that has a value.
        tau: (m,) place on the coordinate of m images from `first` on, from 0 to 1.
    """

    images: NDArray[np.int64]
    first: int
    tau: NDArray[np.float64]


@dataclass(frozen=True)
class Project:
    """What params_NAME.toml tells.

    Attributes:
        folder: of the project: output/NAME beside the file.
        level: the last stage that ended.
        star: the particle table, as written.
        directions: number of projection directions.
        coarse: images of a direction per step of its coordinate are as many as this goes into it.
        states: bins of the coordinate.
        width: of the images of a map, in bins.
        trajectory: name in the names of files.
        pixel_size_A: of the images.
    """

    folder: Path
    level: int
    star: str
    directions: int
    coarse: int
    states: int
    width: int
    trajectory: str
    pixel_size_A: float

    def tables(self) -> dict[int, Path]:
        """Return the tables of the images of each bin that has any, by bin from 0."""
        return self._bins("bin", ".star")

    def maps(self) -> dict[int, Path]:
        """Return the maps by bin from 0."""
        return self._bins(_VOLUMES, ".mrc")

    def directions_found(self) -> list[Direction]:
        """Read the projection directions to which a coordinate was assigned.

        Raises:
            UserError: when a file is missing or damaged.
        """
        coordinate = read_array_dict(self.folder / "CC" / "CC_file.pkl")
        numbers = np.atleast_2d(_array(coordinate, "psinums", self.folder / "CC" / "CC_file.pkl"))[0]
        return [self._direction(number) for number in np.flatnonzero(numbers >= 0).tolist()]

    def _direction(self, number: int) -> Direction:
        path = self.folder / f"ELConc{self.coarse}" / f"S2_prD_{number}.pkl"
        found = read_array_dict(path)
        kept, order, tau = (np.ravel(_array(found, name, path)) for name in ("posPath", "PosPsi1", "tau"))
        distances = self.folder / "distances" / f"IMGs_prD_{number}.h5"
        try:
            with h5py.File(distances) as stream:
                indices = np.asarray(stream["ind"][()], np.int64)
            images = indices[kept[order]]
        except (OSError, KeyError, IndexError, ValueError) as error:
            raise UserError(f"{distances} cannot be read, or does not belong to {path}: {error}") from error
        # Every frame joins so many images.
        joined = len(images) // self.coarse
        if joined < 1 or len(tau) != len(images) - 2 * joined or not np.ptp(tau) > 0:
            raise UserError(
                f"{path} has {len(tau)} frames of {len(images)} images, which cannot be; run ManifoldEM again"
            )
        return Direction(images, joined - 1, (tau - tau.min()) / np.ptp(tau))

    def _bins(self, folder: str | Path, suffix: str) -> dict[int, Path]:
        name = f"EulerAngles_{self.trajectory}_{{}}_of_{self.states}{suffix}"
        paths = {number: self.folder / folder / name.format(number + 1) for number in range(self.states)}
        return {number: path for number, path in paths.items() if path.is_file()}


def read_project(folder: Path) -> Project:
    """Read the parameters of the project in a folder.

    Raises:
        UserError: when there is none or more than one, or the file is damaged.
    """
    found = sorted(folder.glob(PARAMETERS.format("*")))
    if len(found) != 1:
        what = f"has {len(found)} files" if found else "is no folder that ManifoldEM worked in: it has no file"
        raise UserError(f"{folder} {what} {PARAMETERS.format('NAME')}; give a folder with the one of a project")
    try:
        parameters = tomllib.loads(found[0].read_text(encoding="utf-8"))["params"]
        return Project(
            folder=folder / _OUT / str(parameters["project_name"]),
            level=int(parameters["project_level"]),
            star=str(parameters["align_param_file"]),
            directions=int(parameters["prd_n_active"]),
            coarse=int(parameters["con_order_range"]),
            states=int(parameters["states_per_coord"]),
            width=int(parameters["width_1D"]),
            trajectory=str(parameters["traj_name"]),
            pixel_size_A=float(parameters["ms_pixel_size"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{found[0]} is not of ManifoldEM 0.3, or damaged: {error!r}") from error


def _array(content: dict[str, object], name: str, path: Path) -> NDArray[np.generic]:
    """Return an array by name."""
    value = content.get(name)
    if not isinstance(value, np.ndarray):
        raise UserError(f"{path} has no array {name}; it is not of ManifoldEM 0.3")
    return value
