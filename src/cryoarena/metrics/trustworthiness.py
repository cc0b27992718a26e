"""Trustworthiness and continuity: are near images in the embedding near in truth, and the reverse?"""

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric
from cryoarena.metrics.embedding_space import EmbeddingSpace, error_of_mean, matched_spaces, sampled_rows
from cryoarena.metrics.neighbor_ranks import neighbor_ranks

RADII_PERCENT = (1, 5, 10)


@metric(
    MetricCard(
        name="trustworthiness",
        version=1,
        unit="",
        range=(0.0, 1.0),
        direction="higher",
        citation="Venna & Kaski 2001, ICANN, LNCS 2130:485; Kaski et al. 2003, BMC Bioinformatics 4:48",
        summary="Whether neighbours in the embedding are so in truth (trustworthiness), and the reverse (continuity).",
        needs=("embedding", "true_embedding", "seed", "device"),
    )
)
def trustworthiness_and_continuity(
    embedding: NDArray[np.floating], true_embedding: NDArray[np.floating], seed: int = 0, device: str = "cpu"
) -> MetricResult:
    """Score an embedding (N, d) against the true coordinates (N, c) of the same images, in the same order.

    False neighbours are punished by how far they rank beyond k in truth, lost ones by how far in the embedding. A
    random embedding has 0.5 for small k.

    Args:
        embedding: (N, d).
        true_embedding: (N, c); ties are counted as in `NeighborRanks`.
        seed: of the sample of query points.
        device: of torch.

    Returns:
        `trustworthiness/radius_1` and `continuity/radius_1`, with a neighbourhood of 1 % of the images, and so for 5
        and 10 %; standard errors over query points. Curves: the value at each radius and its standard error.

    Raises:
        UserError: when the embedding holds NaN, its rows do not match the truth, or there are too few images.
    """
    latent, truth = matched_spaces(embedding, true_embedding, "the truth", least=10)
    k = np.array([max(1, percent * len(latent) // 100) for percent in RADII_PERCENT])
    scores: dict[str, Score] = {}
    curves: dict[str, Curve] = {}
    for name, values in zip(("trustworthiness", "continuity"), preserved(latent, truth, k, seed, device), strict=True):
        n = len(values)
        mean, error = values.mean(axis=0), error_of_mean(values, len(latent))
        for i, percent in enumerate(RADII_PERCENT):
            scores[f"{name}/radius_{percent}"] = Score(float(mean[i]), float(error[i]), n)
        curves[name] = Curve(
            np.array(RADII_PERCENT, np.float64), mean, error, "neighbourhood radius (% of images)", name
        )
    return MetricResult(scores, curves)


def preserved(
    latent: EmbeddingSpace,
    truth: EmbeddingSpace,
    k: NDArray[np.int64],
    seed: int,
    device: str = "cpu",
    max_queries: int = 2000,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return trustworthiness (Q, R) and continuity (Q, R) of every query point.

    Args:
        latent: N images.
        truth: of the same images.
        k: (R,) numbers of neighbours, ascending, each below N / 2.
        seed: of the sample of query points.
        device: of torch.
        max_queries: above this number of images a random sample of them is queried; neighbours and ranks are always
            taken among all N.
    """
    n = len(latent)
    queries = sampled_rows(n, max_queries, seed)
    worst = (2 * n - 3 * k - 1) / 2  # mean excess of the worst possible embedding, for each neighbour
    values = np.empty((2, len(queries), len(k)))
    for part, *both_ways in neighbor_ranks(latent, truth, queries, k, device):
        for way, ranks in enumerate(both_ways):
            for i, size in enumerate(k):
                excess = ranks.mean_over_nearest(i, ranks.expected_excess(int(size)))
                values[way, part, i] = 1 - excess.cpu().numpy() / worst[i]
    return values[0], values[1]
