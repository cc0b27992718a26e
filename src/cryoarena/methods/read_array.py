"""Read .npy files that strangers hand in: plain arrays only, and no larger than the file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError


def read_array(path: Path, axes: int | tuple[int, ...], kinds: str, what: str) -> NDArray[Any]:
    """Read an array of numbers.

    Args:
        path: .npy file.
        axes: how many axes it must have, or may have; none may be empty.
        kinds: of `dtype.kind` that are allowed, e.g. "iu".
        what: the array is, for errors, e.g. "(N, d) latents".

    Raises:
        UserError: when the file is missing, truncated, holds objects (they are not loaded) or is another array.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the method again")
    try:
        # A memory map is checked against the size of the file before anything is allocated.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            raise UserError(f"{path} is an archive, not one array; save it with numpy.save")
        if mapped.ndim not in np.atleast_1d(axes) or not mapped.size or mapped.dtype.kind not in kinds:
            raise UserError(f"{path} holds {mapped.dtype} values of shape {mapped.shape}, not {what}")
        return np.array(mapped)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is no plain array file, is empty or is truncated: {error}") from error
