"""The training commands of cryoDRGN: an autoencoder and an autodecoder with given poses, two that find the poses."""

from dataclasses import dataclass

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Resources, method
from cryoarena.methods.external.cryodrgn.program import TrainingOptions
from cryoarena.methods.external.cryodrgn.training_method import TrainingMethod

_LARGEST_L = 32


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


@dataclass(frozen=True)
class AutodecoderOptions(TrainingOptions):
    """Options of `cryodrgn-ai`.

    Attributes:
        latent_learning_rate: of Adam for the latents, each of which is seen once an epoch; with the 1e-4 of the program
            they do not leave their random start in 20 epochs of 1,000 images.
        dim, layers: of the decoder.
    """

    latent_learning_rate: float = 2e-2
    dim: int = 256
    layers: int = 3


@dataclass(frozen=True)
class PoseSearchOptions(TrainingOptions):
    """Options of how poses are searched.

    Attributes:
        l_start, l_end: largest frequency, in cycles per box, at the start and the end of a search; l_end is 32, or all
            that the box has, by default.
        shift_px: largest shift that is searched.
    """

    l_start: int = 12
    l_end: int | None = None
    shift_px: float = 10.0


@dataclass(frozen=True)
class AbInitioOptions(PoseSearchOptions):
    """Options of `cryodrgn-ai-abinit`.

    Attributes:
        search_epochs: of all epochs, how many search the poses; the others refine them by gradients.
        dim, layers: of the decoder.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-4
    search_epochs: int = 3
    dim: int = 256
    layers: int = 3


@dataclass(frozen=True)
class Cryodrgn2Options(PoseSearchOptions):
    """Options of `cryodrgn-2`.

    Attributes:
        search_every: so many epochs, at least 2, the first included; between, the poses found are kept.
        encoder_dim, encoder_layers: of the encoder.
        decoder_dim, decoder_layers: of the decoder.
    """

    epochs: int = 30
    learning_rate: float = 1e-4
    search_every: int = 5
    encoder_dim: int = 256
    encoder_layers: int = 3
    decoder_dim: int = 256
    decoder_layers: int = 3


@method
class Cryodrgn(TrainingMethod[VaeOptions]):
    """`cryodrgn train_vae`."""

    card = MethodCard(
        name="cryodrgn",
        title="cryoDRGN",
        family="neural network, variational autoencoder",
        summary="cryoDRGN 4, train_vae: latents by an encoder, maps by a coordinate network; given poses.",
        citation="Zhong et al. 2021, doi:10.1038/s41592-020-01049-4",
        heterogeneity="continuous",
        resources=Resources(memory_GB=6.0, minutes=60.0, minutes_per_gigapixel=6000.0),
    )
    options = VaeOptions
    command = "train_vae"
    load_epoch = ("--load", "output/weights.{}.pkl")

    def arguments(self, options: VaeOptions, box_px: int, seed: int) -> list[str]:
        """Return poses, batch size, seed of the order of images, and the networks."""
        return ["--poses", "poses.pkl", "-b", str(options.batch_size), "--shuffle-seed", str(seed), *_networks(options)]


@method
class CryodrgnAi(TrainingMethod[AutodecoderOptions]):
    """`cryodrgn train_dec`."""

    card = MethodCard(
        name="cryodrgn-ai",
        title="cryoDRGN-AI, given poses",
        family="neural network, autodecoder",
        summary="cryoDRGN 4, train_dec: a latent per image learned with the coordinate network; given poses.",
        citation="Levy et al. 2025, doi:10.1038/s41592-025-02720-4",
        heterogeneity="continuous",
        resources=Resources(memory_GB=6.0, minutes=60.0, minutes_per_gigapixel=6000.0),
    )
    options = AutodecoderOptions
    command = "train_dec"
    load_epoch = ("--load", "output/weights.{}.pkl", "--load-z", "output/z.{}.pkl")

    def arguments(self, options: AutodecoderOptions, box_px: int, seed: int) -> list[str]:
        """Return poses, batch size, seed of the order of images, learning rate of latents, and the decoder."""
        words = ["--poses", "poses.pkl", "-b", str(options.batch_size), "--shuffle-seed", str(seed)]
        words += ["--z-lr", str(options.latent_learning_rate)]
        return [*words, "--dim", str(options.dim), "--layers", str(options.layers)]


@method
class CryodrgnAiAbInitio(TrainingMethod[AbInitioOptions]):
    """`cryodrgn abinit`."""

    card = MethodCard(
        name="cryodrgn-ai-abinit",
        title="cryoDRGN-AI, ab initio",
        family="neural network, autodecoder",
        summary="cryoDRGN 4, abinit: poses by search and gradients, a latent per image; slow without a GPU.",
        citation="Levy et al. 2025, doi:10.1038/s41592-025-02720-4",
        heterogeneity="continuous",
        needs_poses=False,
        resources=Resources(memory_GB=8.0, minutes=120.0, minutes_per_gigapixel=30000.0),
    )
    options = AbInitioOptions
    command = "abinit"
    load_epoch = ("--load", "output/weights.{}.pkl", "--load-poses", "output/pose.{}.pkl")

    def arguments(self, options: AbInitioOptions, box_px: int, seed: int) -> list[str]:
        """Return batch size, the search, and the decoder."""
        words = ["--batch-size-sgd", str(options.batch_size), "--num-workers", "0", *_search(options, box_px)]
        words += ["--epochs-pose-search", str(options.search_epochs)]
        return [*words, "--dim", str(options.dim), "--layers", str(options.layers)]


@method
class Cryodrgn2(TrainingMethod[Cryodrgn2Options]):
    """`cryodrgn abinit_het_old`."""

    card = MethodCard(
        name="cryodrgn-2",
        title="cryoDRGN2",
        family="neural network, variational autoencoder",
        summary="cryoDRGN 4, abinit_het_old: poses by search, latents by an encoder; slow without a GPU.",
        citation="Zhong et al. 2021, doi:10.1109/ICCV48922.2021.00403",
        heterogeneity="continuous",
        needs_poses=False,
        resources=Resources(memory_GB=8.0, minutes=120.0, minutes_per_gigapixel=30000.0),
    )
    options = Cryodrgn2Options
    command = "abinit_het_old"
    load_epoch = ("--load", "output/weights.{}.pkl", "--load-poses", "output/pose.{}.pkl")

    def arguments(self, options: Cryodrgn2Options, box_px: int, seed: int) -> list[str]:
        """Return batch size, seed of the order of images, the search, and the networks.

        Raises:
            UserError: when the program would never search.
        """
        if options.search_every < 2:
            raise UserError(
                f"option search_every is {options.search_every}; cryoDRGN2 cannot search more than every 2nd"
            )
        words = ["-b", str(options.batch_size), "--shuffle-seed", str(seed), *_search(options, box_px)]
        return [*words, "--ps-freq", str(options.search_every), *_networks(options)]


def _networks(options: VaeOptions | Cryodrgn2Options) -> list[str]:
    words = ["--enc-dim", str(options.encoder_dim), "--enc-layers", str(options.encoder_layers)]
    return [*words, "--dec-dim", str(options.decoder_dim), "--dec-layers", str(options.decoder_layers)]


def _search(options: PoseSearchOptions, box_px: int) -> list[str]:
    """Return the arguments of the pose search.

    Raises:
        UserError: when the box has not so many frequencies.
    """
    l_end = options.l_end or min(_LARGEST_L, box_px // 2)
    l_start = min(options.l_start, l_end)
    if l_end > box_px // 2:
        raise UserError(f"option l_end is {l_end} but images of {box_px} px have frequencies up to {box_px // 2}")
    return ["--l-start", str(l_start), "--l-end", str(l_end), "--t-extent", str(options.shift_px)]
