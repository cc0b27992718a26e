"""A mean map plus latent-weighted principal volumes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.base import Reconstruction

_PERCENTILES = (5, 25, 50, 75, 95)


class LinearReconstruction(Reconstruction):
    """Maps mean + Σ_k z_k · component_k.

    The components are orthogonal and of one norm, in order of the strength of their latents, so that the Euclidean
    distance of latents is proportional to the L2 distance of their maps.
    """

    def __init__(
        self,
        mean: NDArray[np.float32],
        components: NDArray[np.float32],
        embedding: NDArray[np.float32],
        covariance: NDArray[np.float32],
        contrast: NDArray[np.float32],
        history: list[dict[str, float]],
    ) -> None:
        """Hold the mean (D, D, D), components (q, D, D, D), and of each image: latent, its covariance, contrast."""
        self.mean = mean
        self.components = components
        self.embedding = embedding
        self.covariance = covariance
        self.contrast = contrast
        self.posterior = None
        self.history = history
        self.representatives = _along_axes(embedding)

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return mean + Σ_k z_k · component_k."""
        return np.asarray(self.mean + np.tensordot(latents, self.components, axes=1), np.float32)

    def save(self, folder: Path) -> None:
        """Write all arrays and the history."""
        np.save(folder / "mean.npy", self.mean)
        np.save(folder / "components.npy", self.components)
        np.save(folder / "latents.npy", self.embedding)
        np.save(folder / "latent_covariance.npy", self.covariance)
        np.save(folder / "contrast.npy", self.contrast)
        write_json(folder / "history.json", self.history)

    @classmethod
    def read(cls, folder: Path) -> "LinearReconstruction":
        """Read what `save` wrote."""
        mean, components, latents, covariance, contrast = (
            np.load(folder / f"{name}.npy")
            for name in ("mean", "components", "latents", "latent_covariance", "contrast")
        )
        return cls(mean, components, latents, covariance, contrast, read_json(folder / "history.json"))


def _along_axes(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return latents at the 5th … 95th percentile along each axis through the mean latent; (5 q, q)."""
    q = embedding.shape[1]
    rows = np.tile(embedding.mean(axis=0), (q, len(_PERCENTILES), 1))
    for axis in range(q):
        rows[axis, :, axis] = np.percentile(embedding[:, axis], _PERCENTILES)
    return rows.reshape(-1, q)
