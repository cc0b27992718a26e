"""Which particles of a dataset the rows of cryoSPARC's tables are: by uid, else by image."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.cryosparc.job_folder import image_tables
from cryoarena.methods.external.match_rows import match_ids, match_images
from cryoarena.particles.cs_table import CsTable, read_cs_table
from cryoarena.particles.image_paths import find_stack
from cryoarena.particles.particle_set import ParticleSet

# Import jobs link stacks under their names after a number of their own: 008229123456_particles.mrcs.
_LINK_NUMBER = re.compile(r"(?:^|(?<=/))\d{6,}_(?=[^/]*$)")


def particle_rows(
    table: CsTable, job: Path, images: Path | None, particles: ParticleSet
) -> tuple[NDArray[np.int64], bool]:
    """Return for each row of a table (M,) the row of its particle in the set, and whether contrast was mistaken.

    uids are those of our particles where these were given to cryoSPARC as .cs file; a .star file that is imported gets
    new ones, and particles are then told by their images, which the table or another of the job (its passthrough)
    names.

    Args:
        table: of a job.
        job: its folder.
        images: a table to take the names of images from, e.g. that of the import job; None to look in the job.
        particles: of the dataset.

    Raises:
        UserError: when no table names the images, or one is not of the dataset or there twice.
    """
    uid = table.values("uid").astype(np.uint64)
    named = _image_names(table, job, images)
    opposite = named is not None and "blob/sign" in named and _sign(named, uid) == -particles.contrast_sign
    rows = None if named is None else named.index.get_indexer(pd.Index(uid))
    defocus_u_A = None if named is None or "ctf/df1_A" not in named else named["ctf/df1_A"].to_numpy(np.float64)[rows]
    if np.isin(uid, particles.particle_id.astype(np.uint64)).all():
        return match_ids(table.path, uid.astype(np.int64), particles, defocus_u_A), opposite
    if named is None:
        raise UserError(
            f"no table in {job} names the images (blob/path) of all particles of {table.path.name}, and their uids are "
            "not those of the dataset; give the table that does, of the import or extraction job, by --set images=FILE"
        )
    stack, names = pd.factorize(named["blob/path"].to_numpy()[rows])
    slices = named["blob/idx"].to_numpy()[rows].astype(np.int64)
    stacks = {path.name for path in particles.stack_files}
    told = [_original(table.path, str(name), stacks) for name in names]
    return match_images(table.path, told, stack.astype(np.int64), slices, particles, defocus_u_A), opposite


def _image_names(table: CsTable, job: Path, images: Path | None) -> pd.DataFrame | None:
    """Return blob/path, blob/idx and blob/sign by uid, from one table that has all particles or several together."""
    uid = table.values("uid").astype(np.uint64)
    if images is not None:
        named = _frame(read_cs_table(images))
        if not np.isin(uid, named.index).all():
            missing = uid[~np.isin(uid, named.index)]
            raise UserError(
                f"{images} lacks {len(missing)} of the {len(uid)} particles of {table.path}, first uid {missing[0]}; "
                "give the table of the job that the particles come from"
            )
        return named
    if "blob/path" in table:
        return _frame(table)
    together = pd.DataFrame()
    for path in image_tables(job):
        more = _frame(read_cs_table(path))
        together = pd.concat([together, more[~more.index.isin(together.index)]])
        if np.isin(uid, together.index).all():
            return together
    return None


def _frame(table: CsTable) -> pd.DataFrame:
    columns = {name: table.values(name) for name in ("blob/path", "blob/idx")}
    columns |= {name: table.values(name) for name in ("blob/sign", "ctf/df1_A") if name in table}
    frame = pd.DataFrame(columns, index=table.values("uid").astype(np.uint64))
    frame["blob/path"] = np.char.decode(columns["blob/path"].astype("S"), "utf-8", "replace")
    return frame


def _sign(named: pd.DataFrame, uid: NDArray[np.uint64]) -> int:
    """Return the sign that cryoSPARC was told of the images, 0 where they are of both."""
    signs = np.unique(np.sign(named["blob/sign"].to_numpy()[named.index.get_indexer(pd.Index(uid))]))
    return int(signs[0]) if len(signs) == 1 else 0


def _original(table: Path, name: str, stacks: set[str]) -> str:
    """Return the name of the stack that was imported, where its link is not here."""
    is_known = Path(name).name in stacks or find_stack(table, name).is_file()
    return name if is_known else _LINK_NUMBER.sub("", name)
