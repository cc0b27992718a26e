"""Result folders written by hand, and the method that reads them: their maps are whatever the test gives."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cryoarena.datasets.truth import Truth
from cryoarena.files import write_json
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run
from cryoarena.methods.consensus import ConsensusOptions
from cryoarena.particles.particle_set import ParticleSet


class Given(Reconstruction):
    """Maps at the centres nearest to the latents."""

    def __init__(self, centres: NDArray[np.float32], maps: NDArray[np.float32]) -> None:
        self.centres, self.maps = centres, maps

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.maps[cdist(latents, self.centres).argmin(axis=1)]

    def save(self, folder: Path) -> None:
        raise AssertionError


class GivenMethod(Method[ConsensusOptions]):
    """A method whose results are written by `write_given_result`."""

    card: ClassVar[MethodCard] = MethodCard("given", "Given", "none", "It was given.", "none", "continuous")
    options = ConsensusOptions

    def fit(self, particles: ParticleSet, options: ConsensusOptions, run: Run) -> Reconstruction:
        raise AssertionError

    def load(self, folder: Path, particles: ParticleSet) -> Given:
        return Given(np.load(folder / "centres.npy"), np.load(folder / "maps.npy"))


def write_given_result(folder: Path, truth: Truth) -> Path:
    """Write a perfect result of the method `given` and return its folder."""
    (folder / "model").mkdir(parents=True)
    centres = truth.embedding().astype(np.float32)
    arrays = {
        "particle_id": truth.particle_id,
        "embedding": centres[truth.conformation],
        "posterior": np.eye(len(centres), dtype=np.float32)[truth.conformation],
        "model/centres": centres,
        "model/maps": np.stack([truth.volume(conformation) for conformation in range(len(centres))]),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    dataset = {"name": truth.info["name"], "id": truth.info["id"]}
    write_json(folder / "result.json", {"status": "ok", "reason": "", "method": {"name": "given"}, "dataset": dataset})
    return folder
