"""Read an output folder of OPUS-DSD as a reconstruction of a dataset's particles."""

import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.opusdsd.analysed_maps import AnalysedMaps, analysed_maps
from cryoarena.methods.external.opusdsd.decoder import Decoder
from cryoarena.methods.external.opusdsd.program import ImportOptions
from cryoarena.methods.external.opusdsd.run_log import read_run_log
from cryoarena.methods.external.safe_torch import read_torch
from cryoarena.methods.external.table_of_training import rows_of_training
from cryoarena.particles.particle_set import ParticleSet

_LATENTS = re.compile(r"z\.(\d+)\.pkl")


def whole_epochs(folder: Path) -> list[int]:
    """Return the epochs, from 0, with latents and weights."""
    found = [int(match[1]) for path in folder.glob("z.*.pkl") if (match := _LATENTS.fullmatch(path.name))]
    # What torch saves is a zip archive, whose directory comes last: a part of one is none.
    return sorted(
        epoch
        for epoch in found
        if zipfile.is_zipfile(_weights(folder, epoch)) and zipfile.is_zipfile(folder / f"z.{epoch}.pkl")
    )


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions) -> Reconstruction:
    """Read what `dsd train_multi -o folder` wrote.

    Raises:
        UserError: when the folder is of another program, the epoch is not there, or rows and particles do not match.
    """
    training = read_run_log(folder)
    if training.bodies:
        raise UserError(f"{folder} is of a training with bodies (--masks); import its latents and maps as a table")
    epoch = _choose(folder, options.epoch)
    latents = _latents(folder, epoch, training.zdim)
    rows = rows_of_training(folder / "run.log", training, options, particles)
    if len(rows) != len(latents):
        raise UserError(
            f"{folder / f'z.{epoch}.pkl'} has {len(latents)} latents but its table names {len(rows)} images; "
            "give the table with --set particles=TABLE and what --ind was with --set ind=FILE"
        )
    notes = []
    if left_out := len(particles) - len(rows):
        notes.append(f"{left_out} of {len(particles)} particles have no latent: the program was run without them")
    if (unseen := _unseen(folder, epoch, latents)).any():
        notes.append(
            f"{unseen.sum()} of {len(particles)} particles were in no whole batch of OPUS-DSD; the random latents that "
            "it gave them at first are left out"
        )
        rows, latents = rows[~unseen], latents[~unseen]
    dropped = len(rows) < len(particles)
    order = np.argsort(rows)
    embedding, kept = latents[order], rows[order] if dropped else None
    found = {"program": "OPUS-DSD", "epoch": epoch, "zdim": training.zdim, **training.arguments}
    # It takes images to be bright, and does not change their sign whatever it is told.
    opposite = particles.contrast_sign < 0
    maps = analysed_maps(folder, epoch, training.zdim) if options.maps else AnalysedMaps((), latents[:0])
    if maps is None:
        decoder = Decoder(
            folder / "config.pkl", _weights(folder, epoch), opposite, particles.box_px, particles.pixel_size_A
        )
        return DecodedReconstruction(decoder, embedding, kept, notes=tuple(notes), found=found)
    files = maps.placed(particles, opposite) if maps.paths else MapFiles((), particles.box_px, particles.pixel_size_A)
    numbers = np.arange(len(maps.paths))
    return GivenMaps(embedding, maps.latents, numbers, files, rows=kept, notes=tuple(notes), found=found)


def _choose(folder: Path, wanted: int | None) -> int:
    there = whole_epochs(folder)
    if not there or (wanted is not None and wanted not in there):
        asked = "epoch with latents and weights" if wanted is None else f"epoch {wanted}"
        raise UserError(f"{folder} has no {asked}; there are: {', '.join(map(str, there)) or 'none'}")
    return there[-1] if wanted is None else wanted


def _weights(folder: Path, epoch: int) -> Path:
    return folder / f"weights.{epoch}.pkl"


def _latents(folder: Path, epoch: int, zdim: int) -> NDArray[np.float32]:
    """Return the latents (N, d) of an epoch."""
    path = folder / f"z.{epoch}.pkl"
    content = read_torch(path)
    latents = content.get("mu") if isinstance(content, dict) else None
    if not isinstance(latents, torch.Tensor) or latents.ndim != 2 or latents.shape[1] != zdim:
        raise UserError(f"{path} has no latents mu of dimension {zdim}; it is not of `dsd train_multi`")
    return latents.numpy().astype(np.float32)


def _unseen(folder: Path, epoch: int, latents: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which latents (N,) the epoch left as they were: those of images that no batch ever holds."""
    path = folder / f"z.{epoch - 1}.pkl"
    if not path.is_file():
        return np.zeros(len(latents), bool)
    before = _latents(folder, epoch - 1, latents.shape[1])
    if before.shape != latents.shape:
        return np.zeros(len(latents), bool)
    unseen = (before == latents).all(axis=1)
    return np.asarray(unseen & ~unseen.all())
