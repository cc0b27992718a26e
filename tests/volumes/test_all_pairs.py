"""FSC of all pairs of two sets of maps."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryoarena.volumes.all_pairs import ShellOrder
from cryoarena.volumes.fsc import correlate

D = 20


@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_single_pairs(masked):
    """In faint outer shells too: the maps are smooth, and of very different scale."""
    rng = np.random.default_rng(0)
    maps = [(10.0**i * gaussian_filter(rng.normal(size=(D, D, D)), 1)).astype(np.float32) for i in range(5)]
    mask = rng.uniform(size=(D, D, D)).astype(np.float32) if masked else None
    order = ShellOrder.of_box(D)
    first, second = (np.stack([order.values(m, mask) for m in group]) for group in (maps[:2], maps[1:]))
    found = order.correlate(first, second)
    assert found.cross.shape == (2, 4, D + 1)
    for i in range(2):
        for j in range(4):
            expected = correlate(maps[i], maps[1 + j], mask)
            for variant in ("standard", "cryobench"):
                frequency, fsc = getattr(found, variant)()
                expected_frequency, expected_fsc = getattr(expected, variant)()
                np.testing.assert_array_equal(frequency, expected_frequency)
                np.testing.assert_allclose(fsc[i, j], expected_fsc, atol=1e-5)


def test_refuses_another_box():
    order = ShellOrder.of_box(D)
    with pytest.raises(ValueError, match="box 20 are expected"):
        order.values(np.zeros((D + 2,) * 3, np.float32), None)
    with pytest.raises(ValueError, match="box 20 are expected"):
        order.values(np.zeros((D,) * 3, np.float32), np.zeros((D + 2,) * 3, np.float32))
