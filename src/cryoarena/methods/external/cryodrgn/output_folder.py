"""The output folder of a training command: its configuration, its epochs, its log."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.particles.safe_pickle import read_array_pickles

_LOSS = re.compile(r"=====> .*?Epoch: (\d+) .*?(total loss|Average loss) = ([-\d.e+]+)")


@dataclass(frozen=True)
class Configuration:
    """What config.yaml tells.

    Attributes:
        command: of cryoDRGN that wrote it, e.g. train_vae.
        version: of cryoDRGN.
        arguments: the command line.
        box_px: of the images that were trained on.
        zdim: dimension of the latent.
        inverted: whether the sign of the images was changed.
        particles: path of the images, as written.
        ind: path of the rows of them that were used, as written, or None for all.
        model: options of the network.
    """

    command: str
    version: str
    arguments: str
    box_px: int
    zdim: int
    inverted: bool
    particles: str
    ind: str | None
    model: dict[str, Any]


def read_configuration(folder: Path, command: str) -> Configuration:
    """Read config.yaml.

    Raises:
        UserError: when it is missing, damaged, or of another program or command.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        if (folder / "config.pkl").is_file():
            raise UserError(
                f"{folder} is of cryoDRGN before version 3, which wrote config.pkl and not config.yaml; train again "
                "with cryoDRGN 4, or import its latents as a table; if it is of OPUS-DSD, import it with opusdsd"
            )
        raise UserError(f"{folder} is no output folder of cryoDRGN: it has no config.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        words = [str(word) for word in content["cmd"]]
        dataset, model = content["dataset_args"], content["model_args"]
        configuration = Configuration(
            command=words[1],
            version=str(content["version"]),
            arguments=" ".join(words[1:]),
            # The lattice has one point more than the image.
            box_px=int(content["lattice_args"]["D"]) - 1,
            zdim=int(model["zdim"]),
            inverted=bool(dataset["invert_data"]),
            particles=str(dataset["particles"]),
            ind=None if dataset["ind"] is None else str(dataset["ind"]),
            model=dict(model),
        )
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged or of another program than cryoDRGN ≥ 3: {error!r}") from error
    if configuration.command != command:
        of_it = [
            name for name, other in methods.all().items() if getattr(other, "command", "") == configuration.command
        ]
        how = f"import it with {of_it[0]}" if of_it else "no method imports that"
        raise UserError(f"{folder} is an output folder of `cryodrgn {configuration.command}`, not of {command}; {how}")
    return configuration


def weights_path(folder: Path, epoch: int) -> Path:
    """Return the checkpoint of an epoch."""
    return folder / f"weights.{epoch}.pkl"


def last_whole_epoch(folder: Path) -> int | None:
    """Return the last epoch whose latents and weights are both there and complete, or None."""
    return next((epoch for epoch in reversed(_epochs(folder)) if _is_whole(folder, epoch)), None)


def choose_epoch(folder: Path, wanted: int | None) -> int:
    """Return the wanted epoch, or the last one that is whole.

    Raises:
        UserError: when there is none.
    """
    epoch = last_whole_epoch(folder) if wanted is None else wanted
    if epoch is None:
        raise UserError(
            f"{folder} has no whole epoch: z.N.pkl and weights.N.pkl of one N are needed; train for longer, or with "
            "--checkpoint 1"
        )
    if wanted is not None and not _is_whole(folder, wanted):
        names = (f"z.{wanted}.pkl", f"weights.{wanted}.pkl")
        missing = [name for name in names if not (folder / name).is_file()]
        why = f"{' and '.join(missing)} missing" if missing else "its files are damaged"
        have = ", ".join(str(other) for other in _epochs(folder) if _is_whole(folder, other)) or "none"
        raise UserError(f"{folder} has no whole epoch {wanted}: {why}; there are: {have}")
    return epoch


def read_latents(folder: Path, epoch: int, zdim: int) -> NDArray[np.float32]:
    """Read the latents (M, zdim) of an epoch: the means, where variances follow them in a second pickle.

    Raises:
        UserError: when the file holds anything else, or a latent is not finite.
    """
    path = folder / f"z.{epoch}.pkl"
    arrays = read_array_pickles(path)
    if len(arrays) > 2 or any(not isinstance(array, np.ndarray) or array.shape != arrays[0].shape for array in arrays):
        raise UserError(f"{path} does not hold latents, or latents and their variances")
    if arrays[0].ndim != 2 or arrays[0].shape[1] != zdim:
        raise UserError(f"{path} holds an array of shape {arrays[0].shape}; config.yaml tells {zdim} dimensions")
    latents = np.asarray(arrays[0], np.float32)
    if not (finite := np.isfinite(latents).all(axis=1)).all():
        raise UserError(
            f"row {int(np.argmin(finite)) + 1} of {path} is not finite: training diverged; lower the learning rate"
        )
    return latents


def read_history(folder: Path, command: str, last: int) -> list[dict[str, float]]:
    """Return the mean loss of the epochs up to `last`, from run.log."""
    path = folder / "run.log"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    # train_dec counts its epochs from 2 here.
    offset = 1 if command == "train_dec" else 0
    # An epoch that was interrupted and repeated counts once.
    losses = {int(number) - offset: float(loss) for number, _, loss in _LOSS.findall(text)}
    return [{"epoch": float(epoch), "loss": losses[epoch]} for epoch in sorted(losses) if epoch <= last]


def _epochs(folder: Path) -> list[int]:
    """Return the epochs that have a file of latents, in order, without epoch 0, which is pretraining."""
    numbers = (re.fullmatch(r"z\.(\d+)\.pkl", path.name) for path in folder.glob("z.*.pkl"))
    return sorted(number for found in numbers if found and (number := int(found[1])) > 0)


def _is_whole(folder: Path, epoch: int) -> bool:
    # A torch checkpoint is a zip archive, whose directory is written last.
    if not zipfile.is_zipfile(weights_path(folder, epoch)):
        return False
    try:
        read_array_pickles(folder / f"z.{epoch}.pkl")
    except UserError as error:
        # Damage by an interruption is passed over; what holds something else than arrays is told.
        if error.__cause__ is None:
            raise
        return False
    return True
