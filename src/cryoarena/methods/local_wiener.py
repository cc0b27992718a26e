"""Filter maps by what their half-sets have in common, place by place and band by band."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.volumes.slicing import shell_means

_BANDS = 4
# Neighbourhood (Gaussian deviation): a quarter of a band's period, and at least so many voxels.
_PERIODS, _LEAST_PX = 0.25, 1.5


@dataclass(frozen=True)
class Filtered:
    """Filtered maps.

    Attributes:
        maps: (K, D, D, D).
        gain: (K, S) part of the white noise of a shell that is left, as a fraction of the whole box.
        correlation: (S,) FSC of the half-maps, of all maps together.
    """

    maps: Tensor
    gain: Tensor
    correlation: Tensor


def local_wiener(
    half_a: Tensor,
    half_b: Tensor,
    weight_a: Tensor,
    weight_b: Tensor,
    mask: Tensor,
    whole: Tensor | None = None,
    own: float = 0.0,
) -> Filtered:
    """Filter K maps by signal / (signal + noise) of each voxel's neighbourhood in each of a few bands.

    Signal is the local covariance of half-maps, noise their local squared difference, as in the local FSC (Cardone
    et al. 2013, doi:10.1016/j.jsb.2013.08.002). Both are pooled over the maps; a map's noise goes as one over its
    weight. Maps of few images borrow from the others in this way. A share of the signal may be a map's own: maps need
    not have it in the same places, but one says less of it than all.

    Args:
        half_a, half_b: (K, D, D, D) half-maps.
        weight_a, weight_b: (K,) inverse noise variance of the half-maps, in any unit; 0 where there are no images.
        mask: (D, D, D) around the signal.
        whole: (K, D, D, D) maps of both half-sets, which are filtered; by default means of the half-maps by weight.
        own: share of the signal that is a map's own covariance, less one standard deviation of that of noise: else
            places where half-maps agree by chance would be let through.
    """
    box_px = mask.shape[-1]
    n_shells = box_px // 2 + 1
    step = box_px / 2 / _BANDS
    length = lengths(box_px, mask.device)
    shells = torch.arange(n_shells, device=mask.device)
    weight = (weight_a + weight_b).clamp(min=1e-30)
    both = weight_a * weight_b
    of_a, of_b, of_weight, of_pair = (
        each.tolist() for each in (weight_a / weight, weight_b / weight, weight, both / both.sum().clamp(min=1e-30))
    )
    pairs = max(1, int((both > 0).sum()))
    spectra_a, spectra_b = (_spectra(half, mask) for half in (half_a, half_b))
    spectra = None if whole is None else _spectra(whole, mask)
    maps = torch.zeros_like(half_a)
    gain = torch.zeros((len(maps), n_shells), device=mask.device)
    for band in range(_BANDS + 1):
        window = _window(length, band, step)
        smooth = _gaussian(length, max(_LEAST_PX, _PERIODS * box_px / (max(band, 0.5) * step)))
        signal, noise = torch.zeros_like(mask), torch.zeros_like(mask)
        together, products = [], []
        # Map by map: what one takes stays in the cache.
        for k in range(len(maps)):
            a, b = (torch.fft.irfftn(each[k] * window, s=mask.shape) for each in (spectra_a, spectra_b))
            signal.addcmul_(a, b, value=of_pair[k])
            difference = a - b
            noise.addcmul_(difference, difference, value=of_a[k] * of_b[k] * of_weight[k] / pairs)
            if spectra is None:
                together.append(torch.lerp(a, b, of_b[k]))
            if own:
                products.append(a.mul_(b))
        # Of one unit of weight.
        noise = smoothed(noise, smooth).clamp(min=1e-30)
        signal = smoothed(signal, smooth).clamp(min=0)
        luck = chance(window, smooth) if own else 0.0
        of_band = _window(shells, band, step)
        for k in range(len(maps)):
            expected = signal
            if own:
                lowered_by = luck / math.sqrt(max(float(both[k]), 1e-30))
                of_map = smoothed(products[k], smooth).sub_(noise, alpha=lowered_by).clamp_(min=0)
                expected = torch.lerp(signal, of_map, own)
            passed = expected / torch.add(expected, noise, alpha=1 / of_weight[k])
            unfiltered = together[k] if spectra is None else torch.fft.irfftn(spectra[k] * window, s=mask.shape)
            maps[k].addcmul_(passed, unfiltered)
            gain[k] += (passed * mask).mean() * of_band
    return Filtered(maps, gain, _correlation(spectra_a, spectra_b, both[:, None, None, None], length))


def chance(window: Tensor, transfer: Tensor) -> float:
    """Return the standard deviation of the smoothed product of two maps of noise in a band, whose variance is one.

    The product is correlated over space as the square of the noise's own correlation, r²: its variance after
    smoothing is Σ r² (kernel ∗ kernel).

    Args:
        window: (D, D, D/2 + 1) that noise is multiplied by.
        transfer: (D, D, D/2 + 1) that the product is multiplied by.
    """
    own, kernels = (torch.fft.irfftn(factor**2, s=(len(window),) * 3) for factor in (window, transfer))
    return math.sqrt(max(float((kernels * (own / own[0, 0, 0]) ** 2).sum()), 0.0))


def lengths(box_px: int, device: torch.device) -> Tensor:
    """Return |k| (D, D, D/2 + 1) in cycles per box."""
    k = torch.fft.fftfreq(box_px, 1 / box_px, device=device)
    return torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: box_px // 2 + 1] ** 2)


def _window(length: Tensor, band: int, step: float) -> Tensor:
    """Return a raised cosine around the centre of a band; the windows of all bands add up to 1."""
    distance = (length / step - band).abs().clamp(max=1)
    window: Tensor = torch.cos(math.pi / 2 * distance) ** 2
    return window


def _gaussian(length: Tensor, deviation_px: float) -> Tensor:
    box_px = len(length)
    return torch.exp(-2 * (math.pi * deviation_px / box_px * length) ** 2)


def smoothed(volume: Tensor, transfer: Tensor) -> Tensor:
    """Return a volume (D, D, D) whose spectrum is multiplied by a transfer (D, D, D/2 + 1)."""
    found: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * transfer, s=volume.shape)
    return found


def _spectra(volumes: Tensor, mask: Tensor) -> Tensor:
    return torch.stack([torch.fft.rfftn(volume * mask) for volume in volumes])


def _correlation(spectra_a: Tensor, spectra_b: Tensor, weight: Tensor, length: Tensor) -> Tensor:
    """Return the FSC (S,) of pairs of maps, summed over the pairs by weight."""
    n_shells = len(length) // 2 + 1
    shells = torch.round(length).long().reshape(-1)
    cross, power_a, power_b = (
        shell_means((weight * product).sum(dim=0).reshape(-1), shells, n_shells)
        for product in ((spectra_a * spectra_b.conj()).real, spectra_a.abs() ** 2, spectra_b.abs() ** 2)
    )
    correlation: Tensor = cross / (torch.sqrt(power_a) * torch.sqrt(power_b)).clamp(min=1e-30)
    return correlation
