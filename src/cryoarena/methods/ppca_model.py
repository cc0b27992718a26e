"""What EM of `ppca` carries from one iteration to the next, and where it starts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryoarena.methods.backprojection import reconstruct
from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.checkpoint import State
from cryoarena.methods.half_sets import accumulate_halves, half_sets
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import ImagePoints, shell_means

_SAMPLED_IMAGES = 500
_CONTRAST_DEVIATION = 0.1
_TENSORS = ("volumes", "mask", "noise", "signal", "variance")


@dataclass(frozen=True)
class PpcaModel:
    """Everything that EM carries from one iteration to the next.

    Attributes:
        volumes: (q + 1, D, D, D) the mean and the components, whose latents have unit prior variance.
        mask: (D, D, D) around the particle.
        noise: (S,) noise variance per shell.
        signal: (q + 1, S) prior power per shell of the mean and the components.
        variance: (q + 1, S) posterior variance of their coefficients, per shell.
        contrast_deviation: s.
    """

    volumes: Tensor
    mask: Tensor
    noise: Tensor
    signal: Tensor
    variance: Tensor
    contrast_deviation: float

    def to_state(self) -> State:
        """Return the arrays of a checkpoint."""
        return {name: getattr(self, name).cpu().numpy() for name in _TENSORS} | {
            "contrast_deviation": np.array(self.contrast_deviation)
        }

    @staticmethod
    def of_state(state: State, device: torch.device) -> "PpcaModel":
        """Return the model of a checkpoint."""
        found = {name: torch.as_tensor(state[name], dtype=torch.float32, device=device) for name in _TENSORS}
        return PpcaModel(**found, contrast_deviation=float(state["contrast_deviation"].item()))


def start_model(particles: ParticleSet, components: int, device: torch.device, seed: int) -> PpcaModel:
    """Take a consensus for the mean, its half-maps for the mask and the image power for the noise."""
    radius = particles.box_px / 2
    points = ImagePoints.within(particles.box_px, radius, device)
    half_a, half_b = accumulate_halves(particles, half_sets(particles, seed), device)
    mask = solvent_mask(half_a.unfiltered(), half_b.unfiltered())
    mean = reconstruct(half_a, half_b, mask) * mask
    n_shells = particles.box_px // 2 + 1
    sample = np.sort(np.random.default_rng(seed).permutation(len(particles))[:_SAMPLED_IMAGES])
    power = sum(
        (
            _by_shell(batch.data.abs() ** 2, points, n_shells).sum(dim=0)
            for batch in fourier_batches(particles, points, sample)
        ),
        start=torch.zeros(n_shells, device=device),
    )
    noise = power / (torch.bincount(points.shell, minlength=n_shells)[:n_shells].clamp(min=1) * len(sample))
    # Normalisation may have made the mean of every image zero, which is no lack of noise.
    noise[0] = torch.maximum(noise[0], noise[1])
    mean_power = shell_power(mean[None])
    signal = torch.cat([mean_power, 0.1 * mean_power.expand(components, -1)])
    return PpcaModel(
        volumes=torch.cat([mean[None], torch.zeros((components, *mean.shape), device=device)]),
        mask=mask,
        noise=noise,
        signal=signal,
        variance=torch.zeros_like(signal),
        contrast_deviation=_CONTRAST_DEVIATION,
    )


def whiten(volumes: Tensor, variance: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and scale the components so that their latents have zero mean and unit covariance; no map changes.

    Parameter-expanded EM (Liu, Rubin & Wu 1998, doi:10.1093/biomet/85.4.755): it converges in far fewer steps.

    Args:
        volumes: (q + 1, D, D, D).
        variance: (q + 1, S) posterior variance of their coefficients.
        moments: (q + 1, q + 1) mean of E[(1, z)(1, z)ᵀ] over images.
    """
    shift = moments[0, 1:]
    factor = torch.linalg.cholesky(moments[1:, 1:] - shift[:, None] * shift).float()
    mean = volumes[0] + torch.tensordot(shift.float(), volumes[1:], dims=1)
    components = torch.tensordot(factor.T, volumes[1:], dims=1)
    return torch.cat([mean[None], components]), torch.cat([variance[:1], (factor**2).T @ variance[1:]])


def _by_shell(power: Tensor, points: ImagePoints, n_shells: int) -> Tensor:
    """Sum (n, P) over shells; (n, n_shells)."""
    sums = torch.zeros((len(power), n_shells), device=power.device)
    return sums.index_add_(1, points.shell, power)


def shell_power(volumes: Tensor) -> Tensor:
    """Return the mean |F|² of maps (M, D, D, D) in shells 0 … D/2; (M, S)."""
    box_px = volumes.shape[-1]
    k = torch.fft.fftfreq(box_px, 1 / box_px, device=volumes.device)
    length = torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1] ** 2)
    shells = torch.round(length).long().reshape(-1)
    power = [shell_means(torch.fft.rfftn(volume).abs().reshape(-1) ** 2, shells, box_px // 2 + 1) for volume in volumes]
    return torch.stack(power)
