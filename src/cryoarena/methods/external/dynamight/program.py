"""What DynaMight is, and its options."""

from dataclasses import dataclass
from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

SCRIPT = Path(__file__).with_name("run_dynamight.py")

DYNAMIGHT = Tool(
    name="dynamight",
    title="DynaMight",
    version="0.1",
    # As RELION names it too; what is run is the Python beside it.
    program="dynamight",
    version_command=python_version_command("dynamight"),
    self_test=("python", str(SCRIPT), "--help"),
    requirements=Path(__file__).with_name("requirements.txt"),
)


@dataclass(frozen=True)
class DynamightOptions:
    """Options of `dynamight`.

    Attributes:
        initial_model: path of the consensus map; by default it is computed as by the method consensus.
        mask: path of a map that is not 0 where the molecule moves; without one all of it may.
        gaussians: of the model.
        latent_dimensions: of the latent.
        epochs: after which the checkpoint that is judged is written; the program goes on until it finds no gain, and
            for twice as many at most.
        batch_size: images per step.
        regularization: of the deformations, relative to the images.
        half: 1 or 2, of the two networks that are trained apart on halves of the images; this one encodes all images.
        threads: of one process.
    """

    initial_model: Path | None = None
    mask: Path | None = None
    gaussians: int = 10_000
    latent_dimensions: int = 6
    epochs: int = 150
    batch_size: int = 128
    regularization: float = 0.9
    half: int = 1
    threads: int = 1


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about an output folder.

    Attributes:
        epoch: whose checkpoint to take; the final one, or else the last, by default.
        half: 1 or 2, as in a run.
        particles: the .star that DynaMight was given, if it is no longer where the checkpoint says.
    """

    epoch: int | None = None
    half: int = 1
    particles: Path | None = None
