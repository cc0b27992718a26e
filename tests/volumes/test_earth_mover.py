"""Earth mover's distance between maps."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from cryoarena.volumes.earth_mover import earth_mover_distance

D = 40
PIXEL = 2.5


def blob(centre: tuple[float, float, float], sigma: float = 2.0, box_px: int = D) -> np.ndarray:
    """Return a Gaussian of unit sum at `centre` (x, y, z from the origin, px)."""
    axis = np.arange(box_px) - box_px // 2
    x, y, z = (np.exp(-((axis - c) ** 2) / (2 * sigma**2)) for c in centre)
    density = z[:, None, None] * y[:, None] * x
    return (density / density.sum()).astype(np.float32)


@pytest.mark.parametrize("shift", [(4, 0, 0), (0, -3.3, 0), (0, 0, 0.7), (2, -5, 3.5)])
def test_of_a_shifted_blob_is_the_shift(shift):
    found = earth_mover_distance(blob((0, 0, 0)), blob(shift), PIXEL)
    assert found == pytest.approx(PIXEL * np.linalg.norm(shift), rel=0.015)


def test_of_a_part_that_moves_is_its_share_of_the_shift():
    body = blob((-8, 0, 0), 3)
    before, after = 0.75 * body + 0.25 * blob((4, 6, 0)), 0.75 * body + 0.25 * blob((4, -2, 3))
    found = earth_mover_distance(before, after, PIXEL)
    assert found == pytest.approx(PIXEL * 0.25 * np.sqrt(8**2 + 3**2), rel=0.015)


def test_of_a_wider_blob_is_the_growth_of_its_mean_radius():
    """Gaussians of s and t: every point moves outwards, by (t - s) √(8/π) on average."""
    found = earth_mover_distance(blob((0, 0, 0), 2), blob((0, 0, 0), 3.5), PIXEL)
    assert found == pytest.approx(PIXEL * 1.5 * np.sqrt(8 / np.pi), rel=0.015)


def test_of_unlike_maps_is_a_bound_on_the_exact_transport():
    """Transport between random maps of 5³ voxels solved as a linear programme."""
    rng = np.random.default_rng(0)
    side = 5
    point = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cost = cdist(point, point)
    n = len(point)
    ones = np.ones((1, n))
    sums = np.concatenate([np.kron(np.eye(n), ones), np.kron(ones, np.eye(n))])
    for power in (1, 8):
        a, b = (rng.uniform(size=(side,) * 3).astype(np.float32) ** power for _ in range(2))
        masses = np.concatenate([(each / each.sum()).ravel() for each in (a, b)]).astype(np.float64)

        exact = linprog(cost.ravel(), A_eq=sums[1:], b_eq=masses[1:], method="highs").fun
        found = earth_mover_distance(a, b, 1.0)
        assert 0.4 * exact < found < 1.015 * exact


def test_is_a_distance_whatever_the_scale():
    a, b, c = blob((0, 0, 0)), blob((3, 1, 0)), blob((-1, 5, 2), 3)
    assert earth_mover_distance(a, a, PIXEL) == 0
    assert earth_mover_distance(7 * a, b, PIXEL) == pytest.approx(earth_mover_distance(b, a, PIXEL), rel=1e-5)
    ab, bc, ac = (earth_mover_distance(*pair, PIXEL) for pair in ((a, b), (b, c), (a, c)))
    assert ac <= ab + bc


def test_large_maps_are_summed_over_blocks():
    """130 voxels: three per block, and the last block only partly in the map."""
    found = earth_mover_distance(blob((0, 0, 0), 6, 130), blob((9, -4, 6), 6, 130), PIXEL)
    assert found == pytest.approx(PIXEL * np.sqrt(9**2 + 4**2 + 6**2), rel=0.02)


def test_negative_density_is_left_out():
    a, b = blob((0, 0, 0)), blob((4, 0, 0))
    assert earth_mover_distance(a - 0.3 * (a < 1e-9), b, PIXEL) == pytest.approx(4 * PIXEL, rel=0.015)
    with pytest.raises(ValueError, match="positive density"):
        earth_mover_distance(-a, b, PIXEL)
    with pytest.raises(ValueError, match="one box"):
        earth_mover_distance(a, blob((0, 0, 0), 2, 42), PIXEL)
