"""A trained decoder of DynaMight: maps by its own code, in its own Python."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.dynamight.program import DYNAMIGHT, SCRIPT
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.representatives import maps_at_once, representatives
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.particle_set import ParticleSet

_CHECKPOINT, _LATENTS, _DECODER = "checkpoint.pth", "latents.npy", "decoder.json"


@dataclass(frozen=True)
class Decoder:
    """Where a decoder is, and what its maps are to become.

    Attributes:
        checkpoint: which only DynaMight itself opens.
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


class DynamightReconstruction(Reconstruction):
    """Latents, and the decoder that turns them into maps."""

    def __init__(
        self,
        decoder: Decoder,
        embedding: NDArray[np.float32],
        rows: NDArray[np.int64] | None = None,
        notes: tuple[str, ...] = (),
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold a decoder and the latents (N, d) of the particles in `rows`."""
        self.embedding = embedding
        self.posterior = None
        self.history = []
        self.representatives = representatives(embedding)
        self.maps_at_once = maps_at_once(decoder.box_px)
        self.rows = rows
        self.notes = notes
        self.found = found or {}
        self._decoder = decoder

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d)."""
        return self._decoder.volumes_at(latents)

    def save(self, folder: Path) -> None:
        """Copy the checkpoint and write the latents."""
        shutil.copyfile(self._decoder.checkpoint, folder / _CHECKPOINT)
        np.save(folder / _LATENTS, self.embedding)
        write_json(folder / _DECODER, {"half": self._decoder.half})


def load_decoder(folder: Path, particles: ParticleSet) -> DynamightReconstruction:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    if not (folder / _CHECKPOINT).is_file():
        raise FileNotFoundError(f"{folder / _CHECKPOINT} does not exist")
    half = int(read_json(folder / _DECODER)["half"])
    decoder = Decoder(folder / _CHECKPOINT, half, particles.box_px, particles.pixel_size_A)
    return DynamightReconstruction(decoder, np.load(folder / _LATENTS, allow_pickle=False))
