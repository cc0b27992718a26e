"""cryoDRGN as methods: variational autoencoder, autodecoder, and ab initio reconstruction."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryoarena.methods.base import MethodCard, Run, method
from cryoarena.methods.external.cryodrgn.decoder import CryodrgnReconstruction, load_reconstruction
from cryoarena.methods.external.cryodrgn.program import CRYODRGN, ImportOptions, TrainingOptions
from cryoarena.methods.external.cryodrgn.read_output import read_output
from cryoarena.methods.external.cryodrgn.training import shared_arguments, train, write_input
from cryoarena.methods.external.external_method import Done, ExternalMethod
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet

_PROGRESS = re.compile(r"\[Train Epoch: (\d+)/(\d+)\] \[(\d+)/(\d+) ")


@dataclass(frozen=True)
class VaeOptions(TrainingOptions):
    """Options of `cryodrgn`.

    The defaults suit some thousand images of 64 px; for 100,000 of 128 px the authors take a learning rate of 1e-4 and
    layers of 1024.

    Attributes:
        encoder_dim, encoder_layers: of the encoder.
        decoder_dim, decoder_layers: of the decoder.
    """

    encoder_dim: int = 256
    encoder_layers: int = 3
    decoder_dim: int = 256
    decoder_layers: int = 3


@method
class Cryodrgn(ExternalMethod[VaeOptions]):
    """`cryodrgn train_vae`: a neural network encodes images into latents, another decodes them into maps."""

    card = MethodCard(
        name="cryodrgn",
        title="cryoDRGN",
        family="neural network, variational autoencoder",
        summary="cryoDRGN 4, train_vae: latents by an encoder, maps by a coordinate network; given poses.",
        citation="Zhong et al. 2021, doi:10.1038/s41592-020-01049-4",
        heterogeneity="continuous",
    )
    options = VaeOptions
    import_options = ImportOptions
    tool = CRYODRGN

    def commands(self, particles: ParticleSet, options: VaeOptions, run: Run, work: Path) -> Iterator[Command]:
        """Downsample if wanted, and train."""
        yield from write_input(particles, options, work)
        words = ["cryodrgn", "train_vae", *shared_arguments(particles, options, run.device), "--poses", "poses.pkl"]
        words += ["-n", str(options.epochs), "-b", str(options.batch_size)]
        words += ["--seed", str(run.seed), "--shuffle-seed", str(run.seed)]
        words += ["--enc-dim", str(options.encoder_dim), "--enc-layers", str(options.encoder_layers)]
        words += ["--dec-dim", str(options.decoder_dim), "--dec-layers", str(options.decoder_layers)]
        yield from train(words, options, options.epochs, work, ("--load", "output/weights.{}.pkl"))

    def progress(self, line: str) -> Done | None:
        """Return how far the training is."""
        return _progress(line)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> CryodrgnReconstruction:
        """Read an output folder of train_vae."""
        return read_output(folder, particles, options, "train_vae")

    def load(self, folder: Path, particles: ParticleSet) -> CryodrgnReconstruction:
        """Read a saved decoder."""
        return load_reconstruction(folder, particles)


def _progress(line: str) -> Done | None:
    if (found := _PROGRESS.search(line)) is None:
        return None
    epoch, epochs, images, of = map(int, found.groups())
    return Done(epoch - 1 + images / of, epochs, f"epoch {epoch}")
