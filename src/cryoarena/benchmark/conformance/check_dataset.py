"""Does a dataset keep its contract? Its small preset is built twice, and a few images are made of it."""

from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from cryoarena.benchmark.conformance.check_card import wrong_in_card, wrong_in_options
from cryoarena.benchmark.conformance.clause import CannotTell, Clause, tried
from cryoarena.datasets.base import Dataset, Ensemble, Sources
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.files import sha256_of
from cryoarena.particles.dataset_folder import open_particles

_IMAGES, _BOX_PX = 16, 32
_TOLERANCE = 1e-9


def check_dataset(dataset: Dataset[Any], folder: Path) -> Iterator[Clause]:
    """Yield the clauses of the contract of datasets (docs/add.md) as they are tried.

    Args:
        dataset: any that is registered.
        folder: empty; for the stacks.
    """
    yield tried("the card is complete", lambda: _wrong_in_dataset_card(dataset))
    yield tried("options are a frozen dataclass with defaults", lambda: wrong_in_options(dataset.options))
    try:
        sources = locate_all(dataset, "small")
    except UserError as error:
        yield Clause("its files are here", "untried", str(error))
        return
    trial = _Trial(dataset, sources, folder)
    yield tried("the ensemble is whole", trial.wrong_in_ensemble)
    made = tried("a stack can be made and read", trial.wrong_in_stack)
    yield made
    if made.status == "kept":
        yield tried("equal seeds give equal bytes, whatever the number of processes", trial.wrong_in_second_stack)


def _wrong_in_dataset_card(dataset: Dataset[Any]) -> str | None:
    if "small" not in dataset.presets:
        return "there is no preset 'small'"
    if not {"continuous", "discrete"} & set(dataset.card.kind.replace(",", " ").split()):
        return "its kind of heterogeneity says neither continuous nor discrete"
    return wrong_in_card(dataset.card)


class _Trial:
    """Stacks of one dataset; each check returns what is wrong, or None."""

    def __init__(self, dataset: Dataset[Any], sources: Sources, folder: Path) -> None:
        self._dataset = dataset
        self._sources = sources
        self._folder = folder
        self._settings = resolve_settings(dataset, "small", _IMAGES, _BOX_PX)

    def wrong_in_ensemble(self) -> str | None:
        ensemble = self._dataset.build(self._settings, self._sources, self._dataset.options())
        conformations = len(ensemble.population)
        if (ensemble.population < 0).any() or abs(float(ensemble.population.sum()) - 1) > _TOLERANCE:
            return f"the populations add up to {ensemble.population.sum():.6g}"
        for name, values in ensemble.cvs.items():
            if len(values) != conformations or not np.isfinite(values).all():
                return f"the CV {name!r} has no finite value for each of {conformations} conformations"
        return _wrong_names(self._dataset, ensemble)

    def wrong_in_stack(self) -> str | None:
        made = self._make("first", processes=1)
        particles, truth = open_particles(made), open_truth(made)
        if set(truth.particle_id) - set(particles.particle_id):
            return "the truth names particles that are not in the stack"
        images = particles.images(slice(None))
        if images.shape != (_IMAGES, _BOX_PX, _BOX_PX) or not np.isfinite(images).all():
            return f"the images are an array of shape {images.shape}, or not finite"
        return None

    def wrong_in_second_stack(self) -> str | None:
        first, second = self._folder / "first", self._make("second", processes=2)
        for path in sorted(first.rglob("*.mrc*")):
            name = path.relative_to(first)
            if sha256_of(path) != sha256_of(second / name):
                return f"{name} is another file when it is made again"
        return None

    def _make(self, name: str, processes: int) -> Path:
        made = self._folder / name
        with redirect_stderr(StringIO()):
            make_dataset(self._dataset, self._settings, self._sources, made, processes=processes)
        return made


def _wrong_names(dataset: Dataset[Any], ensemble: Ensemble) -> str | None:
    described = {variable.name for variable in ensemble.variables or dataset.card.cvs}
    if unknown := set(ensemble.cvs) - described:
        return f"the card does not describe the CV {min(unknown)!r}"
    if not ensemble.cvs and dataset.card.is_continuous:
        raise CannotTell("a continuum without CVs")
    return None
