"""Covariance of maps, principal volumes, and kernel regression in their latent space: the family of RECOVAR."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.files import read_json, write_json
from cryoarena.methods.backprojection import accumulate, lightly_regularised
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.consensus import random_halves
from cryoarena.methods.covariance_subspace import BandImages, Subspace, first_subspace, refined
from cryoarena.methods.image_passes import ImagePasses
from cryoarena.methods.kernel_regression import Candidate, KernelRegression, candidate_of
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_ARRAYS = ("latents", "precision", "contrast", "half_set", "mask", "consensus")
_SHOWN_AXES = 3


@dataclass(frozen=True)
class CovarianceOptions:
    """Options of `covariance`.

    Attributes:
        components: number of principal volumes, the dimension of the latents.
        pivots: number of low frequencies whose covariance with all others is estimated.
        band: largest |k| (cycles per box) that the covariance and the latents use; the maps use all.
        refinements: steps of expectation maximisation that refine the principal volumes.
    """

    components: int = 10
    pivots: int = 200
    band: int = 31
    refinements: int = 2


class CovarianceReconstruction(Reconstruction):
    """Latents along principal volumes, and maps regressed from the images near a latent.

    Latents are scaled so that their Euclidean distance is the L2 distance of the maps along the principal volumes.
    """

    def __init__(self, regression: KernelRegression, history: list[dict[str, float]]) -> None:
        """Hold what maps are regressed from."""
        self.embedding = regression.latents.cpu().numpy()
        self.posterior = None
        self.history = history
        self.representatives = _along_axes(self.embedding)
        self._regression = regression

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps regressed from the images around each latent."""
        device = self._regression.device
        return np.stack([self._regression.map_at(torch.as_tensor(latent, device=device)) for latent in latents])

    def save(self, folder: Path) -> None:
        """Write latents, their precisions, contrasts, half-sets, mask and consensus."""
        arrays = {
            "latents": self._regression.latents,
            "precision": self._regression.precision,
            "contrast": self._regression.contrast,
            "half_set": self._regression.half_set,
            "mask": self._regression.mask,
            "consensus": self._regression.everything.as_array(),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", np.asarray(array))
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
        """Estimate principal volumes and latents; go on from the last step that was saved."""
        device = torch.device(run.device)
        half_set = random_halves(len(particles), run.seed) if particles.half_set is None else particles.half_set
        radius = min(particles.box_px / 2 - 1, options.band)
        side = 2 * (int(radius) + 1)
        saved = run.checkpoint.load()
        done = 3 + 2 * (len(saved[1]) - 1) if saved else 0
        passes = ImagePasses(run.progress, len(particles), 3 + 2 * options.refinements, done)
        if saved:
            arrays, history = saved
            everything = Candidate.of_array(torch.as_tensor(arrays["consensus"]).to(device))
            mask = torch.as_tensor(arrays["mask"]).to(device)
            images = BandImages(particles, radius, _cropped(mask, side).clamp(0, 1), passes)
            subspace = Subspace.of_arrays(arrays, device)
        else:
            everything, mask = _consensus(particles, half_set, device, passes)
            images = BandImages(particles, radius, _cropped(mask, side).clamp(0, 1), passes)
            # Cropped maps keep their density; here their Fourier coefficients must stay.
            mean = _cropped(everything.whole * mask, side) * (particles.box_px / side) ** 3
            subspace = first_subspace(images, half_set, mean, options.components, options.pivots)
            history = [_told(subspace)]
        while True:
            kept = {"mask": as_volume(mask), "consensus": everything.as_array()}
            run.checkpoint.save(subspace.arrays() | kept, history)
            if len(history) > options.refinements:
                break
            subspace = refined(images, subspace)
            history.append(_told(subspace))
        strength = subspace.strength
        # Where latents have no posterior variance of their own, the prior still is finite.
        precision = torch.linalg.inv(subspace.covariance) / (strength[:, None] * strength)
        regression = KernelRegression(
            particles,
            half_set,
            subspace.latents * strength,
            precision,
            subspace.contrast[:, 0],
            mask,
            everything,
            device,
        )
        return CovarianceReconstruction(regression, history)

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
            Candidate.of_array(tensors["consensus"]),
            torch.device("cpu"),
        )
        return CovarianceReconstruction(regression, read_json(folder / "history.json"))


def _consensus(
    particles: ParticleSet, half_set: NDArray[np.int64], device: torch.device, passes: ImagePasses
) -> tuple[Candidate, Tensor]:
    """Return the maps (D, D, D) of all images, whatever their latents, and the solvent mask."""
    radius = particles.box_px / 2 - 1
    grid = FourierGrid(particles.box_px, radius, device)
    points = ImagePoints.within(particles.box_px, radius, device)
    batches = (fourier_batches(particles, points, np.flatnonzero(half_set == half)) for half in (0, 1))
    half_a, half_b = (accumulate(grid, points, passes.count(part, "consensus")).completed() for part in batches)
    mask = solvent_mask(*(lightly_regularised(grid, *half)[0] for half in (half_a, half_b)))
    return candidate_of(grid, (half_a[0], half_a[1]), (half_b[0], half_b[1]), mask), mask


def _cropped(volume: Tensor, box_px: int) -> Tensor:
    return torch.from_numpy(fourier_crop_volume(as_volume(volume), box_px)).to(volume.device)


def _told(subspace: Subspace) -> dict[str, float]:
    """Return what the history tells of a step."""
    told = {f"strength_{number + 1}": float(value) for number, value in enumerate(subspace.strength)}
    return told | {
        "contrast_deviation": math.sqrt(float(subspace.contrast_variance)),
        "noise": float(subspace.noise.mean()),
    }
