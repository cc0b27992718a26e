"""Run `recovar` without a GPU, its slices put right; the Python of RECOVAR runs this file, not ours.

RECOVAR 1.0.5 makes its mean and its states on a Fourier grid that is finer than that of the images by a whole factor.
Its CUDA kernels multiply the frequencies of an image by that factor; `recovar.core.relion_interp`, which stands in for
them on a CPU, does not, so that maps come out as much too large. It needs the rotation times the factor.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from recovar.command_line import main_commands
from recovar.core import relion_interp

_FACTOR, _BOX_PX = 2, 4


def _forgets() -> bool:
    """Tell whether a map that is finer than the image is sliced as if it were not."""
    grid = _FACTOR * _BOX_PX
    # Every point holds its own coordinate along the first axis.
    points = np.repeat(np.arange(grid, dtype=np.complex64), grid**2)
    turns = np.eye(3, dtype=np.float32)[None]
    found = relion_interp.project(points, turns, (_BOX_PX,) * 2, (grid,) * 3, order=1)
    return float(np.ptp(np.asarray(found).real)) < grid / 2


def _put_right(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(values: Any, turns: Any, image: tuple[int, ...], grid: tuple[int, ...], **options: Any) -> Any:
        return function(values, turns * (grid[0] // image[0]), image, grid, **options)

    return call


if __name__ == "__main__":
    if _forgets():
        relion_interp.project = _put_right(relion_interp.project)
        relion_interp.backproject = _put_right(relion_interp.backproject)
    sys.exit(main_commands())
