"""A trained decoder of OPUS-DSD: maps by `dsd eval_vol`."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.external.decoded import DecodedReconstruction, require_files, saved_latents
from cryoarena.methods.external.gpu import has_gpu
from cryoarena.methods.external.opusdsd.place_map import place_map
from cryoarena.methods.external.opusdsd.program import OPUSDSD
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.methods.external.safe_torch import read_torch
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.safe_pickle import check_pickle
from cryoarena.volumes.mrc import read_volume

_CONFIGURATION, _WEIGHTS, _DECODER = "config.pkl", "weights.pkl", "decoder.json"
# The program rounds the box down: a hair less than the pixel size keeps it.
_LESS = 1 - 1e-4


@dataclass(frozen=True)
class Decoder:
    """Where the files of a decoder are, and what its maps are to become.

    Attributes:
        configuration: config.pkl, which OPUS-DSD would open whatever it runs.
        weights: checkpoint, likewise.
        opposite: whether protein is negative in its maps.
        box_px, pixel_size_A: of the dataset.
    """

    configuration: Path
    weights: Path
    opposite: bool
    box_px: int
    pixel_size_A: float

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d), in the box of the dataset.

        Raises:
            UserError: when a file holds something else than arrays, OPUS-DSD is not installed, or there is no GPU.
            ProgramFailed: when it fails.
        """
        check_pickle(self.configuration)
        read_torch(self.weights)
        executables = OPUSDSD.require()
        if not has_gpu():
            raise UserError(
                "dsd eval_vol needs a GPU and there is none; make maps where one is (dsdsh analyze, dsdsh eval_vol … "
                "kmeans …) and import the folder, or import the latents alone with --set maps=no"
            )
        with tempfile.TemporaryDirectory(prefix="cryoarena-opusdsd-") as name:
            folder = Path(name)
            # It takes a file of one row for as many latents as there are numbers in it.
            np.savetxt(folder / "z.txt", latents if len(latents) > 1 else np.repeat(latents, 2, axis=0), fmt="%.9g")
            words: list[str | Path] = ["dsd", "eval_vol", "--load", self.weights.absolute()]
            words += ["-c", self.configuration.absolute(), "--zfile", "z.txt", "-o", "maps", "--prefix", "map"]
            words += ["--Apix", f"{self.pixel_size_A * _LESS:.9g}"]
            run_program(Command(words), executables, folder, folder / "log.txt")
            paths = [folder / "maps" / f"map{number}.mrc" for number in range(len(latents))]
            # The pixel size is not asked of the header: it is a hair less.
            maps = [place_map(read_volume(path, self.pixel_size_A)[0], self.box_px) for path in paths]
        return np.asarray((-1 if self.opposite else 1) * np.stack(maps), np.float32)

    def save(self, folder: Path) -> None:
        """Copy the files of the decoder into an existing folder."""
        shutil.copyfile(self.configuration, folder / _CONFIGURATION)
        shutil.copyfile(self.weights, folder / _WEIGHTS)
        write_json(folder / _DECODER, {"opposite": self.opposite})


def load_decoder(folder: Path, particles: ParticleSet) -> DecodedReconstruction:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    require_files(folder, _CONFIGURATION, _WEIGHTS)
    opposite = bool(read_json(folder / _DECODER)["opposite"])
    decoder = Decoder(folder / _CONFIGURATION, folder / _WEIGHTS, opposite, particles.box_px, particles.pixel_size_A)
    return DecodedReconstruction(decoder, saved_latents(folder))
