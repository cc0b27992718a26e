"""The solvent mask holds all conformations of a particle, whatever the noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.methods.backprojection import accumulate
from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.half_sets import random_halves
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, soft_sphere
from simulated import make_small_dataset

CPU = torch.device("cpu")
SPHERE = soft_sphere(32, 0.42 * 32, 0.06 * 32, CPU)


def halves_of(folder: Path) -> tuple[Tensor, Tensor]:
    particles = open_particles(folder)
    radius = particles.box_px / 2 - 1
    grid, points = FourierGrid(particles.box_px, radius, CPU), ImagePoints.within(particles.box_px, radius, CPU)
    half_set = random_halves(len(particles), seed=0)
    a, b = (
        accumulate(grid, points, fourier_batches(particles, points, np.flatnonzero(half_set == half)))
        for half in (0, 1)
    )
    return a.unfiltered(), b.unfiltered()


def held(mask: Tensor, of: np.ndarray) -> float:
    return float((mask.numpy() * of).sum() / of.sum())


@pytest.mark.parametrize(("images", "snr"), [(800, 0.1), (800, 0.01), (200, 0.05)])
def test_it_holds_the_particle_in_all_its_conformations(tmp_path: Path, images: int, snr: float) -> None:
    folder = make_small_dataset(tmp_path / "d", images=images, snr=snr)
    truth: Truth = open_truth(folder)
    mask = solvent_mask(*halves_of(folder))
    masks = truth.masks()
    assert held(mask, masks["mask"]) > 0.98
    assert held(mask, masks["moving_mask"]) > 0.98
    # It is of use only where it leaves out solvent.
    assert mask.mean() < 0.6 * SPHERE.mean()
    assert mask.min() == 0
    assert mask.max() == 1


def test_it_is_a_sphere_where_there_is_no_particle() -> None:
    noise = torch.randn((2, 32, 32, 32), generator=torch.Generator().manual_seed(0))
    for a, b in (noise, torch.zeros(2, 32, 32, 32), noise * torch.nan):
        torch.testing.assert_close(solvent_mask(a, b), SPHERE)
