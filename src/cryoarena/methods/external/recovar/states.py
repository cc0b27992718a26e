"""Maps of RECOVAR at latents, by `recovar compute_state`."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.external.decoded import DecodedReconstruction, saved_latents
from cryoarena.methods.external.gpu import has_gpu
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.recovar.check_model import check_model
from cryoarena.methods.external.recovar.program import RECOVAR, recovar_command
from cryoarena.methods.external.recovar.result_folder import DOWNSAMPLED, Pipeline, read_pipeline
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star

_PIPELINE = "pipeline"
# Every bandwidth's images are filled up with zeros to a batch that RECOVAR sizes by this: by default, on a CPU, half of
# the free memory, which makes a state of few images take hours.
_CPU_BUDGET_GB = "1"


def state_command(pipeline: Path | str, out: str, latents: str, on_gpu: bool) -> list[str | Path]:
    """Return the words that make the maps of a file of latents."""
    words = [*recovar_command("compute_state", on_gpu), pipeline, "-o", out, "--latent-points", latents]
    return words if on_gpu else [*words, "--gpu-budget-gb", _CPU_BUDGET_GB]


def write_latents(path: Path, latents: NDArray[np.float32]) -> list[str]:
    """Write latents (k, d) for `compute_state`; return what else it must be told about them."""
    np.savetxt(path, latents, fmt="%.9g")
    return ["--zdim1"] if latents.shape[1] == 1 else []


def state_maps(folder: Path, count: int) -> tuple[Path, ...]:
    """Return the maps of the states that `compute_state` writes into a folder."""
    return tuple(folder / f"state{number:03d}.mrc" for number in range(count))


@dataclass(frozen=True)
class StateMaker:
    """What `compute_state` needs.

    Attributes:
        pipeline: that found the latents.
        particles: of the dataset.
        order: (M,) row of the dataset of each image of the pipeline's table.
        opposite: whether the signs of its maps are to be changed.
    """

    pipeline: Pipeline
    particles: ParticleSet
    order: NDArray[np.int64]
    opposite: bool

    @property
    def box_px(self) -> int:
        """Return the box of the dataset."""
        return self.particles.box_px

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d), in the box of the dataset.

        Raises:
            UserError: when a file holds something else than arrays and plain values, or RECOVAR is not installed.
            ProgramFailed: when it fails.
        """
        with tempfile.TemporaryDirectory(prefix="cryoarena-recovar-") as name:
            folder = Path(name)
            check_model(self.pipeline.folder / "model", folder)
            executables = RECOVAR.require()
            # RECOVAR looks for what it was given beside a folder of the same name: nobody can know this one.
            pipeline = Path(tempfile.mkdtemp(dir=folder))
            for part in ("model", "job.json"):
                (pipeline / part).symlink_to((self.pipeline.folder / part).absolute())
            words = state_command(pipeline, "states", "z.txt", has_gpu())
            words += write_latents(folder / "z.txt", latents)
            words += self._images(folder)
            run_program(Command(words), executables, folder, folder / "log.txt")
            paths = state_maps(folder / "states", len(latents))
            if missing := [path.name for path in paths if not path.is_file()]:
                raise UserError(f"`recovar compute_state` ended without an error but made no {missing[0]}")
            box_px, pixel_size_A = self.particles.box_px, self.particles.pixel_size_A
            return MapFiles(paths, box_px, pixel_size_A, self.opposite).read(np.arange(len(latents)))

    def _images(self, folder: Path) -> list[str | Path]:
        """Return where the images are: they may not be where the pipeline found them."""
        if (downsampled := self.pipeline.downsampled) is not None:
            return ["--particles", downsampled.absolute(), "--datadir", downsampled.parent.absolute()]
        write_star(folder / "particles.star", link_stacks(self.particles, folder).subset(self.order))
        return ["--particles", "particles.star", "--datadir", folder]

    def save(self, folder: Path) -> None:
        """Copy what `compute_state` reads."""
        copy = folder / _PIPELINE
        shutil.copytree(self.pipeline.folder / "model", copy / "model")
        shutil.copyfile(self.pipeline.folder / "job.json", copy / "job.json")
        if self.pipeline.downsampled is not None:
            shutil.copytree(self.pipeline.folder / DOWNSAMPLED, copy / DOWNSAMPLED)
        np.save(folder / "order.npy", self.order)
        write_json(folder / "states.json", {"opposite": self.opposite})


def load_states(folder: Path, particles: ParticleSet) -> DecodedReconstruction:
    """Read back latents, and what makes states of them.

    Raises:
        UserError: when a file is missing or damaged.
        OSError, ValueError, KeyError: likewise.
    """
    order = np.load(folder / "order.npy", allow_pickle=False)
    opposite = bool(read_json(folder / "states.json")["opposite"])
    maker = StateMaker(read_pipeline(folder / _PIPELINE), particles, order, opposite)
    return DecodedReconstruction(maker, saved_latents(folder))
