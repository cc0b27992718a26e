"""FSC after alignment."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.metrics.base import metrics
from cryoarena.metrics.per_image_fsc import per_image_fsc
from cryoarena.volumes.resample import move
from turning_arm import PIXEL, D


def _score(maps, truths, masks) -> float:
    result = metrics.get("aligned-fsc").compute(
        ab_initio_volume_pairs=zip(range(len(maps)), maps, truths, strict=True), masks=masks, pixel_size_A=PIXEL
    )
    return result.scores["standard/mask/auc"].value


def test_frame_and_hand_are_forgiven_and_wrong_shapes_are_not(truths, masks):
    truths = truths[:2]
    rotation = Rotation.from_rotvec([1.5, -0.8, 0.6]).as_matrix()
    elsewhere = [move(truth, rotation, np.array([1.2, -0.7, 0.4]), mirrored=True) for truth in truths]
    rng = np.random.default_rng(0)
    noisy = [each + 0.3 * rng.normal(size=each.shape).astype(np.float32) for each in elsewhere]
    found = _score(elsewhere, truths, masks)
    assert found > 0.98 * (0.5 - 1 / D)
    pairs = zip(range(2), elsewhere, truths, strict=True)
    assert per_image_fsc(pairs, masks, PIXEL).scores["standard/mask/auc"].value < 0.7 * found
    assert _score(noisy, truths, masks) < found - 0.02
    assert _score([move(truths[1], rotation, np.zeros(3))], truths[:1], {"mask": masks["mask"]}) < found - 0.02


def test_a_map_in_its_place_keeps_its_score(truths, masks):
    pairs = [(0, truths[0], truths[0])]
    assert _score(truths[:1], truths[:1], masks) == pytest.approx(
        per_image_fsc(pairs, masks, PIXEL).scores["standard/mask/auc"].value, abs=5e-3
    )
