"""Per-image FSC: the map that a method gives for an image against the true map of that image."""

from collections.abc import Iterable

from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.volume_fsc import Masks, VolumePair, score_pairs


@metric(
    MetricCard(
        name="per-image-fsc",
        version=1,
        unit="cycles/px",
        range=(-0.5, 0.5),
        direction="higher",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, §4.1.2 and C.2; "
            "FSC: Harauz & van Heel 1986, Optik 73:146"
        ),
        summary="Area under the FSC between the map given for an image and the true map of that image.",
        needs=("volume_pairs", "masks", "pixel_size_A"),
    )
)
def per_image_fsc(volume_pairs: Iterable[VolumePair], masks: Masks, pixel_size_A: float) -> MetricResult:
    """Score the maps given for images against their truth; see `score_pairs`.

    Args:
        volume_pairs: (item, reconstructed (D, D, D), truth (D, D, D)) per image; the item names it in errors.
        masks: name to soft mask (D, D, D), or to None for no mask.
        pixel_size_A: of the maps.

    Returns:
        Per variant and mask mean and median AUC; resolution at FSC 0.5 and 0.143; curves.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity or is constant, or there is no pair.
        ValueError: when maps and masks differ in box.
    """
    return score_pairs(volume_pairs, masks, pixel_size_A)
