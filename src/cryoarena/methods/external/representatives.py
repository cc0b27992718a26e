"""Which maps to ask a program for that takes long to start."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

_SHOWN = 10
_MOST_AT_ONCE, _BYTES_AT_ONCE = 100, 2**28


def representatives(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return real latents (k, d), k ≤ 10, nearest to k-means centres of (N, d), in order of the first coordinate."""
    distinct = np.unique(embedding, axis=0)
    centres = KMeans(min(_SHOWN, len(distinct)), n_init=1, random_state=0).fit(embedding).cluster_centers_
    nearest = np.unique([np.square(embedding - centre).sum(axis=1).argmin() for centre in centres])
    chosen = np.asarray(embedding[nearest], np.float32)
    return chosen[np.argsort(chosen[:, 0])]


def maps_at_once(box_px: int) -> int:
    """Return how many maps (D, D, D) to ask for in one call."""
    return max(1, min(_MOST_AT_ONCE, _BYTES_AT_ONCE // (4 * box_px**3)))
