"""How well the map of each class explains each image, and what that makes of the probabilities of classes."""

import torch
from torch import Tensor

from cryoarena.methods.band_images import BandImages
from cryoarena.methods.batches import Batch
from cryoarena.methods.class_maps import ClassMaps

# What the maps on the grid of the classes treated at once may take.
_BYTES_AT_ONCE = 1_200_000_000
_MOST_LEVERAGE = 0.5
# A class that the lower half of the band makes less likely than the best by exp(-20) is not compared in the upper half.
_HOPELESS = 20.0
# That is quicker where fewer than this part of all classes have a posterior that counts.
_CONCENTRATED, _LEAST_POSTERIOR = 0.25, 1e-3


def expect(images: BandImages, model: ClassMaps, posterior: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return new posteriors (N, K), the noise (S,) that the images leave over, and the mean log-likelihood.

    Each image is compared with maps as they would be without it: a map that follows the noise of an image seems to
    explain it. With the share h of an image in its own map, the residual without it is the one found divided by 1 - h
    (leave-one-out of a linear smoother: Hastie et al. 2009, The Elements of Statistical Learning, eq. 7.52).

    Args:
        images: of a band.
        model: the maps, made with `posterior`.
        posterior: (N, K).
        noise: (S,) variance per image coefficient, of the shells of the band.
    """
    grid = images.grid
    per_shell = images.points_per_shell()
    concentrated = float((posterior > _LEAST_POSTERIOR).float().mean()) < _CONCENTRATED
    log_likelihood = torch.empty_like(posterior)
    left = torch.zeros(images.n_shells, dtype=torch.float64, device=grid.device)
    at_once = max(1, _BYTES_AT_ONCE // (2 * 4 * grid.size))
    for start in range(0, posterior.shape[1], at_once):
        group = slice(start, start + at_once)
        compare = _CompareLikely(images, model.maps[group]) if concentrated else _CompareAll(images, model.maps[group])
        for batch in images.batches():
            here = torch.as_tensor(batch.rows, device=grid.device)
            by = posterior[here, group]
            power, of_ctf = images.powers(batch)
            mean_ctf2 = of_ctf / per_shell
            share = (by[:, None] * mean_ctf2[:, :, None] * model.leverage[group].T).clamp(max=_MOST_LEVERAGE)
            evidence = _Evidence(power, share, 1 / noise)
            likeness, likely = compare(batch, evidence, by > _LEAST_POSTERIOR)
            left += (by[:, None] * evidence.residual(likeness) / (1 - share)).double().sum(dim=(0, 2))
            log_likelihood[here, group] = evidence.gain(likeness).masked_fill(~likely, -torch.inf)
    log_likelihood += torch.log(model.population)
    total = torch.logsumexp(log_likelihood, dim=1)
    found = torch.exp(log_likelihood - total[:, None])
    return found, (left / (images.count * per_shell)).float(), float(total.double().mean())


class _Evidence:
    """What likeness (n, S', 2, K), of the first S' shells, tells of classes."""

    def __init__(self, power: Tensor, share: Tensor, precision: Tensor) -> None:
        """Take the power (n, S) of images, their share (n, S, K) in maps, and 1 / noise (S,)."""
        self._power = power[:, :, None]
        self._left_out = (1 - share) ** 2
        self._precision = precision[:, None]

    def residual(self, likeness: Tensor) -> Tensor:
        """Return |image - CTF · slice|² (n, S', K)."""
        return self._power[:, : likeness.shape[1]] - 2 * likeness[:, :, 0] + likeness[:, :, 1]

    def gain(self, likeness: Tensor) -> Tensor:
        """Return the log-likelihood (n, K) less that of no map at all."""
        shells = slice(0, likeness.shape[1])
        without = self.residual(likeness) / self._left_out[:, shells]
        return ((self._power[:, shells] - without) * self._precision[shells]).sum(dim=1)


class _CompareAll:
    """Compare every image with every map."""

    def __init__(self, images: BandImages, maps: Tensor) -> None:
        self._grid, self._points = images.grid, images.points
        self._values = images.grid.from_volumes(maps)

    def __call__(self, batch: Batch, evidence: _Evidence, expected: Tensor) -> tuple[Tensor, Tensor]:
        """Return likeness (n, S, 2, K), and all classes as likely (n, K)."""
        likeness = self._grid.likeness(self._values, self._points, batch.rotations, batch.data, batch.ctf)
        return likeness, torch.ones_like(expected)


class _CompareLikely:
    """Compare every image with every map in the lower half of the band, and with the likely ones in the upper half."""

    def __init__(self, images: BandImages, maps: Tensor) -> None:
        self._grid, self._n_shells = images.grid, images.n_shells
        self._lower, self._upper = images.points.split(images.n_shells // 2)
        self._values = [images.grid.from_volumes(volume[None]) for volume in maps]
        cropped = [images.grid.cropped(values, images.n_shells // 2 + 0.5) for values in self._values]
        self._lower_grid = cropped[0][0]
        self._lower_values = torch.cat([values for _, values in cropped], dim=1)

    def __call__(self, batch: Batch, evidence: _Evidence, expected: Tensor) -> tuple[Tensor, Tensor]:
        """Return likeness (n, S, 2, K), and the classes (n, K) for which it is complete: likely or expected ones."""
        of_images = batch.rotations, batch.data, batch.ctf
        below = self._lower_grid.likeness(self._lower_values, self._lower, *of_images)
        gain = evidence.gain(below)
        likely = (gain > gain.max(dim=1, keepdim=True).values - _HOPELESS) | expected
        likeness = below.new_zeros((len(below), self._n_shells, *below.shape[2:]))
        likeness[:, : below.shape[1]] = below
        for k, values in enumerate(self._values):
            rows = torch.nonzero(likely[:, k])[:, 0]
            if len(rows):
                above = self._grid.likeness(values, self._upper, *of_images, rows, begin=len(self._lower))
                likeness[rows, :, :, k] += above[:, :, :, 0]
        return likeness, likely
