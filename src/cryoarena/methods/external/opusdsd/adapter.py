"""OPUS-DSD as a method."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Reconstruction, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod
from cryoarena.methods.external.given_maps import load_given_maps
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.opusdsd.decoder import load_decoder
from cryoarena.methods.external.opusdsd.program import LEAST_BOX_PX, OPUSDSD, ImportOptions, OpusdsdOptions
from cryoarena.methods.external.opusdsd.read_output import read_output, whole_epochs
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.mrc import write_volume

_STAR, _MASK = "particles.star", "mask.mrc"
_EPOCH = re.compile(r"Train Epoch: \[(\d+)/(\d+)\]: +(\d+)%")
# The network makes volumes of these sizes, which are sampled at three quarters of their resolution.
_SMALLEST_PX, _LARGEST_PX, _STEP_PX, _SAMPLED = 128, 256, 16, 0.75


@method
class Opusdsd(ExternalMethod[OpusdsdOptions]):
    """`dsd train_multi`: an autoencoder whose decoder makes a volume by convolutions."""

    card = MethodCard(
        name="opusdsd",
        title="OPUS-DSD",
        family="neural network, variational autoencoder",
        summary="OPUS-DSD, train_multi: latents by an encoder, maps by a convolutional decoder; given poses.",
        citation="Luo et al. 2023, doi:10.1038/s41592-023-02031-6",
        heterogeneity="continuous",
        needs_gpu=True,
        resources=Resources(memory_GB=32.0, minutes=120.0, minutes_per_gigapixel=3000.0),
    )
    options = OpusdsdOptions
    import_options = ImportOptions
    tool = OPUSDSD

    def commands(self, particles: ParticleSet, options: OpusdsdOptions, run: Run, work: Path) -> Iterator[Command]:
        """Write poses by its own command, CTFs and a mask, and train from the last whole epoch on."""
        downfrac = _downfrac(particles, options)
        mask = _mask(particles, options, work)
        given = ["-D", str(particles.box_px), "--Apix", f"{particles.pixel_size_A:.9g}", "--relion31"]
        if not (work / "ctf.pkl").is_file():
            write_star(work / _STAR, link_stacks(particles, work))
            yield Command(["dsd", "parse_pose_star", _STAR, *given, "-o", "poses.pkl"])
            # Its own command knows one optics group only.
            assert particles.ctf is not None
            write_cryodrgn_ctf(work / "ctf.pkl", particles.ctf, particles.box_px, particles.pixel_size_A)
        done = whole_epochs(work / self.output)
        if done and done[-1] + 1 >= options.epochs:
            return
        words: list[str | Path] = ["dsd", "train_multi", _STAR, "--relion31", "--datadir", "."]
        words += ["--poses", "poses.pkl", "--ctf", "ctf.pkl", "-r", mask, "--split", "split.pkl", "-o", self.output]
        words += ["--zdim", str(options.zdim), "-n", str(options.epochs), "-b", str(options.batch_size)]
        words += ["--lr", str(options.learning_rate), "--beta-control", str(options.beta_control)]
        words += ["--lamb", str(options.lamb), "--bfactor", str(options.bfactor), "--seed", str(run.seed)]
        words += ["--downfrac", f"{downfrac:.9g}", "--templateres", str(_volume_px(downfrac * particles.box_px))]
        words += ["--valfrac", "0.25", "--num-gpus", "1"]
        if done:
            words += ["--load", f"{self.output}/weights.{done[-1]}.pkl", "--latents", f"{self.output}/z.{done[-1]}.pkl"]
        yield Command(words)

    def progress(self, line: str) -> Done | None:
        """Return how far the training is."""
        if (found := _EPOCH.search(line)) is None:
            return None
        epoch, epochs, percent = map(int, found.groups())
        return Done(epoch - 1 + percent / 100, epochs, f"epoch {epoch}")

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> Reconstruction:
        """Read an output folder."""
        return read_output(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        """Read saved maps, or what makes them."""
        return (
            load_given_maps(folder, particles) if (folder / "maps.json").is_file() else load_decoder(folder, particles)
        )

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why OPUS-DSD cannot run on these particles, or here."""
        if particles.box_px < LEAST_BOX_PX:
            return f"OPUS-DSD takes images of {LEAST_BOX_PX} px and more; these have {particles.box_px}"
        return super().not_applicable(particles)


def _downfrac(particles: ParticleSet, options: OpusdsdOptions) -> float:
    if not 0 < options.downfrac <= 1:
        raise UserError(f"option downfrac is {options.downfrac}; it must be from 0 to 1")
    return max(options.downfrac, LEAST_BOX_PX / particles.box_px)


def _volume_px(sampled_px: float) -> int:
    """Return the size of volumes that the network makes."""
    size = _STEP_PX * round(sampled_px / _SAMPLED / _STEP_PX)
    return min(_LARGEST_PX, max(_SMALLEST_PX, size))


def _mask(particles: ParticleSet, options: OpusdsdOptions, work: Path) -> Path:
    """Return the mask, which the program cannot do without; write a sphere where none is given.

    Raises:
        UserError: when it does not exist, or the sphere does not fit.
    """
    if options.mask is not None:
        if not options.mask.is_file():
            raise UserError(f"option mask is {options.mask}, which does not exist")
        return options.mask.absolute()
    if not 0.1 <= options.sphere <= 0.5:
        raise UserError(f"option sphere is {options.sphere}; it must be from 0.1 to 0.5 of the box")
    middle = particles.box_px // 2
    z, y, x = np.ogrid[(slice(-middle, middle),) * 3]
    inside = z**2 + y**2 + x**2 < (options.sphere * particles.box_px) ** 2
    write_volume(work / _MASK, inside.astype(np.float32), particles.pixel_size_A)
    return Path(_MASK)
