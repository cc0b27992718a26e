"""The folder that `recovar pipeline` writes: what ran, its latents, and what its states need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.external.recovar.program import was_put_right
from cryoarena.methods.read_array import read_array

DOWNSAMPLED = "downsampled"


@dataclass(frozen=True)
class Pipeline:
    """What a folder tells of the run.

    Attributes:
        folder: of the pipeline.
        version: of RECOVAR.
        command: the command line.
        oversized: whether its maps are too large: it had no GPU, and its slices were not put right.
        particles: table that it was given.
        box_px: that it worked at.
        sign: "true" or "false" where it was told to change the sign of the images or not, else "automatic".
        zdims: ranks whose latents it computed.
    """

    folder: Path
    version: str
    command: str
    oversized: bool
    particles: str
    box_px: int
    sign: str
    zdims: tuple[int, ...]

    @property
    def downsampled(self) -> Path | None:
        """Return the table of the images that it downsampled, or None."""
        path = self.folder / DOWNSAMPLED / f"particles.{self.box_px}.star"
        return path if path.is_file() else None

    def latents(self, zdim: int) -> NDArray[np.float32]:
        """Return the latents (M, zdim) of the images of its table; those of images that it left out are NaN.

        Raises:
            UserError: when they are missing or damaged.
        """
        path = self.folder / "model" / f"zdim_{zdim}" / "latent_coords.npy"
        latents = read_array(path, 2, "f", "(M, zdim) latents").astype(np.float32)
        if latents.shape[1] != zdim:
            raise UserError(f"{path} holds latents of {latents.shape[1]} dimensions, not {zdim}")
        return latents


def is_finished(folder: Path) -> bool:
    """Tell whether a pipeline has run to its end."""
    return (folder / "job.json").is_file() and read_json(folder / "job.json").get("status") == "completed"


def read_pipeline(folder: Path) -> Pipeline:
    """Read what a folder tells of the run; its pickles are not opened.

    Raises:
        UserError: when it is of another program or command, of RECOVAR before 1.0, or not complete.
    """
    job_file, metadata_file = folder / "job.json", folder / "model" / "metadata.json"
    if not job_file.is_file():
        raise UserError(
            f"{folder} is no folder of `recovar pipeline`: it has no job.json, which RECOVAR ≥ 1.0 writes there"
        )
    job = read_json(job_file)
    try:
        if job["command"] != "pipeline":
            raise UserError(f"{folder} is of `recovar {job['command']}`; give the folder of `recovar pipeline`")
        if job["status"] != "completed":
            raise UserError(f"{job_file} says that the pipeline is {job['status']}; run it to its end")
        return _pipeline(folder, job, read_json(metadata_file))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{job_file} or {metadata_file} is damaged or of another version: {error!r}") from error


def _pipeline(folder: Path, job: dict[str, Any], metadata: dict[str, Any]) -> Pipeline:
    line = str(job["command_line"])
    return Pipeline(
        folder=folder,
        version=str(metadata["recovar_version"]),
        # It leaves out its own name for the interpreter's and its path.
        command=" ".join(["recovar pipeline", *line.split()[2:]]),
        oversized="--accept-cpu" in line and not was_put_right(line),
        particles=str(metadata["original_particles_file"] or job["parameters"]["particles"]),
        box_px=int(metadata["volume_shape"][0]),
        sign=str(job["parameters"]["uninvert_data"]),
        zdims=tuple(int(zdim) for zdim in metadata["zdims_computed"]),
    )
