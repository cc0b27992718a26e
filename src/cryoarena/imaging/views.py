"""View directions that are not uniform on the sphere.

The view direction of a particle is the direction of the beam in its own frame: the third row of its rotation.
"""

import numpy as np
from numpy.typing import NDArray


def random_directions(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw unit vectors (n, 3) uniform on the sphere."""
    vectors = rng.standard_normal((n, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def von_mises_fisher(centre: NDArray[np.float64], kappa: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a direction around each centre (n, 3) with density proportional to exp(kappa · cosine of the angle).

    The cosine has a closed inverse distribution function on the sphere (Wood 1994, doi:10.1080/03610919408813161).
    """
    u = rng.uniform(size=len(centre))
    # log(u + (1 - u) exp(-2 kappa)) without overflow
    cosine = 1 + np.log(u + (1 - u) * np.exp(-2 * kappa)) / kappa
    return _tilted(centre, cosine, rng)


def in_cap(centre: NDArray[np.float64], half_angle_deg: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a direction (n, 3) uniform in the spherical cap around each centre."""
    return _tilted(centre, rng.uniform(np.cos(np.deg2rad(half_angle_deg)), 1.0, size=len(centre)), rng)


def rotations_seen_along(view: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rotations (n, 3, 3), object to image, with these view directions and a random turn in the image plane."""
    x = _perpendicular(view, rng)
    return np.stack([x, np.cross(view, x), view], axis=1)


def _tilted(centre: NDArray[np.float64], cosine: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    sine = np.sqrt(np.clip(1 - cosine**2, 0, None))
    return np.asarray(cosine[:, None] * centre + sine[:, None] * _perpendicular(centre, rng))


def _perpendicular(direction: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw unit vectors perpendicular to (n, 3) directions, uniform on their circle."""
    random = random_directions(len(direction), rng)
    across = random - np.sum(random * direction, axis=1, keepdims=True) * direction
    return np.asarray(across / np.linalg.norm(across, axis=1, keepdims=True))
