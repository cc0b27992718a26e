"""Pack arrays and images into text that a page can hold."""

import base64
import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray


def pack(array: NDArray[Any]) -> str:
    """Return the bytes of an array, little-endian, C order, gzipped and in base64."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return base64.b64encode(gzip.compress(little.tobytes(), 6, mtime=0)).decode("ascii")


def data_uri(mime: str, data: bytes) -> str:
    """Return `data` as a data URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def png(image: NDArray[np.uint8]) -> str:
    """Return an (h, w) grey image as a PNG data URI (PNG specification, section 5)."""
    height, width = image.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row starts with filter type 0
    rows[:, 1:] = image

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return data_uri("image/png", b"\x89PNG\r\n\x1a\n" + body)


def grey(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map [low, high] to 0 … 255; a constant image is mid-grey."""
    if not high > low:
        return np.full(image.shape, 128, np.uint8)
    scaled = np.nan_to_num((image - low) / (high - low))
    return np.asarray(np.clip(255 * scaled, 0, 255), np.uint8)


def script_json(data: Any) -> Markup:
    """Return `data` as JSON that is safe inside a <script> element (NaN is not allowed)."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def finite_list(values: NDArray[Any] | list[Any], digits: int = 5) -> list[float | None]:
    """Return rounded numbers for JSON; what is not finite becomes None."""
    numbers = np.asarray([np.nan if value is None else value for value in values], np.float64)
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in numbers]
