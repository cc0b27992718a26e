"""Turn a preset and what the user asked for into checked settings."""

from dataclasses import replace
from typing import Any

import numpy as np

from cryoarena.datasets.base import Dataset, Settings
from cryoarena.datasets.noise_spectrum import noise_spectrum
from cryoarena.datasets.realism import Realism
from cryoarena.errors import UserError

_SMALLEST_BOX_PX = 16


def resolve_settings(
    dataset: Dataset[Any],
    preset: str,
    images: int | None = None,
    box_px: int | None = None,
    snr: float | None = None,
    seed: int = 0,
    conformations: int | None = None,
    realism: Realism = Realism(),
) -> Settings:
    """Take a preset's numbers, replace those given, and check them.

    Raises:
        UserError: for an unknown preset or an impossible number.
    """
    if preset not in dataset.presets:
        known = ", ".join(sorted(dataset.presets))
        raise UserError(f"{dataset.card.name} has no preset {preset!r}; it has: {known}")
    settings = replace(dataset.presets[preset], seed=seed, realism=realism)
    if images is not None:
        settings = replace(settings, images=images)
    if box_px is not None:
        settings = replace(settings, box_px=box_px)
    if snr is not None:
        settings = replace(settings, snr=snr)
    if dataset.presets[preset].conformations == 0:
        if conformations is not None:
            raise UserError(
                f"every image of {dataset.card.name} has a conformation of its own; leave --conformations out"
            )
        settings = replace(settings, conformations=settings.images)
    elif conformations is not None:
        settings = replace(settings, conformations=conformations)
    if settings.images < 1:
        raise UserError(f"--images must be at least 1, not {settings.images}")
    if settings.conformations < 1:
        raise UserError(f"--conformations must be at least 1, not {settings.conformations}")
    if not (settings.snr > 0 and np.isfinite(settings.snr)):
        raise UserError(f"--snr must be a number greater than 0, not {settings.snr}")
    if settings.box_px % 2 or settings.box_px < _SMALLEST_BOX_PX:
        raise UserError(f"--box must be an even number of pixels, at least {_SMALLEST_BOX_PX}, not {settings.box_px}")
    if settings.box_px > settings.source_box_px:
        raise UserError(
            f"--box {settings.box_px} is larger than the box of {settings.source_box_px} px "
            f"({settings.source_pixel_size_A} Å) that {dataset.card.name} is simulated at; choose at most that"
        )
    if settings.seed < 0:
        raise UserError(f"--seed must not be negative, not {settings.seed}")
    realism.check()
    noise_spectrum(realism.noise)
    return settings if realism.dose_e_per_A2 == 0 else _with_snr_of_dose(settings, snr)


def _with_snr_of_dose(settings: Settings, snr: float | None) -> Settings:
    """Return settings with the SNR that follows from the dose: of N electrons in a pixel the variance is N."""
    if snr is not None:
        raise UserError("--snr cannot be given where --realism dose_e_per_A2 is: the dose decides it")
    electrons_per_px = settings.realism.dose_e_per_A2 * settings.source_pixel_size_A**2
    return replace(settings, snr=settings.realism.dose_contrast**2 * electrons_per_px)
