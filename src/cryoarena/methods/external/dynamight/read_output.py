"""Read an output folder of DynaMight as a reconstruction of a dataset's particles."""

import re
import tempfile
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.dynamight.decoder import Decoder
from cryoarena.methods.external.dynamight.program import DYNAMIGHT, SCRIPT, ImportOptions
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.methods.read_array import read_array
from cryoarena.particles.particle_set import ParticleSet

CHECKPOINTS = Path("forward_deformations", "checkpoints")
FINAL = "checkpoint_final.pth"
# What a run keeps of the latents, which DynaMight itself never writes.
LATENTS = "latents"
_EPOCH = re.compile(r"(\d+)\.pth")


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions) -> DecodedReconstruction:
    """Read what `dynamight optimize-deformations` wrote, and let DynaMight encode the images.

    Raises:
        UserError: when the folder is of another program, the epoch is not there, DynaMight is not installed, or rows
            and particles do not match.
        ProgramFailed: when DynaMight fails.
    """
    checkpoint = _checkpoint(folder, options.epoch)
    if options.half not in (1, 2):
        raise UserError(f"option half is {options.half}; DynaMight has halves 1 and 2")
    with tempfile.TemporaryDirectory(prefix="cryoarena-dynamight-") as name:
        made = folder / LATENTS
        if not _are_of(made, checkpoint, options):
            made = Path(name) / LATENTS
            words: list[str | Path] = ["python", SCRIPT, "latents", checkpoint.absolute(), made]
            words += ["--half", str(options.half)]
            words += [] if options.particles is None else ["--star", options.particles.absolute()]
            run_program(Command(words), DYNAMIGHT.require(), Path(name), Path(name) / "log.txt")
        star = options.particles or Path(read_json(made / "latents.json")["star"])
        latents = read_array(made / "latents.npy", 2, "f", "(N, d) latents").astype(np.float32)
    if not star.is_file():
        raise UserError(f"{checkpoint} names {star}, which does not exist; give it with --set particles=FILE.star")
    rows = match_star(star, particles)
    if len(rows) != len(latents):
        raise UserError(f"{folder} has {len(latents)} latents but {star} {len(rows)} particles")
    order = np.argsort(rows)
    dropped = len(particles) - len(rows)
    notes = [f"all images were encoded by the network of half {options.half}, which was trained on half of them"]
    if dropped:
        notes.append(f"{dropped} of {len(particles)} particles have no latent: they are not in the table")
    return DecodedReconstruction(
        Decoder(checkpoint, options.half, particles.box_px, particles.pixel_size_A),
        latents[order],
        rows[order] if dropped else None,
        notes=tuple(notes),
        found={"program": "DynaMight", "checkpoint": checkpoint.name, "half": options.half},
    )


def _checkpoint(folder: Path, epoch: int | None) -> Path:
    there = folder / CHECKPOINTS
    if not there.is_dir():
        raise UserError(f"{folder} is no output folder of DynaMight: it has no {CHECKPOINTS}")
    epochs = sorted(int(match[1]) for path in there.glob("*.pth") if (match := _EPOCH.fullmatch(path.name)))
    if epoch is None and (there / FINAL).is_file():
        return there / FINAL
    if not epochs or (epoch is not None and epoch not in epochs):
        asked = "checkpoint" if epoch is None else f"checkpoint of epoch {epoch}"
        raise UserError(f"{there} has no {asked}; there are those of epochs: {', '.join(map(str, epochs)) or 'none'}")
    return there / f"{epochs[-1] if epoch is None else epoch:03}.pth"


def _are_of(made: Path, checkpoint: Path, options: ImportOptions) -> bool:
    """Return whether latents were made of a checkpoint and half, from the table that it was trained on."""
    if options.particles is not None or not (made / "latents.json").is_file():
        return False
    about = read_json(made / "latents.json")
    return bool(about.get("checkpoint") == checkpoint.name and about.get("half") == options.half)
