"""Read a work folder of CryoSTAR as a reconstruction of a dataset's particles."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.read_array import read_array
from cryoarena.particles.particle_set import ParticleSet

# 0004_0014470: epoch and step.
_EVALUATION = re.compile(r"\d+_\d+")
_STAR = re.compile(r"""starfile_path['"]?\s*[=:]\s*['"]([^'"]+)['"]""")
_SETS = ("kmeans", "pca_1", "pca_2", "pca_3")


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about a work folder.

    Attributes:
        particles: the .star that CryoSTAR was given, if it is no longer where config.py says.
        inverted: whether protein is negative in the maps.
    """

    particles: Path | None = None
    inverted: bool = False


def read_output(folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
    """Read the last evaluation in a work folder density_… (or atom_…, which has no maps).

    Raises:
        UserError: when there is none, a file is missing, or rows and particles do not match.
    """
    evaluation = last_evaluation(folder)
    latents = read_array(evaluation / "z.npy", 2, "f", "(N, d) latents").astype(np.float32)
    star = options.particles or _star(folder)
    rows = match_star(star, particles)
    if len(rows) != len(latents):
        raise UserError(f"{evaluation / 'z.npy'} has {len(latents)} latents but {star} {len(rows)} particles")
    paths, centres = _maps(evaluation, latents.shape[1])
    order = np.argsort(rows)
    dropped = len(particles) - len(rows)
    notes = [f"{dropped} of {len(particles)} particles have no latent: they are not in the table"] if dropped else []
    if not paths:
        notes.append("the folder has no maps; import that of the density generator, density_…")
    elif (box_px := require_field(paths, particles)) != particles.box_px:
        notes.append(f"the maps have a box of {box_px}; they are brought to {particles.box_px}")
    return GivenMaps(
        latents[order],
        centres,
        np.arange(len(paths)),
        MapFiles(paths, particles.box_px, particles.pixel_size_A, options.inverted),
        rows=rows[order] if dropped else None,
        notes=tuple(notes),
        found={"program": "CryoSTAR", "evaluation": evaluation.name},
    )


def last_evaluation(folder: Path) -> Path:
    """Return the folder of the evaluation after the most steps.

    Raises:
        UserError: when there is none.
    """
    found = [path.parent for path in folder.glob("*/z.npy") if _EVALUATION.fullmatch(path.parent.name)]
    if not found:
        raise UserError(
            f"{folder} has no evaluation (0004_0014470/z.npy); give the folder density_… in work_dirs of CryoSTAR"
        )
    return max(found, key=lambda path: int(path.name.split("_")[1]))


def _star(folder: Path) -> Path:
    config = folder / "config.py"
    # It is Python, which is not run.
    told = _STAR.search(config.read_text(encoding="utf-8", errors="replace")) if config.is_file() else None
    if told is None or not Path(told[1]).is_file():
        where = f"names {told[1]}, which does not exist" if told else "does not tell the .star file"
        raise UserError(f"{config} {where}; give it with --set particles=FILE.star")
    return Path(told[1])


def _maps(evaluation: Path, dimensions: int) -> tuple[tuple[Path, ...], NDArray[np.float32]]:
    """Return the maps at k-means centres and along principal axes, and their latents (m, d)."""
    paths: list[Path] = []
    centres = np.empty((0, dimensions), np.float32)
    for name in _SETS:
        # vol_pca_1_003.mrc is the fourth of z_pca_1.txt.
        maps = sorted(evaluation.glob(f"vol_{name}_*.mrc"))
        if not maps:
            continue
        table = evaluation / f"z_{name}.txt"
        latents = np.loadtxt(table, ndmin=2, dtype=np.float32) if table.is_file() else np.empty((0, 0), np.float32)
        if latents.shape != (len(maps), dimensions):
            raise UserError(
                f"{table} has latents of shape {latents.shape}, not ({len(maps)}, {dimensions}) as the {len(maps)} "
                f"maps vol_{name}_….mrc and z.npy; copy all files of one evaluation"
            )
        paths += maps
        centres = np.concatenate([centres, latents])
    return tuple(paths), centres
