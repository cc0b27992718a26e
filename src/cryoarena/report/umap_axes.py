"""Latents in two dimensions by UMAP, which keeps neighbours together and distances not."""

import warnings

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.progress import progress_bar


def require_umap() -> None:
    """Tell whether UMAP is there.

    Raises:
        UserError: when it is not installed.
    """
    try:
        import umap  # noqa: F401
    except ImportError as error:
        raise UserError("UMAP is not installed; install it with: pip install 'cryoarena[umap]'") from error


def umap_axes(latent: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return (N, 2) coordinates of latents (N, d) by UMAP (McInnes, Healy & Melville 2018, arXiv:1802.03426).

    With 15 neighbours, as its authors recommend, and a fixed seed. Rows that are not finite stay so.
    """
    from umap import UMAP

    placed = np.full((len(latent), 2), np.nan)
    good = np.isfinite(latent).all(axis=1)
    neighbours = min(15, int(good.sum()) - 1)
    if neighbours < 2:
        return placed
    with progress_bar(f"UMAP of {name}") as report, warnings.catch_warnings():
        # It says that a seed means one thread.
        warnings.simplefilter("ignore")
        placed[good] = UMAP(n_neighbors=neighbours, random_state=0).fit_transform(latent[good])
        report(1, 1)
    return placed
