"""Covariance of maps, principal volumes, and kernel regression in their latent space: the family of RECOVAR."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.band_images import BandImages
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.checkpoint import History
from cryoarena.methods.covariance_subspace import columns_model
from cryoarena.methods.half_sets import accumulate_halves, half_sets
from cryoarena.methods.kernel_regression import KernelRegression
from cryoarena.methods.latent_mixture import mixture_of_clusters
from cryoarena.methods.local_wiener import local_wiener
from cryoarena.methods.ppca_model import PpcaModel
from cryoarena.methods.ppca_steps import embed, has_stalled, iterate, principal_turn, told
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import as_volume

_ARRAYS = ("embedding", "latents", "precision", "contrast", "half_set", "mask", "everything")
_SHOWN_AXES = 3


@dataclass(frozen=True)
class CovarianceOptions:
    """Options of `covariance`.

    Attributes:
        components: number of principal volumes, the dimension of the latents.
        pivots: number of low frequencies whose covariance with all others is estimated.
        band: largest |k| (cycles per box) that the covariance and the latents use; the maps use all.
        refinements: most steps of expectation maximisation that refine the principal volumes; they end earlier where
            the log-likelihood stalls.
    """

    components: int = 10
    pivots: int = 200
    band: int = 31
    refinements: int = 10


class CovarianceReconstruction(Reconstruction):
    """Latents along principal volumes, and maps regressed from the images near a latent.

    Latents are scaled so that their Euclidean distance is the L2 distance of the maps along the principal volumes.
    """

    def __init__(
        self, regression: KernelRegression, embedding: NDArray[np.float32], history: list[dict[str, float]]
    ) -> None:
        """Hold what maps are regressed from, and latents (N, q) under a mixture."""
        self.embedding = embedding
        self.posterior = None
        self.history = history
        self.representatives = _along_axes(self.embedding)
        self._regression = regression

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps regressed from the images around each latent."""
        device = self._regression.device
        return np.stack([self._regression.map_at(torch.as_tensor(latent, device=device)) for latent in latents])

    def on_device(self, device: str) -> "CovarianceReconstruction":
        """Return the same whose maps are regressed on a device of torch."""
        regression = self._regression.on_device(torch.device(device))
        return CovarianceReconstruction(regression, self.embedding, self.history)

    def save(self, folder: Path) -> None:
        """Write latents, their precisions, contrasts, half-sets, mask and consensus."""
        regression = self._regression
        arrays: dict[str, NDArray[Any]] = {
            "embedding": self.embedding,
            "latents": as_volume(regression.latents),
            "precision": as_volume(regression.precision),
            "contrast": as_volume(regression.contrast),
            "half_set": regression.half_set,
            "mask": as_volume(regression.mask),
            "everything": as_volume(regression.everything),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        write_json(folder / "history.json", self.history)


def _along_axes(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the latents of particles near the 5th, 50th and 95th percentile of the strongest axes; (k, q)."""
    rows = []
    for axis in embedding.T[:_SHOWN_AXES]:
        rows += [int(np.argmin(np.abs(axis - value))) for value in np.percentile(axis, [5, 50, 95])]
    return embedding[rows]


@method
class Covariance(Method[CovarianceOptions]):
    """Gilles & Singer 2025 (doi:10.1073/pnas.2419140122) with principal volumes refined by likelihood.

    Columns of the covariance at low frequencies (`covariance_columns`) give principal volumes; a few steps of EM
    refine them and give each image's latent posterior (`covariance_subspace`); maps come from the images around a
    latent (`kernel_regression`). The refinement is ours: it uses each image's likelihood, where the columns use second
    moments only.
    """

    card = MethodCard(
        name="covariance",
        title="Covariance",
        family="covariance / RECOVAR",
        summary="Regularised covariance columns, principal volumes, latent posteriors, and kernel regression.",
        citation="Gilles & Singer 2025, doi:10.1073/pnas.2419140122",
        heterogeneity="continuous",
    )
    options = CovarianceOptions

    def fit(self, particles: ParticleSet, options: CovarianceOptions, run: Run) -> CovarianceReconstruction:
        """Estimate principal volumes and latents; go on from the last step that was saved.

        Raises:
            UserError: when an option makes no sense, or an image holds NaN.
        """
        if min(options.components, options.pivots, options.band) < 1:
            raise UserError("options components, pivots and band must be at least 1")
        device = torch.device(run.device)
        half_set = half_sets(particles, run.seed)
        radius = min(particles.box_px / 2 - 1, options.band)
        passes = 3 + options.refinements

        def step(done: int) -> None:
            run.progress(passes_done * len(particles) + done, passes * len(particles), f"|k| <= {radius:.0f}")

        passes_done = 0
        saved = run.checkpoint.load()
        if saved is None:
            everything, mask = _consensus(particles, half_set, device, step)
            passes_done = 1
            model = columns_model(
                particles, half_set, everything[2] * mask, mask, options.components, options.pivots, radius, step
            )
            history: History = []
            run.checkpoint.save(model.to_state() | {"everything": as_volume(everything)}, history)
        else:
            model, history = PpcaModel.of_state(saved[0], device), saved[1]
            everything = torch.as_tensor(saved[0]["everything"], dtype=torch.float32, device=device)
        images = BandImages(particles, radius, device)
        while len(history) < options.refinements and not has_stalled(history, radius):
            passes_done = 2 + len(history)
            model, log_likelihood = iterate(images, model, None, step)
            history.append(told(len(history), radius, log_likelihood, model))
            run.checkpoint.save(model.to_state() | {"everything": as_volume(everything)}, history)
        passes_done = passes - 1
        latents, covariance, contrast = embed(images, model, step)
        turn = principal_turn(model.volumes[1:])
        embedding = as_volume(mixture_of_clusters(latents, covariance, run.seed)[0] @ turn)
        # Where images say nothing at all, the posterior still is the prior, whose variance is one.
        back = torch.linalg.inv(turn)
        regression = KernelRegression(
            particles,
            half_set,
            latents @ turn,
            back @ torch.linalg.inv(covariance) @ back.T,
            contrast,
            model.mask,
            everything,
            device,
        )
        return CovarianceReconstruction(regression, embedding, history)

    def load(self, folder: Path, particles: ParticleSet) -> CovarianceReconstruction:
        """Read a saved result; its maps are regressed from the particles."""
        arrays = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        regression = KernelRegression(
            particles,
            arrays["half_set"],
            tensors["latents"],
            tensors["precision"],
            tensors["contrast"],
            tensors["mask"],
            tensors["everything"],
            torch.device("cpu"),
        )
        return CovarianceReconstruction(regression, arrays["embedding"], read_json(folder / "history.json"))


def _consensus(
    particles: ParticleSet, half_set: NDArray[np.int64], device: torch.device, step: Callable[[int], None]
) -> tuple[Tensor, Tensor]:
    """Return the maps of all images (3, D, D, D), half-maps and locally filtered map, and the solvent mask."""
    a, b = accumulate_halves(particles, half_set, device, step)
    half_a, half_b, whole = (images.unfiltered() for images in (a, b, a.plus(b)))
    mask = solvent_mask(half_a, half_b)
    one = torch.ones(1, device=device)
    consensus = local_wiener(half_a[None], half_b[None], one, one, mask, whole[None]).maps[0]
    return torch.stack([half_a, half_b, consensus]), mask
