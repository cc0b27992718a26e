"""The FSC of two half-maps inside a mask, freed from what the mask itself adds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.volumes.fsc import fsc, resolution_at

# Where half-maps agree this well, no phase is noise (Chen et al. 2013 randomise from about there on).
_RELIABLE_FSC = 0.8
_SHELLS_OF_TRANSITION = 2
_RESOLVED_FSC = 0.143


@dataclass(frozen=True)
class HalfMapFsc:
    """FSC curves of two half-maps.

    Attributes:
        frequency_per_A: (D/2,) of shells 1 … D/2.
        unmasked: (D/2,) over the whole box.
        masked: (D/2,) inside the mask.
        corrected: (D/2,) inside the mask, without the correlation that the mask brings in.
        resolution_A: where `corrected` first falls below 0.143 (Rosenthal & Henderson 2003,
            doi:10.1016/j.jmb.2003.07.013); the side of the box where nothing is resolved.
    """

    frequency_per_A: NDArray[np.float64]
    unmasked: NDArray[np.float64]
    masked: NDArray[np.float64]
    corrected: NDArray[np.float64]
    resolution_A: float


def half_map_fsc(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32], pixel_size_A: float, seed: int = 0
) -> HalfMapFsc:
    """Measure the FSC of two half-maps (D, D, D) inside a mask (D, D, D).

    The phases of both maps are made random beyond the shell where the unmasked FSC falls below 0.8. Whatever
    correlation is left inside the mask, F_n, is the mask's: corrected = (F_t - F_n) / (1 - F_n)
    (Chen et al. 2013, doi:10.1016/j.ultramic.2013.06.004, eq. 4), from two shells further on.

    Args:
        seed: of the random phases.
    """
    frequency, unmasked = fsc(a, b)
    _, masked = fsc(a, b, mask)
    shells = np.arange(1, len(frequency) + 1)
    below = shells[unmasked < _RELIABLE_FSC]
    first = int(below[0]) if below.size else len(shells) + 1
    rng = np.random.default_rng(seed)
    _, by_mask = fsc(_with_random_phases(a, first, rng), _with_random_phases(b, first, rng), mask)
    # It is a small number with an error of its own; negative values mean none.
    by_mask = np.clip(by_mask, 0, _RELIABLE_FSC)
    corrected = np.where(shells >= first + _SHELLS_OF_TRANSITION, (masked - by_mask) / (1 - by_mask), masked)
    return HalfMapFsc(
        frequency / pixel_size_A,
        unmasked,
        masked,
        corrected,
        resolution_at(frequency, corrected, _RESOLVED_FSC, pixel_size_A),
    )


def _with_random_phases(volume: NDArray[np.float32], first_shell: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Replace the phases from a shell on by those of white noise."""
    box_px = len(volume)
    spectrum = np.fft.rfftn(volume)
    noise = np.fft.rfftn(rng.standard_normal(volume.shape, np.float32))
    k = np.fft.fftfreq(box_px, 1 / box_px)
    length = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(box_px // 2 + 1) ** 2)
    phases = noise / np.maximum(np.abs(noise), 1e-30)
    mixed = np.where(np.round(length) >= first_shell, np.abs(spectrum) * phases, spectrum)
    return np.fft.irfftn(mixed, s=volume.shape, axes=(0, 1, 2)).astype(np.float32)
