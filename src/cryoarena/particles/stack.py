"""Image stacks as MRC2014 files: a streaming writer and a memory-mapped reader (doi:10.1016/j.jsb.2015.04.002)."""

import math
import warnings
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, final

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path

_HEADER_BYTES = 1024


@final
class StackWriter:
    """Stream images into an .mrcs file that appears, whole, when the `with` block ends; nothing stays after an error.

    Equal images give equal bytes, however they are divided among calls of `append`; memory holds one call's images.
    """

    def __init__(self, path: Path, images: int, box_px: int, pixel_size_A: float) -> None:
        """Promise `images` images of side `box_px`.

        Raises:
            ValueError: when the count, the box or the pixel size is not positive.
        """
        if images < 1 or box_px < 1 or not pixel_size_A > 0:
            raise ValueError(f"cannot write {images} images of {box_px} px, {pixel_size_A} Å")
        self.path = path
        self._shape = (images, box_px, box_px)
        self._pixel_size_A = pixel_size_A
        self._resources = ExitStack()
        self._stream: IO[bytes] | None = None
        self._written = 0
        self._lowest, self._highest = math.inf, -math.inf
        # Mean and squared deviation per image, summed exactly at the end: independent of how images came in.
        self._means: list[float] = []
        self._squares: list[float] = []

    def __enter__(self) -> Self:
        temporary = self._resources.enter_context(atomic_path(self.path))
        try:
            self._stream = self._resources.enter_context(temporary.open("wb"))
            self._stream.write(bytes(_HEADER_BYTES))
        except OSError as error:
            self._resources.__exit__(type(error), error, error.__traceback__)
        self._resources.push(self._finish)
        return self

    def append(self, images: NDArray[np.float32]) -> None:
        """Write images (n, D, D) [y, x] after those written before.

        Raises:
            ValueError: when the shape is wrong, there are too many, or a pixel is not a finite number.
            UserError: when the disk is full.
        """
        if self._stream is None:
            raise ValueError("a StackWriter writes inside its `with` block only")
        if images.ndim != 3 or images.shape[1:] != self._shape[1:]:
            raise ValueError(f"{self.path.name} takes images of shape {self._shape[1:]}, not {images.shape}")
        if self._written + len(images) > self._shape[0]:
            raise ValueError(f"{self.path.name} takes {self._shape[0]} images, not {self._written + len(images)}")
        pixels = np.ascontiguousarray(images, "<f4")
        means = pixels.mean(axis=(1, 2), dtype=np.float64)
        if not np.isfinite(means).all():
            row = self._written + int(np.flatnonzero(~np.isfinite(means))[0]) + 1
            raise ValueError(f"image {row} of {self.path.name} holds a value that is not a finite number")
        try:
            self._stream.write(pixels.data)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._written += len(images)
        for image, mean in zip(pixels, means, strict=True):
            self._lowest = min(self._lowest, float(image.min()))
            self._highest = max(self._highest, float(image.max()))
            self._means.append(float(mean))
            self._squares.append(float(np.square(image - mean, dtype=np.float64).sum()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._resources.__exit__(kind, error, trace)

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream, self._stream = self._stream, None
        if kind is not None or stream is None:
            return
        if self._written != self._shape[0]:
            raise ValueError(f"{self.path.name} was promised {self._shape[0]} images but got {self._written}")
        stream.seek(0)
        stream.write(self._header().tobytes())

    def _header(self) -> Any:
        images, box_px, _ = self._shape
        mean = math.fsum(self._means) / images
        between = math.fsum((value - mean) ** 2 for value in self._means)
        header = np.zeros((), HEADER_DTYPE.newbyteorder("<"))
        header["nx"] = header["ny"] = header["mx"] = header["my"] = box_px
        header["nz"] = images
        # A stack of images, not a volume: space group 0 and one section per image (MRC2014).
        header["mz"] = 1
        header["ispg"] = 0
        header["mode"] = 2
        side_A = box_px * self._pixel_size_A
        header["cella"] = (side_A, side_A, self._pixel_size_A)
        header["cellb"] = (90, 90, 90)
        header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
        header["dmin"], header["dmax"], header["dmean"] = self._lowest, self._highest, mean
        header["rms"] = math.sqrt(math.fsum(self._squares) / (images * box_px**2) + between / images)
        header["nversion"] = 20141
        header["map"] = b"MAP "
        header["machst"] = (0x44, 0x44, 0, 0)
        header["nlabl"] = 1
        header["label"][0] = b"CryoArena"
        return header


def open_stack(path: Path, box_px: int | None = None) -> NDArray[Any]:
    """Memory-map an .mrcs stack as (n, D, D) real numbers and check its size against its header.

    Raises:
        UserError: when it is missing, truncated, not an MRC file, or not of box `box_px`.
    """
    header, dtype = _read_header(path)
    shape = (int(header.nz), int(header.ny), int(header.nx))
    offset = _HEADER_BYTES + int(header.nsymbt)
    if min(shape) < 1 or offset < _HEADER_BYTES or dtype.kind not in "fiu":
        raise UserError(f"{path} holds no real images: its header says {shape[2]} x {shape[1]} x {shape[0]} of {dtype}")
    found, expected = path.stat().st_size, offset + math.prod(shape) * dtype.itemsize
    if found < expected:
        raise UserError(
            f"{path} is truncated: its header announces {shape[0]} images of {shape[2]} x {shape[1]} px "
            f"({expected} bytes) but the file has {found} bytes; copy it again"
        )
    if box_px is not None and shape[1:] != (box_px, box_px):
        raise UserError(f"{path} has images of {shape[2]} x {shape[1]} px but {box_px} x {box_px} px are expected")
    return np.memmap(path, dtype, "r", offset, shape)


def _read_header(path: Path) -> tuple[Any, np.dtype[Any]]:
    if not path.is_file():
        raise UserError(f"the image stack {path} does not exist")
    try:
        with warnings.catch_warnings():
            # Old programs leave the machine stamp or the map id empty; the sizes are checked by the caller.
            warnings.simplefilter("ignore", RuntimeWarning)
            with mrcfile.open(path, permissive=True, header_only=True) as stream:
                header = stream.header.copy()
        return header, mrcfile.utils.data_dtype_from_header(header)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not an MRC stack, or is truncated: {error}") from error
