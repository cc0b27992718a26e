import numpy as np
from scipy.spatial.distance import cdist

from cryoarena.metrics.base import MetricCard, MetricResult, Score, metric


@metric(
    MetricCard(
        name="distance-correlation",
        version=1,
        unit="",
        range=(0.0, 1.0),
        direction="higher",
        citation="Székely et al. 2007, doi:10.1214/009053607000000505",
        summary="Distance correlation of latents and true coordinates, over groups of 100 images.",
        needs=("embedding", "true_embedding", "seed"),
    )
)
def distance_correlation(embedding, true_embedding, seed):
    rows = np.random.default_rng(seed).permutation(len(embedding))
    groups = np.array_split(rows, max(2, len(rows) // 100))
    values = [_of_group(embedding[group], true_embedding[group]) for group in groups]
    return MetricResult({"mean": Score(np.mean(values), np.std(values, ddof=1) / len(values) ** 0.5, len(values))})


def _of_group(x, y):
    a, b = (_centred(cdist(points, points)) for points in (x, y))
    product = np.sqrt((a * a).mean() * (b * b).mean())
    return np.sqrt(max((a * b).mean(), 0) / product) if product > 0 else 0.0


def _centred(distances):
    return distances - distances.mean(axis=0) - distances.mean(axis=1)[:, None] + distances.mean()
