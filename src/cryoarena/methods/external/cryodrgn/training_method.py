"""What the training commands of cryoDRGN have in common as methods."""

import math
import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, TypeVar

from cryoarena.methods.base import Run
from cryoarena.methods.external.cryodrgn.decoder import load_reconstruction
from cryoarena.methods.external.cryodrgn.output_folder import last_whole_epoch
from cryoarena.methods.external.cryodrgn.program import CRYODRGN, ImportOptions, TrainingOptions
from cryoarena.methods.external.cryodrgn.read_output import read_output
from cryoarena.methods.external.cryodrgn.write_input import write_input
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.external_method import Done, ExternalMethod, cpu_spent_s
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet

TrainingT = TypeVar("TrainingT", bound=TrainingOptions)

_REPORTS_PER_EPOCH = 20
_PROGRESS = re.compile(r"\[Train Epoch: (\d+)/(\d+)\] \[(\d+)/(\d+) ")


class TrainingMethod(ExternalMethod[TrainingT]):
    """A training command.

    Attributes:
        command: its name.
        load_epoch: arguments with which it goes on after an epoch, with {} for the number.
    """

    tool = CRYODRGN
    import_options = ImportOptions
    command: ClassVar[str]
    load_epoch: ClassVar[tuple[str, ...]]

    @abstractmethod
    def arguments(self, options: TrainingT, box_px: int, seed: int) -> list[str]:
        """Return the arguments that only this command takes; `box_px` is the side of the images trained on."""

    def commands(self, particles: ParticleSet, options: TrainingT, run: Run, work: Path) -> Iterator[Command]:
        """Downsample if wanted, and train from the last whole epoch on, unless all epochs or the CPU time are over."""
        yield from write_input(particles, options, work)
        done = last_whole_epoch(work / self.output)
        limit_s = None if options.cpu_hours is None else 3600 * options.cpu_hours - cpu_spent_s(work)
        if (done or 0) >= options.epochs or (limit_s is not None and limit_s <= 0):
            return
        words = ["cryodrgn", self.command, "particles.star", "--datadir", ".", "--ctf", "ctf.pkl", "-o", self.output]
        words += ["--zdim", str(options.zdim), "-n", str(options.epochs), "--lr", str(options.learning_rate)]
        words += ["--seed", str(run.seed), "--checkpoint", "1", "--no-analysis"]
        words += ["--log-interval", str(math.ceil(len(particles) / _REPORTS_PER_EPOCH))]
        # It takes images to be bright, and changes their sign.
        words += [] if particles.contrast_sign > 0 else ["--uninvert-data"]
        # Half precision is for GPUs.
        words += ["--no-amp"] if run.device == "cpu" else []
        words += self.arguments(options, options.downsample_px or particles.box_px, run.seed)
        words += [] if done is None else [word.format(done) for word in self.load_epoch]
        yield Command(words, options.threads, limit_s)

    def progress(self, line: str) -> Done | None:
        """Return how far the training is."""
        if (found := _PROGRESS.search(line)) is None:
            return None
        epoch, epochs, images, of = map(int, found.groups())
        # Epoch 0 is pretraining.
        return Done(max(0, epoch - 1 + images / of), epochs, f"epoch {epoch}")

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> DecodedReconstruction:
        """Read an output folder of the command."""
        return read_output(folder, particles, options, self.command)

    def load(self, folder: Path, particles: ParticleSet) -> DecodedReconstruction:
        """Read a saved decoder."""
        return load_reconstruction(folder, particles)
