"""Alignment of maps."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.structures.atoms import centred, read_atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.pseudo_antibody import build_pseudo_antibody
from cryoarena.structures.render import render_volume
from cryoarena.volumes.alignment import align
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.mrc import read_volume
from cryoarena.volumes.resample import move

D = 48
PIXEL = 6.0


@pytest.fixture(scope="module")
def antibody() -> np.ndarray:
    atoms = build_pseudo_antibody().atoms
    return render_volume(atoms.position_A, molmap_model(atoms, 2 * PIXEL), D, PIXEL)


def _disturbed(volume: np.ndarray, seed: int, mirrored: bool, snr: float):
    """Return the map moved by a random rotation and shift, with white noise, and how to move it back."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    shift = rng.uniform(-0.08, 0.08, 3) * len(volume)
    moved = move(volume, rotation, shift, mirrored)
    noise = rng.normal(0, moved.std() / np.sqrt(snr), moved.shape)
    # q = R p + t gives p = Rᵀ q - Rᵀ t; q = -R p + t gives p = Rᵀ (-q) + Rᵀ t
    return (moved + noise).astype(np.float32), rotation.T, (1 if mirrored else -1) * rotation.T @ shift


def _degrees(rotation: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(rotation).magnitude()))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("snr", [1e6, 0.5])
def test_recovers_a_random_motion_and_the_hand(antibody, mirrored, snr):
    moved, rotation, shift = _disturbed(antibody, 1, mirrored, snr)
    found = align(moved, antibody, PIXEL)
    assert found.mirrored == mirrored
    assert _degrees(found.rotation @ rotation.T) < (0.5 if snr < 1 else 0.01)
    assert np.linalg.norm(found.shift_A / PIXEL - shift) < (0.1 if snr < 1 else 1e-3)


def test_the_aligned_map_is_the_reference_again(antibody):
    moved, *_ = _disturbed(antibody, 2, True, 1e12)
    found = align(moved, antibody, PIXEL)
    assert found.correlation > 0.9999
    assert fsc_auc(*fsc(found.aligned, antibody)) > 0.99 * (0.5 - 1 / D)
    assert fsc_auc(*fsc(moved, antibody)) < 0.2


def test_an_aligned_map_stays(antibody):
    found = align(antibody, antibody, PIXEL)
    assert _degrees(found.rotation) < 0.01
    assert np.linalg.norm(found.shift_A) < 0.01
    np.testing.assert_allclose(found.aligned, antibody, atol=0.01 * antibody.max())


def test_scale_and_offset_do_not_matter(antibody):
    moved, rotation, shift = _disturbed(antibody, 3, False, 1e6)
    found = align(-5 + 300 * moved, antibody, PIXEL)
    assert _degrees(found.rotation @ rotation.T) < 0.01
    assert np.linalg.norm(found.shift_A / PIXEL - shift) < 1e-2


def test_without_the_other_hand_a_mirrored_map_fits_worse(antibody):
    moved, *_ = _disturbed(antibody, 4, True, 1e6)
    one_hand, either = align(moved, antibody, PIXEL, hand=False), align(moved, antibody, PIXEL)
    assert not one_hand.mirrored
    assert one_hand.correlation < either.correlation - 0.05


def test_another_conformation_is_aligned_by_what_they_share(antibody):
    """Half of the molecule in noise is brought back as well as the whole."""
    half = antibody * (np.arange(D) < D // 2 + 3)[:, None, None]
    moved, rotation, _ = _disturbed(half, 5, False, 2)
    assert _degrees(align(moved, antibody, PIXEL).rotation @ rotation.T) < 3


@pytest.mark.parametrize("box_px", [32, 64])
def test_real_map_with_symmetry_d2(mirror, box_px):
    """β-galactosidase has three two-fold axes, so the answer is one of four."""
    volume, pixel = read_volume(mirror / "maps" / "betaGal_100_3.54A.mrc.gz")
    volume, pixel = fourier_crop_volume(volume, box_px), pixel * 100 / box_px
    for seed, mirrored in ((6, True), (7, False))[: 64 // box_px]:
        moved, rotation, shift = _disturbed(volume, seed, mirrored, 0.5)
        found = align(moved, volume, pixel)
        assert found.mirrored == mirrored
        # what found · (the motion) does to the molecule: p goes to turn p + rest
        turn, rest = found.rotation @ rotation.T, found.shift_A / pixel - found.rotation @ rotation.T @ shift
        angle = _degrees(turn)
        assert min(angle, abs(angle - 180)) < 1
        aligned = move(volume, turn, rest)
        assert np.corrcoef(aligned.ravel(), volume.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(("box_px", "snr"), [(32, 0.5), (64, 0.1)])
def test_real_antibody(mirror, box_px, snr):
    atoms = centred(read_atoms(next(mirror.rglob("1hzh.pdb*"))))
    pixel = 240.0 / box_px
    volume = render_volume(atoms.position_A, molmap_model(atoms, 2 * pixel), box_px, pixel)
    for seed, mirrored in ((8, True), (9, False)):
        moved, rotation, shift = _disturbed(volume, seed, mirrored, snr)
        found = align(moved, volume, pixel)
        assert found.mirrored == mirrored
        assert _degrees(found.rotation @ rotation.T) < 1
        assert np.linalg.norm(found.shift_A / pixel - shift) < 0.3


def test_refuses_what_cannot_be_aligned(antibody):
    broken = antibody.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        align(broken, antibody, PIXEL)
    with pytest.raises(ValueError, match="constant"):
        align(antibody, np.ones_like(antibody), PIXEL)
    with pytest.raises(ValueError, match="one even side"):
        align(antibody[:20, :20, :20], antibody, PIXEL)
