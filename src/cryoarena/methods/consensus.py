"""Consensus: one Wiener-regularised map from all images, as if there were no heterogeneity."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.backprojection import reconstruct
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.half_sets import accumulate_halves, half_sets
from cryoarena.methods.solvent_mask import solvent_mask
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.half_map_fsc import HalfMapFsc, half_map_fsc
from cryoarena.volumes.local_resolution import local_resolution
from cryoarena.volumes.mrc import write_volume
from cryoarena.volumes.slicing import as_volume


@dataclass(frozen=True)
class ConsensusOptions:
    """Options of `consensus`: none."""


@dataclass(frozen=True)
class HalfMaps:
    """How far a map can be trusted.

    Attributes:
        half_a, half_b: (D, D, D) maps of the half-sets, not masked.
        mask: (D, D, D) that they were compared in.
        fsc: of the two.
        local_resolution_A: (D, D, D).
        pixel_size_A: of all.
    """

    half_a: NDArray[np.float32]
    half_b: NDArray[np.float32]
    mask: NDArray[np.float32]
    fsc: HalfMapFsc
    local_resolution_A: NDArray[np.float32]
    pixel_size_A: float


class ConsensusReconstruction(Reconstruction):
    """One map for every latent; the latent is a constant."""

    def __init__(
        self, volume: NDArray[np.float32], n: int, history: list[dict[str, float]], halves: HalfMaps | None
    ) -> None:
        """Hold the map (D, D, D) of n particles; `halves` is None where it was read back."""
        self.embedding = np.zeros((n, 1), np.float32)
        self.posterior = None
        self.representatives = np.zeros((1, 1), np.float32)
        self.history = history
        self._volume = volume
        self._halves = halves

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same map for every latent."""
        return np.broadcast_to(self._volume, (len(latents), *self._volume.shape))

    def save(self, folder: Path) -> None:
        """Write the map, and beside it the half-maps, their mask, their FSC and the local resolution."""
        np.save(folder / "volume.npy", self._volume)
        np.save(folder / "particles.npy", np.int64(len(self.embedding)))
        write_json(folder / "history.json", self.history)
        if self._halves is not None:
            _write(self._halves, folder)


def _write(halves: HalfMaps, folder: Path) -> None:
    for name, volume in (
        ("half_map_a", halves.half_a),
        ("half_map_b", halves.half_b),
        ("mask", halves.mask),
        ("local_resolution", halves.local_resolution_A),
    ):
        write_volume(folder / f"{name}.mrc", volume, halves.pixel_size_A)
    columns = {name: getattr(halves.fsc, name) for name in ("frequency_per_A", "unmasked", "masked", "corrected")}
    pd.DataFrame(columns).to_csv(folder / "fsc.csv", index=False)


@method
class Consensus(Method[ConsensusOptions]):
    """CTF-weighted backprojection of all images, regularised by the FSC of two half-sets."""

    card = MethodCard(
        name="consensus",
        title="Consensus",
        family="consensus",
        summary="One map from all images with a Wiener filter set by the half-map FSC, and its local resolution.",
        citation="Scheres 2012, doi:10.1016/j.jsb.2012.09.006",
        heterogeneity="none",
    )
    options = ConsensusOptions

    def fit(self, particles: ParticleSet, options: ConsensusOptions, run: Run) -> ConsensusReconstruction:
        """Reconstruct one map."""
        half_set = half_sets(particles, run.seed)

        def step(images: int) -> None:
            run.progress(images, len(particles), "images")

        sums = accumulate_halves(particles, half_set, torch.device(run.device), step)
        half_a, half_b = (half.unfiltered() for half in sums)
        mask = solvent_mask(half_a, half_b)
        volume = as_volume(reconstruct(sums[0], sums[1], mask) * mask)
        halves = _compare(as_volume(half_a), as_volume(half_b), as_volume(mask), particles.pixel_size_A, run.seed)
        return ConsensusReconstruction(volume, len(particles), [_summary(volume, halves)], halves)

    def load(self, folder: Path, particles: ParticleSet) -> ConsensusReconstruction:
        """Read a saved consensus."""
        n = int(np.load(folder / "particles.npy"))
        return ConsensusReconstruction(np.load(folder / "volume.npy"), n, read_json(folder / "history.json"), None)


def _compare(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32], pixel_size_A: float, seed: int
) -> HalfMaps:
    return HalfMaps(
        half_a=a,
        half_b=b,
        mask=mask,
        fsc=half_map_fsc(a, b, mask, pixel_size_A, seed),
        local_resolution_A=local_resolution(a, b, mask, pixel_size_A),
        pixel_size_A=pixel_size_A,
    )


def _summary(volume: NDArray[np.float32], halves: HalfMaps) -> dict[str, float]:
    """Return the row of the history: the resolution, and quartiles of the local one, weighted by squared density."""
    order = np.argsort(halves.local_resolution_A, axis=None)
    share = np.cumsum(volume.astype(np.float64).ravel()[order] ** 2)
    quartiles = np.searchsorted(share, np.array([0.25, 0.5, 0.75]) * share[-1])
    best, median, worst = halves.local_resolution_A.ravel()[order][quartiles]
    return {
        "iteration": 1.0,
        "resolution_A": halves.fsc.resolution_A,
        "local_resolution_25_percent_A": float(best),
        "local_resolution_50_percent_A": float(median),
        "local_resolution_75_percent_A": float(worst),
    }
