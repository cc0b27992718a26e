"""A trained decoder of cryoDRGN: maps by `cryodrgn eval_vol`."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.external.cryodrgn.program import CRYODRGN
from cryoarena.methods.external.decoded import DecodedReconstruction, require_files, saved_latents
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.methods.external.safe_torch import read_torch
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_resize_volume
from cryoarena.volumes.mrc import read_volume

_CONFIGURATION, _WEIGHTS, _DECODER = "config.yaml", "weights.pkl", "decoder.json"


@dataclass(frozen=True)
class Decoder:
    """Where the files of a decoder are, and what its maps are to become.

    Attributes:
        configuration: config.yaml.
        weights: checkpoint, which cryoDRGN would open whatever it runs.
        opposite: whether it was trained on images of the sign opposite to that of the dataset.
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
            UserError: when the weights hold something else than tensors, or cryoDRGN is not installed.
            ProgramFailed: when it fails.
        """
        read_torch(self.weights)
        executables = CRYODRGN.require()
        with tempfile.TemporaryDirectory(prefix="cryoarena-cryodrgn-") as name:
            folder = Path(name)
            np.savetxt(folder / "z.txt", latents, fmt="%.9g")
            words: list[str | Path] = [
                "cryodrgn",
                "eval_vol",
                self.weights.absolute(),
                "-c",
                self.configuration.absolute(),
            ]
            words += ["--zfile", "z.txt", "-o", "maps", "--Apix", f"{self.pixel_size_A:.9g}"]
            words += ["--invert"] if self.opposite else []
            run_program(Command(words), executables, folder, folder / "log.txt")
            # Numbered from 1, with three digits or as many as it takes.
            paths = [folder / "maps" / f"vol_{number:03d}.mrc" for number in range(1, len(latents) + 1)]
            # The pixel size is not asked of the header: that of downsampled images is another.
            maps = [read_volume(path, self.pixel_size_A)[0] for path in paths]
        return np.stack([fourier_resize_volume(volume, self.box_px) for volume in maps])

    def save(self, folder: Path) -> None:
        """Copy the files of the decoder into an existing folder."""
        shutil.copyfile(self.configuration, folder / _CONFIGURATION)
        shutil.copyfile(self.weights, folder / _WEIGHTS)
        write_json(folder / _DECODER, {"opposite": self.opposite})


def load_reconstruction(folder: Path, particles: ParticleSet) -> DecodedReconstruction:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    require_files(folder, _CONFIGURATION, _WEIGHTS)
    opposite = bool(read_json(folder / _DECODER)["opposite"])
    decoder = Decoder(folder / _CONFIGURATION, folder / _WEIGHTS, opposite, particles.box_px, particles.pixel_size_A)
    return DecodedReconstruction(decoder, saved_latents(folder))
