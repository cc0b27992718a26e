"""What OPUS-DSD is, and the options of its training."""

from dataclasses import dataclass
from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

# Its encoder is made for no less.
LEAST_BOX_PX = 128

OPUSDSD = Tool(
    name="opusdsd",
    title="OPUS-DSD",
    version="1.1.0",
    program="dsd",
    version_command=python_version_command("opusdsd"),
    # Any command loads torch and all of the package.
    self_test=("dsd", "eval_vol", "--help"),
    requirements=Path(__file__).with_name("requirements.txt"),
)


@dataclass(frozen=True)
class OpusdsdOptions:
    """Options of `opusdsd`; the defaults are those of its authors.

    Attributes:
        zdim: dimension of the latent.
        epochs: times that every image is seen.
        batch_size: images per step.
        learning_rate: of Adam.
        beta_control: weight of the prior of the latents.
        lamb: weight of the prior that pulls latents of unlike views together; less for more noise.
        bfactor: in px², of the reconstruction while training.
        downfrac: of the box to which images are downsampled, at least to 128 px.
        mask: path of a map that is not 0 where the molecule is; without one it is a sphere.
        sphere: radius of that sphere in parts of the box.
    """

    zdim: int = 12
    epochs: int = 20
    batch_size: int = 12
    learning_rate: float = 1e-4
    beta_control: float = 2.0
    lamb: float = 1.0
    bfactor: float = 4.0
    downfrac: float = 0.75
    mask: Path | None = None
    sphere: float = 0.4


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about an output folder.

    Attributes:
        epoch: to take, from 0; the last with latents and weights by default.
        particles: the .star, .cs, .mrcs or .txt that OPUS-DSD was given, if it is no longer where run.log says.
        ind: the index file that was given as --ind, if it is no longer where run.log says.
        maps: with no, only the latents are taken.
    """

    epoch: int | None = None
    particles: Path | None = None
    ind: Path | None = None
    maps: bool = True
