"""Latents of images among classes: where each lies along the axes in which the maps of classes differ."""

import numpy as np
import torch
from torch import Tensor

from cryoarena.methods.band_images import BandImages
from cryoarena.methods.latent_mixture import LatentLikelihood, latent_mixture
from cryoarena.methods.principal_coordinates import principal_coordinates
from cryoarena.volumes.slicing import ImagePoints, as_volume

_MOST_AXES = 10
# of the strongest axis
_LEAST_STRENGTH = 1e-3


def class_latents(images: BandImages, maps: Tensor, posterior: Tensor, noise: Tensor) -> Tensor:
    """Return (N, q) latents along the first axes of the maps' principal coordinates.

    data = CTF · P(mean + Σ z_k axis_k) + noise, and z is of a mixture with a component for every class, which starts at
    the class and is learnt from the images (`latent_mixture`). Where particles move continuously, a latent thus tells
    of the place within a class; where they do not, components are as narrow as images allow.

    Args:
        images: N of the whole band.
        maps: (K, D, D, D).
        posterior: (N, K).
        noise: (S,) variance per image coefficient.
    """
    coordinates = principal_coordinates(as_volume(maps))
    strength = np.linalg.norm(coordinates, axis=0) / np.sqrt(len(coordinates))
    axes = np.flatnonzero(strength > _LEAST_STRENGTH * strength[0])[:_MOST_AXES]
    if not len(axes):
        return maps.new_zeros((images.count, 1))
    scale = torch.as_tensor(strength[axes], dtype=torch.float32, device=maps.device)
    means = torch.as_tensor(coordinates[:, axes], device=maps.device) / scale
    mean = maps.mean(dim=0)
    volumes = torch.tensordot(torch.linalg.pinv(means), maps - mean, dims=1)
    likelihood = _likelihood(images, torch.cat([mean[None], volumes]), noise)
    return latent_mixture(likelihood, posterior, means)[0] * scale


def _likelihood(images: BandImages, volumes: Tensor, noise: Tensor) -> LatentLikelihood:
    """Compare images with a mean and components (q + 1, D, D, D)."""
    grid, points = images.grid, images.points
    values = grid.from_volumes(volumes)
    # One shell of all points, in units of the noise: what is summed by shell is not needed apart.
    together = ImagePoints(points.box_px, points.kx, points.ky, torch.zeros_like(points.shell))
    over_noise = (1 / noise)[points.shell].sqrt()
    information, precision = [], []
    for batch in images.batches():
        data, transfer = over_noise * batch.data, over_noise * batch.ctf
        products = 2 * grid.gram(values, together, batch.rotations, data, transfer)[:, 0].double()
        information.append(products[:, 0, 2:] - products[:, 1, 2:])
        precision.append(products[:, 2:, 2:])
    return LatentLikelihood(torch.cat(information), torch.cat(precision))
