"""Local correlation of maps."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryoarena.volumes.local_correlation import local_correlation

D, PIXEL = 24, 5.0


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(gaussian_filter(rng.normal(size=(D, D, D)), 1).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize(("window_A", "side"), [(25, 5), (35, 7), (1, 5)])
def test_equals_the_correlation_of_every_window(pair, window_A, side):
    a, b = pair
    b = a + b
    found = local_correlation(a, b, PIXEL, window_A)
    reach = side // 2
    for z, y, x in ((0, 0, 0), (3, 12, 23), (12, 12, 12), (20, 5, 1)):
        window = tuple(slice(max(0, i - reach), i + reach + 1) for i in (z, y, x))
        expected = np.corrcoef(a[window].ravel(), b[window].ravel())[0, 1]
        assert found[z, y, x] == pytest.approx(expected, abs=1e-6)


def test_scale_and_offset_do_not_matter_and_the_sign_does(pair):
    a, b = pair
    np.testing.assert_allclose(local_correlation(5 + 0.01 * a, b, PIXEL), local_correlation(a, b, PIXEL), atol=1e-3)
    np.testing.assert_allclose(local_correlation(a, a, PIXEL), 1, atol=1e-6)
    np.testing.assert_allclose(local_correlation(-a, a, PIXEL), -1, atol=1e-6)


def test_shows_where_a_map_is_wrong(pair):
    truth, other = pair
    half = np.where(np.arange(D)[:, None, None] < D // 2, truth, other)
    found = local_correlation(half, truth, PIXEL)
    np.testing.assert_allclose(found[: D // 2 - 3], 1, atol=1e-6)
    assert abs(found[D // 2 + 3 :].mean()) < 0.1


def test_flat_parts_of_the_truth_are_unknown_and_of_the_map_are_0(pair):
    a, b = pair
    left = (np.arange(D) < D // 2)[:, None, None]
    unknown = local_correlation(a, np.where(left, b, 0), PIXEL)
    assert np.isnan(unknown[D // 2 + 3 :]).all()
    assert np.isfinite(unknown[: D // 2]).all()
    np.testing.assert_allclose(local_correlation(np.where(left, a, 0), b, PIXEL)[D // 2 + 3 :], 0, atol=1e-6)
