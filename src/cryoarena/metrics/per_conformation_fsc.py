"""Per-conformation FSC: one map per true conformation against that conformation's map."""

from collections.abc import Iterable

from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.volume_fsc import Masks, VolumePair, score_pairs


@metric(
    MetricCard(
        name="per-conformation-fsc",
        version=1,
        unit="cycles/px",
        range=(-0.5, 0.5),
        direction="higher",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, C.2 and table S5",
        summary="Area under the FSC between a conformation's map and the map at the latent nearest to its mean latent.",
        needs=("conformation_volume_pairs", "masks", "pixel_size_A"),
    )
)
def per_conformation_fsc(
    conformation_volume_pairs: Iterable[VolumePair], masks: Masks, pixel_size_A: float
) -> MetricResult:
    """Score one map per conformation against its truth; see `score_pairs`.

    Averaging latents over a conformation's images hides how many of them lie elsewhere: a method that places single
    images badly scores well here and badly in the per-image FSC.

    Args:
        conformation_volume_pairs: (item, map at the real latent nearest to the mean latent, truth) per conformation.
        masks: name to soft mask (D, D, D), or to None for no mask.
        pixel_size_A: of the maps.

    Returns:
        Per variant and mask mean and median AUC; resolution at FSC 0.5 and 0.143; curves.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity or is constant, or there is no pair.
        ValueError: when maps and masks differ in box.
    """
    return score_pairs(conformation_volume_pairs, masks, pixel_size_A)
