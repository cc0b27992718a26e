"""A molecule of Gaussian blobs, a fixed body and a turning arm, for tests of volume metrics."""

import numpy as np

from cryoarena.volumes.mask import MaskBuilder

D = 32
PIXEL = 4.0


def conformation(turn_deg: float) -> np.ndarray:
    """Return the map (D, D, D) with the arm turned about z."""
    rng = np.random.default_rng(0)
    body, arm = rng.normal(0, 2, (60, 3)), rng.normal(0, 1.2, (25, 3)) + np.array([9, 0, 0])
    angle = np.deg2rad(turn_deg)
    arm = arm @ np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    axis = np.arange(D) - D // 2
    profile = np.exp(-((axis[None, :, None] - np.concatenate([body, arm])[:, None, :]) ** 2) / 2)
    return np.einsum("nx,ny,nz->zyx", profile[..., 0], profile[..., 1], profile[..., 2]).astype(np.float32)


def eight_conformations() -> list[np.ndarray]:
    """Return the maps of eight conformations, 45° apart."""
    return [conformation(turn) for turn in range(0, 360, 45)]


def masks_of(truths: list[np.ndarray]) -> dict[str, np.ndarray | None]:
    """Return the three masks that maps are compared in."""
    builder = MaskBuilder(D, PIXEL)
    for truth in truths:
        builder.add(truth)
    return {"mask": builder.whole(8, 12), "no_mask": None, "moving_mask": builder.moving(4, 8)}
