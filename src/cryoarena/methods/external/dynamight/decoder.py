"""A trained decoder of DynaMight: maps by its own code, in its own Python."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.external.decoded import DecodedReconstruction, require_files, saved_latents
from cryoarena.methods.external.dynamight.program import DYNAMIGHT, SCRIPT
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.particle_set import ParticleSet

_CHECKPOINT, _DECODER = "checkpoint.pth", "decoder.json"


@dataclass(frozen=True)
class Decoder:
    """Where a decoder is, and what its maps are to become.

    Attributes:
        checkpoint: which its own Python reads, restricted to its networks.
        half: 1 or 2, of its decoders.
        box_px, pixel_size_A: of the dataset.
    """

    checkpoint: Path
    half: int
    box_px: int
    pixel_size_A: float

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d), in the box of the dataset.

        Raises:
            UserError: when DynaMight is not installed.
            ProgramFailed: when it fails.
        """
        executables = DYNAMIGHT.require()
        with tempfile.TemporaryDirectory(prefix="cryoarena-dynamight-") as name:
            folder = Path(name)
            np.save(folder / "z.npy", np.asarray(latents, np.float32))
            words: list[str | Path] = [
                "python",
                SCRIPT,
                "maps",
                self.checkpoint.absolute(),
                "z.npy",
                "maps",
                "--half",
                str(self.half),
            ]
            run_program(Command(words), executables, folder, folder / "log.txt")
            paths = tuple(folder / "maps" / f"{number:06d}.mrc" for number in range(len(latents)))
            return MapFiles(paths, self.box_px, self.pixel_size_A).read(np.arange(len(latents)))

    def save(self, folder: Path) -> None:
        """Copy the checkpoint into an existing folder."""
        shutil.copyfile(self.checkpoint, folder / _CHECKPOINT)
        write_json(folder / _DECODER, {"half": self.half})


def load_decoder(folder: Path, particles: ParticleSet) -> DecodedReconstruction:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    require_files(folder, _CHECKPOINT)
    half = int(read_json(folder / _DECODER)["half"])
    decoder = Decoder(folder / _CHECKPOINT, half, particles.box_px, particles.pixel_size_A)
    return DecodedReconstruction(decoder, saved_latents(folder))
