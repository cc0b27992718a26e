"""Read tables of real defocus values."""

import zipfile
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.imaging.defocus import DefocusTable
from cryoarena.particles.cryodrgn import read_cryodrgn_ctf
from cryoarena.particles.dataset_folder import open_particles

_COLUMNS = ("defocus_u_A", "defocus_v_A", "defocus_angle_deg")


def read_defocus_table(path: Path) -> DefocusTable:
    """Read defocus U, V and azimuth from a .npz (arrays `ctf` and `columns`), .star, .cs or cryoDRGN ctf .pkl.

    Raises:
        UserError: when the file is missing, of another kind, or lacks a column or sense.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; --ctf takes a .npz, .star, .cs or cryoDRGN .pkl table")
    if path.suffix == ".npz":
        table = _read_npz(path)
    elif path.suffix == ".pkl":
        ctf, _, _ = read_cryodrgn_ctf(path)
        table = DefocusTable(ctf.defocus_u_A, ctf.defocus_v_A, ctf.defocus_azimuth_deg)
    else:
        particles = open_particles(path)
        if particles.ctf is None:
            raise UserError(f"{path} has no CTF columns; --ctf needs defocus values")
        ctf = particles.ctf
        table = DefocusTable(ctf.defocus_u_A, ctf.defocus_v_A, ctf.defocus_azimuth_deg)
    if len(table) == 0:
        raise UserError(f"{path} has no rows; --ctf needs at least one defocus")
    values = np.stack([table.defocus_u_A, table.defocus_v_A, table.azimuth_deg])
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0]) + 1
        raise UserError(f"{path} has a defocus that is not a number in row {row}")
    return table


def _read_npz(path: Path) -> DefocusTable:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = [str(name) for name in arrays["columns"]]
            values = arrays["ctf"].astype(np.float64)
            if values.ndim != 2 or values.shape[1] != len(columns):
                raise ValueError(f"`ctf` has shape {values.shape} for {len(columns)} columns")
    except (KeyError, ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a CTF table (arrays `columns` and `ctf`): {error}") from error
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]}; it has: {', '.join(columns)}")
    return DefocusTable(*(values[:, columns.index(name)] for name in _COLUMNS))
