"""The maps of classes, estimated from posteriors."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.methods.backprojection import Accumulated
from cryoarena.methods.band_images import BandImages
from cryoarena.methods.local_wiener import local_wiener
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.volumes.filters import fourier_crop_volume

# A class does not see an image that belongs to it with a smaller probability.
_LEAST_POSTERIOR = 1e-3
# Share of a map's own signal in what filters it; one alone says less than all.
_OWN = 0.75
# What the accumulators of the classes treated at once may take.
_BYTES_AT_ONCE = 1_200_000_000


@dataclass(frozen=True)
class Consensus:
    """The map of all images, in the box of a band.

    Attributes:
        halves: (2, D, D, D) of the half-sets, not filtered.
        map: (D, D, D) filtered and masked.
        mask: (D, D, D) around the particle.
    """

    halves: Tensor
    map: Tensor
    mask: Tensor

    def cropped(self, images: BandImages) -> "Consensus":
        """Return it in the box of a lower band; the sum over voxels, which slices see, keeps its value."""
        box_px = images.grid.box_px
        scale = (self.map.shape[-1] / box_px) ** 3

        def crop(volume: Tensor) -> Tensor:
            return torch.from_numpy(fourier_crop_volume(volume.cpu().numpy(), box_px)).to(volume.device)

        halves = torch.stack([crop(half) for half in self.halves])
        return Consensus(scale * halves, scale * crop(self.map), crop(self.mask).clamp(0, 1))


@dataclass(frozen=True)
class ClassMaps:
    """Maps of K classes.

    Attributes:
        maps: (K, D, D, D).
        leverage: (K, S) of an image of posterior 1, per its mean CTF² in a shell: its share in its own map.
        population: (K,) of the posteriors, sums to 1.
        correlation: (S,) FSC of half-maps of the differences between classes and consensus.
    """

    maps: Tensor
    leverage: Tensor
    population: Tensor
    correlation: Tensor


def consensus_of(images: BandImages, half_set: Tensor, mask: Tensor | None = None) -> Consensus:
    """Return the map of all images of a band, filtered by its half-sets, in a mask or else the one that these give."""
    grid = images.grid
    everyone = torch.ones((len(half_set), 1), device=grid.device)
    _, accumulated = next(_accumulated(images, everyone, half_set))
    halves = torch.stack([half.unfiltered() for half in accumulated])
    whole = accumulated[0].plus(accumulated[1]).unfiltered()[None]
    mask = solvent_mask(halves[0], halves[1]) if mask is None else mask
    weight_a, weight_b = (half.per_voxel().sum()[None] for half in accumulated)
    return Consensus(halves, local_wiener(halves[:1], halves[1:], weight_a, weight_b, mask, whole).maps[0], mask)


def mean_power(images: BandImages) -> Tensor:
    """Return the mean power of an image coefficient by shell: the noise variance, where signal is faint; (S,)."""
    total = torch.zeros(images.n_shells, dtype=torch.float64, device=images.grid.device)
    for batch in images.batches():
        total += images.powers(batch)[0].double().sum(dim=0)
    power = (total / (images.count * images.points_per_shell())).float()
    # Normalisation may have made the mean of every image zero, which is no lack of noise.
    power[0] = torch.maximum(power[0], power[1])
    return power


def class_maps(
    images: BandImages, posterior: Tensor, half_set: Tensor, consensus: Consensus, as_result: bool = False
) -> ClassMaps:
    """Estimate the map of every class from the images weighted by its posteriors.

    The map is the consensus plus the locally filtered difference Σ r·CTF·(y - CTF·consensus) / Σ r·CTF²: where classes
    do not differ, or the images of one cannot tell, it has the resolution of all images. This takes the place of the
    prior of Scheres 2012 (doi:10.1016/j.jmb.2011.11.010, eq. 7), which is around zero and the same everywhere.

    Args:
        images: of a band.
        posterior: (N, K).
        half_set: (N,) 0 or 1.
        consensus: in the box of the band.
        as_result: take more time over them. Maps are solved for from both half-sets at once, not as the mean of two
            half-maps (where one half-set has a gap between its slices, the other may have none), and most of what
            filters a map is its own signal, not that of all classes.
    """
    grid = images.grid
    of_halves = [grid.from_volumes(half[None])[:, 0] for half in consensus.halves]
    n_classes = posterior.shape[1]
    halves = torch.empty((2, n_classes, *consensus.map.shape), device=grid.device)
    wholes = torch.empty_like(halves[0]) if as_result else None
    weights = torch.empty((2, n_classes, images.n_shells), device=grid.device)
    for k, accumulated in _accumulated(images, posterior, half_set):
        for half, sums in enumerate(accumulated):
            weights[half, k] = sums.per_voxel()
            halves[half, k] = sums.unfiltered(of_halves[half])
        if wholes is not None:
            wholes[k] = accumulated[0].plus(accumulated[1]).unfiltered((of_halves[0] + of_halves[1]) / 2)
    weight_a, weight_b = weights.sum(dim=2)
    filtered = local_wiener(
        halves[0], halves[1], weight_a, weight_b, consensus.mask, wholes, own=_OWN if as_result else 0.0
    )
    counts = posterior.sum(dim=0) + 1
    return ClassMaps(
        consensus.map + filtered.maps,
        filtered.gain[:, : images.n_shells] / weights.sum(dim=0).clamp(min=1e-30),
        counts / counts.sum(),
        filtered.correlation,
    )


def _accumulated(images: BandImages, posterior: Tensor, half_set: Tensor) -> Iterator[tuple[int, list[Accumulated]]]:
    """Yield every class with the sums of both half-sets, as many at once as memory allows."""
    grid = images.grid
    n_classes = posterior.shape[1]
    at_once = max(1, _BYTES_AT_ONCE // (2 * 3 * 4 * grid.size))
    for start in range(0, n_classes, at_once):
        classes = range(start, min(start + at_once, n_classes))
        seen = posterior[:, classes.start : classes.stop] > _LEAST_POSTERIOR
        found = [[Accumulated.none(grid, images.points) for _ in range(2)] for _ in classes]
        rows = torch.nonzero(seen.any(dim=1))[:, 0].cpu().numpy()
        for batch in images.batches(None if len(rows) == images.count else rows):
            here = torch.as_tensor(batch.rows, device=grid.device)
            of_shell = images.powers(batch)[1]
            for k, half in itertools.product(classes, range(2)):
                chosen = torch.nonzero(seen[here, k - start] & (half_set[here] == half))[:, 0]
                if len(chosen):
                    by = posterior[here[chosen], k, None]
                    into = found[k - start][half]
                    grid.insert(images.points, batch.rotations, batch.data, batch.ctf, into.sums, by, by, chosen)
                    into.of_shell.add_((by * of_shell[chosen]).sum(dim=0))
        for k in classes:
            yield k, found.pop(0)
