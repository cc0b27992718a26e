"""The rigid-motion oracle on a small stack."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoarena.datasets.rigid_bodies import RigidMotion
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.limits.known_label import KnownLabels
from cryoarena.limits.rigid_motion import assemble, rigid_body_maps
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import silent
from cryoarena.volumes.fsc import fsc, fsc_auc
from simulated import make_small_dataset

Volume = np.ndarray
CONFORMATIONS = (0, 3, 6)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth, RigidMotion]:
    folder = make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=400, snr=0.001)
    truth = open_truth(folder)
    assert truth.rigid_motion is not None
    return open_particles(folder), truth, truth.rigid_motion


def moving_region(truth: Truth, volumes: dict[int, Volume]) -> float:
    mask = truth.masks()["moving_mask"]
    return float(np.mean([fsc_auc(*fsc(volume, truth.volume(c), mask)) for c, volume in volumes.items()]))


def oracle(particles: ParticleSet, truth: Truth, motion: RigidMotion) -> float:
    bodies = rigid_body_maps(particles, truth, motion, "cpu", silent)
    moved = {c: assemble(bodies, motion, c, truth.pixel_size_A) for c in CONFORMATIONS}
    return moving_region(truth, moved)


def test_true_bodies_make_up_every_true_map(dataset: tuple[ParticleSet, Truth, RigidMotion]) -> None:
    _, truth, motion = dataset
    bodies = [truth.body_volume(body) for body in range(2)]
    whole = assemble(bodies, motion, 0, truth.pixel_size_A)
    np.testing.assert_allclose(whole, truth.volume(0), atol=1e-4 * whole.max())
    for conformation in CONFORMATIONS:
        frequency, correlation = fsc(
            assemble(bodies, motion, conformation, truth.pixel_size_A), truth.volume(conformation)
        )
        # The corners of the Fourier cube turn out of the box, and the sharp edge of the band wraps around.
        assert correlation[frequency < 0.45].min() > 0.99


def test_it_beats_known_labels_where_the_object_moves(dataset: tuple[ParticleSet, Truth, RigidMotion]) -> None:
    particles, truth, motion = dataset
    labels = KnownLabels(particles, truth, "cpu")
    by_label = {
        window: moving_region(
            truth, dict(zip(CONFORMATIONS, labels.maps(np.array(CONFORMATIONS), window), strict=True))
        )
        for window in (1, 3)
    }
    assert oracle(particles, truth, motion) > max(by_label.values()) + 0.03


def test_the_direction_of_the_motion_matters(dataset: tuple[ParticleSet, Truth, RigidMotion]) -> None:
    particles, truth, motion = dataset
    inverse = RigidMotion(
        motion.rotation.transpose(0, 1, 3, 2),
        -np.einsum("kbji,kbj->kbi", motion.rotation, motion.translation_A),
    )
    unmoved = replace(motion, translation_A=np.zeros_like(motion.translation_A))
    right = oracle(particles, truth, motion)
    for wrong in (inverse, unmoved):
        bodies = rigid_body_maps(particles, truth, wrong, "cpu", silent)
        # Conformation 0 is the frame of the bodies: whatever the motion, they are at home there.
        at_home = moving_region(truth, {0: assemble(bodies, motion, 0, truth.pixel_size_A)})
        assert at_home < right - 0.1


def test_its_maps_are_in_image_units(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=300, snr=0.1)
    truth = open_truth(folder)
    assert truth.rigid_motion is not None
    bodies = rigid_body_maps(open_particles(folder), truth, truth.rigid_motion, "cpu", silent)
    for body, volume in enumerate(bodies):
        true = truth.body_volume(body)
        assert np.sum(volume * true) / np.sum(true * true) == pytest.approx(1.0, abs=0.2)
        assert np.corrcoef(volume.ravel(), true.ravel())[0, 1] > 0.9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees(dataset: tuple[ParticleSet, Truth, RigidMotion]) -> None:
    particles, truth, motion = dataset
    on_cpu, on_cuda = (rigid_body_maps(particles, truth, motion, device, silent) for device in ("cpu", "cuda"))
    for a, b in zip(on_cpu, on_cuda, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3 * np.abs(a).max())


def test_images_in_another_order_give_the_same_bodies(
    dataset: tuple[ParticleSet, Truth, RigidMotion], tmp_path: Path
) -> None:
    particles, truth, motion = dataset
    order = np.random.default_rng(0).permutation(len(particles))
    shuffled = rigid_body_maps(particles.subset(order), truth.subset(order), motion, "cpu", silent)
    straight = rigid_body_maps(particles, truth, motion, "cpu", silent)
    # Other half-sets change the Wiener filter, hence scale, but not what is seen.
    for a, b in zip(shuffled, straight, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99
