"""What cryoDRGN is, and the options that all its training commands share."""

from dataclasses import dataclass
from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

CRYODRGN = Tool(
    name="cryodrgn",
    title="cryoDRGN",
    version="4.3.1",
    program="cryodrgn",
    version_command=python_version_command("cryodrgn"),
    # Any command loads torch and all of the package.
    self_test=("cryodrgn", "eval_vol", "--help"),
    requirements=Path(__file__).with_name("requirements.txt"),
)


@dataclass(frozen=True)
class TrainingOptions:
    """What every training command is told.

    Attributes:
        zdim: dimension of the latent.
        epochs: times that every image is seen.
        batch_size: images per step.
        learning_rate: of Adam.
        cpu_hours: CPU time after which training is stopped; the last whole epoch is judged.
        threads: of one process; on a busy machine more than one is slower.
        downsample_px: box to which the images are downsampled first; maps are brought back to the box of the dataset.
    """

    zdim: int = 8
    epochs: int = 20
    batch_size: int = 8
    learning_rate: float = 5e-4
    cpu_hours: float | None = None
    threads: int = 1
    downsample_px: int | None = None


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about an output folder.

    Attributes:
        epoch: to take; the last whole one by default.
        particles: the .star, .cs, .mrcs or .txt that cryoDRGN was given, if it is no longer where config.yaml says, or
            the table that a downsampled stack was made from.
        ind: the index file that was given as --ind, if it is no longer where config.yaml says.
    """

    epoch: int | None = None
    particles: Path | None = None
    ind: Path | None = None
