"""The known-label oracle: the maps that an observer who knows every conformation could reconstruct."""

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.methods.backprojection import accumulate, reconstruct
from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.half_sets import random_halves
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_TRIAL_CONFORMATIONS = 5
_LEAST_IMAGES = 20


def known_label_map(
    particles: ParticleSet, truth: Truth, conformation: int, neighbours: int, device: str
) -> NDArray[np.float32]:
    """Reconstruct a conformation from the images of its nearest conformations in truth, itself included.

    With few images per conformation a window of similar conformations makes a better map than one alone.

    Args:
        particles: whose rows match the truth.
        truth: of the dataset.
        conformation: which one.
        neighbours: number of conformations that share their images.
        device: of torch.

    Returns:
        (D, D, D) Wiener-regularised map.
    """
    rows = np.flatnonzero(np.isin(truth.conformation, window_of(truth.embedding(), conformation, neighbours)))
    place = torch.device(device)
    radius = particles.box_px / 2
    grid = FourierGrid(particles.box_px, radius, place)
    points = ImagePoints.within(particles.box_px, radius, place)
    half_set = random_halves(len(rows), seed=0)
    halves = [accumulate(grid, points, fourier_batches(particles, points, rows[half_set == half])) for half in (0, 1)]
    mask = truth.masks()["mask"]
    assert mask is not None
    return as_volume(reconstruct(halves[0], halves[1], torch.tensor(mask, device=place)))


def window_of(embedding: NDArray[np.float64], conformation: int, neighbours: int) -> NDArray[np.int64]:
    """Return the conformations nearest to one by embedding (K, c) of any scale, itself first."""
    distance = np.square(embedding - embedding[conformation]).sum(axis=1)
    # Rounded, so that equally distant conformations on both sides are taken in a fixed order.
    rounded = np.round(distance / max(distance.max(), np.finfo(float).tiny), 9)
    rounded[conformation] = -1
    return np.argsort(rounded, kind="stable")[:neighbours]


def best_window(particles: ParticleSet, truth: Truth, device: str, report: Report) -> int:
    """Return the number of neighbouring conformations that gives the best maps.

    Tried on a few conformations with 1, 3, 5, 9, 17 … neighbours, up to a third of all, from 20 images on; judged by
    the FSC AUC with the truth in the moving region. An oracle may look.
    """
    most = len(truth.volume_names) // 3
    every = [1] + [2**k + 1 for k in range(1, most.bit_length()) if 2**k + 1 <= most]
    images_each = len(particles) / len(truth.volume_names)
    windows = [window for window in every if window * images_each >= _LEAST_IMAGES] or every[-1:]
    mask = truth.masks()["moving_mask"]
    mapped = truth.mapped
    count = len(mapped)
    trial = mapped[np.unique(np.linspace(0, count, min(count, _TRIAL_CONFORMATIONS), endpoint=False).astype(int))]
    means = []
    for step, window in enumerate(windows):
        areas = []
        for conformation in trial:
            volume = known_label_map(particles, truth, int(conformation), window, device)
            areas.append(fsc_auc(*fsc(volume, truth.volume(int(conformation)), mask)))
        means.append(float(np.mean(areas)))
        report(step + 1, len(windows), f"{window} conformations: moving-region AUC {means[-1]:.3f}")
    return int(windows[int(np.argmax(means))])
