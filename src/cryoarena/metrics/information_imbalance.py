"""Information imbalance: does the embedding tell the truth, and does it tell more than the truth?"""

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import MetricCard, MetricResult, NotApplicable, metric
from cryoarena.metrics.embedding_space import matched_spaces
from cryoarena.metrics.imbalance import imbalance, imbalance_results
from cryoarena.metrics.imbalance_cryobench import cryobench_results

LEAST_IMAGES = 10


@metric(
    MetricCard(
        name="information-imbalance",
        version=1,
        unit="",
        range=(0.0, 2.0),
        direction="lower",
        citation=(
            "Glielmo et al. 2022, PNAS Nexus 1:pgac039; Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, "
            "eq. 3 and B.10, by DADApy (Glielmo et al. 2022, Patterns 3:100589)"
        ),
        summary="How well neighbours in the embedding predict neighbours in truth, and the reverse; 1 is not at all.",
        needs=("embedding", "true_embedding", "true_embedding_jittered", "seed", "device"),
    )
)
def information_imbalance(
    embedding: NDArray[np.floating],
    true_embedding: NDArray[np.floating],
    true_embedding_jittered: NDArray[np.floating],
    seed: int = 0,
    device: str = "cpu",
) -> MetricResult:
    """Score an embedding (N, d) against the true coordinates (N, c) of the same images, in the same order.

    A good embedding has `latent_to_truth` near 0; `truth_to_latent` is high when it holds something else besides.

    Args:
        embedding: (N, d).
        true_embedding: (N, c), with ties; `standard` averages over them.
        true_embedding_jittered: (N, c) without ties, see `metrics/jitter.py`; for `cryobench`.
        seed: of the sample of query points.
        device: of torch.

    Returns:
        Per variant (`standard`, `cryobench`) and direction the mean over neighbourhoods of 0.05, 0.15, 0.5 and 1.5 %
        of the images (k = 1, 3, 10, 30 of subsets of 2,000 for `cryobench`) and, as `…/nearest`, the smallest of them.
        Standard errors are over query points and over subsets; for `cryobench` they are NaN when there is one subset,
        and its values are absent when hardly any rows differ. Curves: the value at each size and its standard error.

    Raises:
        UserError: when the embedding holds NaN, its rows do not match the truth, or there are too few images.
        NotApplicable: when all images have the same true coordinates.
    """
    latent, truth = matched_spaces(embedding, true_embedding, "the truth", LEAST_IMAGES)
    _, jittered = matched_spaces(embedding, true_embedding_jittered, "the jittered truth", LEAST_IMAGES)
    if not np.ptp(true_embedding, axis=0).any():
        raise NotApplicable("all images have the same true coordinates, so that none is nearer than another")
    names = ("latent", "truth")
    standard = imbalance_results("standard", names, imbalance(latent, truth, seed, device))
    cryobench = cryobench_results(names, latent, jittered, device)
    return MetricResult(standard.scores | cryobench.scores, standard.curves | cryobench.curves, cryobench.absent)
