"""Entanglement: does the embedding tell how a particle lay or was defocused, which is no structure?"""

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric
from cryoarena.metrics.embedding_space import matched_spaces
from cryoarena.metrics.imbalance import imbalance, imbalance_results
from cryoarena.metrics.imbalance_cryobench import cryobench_results
from cryoarena.metrics.information_imbalance import LEAST_IMAGES


@metric(
    MetricCard(
        name="entanglement",
        version=1,
        unit="",
        range=(0.0, 2.0),
        direction="higher",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, B.10 and C.5; "
            "Glielmo et al. 2022, PNAS Nexus 1:pgac039"
        ),
        summary="Information imbalance between the embedding and pose or CTF; 1 when it knows nothing of them.",
        needs=("embedding", "pose_features", "ctf_features", "seed", "device"),
    )
)
def entanglement(
    embedding: NDArray[np.floating],
    pose_features: NDArray[np.floating],
    ctf_features: NDArray[np.floating],
    seed: int = 0,
    device: str = "cpu",
) -> MetricResult:
    """Compare an embedding (N, d) with what it should be independent of, in the same order of images.

    A value below 1 is entanglement, wherever conformation and pose are independent in truth. A constant embedding
    has 1 too: read this beside the information imbalance with truth.

    Args:
        embedding: (N, d).
        pose_features: (N, 9) rotation matrices; in-plane angle included, shift not.
        ctf_features: (N, m) standardised defocus U and V, cosine and sine of twice the azimuth.
        seed: of the sample of query points.
        device: of torch.

    Returns:
        Per variant (`standard`, `cryobench`) `latent_to_pose`, `pose_to_latent`, `latent_to_ctf` and `ctf_to_latent`,
        each with `…/nearest`, as in `information_imbalance`.

    Raises:
        UserError: when the embedding holds NaN, its rows do not match, or there are too few images.
    """
    scores: dict[str, Score] = {}
    curves: dict[str, Curve] = {}
    absent: dict[str, str] = {}
    for name, features in (("pose", pose_features), ("ctf", ctf_features)):
        latent, nuisance = matched_spaces(embedding, features, f"the {name}", LEAST_IMAGES)
        names = ("latent", name)
        for result in (
            imbalance_results("standard", names, imbalance(latent, nuisance, seed, device)),
            cryobench_results(names, latent, nuisance, device),
        ):
            scores |= result.scores
            curves |= result.curves
            absent |= result.absent
    return MetricResult(scores, curves, absent)
