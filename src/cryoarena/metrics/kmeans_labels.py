"""Cut an embedding into classes by k-means."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

_FITTED = 100_000


def kmeans_labels(embedding: NDArray[np.floating], k: int, seed: int) -> NDArray[np.int64]:
    """Return the (N,) class of every row of `embedding` (N, d), one of at most `k`.

    One k-means++ start. The centres are found from at most 100,000 rows drawn at random; every row then belongs to
    its nearest centre. An embedding with fewer than k distinct rows has fewer classes.
    """
    rows = np.asarray(embedding, np.float64)
    rows = rows - rows.mean(axis=0)
    spread = rows.std()
    # float32 halves the memory; without the mean and at unit scale it loses nothing that matters
    rows32 = (rows / spread if spread > 0 else rows).astype(np.float32)
    sample = rows32
    if len(rows32) > _FITTED:
        sample = rows32[np.random.default_rng(seed).choice(len(rows32), _FITTED, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(k, n_init=1, random_state=seed % 2**32).fit(sample)
    return np.asarray(found.predict(rows32), np.int64)
