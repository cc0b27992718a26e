"""Turn the entry of a suite into an order of a data set."""

from pathlib import Path
from typing import Any

from cryoarena.benchmark.suite import SuiteDataset
from cryoarena.datasets.order import Order
from cryoarena.datasets.sources import Given


def order_of(entry: SuiteDataset) -> Order:
    """Return what `cryoarena make` would be told; the entry has the name of a recipe."""
    assert entry.name is not None
    return Order(
        name=entry.name,
        preset=entry.preset,
        images=entry.images,
        box_px=entry.box,
        conformations=entry.conformations,
        snr=entry.snr,
        seed=entry.seed,
        options=as_given(entry.options),
        realism=as_given(entry.realism),
        given=Given(*map(_path, (entry.structure, entry.models, entry.topology, entry.trajectory))),
        ctf=_path(entry.ctf),
    )


def as_given(options: dict[str, Any]) -> dict[str, str]:
    """Return options as they are given on the command line."""
    return {key: str(value) for key, value in options.items()}


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
