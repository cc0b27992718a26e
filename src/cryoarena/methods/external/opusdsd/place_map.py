"""Bring a map of OPUS-DSD into the frame of a dataset."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft


def place_map(volume: NDArray[np.float32], box_px: int) -> NDArray[np.float32]:
    """Return a map (n, n, n), n even, as (D, D, D) of the same voxels, with the origin at voxel D // 2.

    OPUS-DSD writes what is within its mask. Its networks rotate about the middle of the grid, which for an even box is
    half a voxel from ours along every axis.
    """
    margin = (box_px - len(volume)) // 2
    padded = np.pad(volume, margin)
    half = np.exp(-1j * np.pi * fft.fftfreq(box_px))
    # A shift by half a voxel is no real function at the highest frequency.
    half[box_px // 2] = 0
    spectrum = fft.fftn(padded)
    for axis in range(3):
        spectrum *= half.reshape([-1 if other == axis else 1 for other in range(3)])
    return np.asarray(fft.ifftn(spectrum).real, np.float32)
