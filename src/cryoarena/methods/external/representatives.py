"""Latents to show of a program whose maps take time to make."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

_SHOWN = 10


def representatives(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return real latents (k, d), k ≤ 10, nearest to k-means centres of (N, d), in order of the first coordinate."""
    distinct = np.unique(embedding, axis=0)
    centres = KMeans(min(_SHOWN, len(distinct)), n_init=1, random_state=0).fit(embedding).cluster_centers_
    nearest = np.unique([np.square(embedding - centre).sum(axis=1).argmin() for centre in centres])
    chosen = np.asarray(embedding[nearest], np.float32)
    return chosen[np.argsort(chosen[:, 0])]
