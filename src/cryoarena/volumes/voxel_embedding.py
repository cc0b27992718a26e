"""Coordinates of maps in which distances are differences of density: the true embedding of sets of states."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cryoarena.volumes.filters import fourier_crop_volume

_SIDE_PX = 16


def voxel_embedding(volumes: Iterable[NDArray[np.float32]], mask: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return coordinates (K, c) of K maps, c < K, as far apart as their coarse voxel intensities.

    As in CryoBench (Jeon et al., NeurIPS 2024 Datasets & Benchmarks, B.8) a map is cropped in real space, here to the
    smallest centred cube around the mask, then by its Fourier transform to 16³ voxels. Of these 4096-D vectors only the
    principal coordinates are kept, which keep all distances.

    Args:
        volumes: K maps (D, D, D).
        mask: (D, D, D) around all of them.
    """
    half = mask.shape[0] // 2
    inside = np.argwhere(mask > 0) - half
    reach = max(_SIDE_PX // 2, min(half, int(np.abs(inside).max()) + 1))
    cube = slice(half - reach, half + reach)
    side = min(_SIDE_PX, 2 * reach)
    voxels = np.stack([fourier_crop_volume(volume[cube, cube, cube], side).ravel() for volume in volumes])
    centred = voxels - voxels.mean(axis=0, dtype=np.float64)
    left, length, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((left * length)[:, : max(1, len(voxels) - 1)])
