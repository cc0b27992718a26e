"""DynaMight as a method."""

import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.consensus import Consensus, ConsensusOptions
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.dynamight.decoder import load_decoder
from cryoarena.methods.external.dynamight.program import DYNAMIGHT, SCRIPT, DynamightOptions, ImportOptions
from cryoarena.methods.external.dynamight.read_output import CHECKPOINTS, FINAL, LATENTS, read_output
from cryoarena.methods.external.external_method import Done, ExternalMethod, wrong_ctf
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.mrc import write_volume

_STAR, _INITIAL = "particles.star", "initial.mrc"
_EPOCH = re.compile(r"^Epoch: (\d+) Epoch time")
_ENCODED = re.compile(r"^ENCODED (\d+)/(\d+)")


@method
class Dynamight(ExternalMethod[DynamightOptions]):
    """`dynamight optimize-deformations`: Gaussians of a consensus map that a network moves."""

    card = MethodCard(
        name="dynamight",
        title="DynaMight",
        family="neural network, Gaussian model",
        summary="DynaMight: latents by an encoder, maps by moving the Gaussians of a consensus; given poses.",
        citation="Schwab et al. 2024, doi:10.1038/s41592-024-02377-5",
        heterogeneity="continuous",
        resources=Resources(memory_GB=8.0, minutes=120.0, minutes_per_gigapixel=30000.0),
    )
    options = DynamightOptions
    import_options = ImportOptions
    tool = DYNAMIGHT

    def commands(self, particles: ParticleSet, options: DynamightOptions, run: Run, work: Path) -> Iterator[Command]:
        """Make a consensus map, train, and encode the images."""
        for name in ("initial_model", "mask"):
            path = getattr(options, name)
            if path is not None and not path.is_file():
                raise UserError(f"option {name} is {path}, which does not exist")
        if options.half not in (1, 2):
            raise UserError(f"option half is {options.half}; DynaMight has halves 1 and 2")
        output = work / self.output
        # What torch saves is a zip archive, whose directory comes last: a part of one is none.
        if not zipfile.is_zipfile(output / CHECKPOINTS / FINAL):
            # It does not go on where it was: its own way to do so mixes up the halves.
            shutil.rmtree(output, ignore_errors=True)
            write_star(work / _STAR, link_stacks(particles, work))
            words: list[str | Path] = ["python", SCRIPT, "train", _STAR, self.output]
            words += ["--initial-model", _initial_model(particles, options, run, work)]
            words += ["--epochs", str(options.epochs), "--gaussians", str(options.gaussians)]
            words += ["--latent-dimensions", str(options.latent_dimensions), "--batch-size", str(options.batch_size)]
            words += ["--regularization", str(options.regularization), "--seed", str(run.seed)]
            words += [] if options.mask is None else ["--mask", options.mask.absolute()]
            yield Command(words, options.threads)
        if not (output / LATENTS / "latents.json").is_file():
            words = ["python", SCRIPT, "latents", Path(self.output, CHECKPOINTS, FINAL), Path(self.output, LATENTS)]
            yield Command([*words, "--half", str(options.half)], options.threads)

    def progress(self, line: str) -> Done | None:
        """Return how far the training or the encoding is; the program does not tell when it will be content."""
        if found := _ENCODED.match(line):
            return Done(int(found[1]), int(found[2]), "images")
        if found := _EPOCH.match(line):
            return Done(int(found[1]) + 1, int(found[1]) + 2, f"epoch {found[1]}")
        return None

    def reading(self, options: DynamightOptions) -> ImportOptions:
        """Return which half is read."""
        return ImportOptions(half=options.half)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> DecodedReconstruction:
        """Read an output folder."""
        return read_output(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> DecodedReconstruction:
        """Read a saved decoder."""
        return load_decoder(folder, particles)

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why DynaMight cannot run on these particles, or here."""
        if particles.contrast_sign < 0:
            return "DynaMight takes images with bright protein; in these it is dark"
        return wrong_ctf("DynaMight", particles) or super().not_applicable(particles)


def _initial_model(particles: ParticleSet, options: DynamightOptions, run: Run, work: Path) -> Path:
    """Return the map to begin with."""
    if options.initial_model is not None:
        return options.initial_model.absolute()
    if not (work / _INITIAL).is_file():
        # On the CPU: the torch of this environment need not know the GPU that DynaMight's does.
        found = Consensus().fit(particles, ConsensusOptions(), replace(run, device="cpu"))
        write_volume(work / _INITIAL, found.volumes_at(np.zeros((1, 1), np.float32))[0], particles.pixel_size_A)
    return Path(_INITIAL)
