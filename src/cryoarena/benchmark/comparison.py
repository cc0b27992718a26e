"""What the report draws beside the scores: curves, and the maps that an answer gives for some conformations."""

from pathlib import Path

import numpy as np

from cryoarena.datasets.truth import Truth
from cryoarena.files import write_json
from cryoarena.limits.limits import curve_as_json
from cryoarena.metrics.base import MetricResult
from cryoarena.metrics.judge import Answer, NoResult, nearest_to_mean
from cryoarena.progress import progress_bar
from cryoarena.volumes.mrc import write_volume

_COMPARED_CONFORMATIONS = 12


def write_comparison(results: dict[str, MetricResult | NoResult], answer: Answer, truth: Truth, folder: Path) -> None:
    """Write the curves, and the maps at the real latent nearest to the mean latent of some conformations.

    Maps of an earlier score are removed. Latents that are not finite count for nothing; a map that the answer cannot
    give, or that is not finite, is left out: the rows of the score table say why.
    """
    truth = answer.covered(truth)
    curves = {
        f"{name}/{statistic}": curve_as_json(curve)
        for name, result in results.items()
        if isinstance(result, MetricResult)
        for statistic, curve in result.curves.items()
    }
    write_json(folder / "curves.json", curves)
    for old in folder.glob("conformation_*.mrc"):
        old.unlink()
    finite = np.isfinite(answer.embedding).all(axis=1)
    count = len(truth.mapped)
    chosen = np.unique(np.linspace(0, count, min(count, _COMPARED_CONFORMATIONS), endpoint=False).astype(int))
    with progress_bar("Writing maps to compare") as report:
        for number, conformation in enumerate(truth.mapped[chosen]):
            here = np.flatnonzero((truth.conformation == conformation) & finite)
            if len(here):
                _write_map(answer, nearest_to_mean(answer.embedding, here), truth, folder, int(conformation))
            report(number + 1, len(chosen), "maps")


def _write_map(answer: Answer, row: int, truth: Truth, folder: Path, conformation: int) -> None:
    try:
        volume = answer.maps_of(np.array([row]))[0]
    except Exception:
        # A method of a stranger may raise anything; every metric of maps has failed for the same reason.
        return
    if np.isfinite(volume).all():
        write_volume(folder / f"conformation_{conformation:04d}.mrc", volume, truth.pixel_size_A)
