"""Does a method keep its contract? It is run on a tiny dataset, more than once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.benchmark.conformance.check_card import wrong_in_card, wrong_in_options
from cryoarena.benchmark.conformance.clause import CannotTell, Clause, tried
from cryoarena.benchmark.conformance.tiny_dataset import make_tiny_dataset
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import match_rows
from cryoarena.datasets.truth import open_truth
from cryoarena.methods.base import Method, Reconstruction, Run
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.result_folder import Result, open_result
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.metrics.judge import NoResult, judge, judged_rows
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import silent

# Of probabilities in single precision.
_TOLERANCE = 1e-4
_SEED = 1
_JUDGED_IMAGES = 16


def check_method(method: Method[Any], folder: Path) -> Iterator[Clause]:
    """Yield the clauses of the contract of methods (docs/own-method.md) as they are tried.

    Args:
        method: any that is registered.
        folder: empty; for the dataset and the results.
    """
    yield tried("the card is complete", lambda: wrong_in_card(method.card))
    yield tried("options are a frozen dataclass with defaults", lambda: wrong_in_options(method.options))
    dataset, hidden = make_tiny_dataset(folder / "dataset"), folder / "truth"
    (dataset / "truth").rename(hidden)
    trial = _Trial(method, dataset, folder)
    ran = tried("it runs with its defaults, without the truth", lambda: trial.run("first"))
    yield ran
    if ran.status != "kept":
        return
    yield tried("there is one finite latent per particle", trial.wrong_in_embedding)
    yield tried("class probabilities of an image add up to 1", trial.wrong_in_posterior)
    yield tried("maps have the box of the images, and are finite", trial.wrong_in_maps)
    yield tried("a map depends on its latent alone", trial.wrong_in_batches)
    yield tried("what is read back gives the maps that were written", trial.wrong_in_saved)
    yield tried("equal seeds give equal results", trial.wrong_in_second_run)
    yield tried("an interrupted run goes on and ends the same", trial.wrong_after_interruption)
    hidden.rename(dataset / "truth")
    yield tried("every score that applies can be computed", trial.wrong_in_scores)


class _Interrupted(Exception):
    """The run is stopped from outside."""


class _Trial:
    """Runs of one method on one dataset; each check returns what is wrong, or None."""

    def __init__(self, method: Method[Any], dataset: Path, folder: Path) -> None:
        self._method = method
        self._dataset = dataset
        self._folder = folder
        self._particles = open_particles(dataset)

    def run(self, name: str) -> str | None:
        """Run the method into a folder of that name."""
        info = run_method(self._method.card.name, self._dataset, self._folder / name, seed=_SEED)
        if info["status"] == "not_applicable":
            raise CannotTell(info["reason"])
        return None if info["status"] == "ok" else f"the run is {info['status']}: {info['reason']}"

    def wrong_in_embedding(self) -> str | None:
        embedding = self._result.embedding
        expected = len(self._result.particle_id)
        if embedding.ndim != 2 or len(embedding) != expected:
            return f"the embedding has the shape {embedding.shape} for {expected} particles; it must be (N, d)"
        return None if np.isfinite(embedding).all() else "some latents are not finite"

    def wrong_in_posterior(self) -> str | None:
        posterior = self._result.posterior
        if posterior is None:
            if self._method.card.heterogeneity == "discrete":
                return "the card says that the method is discrete, but it gives no class probabilities"
            raise CannotTell("the method gives no class probabilities")
        total = posterior.sum(axis=1)
        if (posterior < 0).any() or np.abs(total - 1).max() > _TOLERANCE:
            return f"sums of the probabilities of an image are from {total.min():.3g} to {total.max():.3g}"
        return None

    def wrong_in_maps(self) -> str | None:
        latents = self._some_latents()
        maps = self._result.volumes_at(latents)
        wanted = (len(latents), *[self._particles.box_px] * 3)
        if maps.shape != wanted:
            return f"volumes_at gives an array of shape {maps.shape} for {wanted}"
        return None if np.isfinite(maps).all() else "some voxels are not finite"

    def wrong_in_batches(self) -> str | None:
        latents = self._some_latents()
        together = self._result.volumes_at(latents)
        alone = self._result.volumes_at(latents[-1:])[0]
        return None if _alike(together[-1], alone) else "a map is another when it is asked for with others"

    def wrong_in_saved(self) -> str | None:
        fitted = self._fit(Run(seed=_SEED, work=WorkFolder(self._folder / "work", "saved")))
        saved = self._folder / "saved"
        saved.mkdir()
        fitted.save(saved)
        read = self._method.load(saved, self._particles)
        latents = self._some_latents()
        return (
            None
            if _alike(read.volumes_at(latents), fitted.volumes_at(latents))
            else "maps change when the reconstruction is saved and loaded"
        )

    def wrong_in_second_run(self) -> str | None:
        return self.run("second") or self._wrong_beside_first(self._embedding("second"))

    def wrong_after_interruption(self) -> str | None:
        checkpoint = Checkpoint(self._folder / "checkpoint.npz", "interrupted")
        work = WorkFolder(self._folder / "interrupted", "interrupted")

        def interrupt(done: float, total: float, note: str = "") -> None:
            if done >= total / 2:
                raise _Interrupted

        try:
            self._fit(Run(seed=_SEED, progress=interrupt, checkpoint=checkpoint, work=work))
        except _Interrupted:
            return self._wrong_beside_first(
                self._fit(Run(seed=_SEED, checkpoint=checkpoint, work=work)).embedding.astype(np.float32)
            )
        raise CannotTell("the method tells no progress, so that it cannot be interrupted half-way")

    def wrong_in_scores(self) -> str | None:
        truth = open_truth(self._dataset)
        results = judge(match_rows(self._result, truth), truth, judged_rows(truth, _JUDGED_IMAGES), silent)
        for name, result in results.items():
            if isinstance(result, NoResult) and result.status == "failed":
                return f"{name}: {result.reason}"
        return None

    @property
    def _result(self) -> Result:
        return open_result(self._folder / "first", self._particles)

    def _fit(self, run: Run) -> Reconstruction:
        return self._method.fit(self._particles, self._method.options(), run)

    def _embedding(self, name: str) -> NDArray[np.float32]:
        return open_result(self._folder / name, self._particles).embedding

    def _some_latents(self) -> NDArray[np.float32]:
        return np.asarray(self._result.embedding[:3])

    def _wrong_beside_first(self, embedding: NDArray[np.float32]) -> str | None:
        return None if np.array_equal(embedding, self._embedding("first")) else "the latents are others"


def _alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Tell whether maps are equal but for the order of sums."""
    return bool(np.abs(a - b).max() <= _TOLERANCE * np.abs(b).max())
