"""The known-components oracle: maps made of a few true components, whose coordinates are known for every image.

An observer who knows where every image lies in the linear space of the true maps needs no label per map: what the maps
share he learns from all images. It is the M-step of `ppca` with true latents and true spectra, and so the limit of all
methods that describe heterogeneity by a mean map and components (3DVA, RECOVAR), and of sets of states that share
most of their density.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.methods.band_images import BandImages
from cryoarena.methods.ppca_model import shell_power, start_model
from cryoarena.methods.ppca_steps import iterate
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report
from cryoarena.volumes.slicing import as_volume
from cryoarena.volumes.voxel_embedding import voxel_embedding

# More hardly improve the maps of a hundred conformations; larger boxes have fewer, for want of memory.
_MOST_COMPONENTS, _FEWEST_COMPONENTS = 40, 4
_MOST_BYTES = 3e9


def true_coordinates(truth: Truth) -> NDArray[np.float64]:
    """Return the strongest coordinates (M, q) of the M conformations whose true maps are kept; q <= 40."""
    mask = truth.masks()["mask"]
    assert mask is not None
    coordinates = voxel_embedding((truth.volume(int(conformation)) for conformation in truth.mapped), mask)
    return coordinates[:, : _component_count(len(mask))]


def _component_count(box_px: int) -> int:
    """Return how many components the sums over images can hold: 2 q + 3 numbers on 4 D³ voxels, q²/2 on D³/2."""

    def fits(q: int) -> bool:
        return 4 * box_px**3 * (4 * (2 * q + 3) + (q + 1) * (q + 2) / 4) <= _MOST_BYTES

    return max(filter(fits, range(_FEWEST_COMPONENTS, _MOST_COMPONENTS + 1)), default=_FEWEST_COMPONENTS)


def component_maps(
    particles: ParticleSet, truth: Truth, coordinates: NDArray[np.float64], device: str, report: Report
) -> NDArray[np.float32]:
    """Reconstruct the mean and the components from all images.

    An image of a conformation without a true map is put where the nearest one with a map is; of a state without, it is
    left out.

    Args:
        particles: whose rows match the truth.
        truth: of the dataset.
        coordinates: (M, q) of the conformations with a true map.
        device: of torch.
        report: told how many images are done.

    Returns:
        (q + 1, D, D, D): a conformation with coordinates x has the map (1, x) · these.
    """
    place = torch.device(device)
    nearest = truth.nearest_mapped()[truth.conformation]
    rows = np.flatnonzero(nearest >= 0)
    particles = particles.subset(rows)
    latents = coordinates[nearest[rows]]
    mask = torch.tensor(truth.masks()["mask"], device=place)
    start = start_model(particles, coordinates.shape[1], place, seed=0)
    components = torch.from_numpy(_true_components(truth, coordinates)).to(place)
    if truth.poses is None:
        # The maps of recorded states may be in any grey scale.
        mean = components[0] * mask
        components *= (start.volumes[0] * mean).sum() / (mean**2).sum().clamp(min=1e-30)
    known = replace(start, mask=mask, signal=shell_power(components))
    found, _ = iterate(
        BandImages(particles, particles.box_px / 2, place, read_once=True),
        known,
        torch.tensor(latents, dtype=torch.float32, device=place),
        lambda done: report(done, len(particles), "known components"),
    )
    return as_volume(found.volumes)


def _true_components(truth: Truth, coordinates: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the mean and the components (q + 1, D, D, D) that give the true maps best."""
    design = np.column_stack([np.ones(len(coordinates)), coordinates])
    inverse = np.linalg.pinv(design).astype(np.float32)
    total: NDArray[np.float32] | None = None
    for column, conformation in zip(inverse.T, truth.mapped, strict=True):
        part = np.multiply.outer(column, truth.volume(int(conformation)))
        total = part if total is None else total + part
    assert total is not None
    return np.asarray(total, np.float32)
