"""PSNR and SSIM."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.metrics import peak_signal_noise_ratio

from cryoarena.errors import UserError
from cryoarena.metrics.base import metrics
from cryoarena.metrics.image_quality import image_quality


@pytest.fixture
def truth() -> np.ndarray:
    return 7 * gaussian_filter(np.random.default_rng(0).normal(size=(48, 48)), 2).astype(np.float32) - 2


def values(*pairs: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    result = image_quality((f"image {i}", *pair) for i, pair in enumerate(pairs))
    return {name: score.value for name, score in result.scores.items()}


def ssim(x: np.ndarray, y: np.ndarray, data_range: float, smooth, sample: float = 1.0, border: int = 5) -> float:
    """A literal reading of equation 13 of the paper, away from the border."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = sample * (smooth(x * x) - mean_x**2), sample * (smooth(y * y) - mean_y**2)
    cov = sample * (smooth(x * y) - mean_x * mean_y)
    index = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return float(index[border:-border, border:-border].mean())


def test_equals_the_formulas(truth):
    noisy = truth + 0.3 * np.random.default_rng(1).normal(size=truth.shape)
    found = values((noisy, truth))
    data_range = float(np.ptp(truth))
    error = np.mean((noisy - truth.astype(float)) ** 2)
    assert found["standard/psnr"] == pytest.approx(10 * np.log10(data_range**2 / error))
    assert found["standard/psnr"] == pytest.approx(peak_signal_noise_ratio(truth, noisy, data_range=data_range))
    x, y = truth.astype(float), noisy.astype(float)
    gaussian = ssim(x, y, data_range, lambda image: gaussian_filter(image, 1.5, truncate=3.5))
    assert found["standard/ssim"] == pytest.approx(gaussian, rel=1e-6)
    scaled = [(image - truth.min()) / data_range for image in (x, y)]
    uniform = ssim(*scaled, 1.0, lambda image: uniform_filter(image, 7), sample=49 / 48, border=3)
    assert found["pwm/ssim"] == pytest.approx(uniform, rel=1e-6)


def test_perfect_is_perfect_and_finite(truth):
    assert values((truth, truth)) == {"standard/psnr": 100, "standard/ssim": 1, "pwm/ssim": 1}


def test_unit_of_the_images_does_not_matter(truth):
    noisy = truth + 0.3 * np.random.default_rng(1).normal(size=truth.shape)
    assert values((1e4 * noisy, 1e4 * truth)) == pytest.approx(values((noisy, truth)), rel=1e-4)


def test_defects_rank_by_their_size(truth):
    rng = np.random.default_rng(1)
    answers = [truth + noise * rng.normal(size=truth.shape) for noise in (0.05, 0.3, 1.0)]
    answers.append(rng.permutation(truth.ravel()).reshape(truth.shape))
    for name in ("standard/psnr", "standard/ssim", "pwm/ssim"):
        ordered = [values((answer, truth))[name] for answer in answers]
        assert ordered[:3] == sorted(ordered[:3], reverse=True)
        assert ordered[3] < ordered[1]
    blurred = [values((gaussian_filter(truth, sigma), truth))["standard/ssim"] for sigma in (1, 3, 6)]
    assert blurred == sorted(blurred, reverse=True)


def test_mean_and_error_are_over_images(truth):
    rng = np.random.default_rng(1)
    pairs = [(truth + noise * rng.normal(size=truth.shape), truth) for noise in (0.1, 0.2, 0.4)]
    each = [values(pair)["standard/psnr"] for pair in pairs]
    score = image_quality((i, *pair) for i, pair in enumerate(pairs)).scores["standard/psnr"]
    assert score.value == pytest.approx(np.mean(each))
    assert score.standard_error == pytest.approx(np.std(each, ddof=1) / np.sqrt(3))
    assert (score.n, score.unit) == (3, "dB")
    assert np.isnan(image_quality([("one", *pairs[0])]).scores["standard/ssim"].standard_error)


def test_maps_are_judged_in_three_dimensions():
    truth = gaussian_filter(np.random.default_rng(0).normal(size=(16, 16, 16)), 2)
    assert values((truth, truth))["standard/ssim"] == 1
    assert values((truth + 0.05, truth))["standard/ssim"] < 0.99


def test_bad_input_names_the_image(truth):
    broken = truth.copy()
    broken[3, 3] = np.nan
    for restored, true, sentence in (
        (broken, truth, "image given for image 0 holds NaN"),
        (truth[1:], truth, "has shape"),
        (truth, np.ones_like(truth), "true image of image 0 is constant"),
        (truth[:8, :8], truth[:8, :8], "11 or more pixels"),
    ):
        with pytest.raises(UserError, match=sentence):
            values((restored, true))
    with pytest.raises(UserError, match="at least one image"):
        image_quality([])


def test_is_registered():
    assert metrics.get("image-quality").card.needs == ("image_pairs",)
