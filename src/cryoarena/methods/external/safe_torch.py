"""Read files of torch.save without running anything: tensors, arrays of numbers, dates and plain values."""

import datetime
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoarena.errors import UserError


def _no_bytes() -> bytes:
    # How protocol 2 writes empty bytes; it takes no arguments.
    return b""


def _latin1(text: str, encoding: str) -> bytes:
    # How protocol 2 writes other bytes.
    return text.encode("latin1")


_RECONSTRUCT = np.zeros(1).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
# How numpy 1 and 2 write arrays of numbers, and numbers.
_SAFE: list[Any] = [(_RECONSTRUCT, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
_SAFE += [(_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
_SAFE += [np.ndarray, np.dtype, *(type(np.dtype(code)) for code in ("i8", "i4", "f8", "f4", "u1", "?"))]
_SAFE += [(_no_bytes, "builtins.bytes"), (_latin1, "_codecs.encode")]
# When cryoDRGN began, in the arguments that it keeps with some weights.
_SAFE += [datetime.datetime]


def read_torch(path: Path) -> Any:
    """Read what torch.save wrote; tensors come to the CPU.

    Raises:
        UserError: when the file is missing, damaged or asks for anything else, which is not run.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    try:
        with torch.serialization.safe_globals(_SAFE):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        asks = f"; it asks for {named[1]}" if named else ""
        raise UserError(f"{path} holds something else than tensors, which is not read{asks}") from error
    # A damaged file can make torch raise almost anything.
    except Exception as error:
        raise UserError(f"{path} is no whole file of torch.save: {error}") from error
