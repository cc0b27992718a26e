"""Hand, scale and sign of the images by a map of the same particle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.doctor.comparison import Comparison, compare
from cryoarena.particles.doctor.contrast import skewness_inside
from cryoarena.particles.doctor.held_out import gain_from_map, held_out, working_grid
from cryoarena.particles.doctor.hypothesis import Hypothesis
from cryoarena.particles.doctor.sampled_images import SampledImages
from cryoarena.volumes.alignment import align
from cryoarena.volumes.mrc import read_volume
from cryoarena.volumes.resample import move, spectra_at
from cryoarena.volumes.slicing import as_volume

_SCALES = (0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0, 1.025, 1.05, 1.075, 1.1, 1.15, 1.25)
# Another rotation than the aligned one, far from every symmetry axis.
_ASTRAY = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


@dataclass(frozen=True)
class AgainstReference:
    """What a reference tells.

    Attributes:
        resembles: gain of the images with the reference astray (`stated`) and aligned, in the better hand (`other`).
        mirrored: gain with the reference (`stated`) and with its mirror image (`other`).
        scaled: gain with the reference (`stated`) and with it at the best scale (`other`).
        scale: size of the particle in the images, by the table, over that of the reference.
        sign: +1 where density in the images has the sign of the reference's.
    """

    resembles: Comparison
    mirrored: Comparison
    scaled: Comparison
    scale: float
    sign: float


def compare_with_reference(images: SampledImages, hypothesis: Hypothesis, path: Path) -> AgainstReference:
    """Align a reference, in both hands, onto the map of the images and score the images by it.

    Raises:
        UserError: when the map cannot be read or is constant.
    """
    reference, pixel_size_A = read_volume(path)
    if not np.isfinite(reference).all() or np.ptp(reference) == 0:
        raise UserError(f"{path} is constant or holds values that are not finite; give another map")
    reading = hypothesis.reading()
    found = held_out(images, reading).filtered.mean(dim=0)
    box_px = working_grid(images.radius).box_px
    own_pixel_A = images.field_of_view_A * reading.pixel_scale / box_px
    target = as_volume(found)
    # Alignment wants both of one sign; which one the images have is not known for certain.
    if (skewness_inside(found) < 0) != (skewness_inside(torch.tensor(reference)) < 0):
        target = -target
    placed: dict[bool, _Placed] = {}
    for mirrored in (False, True):
        one = _resampled(reference, pixel_size_A, box_px, own_pixel_A, 1.0, mirrored)
        fit = align(one, target, own_pixel_A, hand=False)
        gain, sign = gain_from_map(images, reading, torch.from_numpy(fit.aligned))
        placed[mirrored] = _Placed(fit.rotation, fit.shift_A / own_pixel_A, gain, sign)
    mirrored_wins = placed[True].gain.mean() > placed[False].gain.mean()
    best_place = placed[bool(mirrored_wins)]

    def gain_at(scale: float, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
        one = _resampled(reference, pixel_size_A, box_px, own_pixel_A, scale, bool(mirrored_wins))
        moved = move(one, rotation, best_place.shift_px)
        return gain_from_map(images, reading, torch.from_numpy(moved))[0]

    gains = {scale: gain_at(scale, best_place.rotation) for scale in _SCALES}
    scale = _peak(gains)
    return AgainstReference(
        resembles=compare(gain_at(1.0, _ASTRAY @ best_place.rotation), best_place.gain),
        mirrored=compare(placed[False].gain, placed[True].gain),
        scaled=compare(gains[1.0], gain_at(scale, best_place.rotation)),
        scale=scale,
        sign=best_place.sign,
    )


@dataclass(frozen=True)
class _Placed:
    """A reference as it lies on the map: its pose there, the gain (n,) of the images and the sign of agreement."""

    rotation: NDArray[np.float64]
    shift_px: NDArray[np.float64]
    gain: NDArray[np.float64]
    sign: float


def _resampled(
    reference: NDArray[np.float32], pixel_size_A: float, box_px: int, own_pixel_A: float, scale: float, mirrored: bool
) -> NDArray[np.float32]:
    """Return the reference, `scale` times as large, on a grid (S, S, S); its hand changed by inverting z."""
    half = box_px // 2
    axis = np.arange(-half + 1, half)
    z, y, x = np.meshgrid(axis, axis, axis[half - 1 :], indexing="ij")
    k = np.stack([x, y, -z if mirrored else z], axis=-1) * (
        scale * len(reference) * pixel_size_A / (box_px * own_pixel_A)
    )
    known = (np.abs(k) < len(reference) / 2).all(axis=-1)
    values = np.zeros(k.shape[:-1], np.complex128)
    values[known] = spectra_at(reference[None], k[known])[0]
    values *= 1 - 2 * ((x + y + z) % 2)
    spectrum = np.zeros((box_px, box_px, half + 1), np.complex128)
    spectrum[np.ix_(axis, axis, axis[half - 1 :])] = values
    return np.fft.irfftn(spectrum, s=(box_px,) * 3, axes=(0, 1, 2)).astype(np.float32)


def _peak(gains: dict[float, NDArray[np.float64]]) -> float:
    """Return the scale of greatest mean gain, by the parabola through the best and its neighbours."""
    scales = np.array(list(gains))
    means = np.array([gain.mean() for gain in gains.values()])
    best = int(np.clip(means.argmax(), 1, len(scales) - 2))
    near = slice(best - 1, best + 2)
    a, b, _ = np.polyfit(scales[near] - scales[best], means[near], 2)
    if a >= 0:
        return float(scales[means.argmax()])
    return float(np.clip(scales[best] - b / (2 * a), scales[best - 1], scales[best + 1]))
