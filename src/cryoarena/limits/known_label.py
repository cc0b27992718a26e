"""The known-label oracle: the maps that an observer who knows every conformation could reconstruct."""

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.methods.band_images import BandImages
from cryoarena.methods.class_maps import class_maps, consensus_of
from cryoarena.methods.half_sets import random_halves
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.slicing import as_volume

_TRIAL_CONFORMATIONS = 5
_LEAST_IMAGES = 20
# What maps made together may take: of each two half-maps, the map of both, three spectra, a product and the result.
_MOST_BYTES = 1_500_000_000
_VOLUMES_OF_A_MAP = 8


class KnownLabels:
    """Maps that `class3d` would make if it knew every label."""

    def __init__(self, particles: ParticleSet, truth: Truth, device: str) -> None:
        """Make the consensus.

        Args:
            particles: whose rows match the truth.
            truth: of the dataset.
            device: of torch.
        """
        place = torch.device(device)
        mask = truth.masks()["mask"]
        assert mask is not None
        self._truth = truth
        self._images = BandImages(particles, particles.box_px / 2, place)
        self._half_set = torch.as_tensor(random_halves(len(particles), seed=0), device=place)
        self._consensus = consensus_of(self._images, self._half_set, torch.tensor(mask, device=place))

    def maps(self, conformations: NDArray[np.int64], neighbours: int) -> NDArray[np.float32]:
        """Reconstruct conformations (k,) from the images of their nearest ones in truth, themselves included.

        With few images per conformation a window of similar conformations makes a better map than one alone.

        Args:
            conformations: which.
            neighbours: number of conformations that share their images.

        Returns:
            (k, D, D, D).
        """
        at_once = max(1, _MOST_BYTES // (_VOLUMES_OF_A_MAP * 4 * self._consensus.map.numel()))
        parts = [conformations[start : start + at_once] for start in range(0, len(conformations), at_once)]
        return np.concatenate([self._together(part, neighbours) for part in parts])

    def _together(self, conformations: NDArray[np.int64], neighbours: int) -> NDArray[np.float32]:
        embedding, labels = self._truth.embedding(), self._truth.conformation
        windows = [window_of(embedding, int(conformation), neighbours) for conformation in conformations]
        belongs = np.stack([np.isin(labels, window) for window in windows], axis=1).astype(np.float32)
        posterior = torch.as_tensor(belongs, device=self._half_set.device)
        return as_volume(class_maps(self._images, posterior, self._half_set, self._consensus, as_result=True).maps)

    def best_window(self, report: Report) -> int:
        """Return the number of neighbouring conformations that gives the best maps.

        Tried on a few conformations with 1, 3, 5, 9, 17 … neighbours, up to a third of all, from 20 images on; judged
        by the FSC AUC with the truth in the moving region. An oracle may look.
        """
        truth = self._truth
        most = len(truth.volume_names) // 3
        every = [1] + [2**k + 1 for k in range(1, most.bit_length()) if 2**k + 1 <= most]
        images_each = self._images.count / len(truth.volume_names)
        windows = [window for window in every if window * images_each >= _LEAST_IMAGES] or every[-1:]
        mask = truth.masks()["moving_mask"]
        mapped = truth.mapped
        count = len(mapped)
        trial = mapped[np.unique(np.linspace(0, count, min(count, _TRIAL_CONFORMATIONS), endpoint=False).astype(int))]
        means = []
        for step, window in enumerate(windows):
            found = zip(self.maps(trial, window), trial, strict=True)
            areas = [fsc_auc(*fsc(volume, truth.volume(int(conformation)), mask)) for volume, conformation in found]
            means.append(float(np.mean(areas)))
            report(step + 1, len(windows), f"{window} conformations: moving-region AUC {means[-1]:.3f}")
        return int(windows[int(np.argmax(means))])


def window_of(embedding: NDArray[np.float64], conformation: int, neighbours: int) -> NDArray[np.int64]:
    """Return the conformations nearest to one by embedding (K, c) of any scale, itself first."""
    distance = np.square(embedding - embedding[conformation]).sum(axis=1)
    # Rounded, so that equally distant conformations on both sides are taken in a fixed order.
    rounded = np.round(distance / max(distance.max(), np.finfo(float).tiny), 9)
    rounded[conformation] = -1
    return np.argsort(rounded, kind="stable")[:neighbours]
