"""Read and write maps as MRC2014 files (Cheng et al. 2015, doi:10.1016/j.jsb.2015.04.002)."""

import warnings
import zlib
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path

_HEADER_BYTES = 1024
_GZIP_MAGIC = b"\x1f\x8b"
# deflate cannot shrink data more than 1032-fold, so a bigger claim is a lie
_LARGEST_GZIP_RATIO = 1032


def read_volume(path: Path, pixel_size_A: float | None = None) -> tuple[NDArray[np.float32], float]:
    """Read a cubic map with an even box, gzipped or not.

    Args:
        path: .mrc, .map or .ccp4 file, or the same gzipped.
        pixel_size_A: used instead of the header's voxel size, which some programs leave at 0.

    Returns:
        The map (D, D, D) float32 as [z, y, x], whatever the axis order of the file, and its pixel size in Å.

    Raises:
        UserError: when the file is missing, truncated or not MRC, the map is complex, not cubic or of odd
            box, or the header has no voxel size and none is given.
    """
    header, shape = _checked_header(path)
    axis_of_file = [int(header.maps) - 1, int(header.mapr) - 1, int(header.mapc) - 1]
    if sorted(axis_of_file) != [0, 1, 2]:
        raise UserError(f"{path} has no valid axis order (MAPC, MAPR, MAPS); save it again from ChimeraX")
    pixel = pixel_size_A if pixel_size_A is not None else _voxel_size(path, header, shape)
    if not (np.isfinite(pixel) and pixel > 0):
        raise UserError(f"the pixel size of {path} is {pixel} Å; give a positive pixel size")
    data = _read_data(path)
    x, y, z = (axis_of_file.index(axis) for axis in (0, 1, 2))
    return np.ascontiguousarray(data.transpose(z, y, x), dtype=np.float32), float(pixel)


def read_grid(path: Path) -> tuple[int, float]:
    """Return the box D and the pixel size in Å of a map, from its header alone.

    Raises:
        UserError: as `read_volume`.
    """
    header, shape = _checked_header(path)
    return shape[0], _voxel_size(path, header, shape)


def write_volume(path: Path, volume: NDArray[np.float32], pixel_size_A: float) -> None:
    """Write a map (D, D, D) [z, y, x] as float32, atomically; equal maps give equal bytes.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
        ValueError: when the map is not three-dimensional or the pixel size is not positive.
    """
    if volume.ndim != 3 or not pixel_size_A > 0:
        raise ValueError(f"a map needs three axes and a positive pixel size, not {volume.shape}, {pixel_size_A}")
    with atomic_path(path) as temporary, mrcfile.new(temporary) as stream:
        stream.set_data(np.ascontiguousarray(volume, dtype=np.float32))
        stream.set_volume()
        stream.voxel_size = pixel_size_A
        stream.header.origin = (0, 0, 0)
        # mrcfile writes the time of day here
        stream.header.label[0] = b"CryoArena"
        stream.header.nlabl = 1


def _checked_header(path: Path) -> tuple[np.recarray, tuple[int, int, int]]:
    header, dtype = _read_header(path)
    shape = (int(header.nz), int(header.ny), int(header.nx))
    _check_shape(path, shape)
    _check_size(path, shape, dtype, int(header.nsymbt))
    return header, shape


def _read_header(path: Path) -> tuple[np.recarray, np.dtype]:
    if not path.exists():
        raise UserError(f"the map {path} does not exist")
    try:
        with warnings.catch_warnings():
            # old programs leave the machine stamp empty; the sizes are checked below
            warnings.simplefilter("ignore", RuntimeWarning)
            with mrcfile.open(path, permissive=True, header_only=True) as stream:
                header = stream.header.copy()
        dtype = mrcfile.utils.data_dtype_from_header(header)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not an MRC map, or is truncated: {error}") from error
    if dtype.kind == "c":
        raise UserError(f"{path} holds Fourier coefficients (MRC mode {header.mode}); a map in real space is needed")
    return header, dtype


def _check_shape(path: Path, shape: tuple[int, int, int]) -> None:
    if len(set(shape)) != 1 or shape[0] % 2 or shape[0] < 2:
        raise UserError(
            f"{path} is {shape[2]} x {shape[1]} x {shape[0]} voxels, but a cube with an even side is needed; "
            "pad it, for example with relion_image_handler --new_box"
        )


def _check_size(path: Path, shape: tuple[int, int, int], dtype: np.dtype, nsymbt: int) -> None:
    expected = _HEADER_BYTES + max(nsymbt, 0) + shape[0] * shape[1] * shape[2] * dtype.itemsize
    with path.open("rb") as stream:
        ratio = _LARGEST_GZIP_RATIO if stream.read(2) == _GZIP_MAGIC else 1
    found = path.stat().st_size
    if expected > ratio * found:
        raise UserError(
            f"{path} is truncated: its header announces {expected} bytes, the file has {found}; copy it again"
        )


def _voxel_size(path: Path, header: np.recarray, shape: tuple[int, int, int]) -> float:
    cell = np.array([header.cella.x, header.cella.y, header.cella.z], np.float64)
    sampling = np.array([header.mx, header.my, header.mz], np.float64)
    if not (np.isfinite(cell).all() and (cell > 0).all() and (sampling > 0).all()):
        raise UserError(f"{path} has no voxel size in its header; give its pixel size in Å")
    size = cell / sampling
    if np.ptp(size) > 1e-3 * size.min():
        raise UserError(f"{path} has voxels of {size[0]:g} x {size[1]:g} x {size[2]:g} Å; resample it to cubic voxels")
    # the cell is float32: 3.54 is stored as 353.99999, so round off what cannot be meant
    return float(np.round(size[0], 6))


def _read_data(path: Path) -> NDArray[np.generic]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            with mrcfile.open(path, permissive=True) as stream:
                data = stream.data
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is truncated or damaged: {error}; copy it again") from error
    if data is None or data.ndim != 3:
        raise UserError(f"{path} is truncated or damaged: its map cannot be read; copy it again")
    return np.asarray(data)
