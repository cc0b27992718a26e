"""Aligned FSC: per-image FSC of a method that chose its own frame."""

from collections.abc import Iterable

from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.volume_fsc import Masks, VolumePair, score_pairs


@metric(
    MetricCard(
        name="aligned-fsc",
        version=1,
        unit="cycles/px",
        range=(-0.5, 0.5),
        direction="higher",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, C.2",
        summary="Per-image FSC after turning, shifting and, if need be, mirroring each map onto its truth (ab initio).",
        needs=("ab_initio_volume_pairs", "masks", "pixel_size_A"),
    )
)
def aligned_fsc(ab_initio_volume_pairs: Iterable[VolumePair], masks: Masks, pixel_size_A: float) -> MetricResult:
    """Score maps of unknown frame and hand against their truth; see `score_pairs`.

    Ab initio maps come in a frame of their own, often of the other hand, so that only their shape can be judged.
    Every map is aligned by itself, as CryoBench does: what one frame for all maps would show as common motion is
    forgiven. Mask and truth stay where they are, the map moves. Costs some seconds per map.

    Args:
        ab_initio_volume_pairs: (item, reconstructed (D, D, D), truth (D, D, D)) per image, of a method that
            estimated poses without a reference.
        masks: name to soft mask (D, D, D), or to None for no mask.
        pixel_size_A: of the maps.

    Returns:
        Per variant and mask mean and median AUC; resolution at FSC 0.5 and 0.143; curves.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity or is constant, or there is no pair.
        ValueError: when maps and masks differ in box.
    """
    return score_pairs(ab_initio_volume_pairs, masks, pixel_size_A, aligned=True)
