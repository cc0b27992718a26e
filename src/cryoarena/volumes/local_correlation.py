"""Local correlation: how alike two maps are around each voxel."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

_SMALLEST_WINDOW_PX = 5
# of the largest local standard deviation of the reference: less is empty solvent
_FLAT = 0.01


def local_correlation(
    volume: NDArray[np.float32], reference: NDArray[np.float32], pixel_size_A: float, window_A: float = 25.0
) -> NDArray[np.float64]:
    """Return the correlation coefficient of two maps inside a cubic window around each voxel.

    Neither scale nor offset, even where they vary slowly, matter. It is 0 where only the map is flat.

    Args:
        volume: (D, D, D).
        reference: (D, D, D), e.g. the truth.
        pixel_size_A: of both.
        window_A: side of the window, rounded to an odd number of voxels, at least 5. Windows end at the box.

    Returns:
        (D, D, D), NaN where the reference is flat: its local standard deviation is below 1 % of the largest.
    """
    side = max(_SMALLEST_WINDOW_PX, 2 * round((window_A / pixel_size_A - 1) / 2) + 1)
    a, b = (_standardised(each) for each in (volume, reference))
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (
        uniform_filter(each, side, mode="constant") for each in (a, b, a * a, b * b, a * b)
    )
    of_axis = uniform_filter1d(np.ones(len(a)), side, mode="constant")
    inside = of_axis[:, None, None] * of_axis[:, None] * of_axis
    covariance = mean_ab * inside - mean_a * mean_b
    variance_a, variance_b = mean_aa * inside - mean_a**2, mean_bb * inside - mean_b**2
    # rounding of the running sums must not pass for density
    varies = variance_a > 1e-10 * variance_a.max()
    norm = np.sqrt(np.where(varies, variance_a, 1) * np.maximum(variance_b, 1e-30))
    found = np.where(varies, np.clip(covariance / norm, -1, 1), 0.0)
    return np.asarray(np.where(variance_b > _FLAT**2 * variance_b.max(), found, np.nan))


def _standardised(volume: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = volume.astype(np.float64) - volume.mean(dtype=np.float64)
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred)
