"""The particle tables of a dataset folder, and particles from any table that is known."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryoarena import __version__
from cryoarena.errors import UserError
from cryoarena.files import read_json, sha256_of, write_json
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf, write_cryodrgn_poses
from cryoarena.particles.cs import read_cs, write_cs
from cryoarena.particles.given import Given
from cryoarena.particles.image_paths import relative_stack_names, require_stack
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star
from cryoarena.particles.stack import open_stack
from cryoarena.particles.write_star import write_star

FOLDER_FILES = ("particles.star", "particles.cs", "poses.pkl", "ctf.pkl", "dataset.json")


def write_tables(folder: Path, particles: ParticleSet) -> list[Path]:
    """Write particles.star and .cs and, of what is known, poses.pkl and ctf.pkl; return their paths.

    Each file appears whole or not at all; equal particles give equal bytes.

    Raises:
        UserError: when the disk is full.
    """
    star, cs, poses, ctf = (folder / name for name in ("particles.star", "particles.cs", "poses.pkl", "ctf.pkl"))
    write_star(star, particles)
    write_cs(cs, particles)
    written = [star, cs]
    if particles.poses is not None:
        write_cryodrgn_poses(poses, particles.poses, particles.box_px, particles.pixel_size_A)
        written.append(poses)
    if particles.ctf is not None:
        write_cryodrgn_ctf(ctf, particles.ctf, particles.box_px, particles.pixel_size_A)
        written.append(ctf)
    return written


def write_folder(folder: Path, particles: ParticleSet) -> list[Path]:
    """Write a dataset folder for somebody's own particles: without truth, their images where they are.

    The card, dataset.json, comes last: a folder that has it is whole. Tables of a folder that is written anew go.

    Returns:
        The paths of what was written.

    Raises:
        UserError: when a stack name has white space or the disk is full.
    """
    # Nothing is touched before it is known that stacks can be named.
    relative_stack_names(folder, particles.stack_files)
    (folder / FOLDER_FILES[-1]).unlink(missing_ok=True)
    tables = write_tables(folder, particles)
    for stale in {folder / name for name in FOLDER_FILES} - set(tables):
        stale.unlink(missing_ok=True)
    files = {path.name: sha256_of(path) for path in tables}
    name = folder.resolve().name
    card = {
        "format": 1,
        "id": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
        "name": name,
        "card": {
            "name": name,
            "title": name,
            "kind": "unknown",
            "summary": "Particles of another program; their truth is not known.",
            "citation": "",
            "licence": "that of the stacks",
            "sources": [],
            "notes": [],
            "stand_ins": [],
        },
        "cvs": [],
        "recipe": {
            "images": len(particles),
            "box_px": particles.box_px,
            "pixel_size_A": particles.pixel_size_A,
            "contrast_sign": particles.contrast_sign,
            "linked": True,
        },
        "generator": {"cryoarena": __version__},
        "notes": ["Images are where they were; the tables name them by relative paths."],
        "files": files,
    }
    write_json(folder / FOLDER_FILES[-1], card)
    return [*tables, folder / FOLDER_FILES[-1]]


def open_particles(path: Path) -> ParticleSet:
    """Open the particles of a dataset folder, a .star or a .cs file, and check them against their stacks.

    A bare .star file is taken to hold bright particles, as RELION expects; folders and .cs files record it.

    Raises:
        UserError: when a table or stack is missing, damaged or does not match the other.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if path.suffix == ".star":
        particles = read_star(path)
    elif path.suffix == ".cs":
        particles = read_cs(path)
    else:
        raise UserError(f"{path} is no particle table; give a dataset folder, a .star or a .cs file")
    check_stacks(path, particles)
    return particles


def _open_folder(folder: Path) -> ParticleSet:
    card = folder / "dataset.json"
    if not card.exists():
        raise UserError(f"{folder} has no dataset.json; repeat the command that makes it, or give its .star file")
    recipe = read_json(card).get("recipe", {})
    if recipe.get("contrast_sign") not in (1, -1) or not recipe.get("pixel_size_A", 0) > 0:
        raise UserError(f"the recipe in {card} tells no contrast_sign (1 or -1) or no pixel_size_A; make it again")
    star = folder / "particles.star"
    particles = read_star(star, Given(contrast_sign=recipe["contrast_sign"]))
    if not np.isclose(particles.pixel_size_A, recipe["pixel_size_A"], rtol=1e-6, atol=0):
        raise UserError(
            f"{star} has pixels of {particles.pixel_size_A:g} Å but dataset.json says {recipe['pixel_size_A']:g} Å"
        )
    images = check_stacks(star, particles)
    # A mixture may link the stacks of others and name some of their images only.
    if images != len(particles) and not recipe.get("linked"):
        raise UserError(
            f"{star} has {len(particles)} rows but its stacks hold {images} images; restore the missing rows or "
            "open the .star file itself"
        )
    # The table rounds it to nine digits.
    return replace(particles, pixel_size_A=float(recipe["pixel_size_A"]))


def check_stacks(table: Path, particles: ParticleSet) -> int:
    """Check that the images that `table` names exist; return how many images their stacks hold.

    Raises:
        UserError: when a stack is missing, damaged, of another box, or has fewer images than the table names.
    """
    last = np.full(len(particles.stack_files), -1)
    np.maximum.at(last, particles.stack_index, particles.slice_index)
    total = 0
    for stack, path in enumerate(particles.stack_files):
        require_stack(table, int(np.argmax(particles.stack_index == stack)), path)
        images = len(open_stack(path, particles.box_px))
        if last[stack] >= images:
            raise UserError(
                f"{table} names image {last[stack] + 1:06d}@{path.name} but the stack has {images} images; "
                "the table and the stack do not match"
            )
        total += images
    return total
