"""PSNR and SSIM of restored images, for the image tracks."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricCard, MetricResult, Score, metric

ImagePair = tuple[object, NDArray[np.floating], NDArray[np.floating]]

_HIGHEST_DB = 100.0
_SMALLEST_BOX = 11  # the Gaussian window of σ = 1.5 is cut at 5 px on either side


@metric(
    MetricCard(
        name="image-quality",
        version=1,
        unit="",
        range=(-1.0, 1.0),
        direction="higher",
        citation="SSIM: Wang et al. 2004, IEEE Trans. Image Process. 13:600",
        summary="PSNR and SSIM between restored and true images; the data range is that of the true image.",
        needs=("image_pairs",),
    )
)
def image_quality(image_pairs: Iterable[ImagePair]) -> MetricResult:
    """Score images (or maps) against truth, one pair in memory at a time.

    Args:
        image_pairs: (item, restored, truth) of equal shape; the item names it in errors.

    Returns:
        Means over images. `standard/psnr` = 10 log10(L² / mean squared error) in dB with L = max - min of the true
        image, at most 100 dB (a perfect image). `standard/ssim`: Gaussian window of σ = 1.5 px with the same L.
        `pwm/ssim`: uniform window of 7 px on images scaled so that the true one spans 0 … 1, L = 1, as in the
        blind challenges of the Physics World Model.

    Raises:
        UserError: when there is no pair, or a pair differs in shape, is too small, holds NaN, or its truth is constant.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for item, restored, truth in image_pairs:
        found, true, data_range = _checked(item, restored, truth)
        values["standard/psnr"].append(psnr(found, true, data_range))
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        values["standard/ssim"].append(_ssim(true, found, data_range=data_range, **window))
        scaled = [(image - true.min()) / data_range for image in (true, found)]
        values["pwm/ssim"].append(_ssim(*scaled, data_range=1.0))
    if not values:
        raise UserError("image quality needs at least one image; none was given")
    return MetricResult({name: _mean(np.array(each), name) for name, each in values.items()})


def psnr(restored: NDArray[np.float64], truth: NDArray[np.float64], data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB, at most 100."""
    error = float(np.mean(np.square(restored - truth)))
    if error <= data_range**2 * 10 ** (-_HIGHEST_DB / 10):
        return _HIGHEST_DB
    return float(10 * np.log10(data_range**2 / error))


def _ssim(*images: NDArray[np.float64], **window: float) -> float:
    return float(structural_similarity(*images, **window))  # type: ignore[no-untyped-call]


def _checked(
    item: object, restored: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    if restored.shape != truth.shape:
        raise UserError(f"the image given for {item} has shape {restored.shape}, the true one {truth.shape}")
    if min(truth.shape) < _SMALLEST_BOX:
        raise UserError(f"{item} has shape {truth.shape}; image quality needs {_SMALLEST_BOX} or more pixels per side")
    if not np.isfinite(restored).all():
        raise UserError(f"the image given for {item} holds NaN or infinity; the method diverged, so run it again")
    data_range = float(np.ptp(truth))
    if data_range == 0:
        raise UserError(f"the true image of {item} is constant, so that it has no data range; leave it out")
    return restored.astype(np.float64), truth.astype(np.float64), data_range


def _mean(values: NDArray[np.float64], name: str) -> Score:
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Score(float(values.mean()), error, n, unit="dB" if name.endswith("psnr") else None)
