"""Jitter of a discrete truth, so that no two images have the same true coordinates."""

import numpy as np
from numpy.typing import NDArray

# CryoBench, table S2: half-width of the uniform noise in the unit of the CV: degrees for IgG-1D's angle, Å and degrees
# for IgG-RL's centre of mass and dihedral, density for Ribosembly's voxel intensities, rank for Tomotwin-100's sizes,
# and the CVs of Spike-MD's trajectory as they are
PAPER_AMPLITUDES = {"igg-1d": 0.05, "igg-rl": 0.1, "ribosembly": 0.1, "tomotwin-100": 0.1, "spike-md": 0.1}


def jitter(values: NDArray[np.floating], amplitude: float, seed: int) -> NDArray[np.float64]:
    """Return values plus independent noise, uniform in [-amplitude, amplitude].

    CryoBench (B.10, table S2) adds it to the CVs of every image before it scores information imbalance, so that the
    images of one conformation are no duplicates; to an angle in degrees before its sine and cosine are taken, never
    after. Its pMN is computed without.

    Args:
        values: (N,) or (N, c) CVs, or an embedding without angles.
        amplitude: in the unit of the values.
        seed: of the noise.
    """
    noise = np.random.default_rng(seed).uniform(-amplitude, amplitude, size=np.shape(values))
    return np.asarray(values, np.float64) + noise
