"""Read an output folder of cryoDRGN as a reconstruction of a dataset's particles."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.external.cryodrgn.decoder import Decoder
from cryoarena.methods.external.cryodrgn.output_folder import (
    Configuration,
    choose_epoch,
    read_configuration,
    read_history,
    read_latents,
    weights_path,
)
from cryoarena.methods.external.cryodrgn.program import ImportOptions
from cryoarena.methods.external.decoded import DecodedReconstruction
from cryoarena.methods.external.table_of_training import rows_of_training
from cryoarena.particles.cryodrgn import read_cryodrgn_poses
from cryoarena.particles.particle_set import ParticleSet

# These estimate poses.
_AB_INITIO = ("abinit", "abinit_het_old")


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions, command: str) -> DecodedReconstruction:
    """Read what `cryodrgn COMMAND -o folder` wrote.

    Raises:
        UserError: when the folder is of another program or command, the epoch is not there, or rows and particles
            do not match.
    """
    configuration = read_configuration(folder, command)
    epoch = choose_epoch(folder, options.epoch)
    latents = read_latents(folder, epoch, configuration.zdim)
    rows = rows_of_training(folder / "config.yaml", configuration, options, particles)
    if len(rows) != len(latents):
        raise UserError(
            f"{folder / f'z.{epoch}.pkl'} has {len(latents)} latents but its table names "
            f"{len(rows)} images; give the table with --set particles=TABLE and what --ind was with --set ind=FILE"
        )
    poses = _poses(folder, epoch, configuration, particles) if command in _AB_INITIO else None
    order = np.argsort(rows)
    dropped = len(particles) - len(rows)
    # cryoDRGN changes the sign of bright images unless told otherwise.
    opposite = configuration.inverted != (particles.contrast_sign > 0)
    notes = []
    if dropped:
        notes.append(f"{dropped} of {len(particles)} particles have no latent: the program was run without them")
    if configuration.box_px != particles.box_px:
        notes.append(
            f"the program worked on images of {configuration.box_px} px; its maps are brought to {particles.box_px} px"
        )
    if opposite:
        notes.append("the program was told the wrong sign of the images; the sign of its maps is changed")
    decoder = Decoder(
        folder / "config.yaml", weights_path(folder, epoch), opposite, particles.box_px, particles.pixel_size_A
    )
    return DecodedReconstruction(
        decoder,
        latents[order],
        rows[order] if dropped else None,
        None if poses is None else poses[order],
        read_history(folder, command, epoch),
        tuple(notes),
        {
            "program": f"cryoDRGN {configuration.version}",
            "arguments": configuration.arguments,
            "epoch": epoch,
            "box_px": configuration.box_px,
            "model": configuration.model,
        },
    )


def _poses(folder: Path, epoch: int, configuration: Configuration, particles: ParticleSet) -> Poses:
    path = folder / f"pose.{epoch}.pkl"
    field_A = particles.box_px * particles.pixel_size_A
    # Shifts are in pixels, or in fractions of a lattice with one point more than the image.
    unit_px = 1 if configuration.command == "abinit" else configuration.box_px + 1
    poses = read_cryodrgn_poses(path, unit_px, field_A / configuration.box_px)
    # Single precision leaves them a little off.
    u, _, vt = np.linalg.svd(poses.rotation_object_to_image)
    return replace(poses, rotation_object_to_image=u @ vt)
