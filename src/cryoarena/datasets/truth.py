"""Read the truth of a dataset folder; for scorers and reports, never for methods."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryoarena.datasets.energy_surface import EnergySurface, read_energy_surface
from cryoarena.datasets.noise_spectrum import read_noise_spectrum
from cryoarena.datasets.rigid_bodies import RigidMotion
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.imaging.defocus import DefocusTable
from cryoarena.imaging.imperfections import Imperfections, perfect
from cryoarena.imaging.noise import NoiseSpectrum
from cryoarena.imaging.poses import Poses
from cryoarena.volumes.mrc import read_volume


@dataclass(frozen=True)
class Truth:
    """The truth of a dataset folder.

    Attributes:
        folder: of the dataset.
        info: dataset.json.
        particle_id: (N,).
        conformation: (N,) of each particle.
        poses: true poses of the particles, or None where nobody knows them, as in recorded data.
        cvs: name -> (K,) value per conformation.
        periods: name -> period of an angle, or None.
        population: (K,) share of every conformation; sums to 1.
        volume_names: (K,) file names of the true maps; "" for a conformation whose map is not kept.
        rigid_motion: of B bodies that make up the object, or None where the recipe knows none.
        body_names: (B,) file names of the maps of the bodies in conformation 0.
        energy: free energy that the population follows, or None.
        states: (K,) state 0 … S - 1 of every conformation where several make up a state, or None: each is its own.
        defocus: true defocus of the particles where methods are given a wrong one, else None.
        noise_spectrum: of noise that is not white, else None.
        imperfections: of the particles, where any are known to be there, else None.
    """

    folder: Path
    info: dict[str, Any]
    particle_id: NDArray[np.int64]
    conformation: NDArray[np.int64]
    poses: Poses | None
    cvs: dict[str, NDArray[np.float64]]
    periods: dict[str, float | None]
    population: NDArray[np.float64]
    volume_names: tuple[str, ...]
    rigid_motion: RigidMotion | None = None
    body_names: tuple[str, ...] = ()
    energy: EnergySurface | None = None
    defocus: DefocusTable | None = None
    noise_spectrum: NoiseSpectrum | None = None
    states: NDArray[np.int64] | None = None
    imperfections: Imperfections | None = None

    @property
    def state_of_conformation(self) -> NDArray[np.int64]:
        """Return the state (K,) of every conformation, 0 … S - 1."""
        return np.arange(len(self.population)) if self.states is None else self.states

    @property
    def state(self) -> NDArray[np.int64]:
        """Return the state (N,) of every particle: the label that classes and populations are judged by."""
        return self.state_of_conformation[self.conformation]

    @property
    def state_population(self) -> NDArray[np.float64]:
        """Return the share (S,) of every state."""
        return np.asarray(np.bincount(self.state_of_conformation, self.population), np.float64)

    @property
    def pixel_size_A(self) -> float:
        """Return the pixel size of maps and images (Å)."""
        return float(self.info["recipe"]["pixel_size_A"])

    @property
    def is_continuous(self) -> bool:
        """Tell whether the heterogeneity is a continuum; otherwise it is a set of states."""
        return "continuous" in self.info["card"]["kind"]

    @property
    def mapped(self) -> NDArray[np.int64]:
        """Return the conformations (M,) whose true map is kept: those that maps are judged at."""
        return np.flatnonzero([bool(name) for name in self.volume_names])

    def nearest_mapped(self) -> NDArray[np.int64]:
        """Return for every conformation (K,) which of `mapped` is nearest by true embedding, itself where it is one.

        States are no neighbours of each other: one without a true map has -1.
        """
        nearest = np.full(len(self.population), -1)
        nearest[self.mapped] = np.arange(len(self.mapped))
        others = np.flatnonzero(nearest < 0)
        if self.is_continuous and len(others) and len(self.mapped):
            embedding = self.embedding()
            nearest[others] = cKDTree(embedding[self.mapped]).query(embedding[others])[1]
        return nearest

    def volume(self, conformation: int) -> NDArray[np.float32]:
        """Return the true map (D, D, D) of a conformation, in image units."""
        return read_volume(self.folder / "truth" / "volumes" / self.volume_names[conformation])[0]

    def body_volume(self, body: int) -> NDArray[np.float32]:
        """Return the true map (D, D, D) of one rigid body alone in conformation 0, in image units."""
        return read_volume(self.folder / "truth" / "bodies" / self.body_names[body])[0]

    def subset(self, rows: NDArray[np.int64]) -> "Truth":
        """Return the truth of some particles, in the order of `rows`; conformations stay as they are."""
        return replace(
            self,
            particle_id=self.particle_id[rows],
            conformation=self.conformation[rows],
            poses=None if self.poses is None else self.poses[rows],
            defocus=None if self.defocus is None else self.defocus[rows],
            imperfections=None if self.imperfections is None else self.imperfections[rows],
        )

    def masks(self) -> dict[str, NDArray[np.float32] | None]:
        """Return the masks that maps are compared in: no_mask, mask and moving_mask. There must be true maps."""
        truth = self.folder / "truth"
        return {
            "no_mask": None,
            "mask": read_volume(truth / "mask.mrc")[0],
            "moving_mask": read_volume(truth / "mask_moving.mrc")[0],
        }

    def embedding(self) -> NDArray[np.float64]:
        """Return the true embedding (K, c): the CVs of a continuum (`cv_embedding`), else the `voxel_embedding`.

        States without true maps lie where their CVs say or, if they have none, all equally far apart.
        """
        voxels = self.folder / "truth" / "voxel_embedding.npy"
        if voxels.exists() and not (self.is_continuous and self.cvs):
            return np.asarray(np.load(voxels))
        return cv_embedding(self.cvs, self.periods) if self.cvs else np.eye(len(self.population))

    def state_cvs(self) -> dict[str, NDArray[np.float64]]:
        """Return the CVs (S,) that are the same in all conformations of a state: those that tell states apart."""
        state = self.state_of_conformation
        first = np.unique(state, return_index=True)[1]
        return {name: values[first] for name, values in self.cvs.items() if (values == values[first][state]).all()}

    def state_embedding(self) -> NDArray[np.float64]:
        """Return coordinates (S, c) of the states.

        Where conformations make up states these are `state_cvs` or, if there are none, mean true embeddings.
        """
        if self.states is None:
            return self.embedding()
        if cvs := self.state_cvs():
            return cv_embedding(cvs, self.periods)
        member = np.equal.outer(np.arange(self.states.max() + 1), self.states) * self.population
        return np.asarray(member @ self.embedding() / member.sum(axis=1, keepdims=True))


def cv_embedding(cvs: Mapping[str, NDArray[np.float64]], periods: Mapping[str, float | None]) -> NDArray[np.float64]:
    """Return CVs (each (n,)) as Euclidean coordinates (n, c): angles as cosine and sine.

    An angle's circle has circumference `period`, so that small differences keep their unit.
    """
    columns = []
    for name, values in cvs.items():
        period = periods[name]
        if period is None:
            columns.append(values)
        else:
            angle = 2 * np.pi * values / period
            radius = period / (2 * np.pi)
            columns += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.stack(columns, axis=1)


def open_truth(folder: Path) -> Truth:
    """Open the truth of a dataset folder; junk is left out of it, because nothing is true about it.

    Raises:
        UserError: when the folder is no dataset or has no truth.
    """
    info = read_json(folder / "dataset.json")
    paths = [folder / "truth" / f"{name}.parquet" for name in ("particles", "conformations")]
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist; a dataset can only be scored where its truth is")
    particles, conformations = (pd.read_parquet(path) for path in paths)
    if "junk" in particles:
        particles = particles[particles["junk"] == ""]
    conformations = conformations.sort_values("conformation")
    rigid_motion, body_names = _read_bodies(folder / "truth" / "bodies.parquet")
    return Truth(
        folder=folder,
        info=info,
        particle_id=particles["particle_id"].to_numpy(np.int64),
        conformation=particles["conformation"].to_numpy(np.int64),
        poses=_true_poses(particles),
        cvs={cv["name"]: conformations[f"cv_{cv['name']}"].to_numpy(np.float64) for cv in info["cvs"]},
        periods={cv["name"]: cv["period"] for cv in info["cvs"]},
        population=conformations["population"].to_numpy(np.float64),
        volume_names=tuple(conformations["volume"]),
        rigid_motion=rigid_motion,
        body_names=body_names,
        energy=read_energy_surface(energy) if (energy := folder / "truth" / "energy.npz").exists() else None,
        states=conformations["state"].to_numpy(np.int64) if "state" in conformations else None,
        defocus=_true_defocus(particles),
        imperfections=_true_imperfections(particles),
        noise_spectrum=read_noise_spectrum(noise)
        if (noise := folder / "truth" / "noise_spectrum.csv").exists()
        else None,
    )


def _true_poses(particles: pd.DataFrame) -> Poses | None:
    rotation = [f"rotation_object_to_image_{i}{j}" for i in range(3) for j in range(3)]
    if rotation[0] not in particles:
        return None
    return Poses(
        particles[rotation].to_numpy(np.float64).reshape(-1, 3, 3),
        particles[["shift_x_A", "shift_y_A"]].to_numpy(np.float64),
    )


def _true_imperfections(particles: pd.DataFrame) -> Imperfections | None:
    names = ["ice_nm", "grey_scale"]
    known: dict[str, Any] = {name: particles[name].to_numpy(np.float64) for name in names if name in particles}
    if "beam_tilt_x_mrad" in particles:
        known["beam_tilt_mrad"] = particles[["beam_tilt_x_mrad", "beam_tilt_y_mrad"]].to_numpy(np.float64)
    return replace(perfect(len(particles)), **known) if known else None


def _true_defocus(particles: pd.DataFrame) -> DefocusTable | None:
    columns = ("defocus_u_A", "defocus_v_A", "defocus_azimuth_deg")
    if columns[0] not in particles:
        return None
    return DefocusTable(*(particles[name].to_numpy(np.float64) for name in columns))


def _read_bodies(path: Path) -> tuple[RigidMotion | None, tuple[str, ...]]:
    if not path.exists():
        return None, ()
    table = pd.read_parquet(path).sort_values(["conformation", "body"])
    names = tuple(table["volume"][table["conformation"] == 0])
    rotation = table[[f"rotation_{i}{j}" for i in range(3) for j in range(3)]].to_numpy(np.float64)
    translation_A = table[[f"translation_{axis}_A" for axis in "xyz"]].to_numpy(np.float64)
    return RigidMotion(rotation.reshape(-1, len(names), 3, 3), translation_A.reshape(-1, len(names), 3)), names
