"""Masks."""

import numpy as np
import pytest

from cryoarena.volumes.mask import MaskBuilder, soft_mask
from cryoarena.volumes.mrc import read_volume

D = 40
PIXEL = 3.0


def _ball(center_px: tuple[float, float, float], radius_px: float, density: float = 1.0) -> np.ndarray:
    """Return a ball with a soft surface; center is (z, y, x) from the origin."""
    axis = np.arange(D) - D // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    distance = np.sqrt((z - center_px[0]) ** 2 + (y - center_px[1]) ** 2 + (x - center_px[2]) ** 2)
    return (density / (1 + np.exp(3 * (distance - radius_px)))).astype(np.float32)


def _two_balls(density: float = 1.0, steps: int = 13) -> tuple[MaskBuilder, list[np.ndarray]]:
    """A ball that rests at y = -9 and one that walks along x at y = 7."""
    builder = MaskBuilder(D, PIXEL)
    volumes = [density * (_ball((0, -9, 0), 4) + _ball((0, 7, x), 3)) for x in np.linspace(-10, 10, steps)]
    for volume in volumes:
        builder.add(volume)
    return builder, volumes


def test_soft_mask_is_one_inside_and_a_cosine_of_the_distance_outside():
    point = np.zeros((D, D, D), bool)
    point[20, 20, 20] = True
    mask = soft_mask(point, dilation_A=12, soft_edge_A=15, pixel_size_A=PIXEL)
    assert mask.dtype == np.float32
    profile = mask[20, 20, 20:32]
    distance = PIXEL * np.arange(12)
    expected = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - 12) / 15, 0, 1))
    np.testing.assert_allclose(profile, expected, atol=1e-6)
    assert mask[20, 23, 24] == pytest.approx(0.5 + 0.5 * np.cos(np.pi * 3 / 15))  # 3-4-5 triangle: 15 Å


def test_hard_mask_and_empty_region():
    ball = _ball((0, 0, 0), 5) > 0.5
    np.testing.assert_array_equal(soft_mask(ball, 0, 0, PIXEL), ball)
    with pytest.raises(ValueError, match="empty"):
        soft_mask(np.zeros((D, D, D), bool), 10, 10, PIXEL)


def test_whole_mask_covers_every_conformation_and_leaves_the_solvent():
    builder, volumes = _two_balls()
    mask = builder.whole(dilation_A=6, soft_edge_A=9)
    for volume in volumes:
        assert mask[volume > 0.5].min() == 1
    assert mask[:, :, 0].max() == mask[0].max() == 0
    assert (mask > 0).mean() < 0.2


def test_moving_mask_covers_the_path_and_not_the_resting_ball():
    builder, volumes = _two_balls()
    mask = builder.moving(dilation_A=6, soft_edge_A=6)
    path = np.max([volume[:, D // 2 :] for volume in volumes], axis=0) > 0.5
    assert mask[:, D // 2 :][path].min() == 1
    assert mask[:, : D // 2][volumes[0][:, : D // 2] > 0.1].max() == 0


def test_moving_mask_ignores_a_nearly_equal_resting_part():
    """Maps computed one by one differ by rounding and interpolation where nothing moves."""
    rng = np.random.default_rng(0)
    builder = MaskBuilder(D, PIXEL)
    for x in np.linspace(-10, 10, 13):
        noise = 0.02 * rng.normal(size=(D, D, D))
        builder.add((_ball((0, -9, 0), 4) + _ball((0, 7, x), 3) + noise).astype(np.float32))
    mask = builder.moving(dilation_A=3, soft_edge_A=3)
    assert mask[20, 11, 20] == 0
    assert mask[20, 27, 20] == 1


@pytest.mark.parametrize("density", [1e-3, 50.0])
def test_masks_do_not_depend_on_the_density_scale(density):
    np.testing.assert_array_equal(_two_balls(density)[0].whole(), _two_balls()[0].whole())
    np.testing.assert_array_equal(_two_balls(density)[0].moving(), _two_balls()[0].moving())


def test_masks_do_not_depend_on_the_box():
    """A level taken from a percentile of the box would."""
    small, large = MaskBuilder(D, PIXEL), MaskBuilder(2 * D, PIXEL)
    for x in (-5, 5):
        volume = _ball((0, 2, x), 4)
        small.add(volume)
        large.add(np.pad(volume, D // 2))
    for mask, wide in ((small.whole(6, 6), large.whole(6, 6)), (small.moving(6, 6), large.moving(6, 6))):
        np.testing.assert_allclose(wide[D // 2 : -D // 2, D // 2 : -D // 2, D // 2 : -D // 2], mask)


def test_running_variance_survives_a_large_offset():
    """The difference of two large sums in single precision would not."""
    builder = MaskBuilder(D, PIXEL)
    rest = 1000 * _ball((0, -9, 0), 4)
    for x in (-5, 5):
        builder.add(rest + _ball((0, 7, x), 3, density=300))
    assert builder.moving(0, 0)[20, 27, 25] == 1
    assert builder.moving(0, 0)[20, 11, 20] == 0


def test_refuses_what_has_no_mask():
    builder = MaskBuilder(D, PIXEL)
    with pytest.raises(ValueError, match="at least one map"):
        builder.whole()
    with pytest.raises(ValueError, match="box 40"):
        builder.add(np.zeros((8, 8, 8), np.float32))
    builder.add(_ball((0, 0, 0), 5))
    builder.add(_ball((0, 0, 0), 5))
    with pytest.raises(ValueError, match="all conformations are equal"):
        builder.moving()


def test_real_low_resolution_maps_are_covered(mirror):
    """Ribosome assembly states at 64 px, as cryoDRGN decodes them, with solvent noise."""
    paths = sorted((mirror / "maps" / "maven_50S").glob("*.mrc.gz"))
    builder = MaskBuilder(64, 6.55)
    volumes = [read_volume(path)[0] for path in paths]
    for volume in volumes:
        builder.add(volume)
    whole, moving = builder.whole(), builder.moving()
    for volume in volumes:
        positive = np.clip(volume, 0, None) ** 2
        assert (positive * whole).sum() > 0.98 * positive.sum()
    assert (whole > 0.5).mean() < 0.25
    variance = np.var(volumes, axis=0)
    assert (variance * moving).sum() > 0.8 * variance.sum()
    assert (moving > 0.5).sum() < (whole > 0.5).sum()
