"""Floor and ceiling of the metrics on a dataset, computed once and kept in `truth/limits`."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.files import read_json, write_json
from cryoarena.limits.known_label import best_window, known_label_map
from cryoarena.methods.base import methods
from cryoarena.metrics.base import Curve, MetricResult
from cryoarena.metrics.judge import Answer, NoResult, judge, judged_rows
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import progress_bar
from cryoarena.volumes.mrc import read_volume, write_volume

_JUDGED_CONFORMATIONS = 20


def limits_of(truth: Truth, device: str = "cpu") -> dict[str, dict[str, Any]]:
    """Return {"floor": …, "ceiling": …} as in docs/formats.md, from the cache or computed now.

    Floor: the consensus map for every image and one latent for all. Ceiling: the known-label oracle's map for every
    image and the true embedding.
    """
    folder = truth.folder / "truth" / "limits"
    paths = {name: folder / f"{name}.json" for name in ("floor", "ceiling")}
    if not all(path.exists() for path in paths.values()):
        _compute(truth, folder, device)
    return {name: read_json(path) for name, path in paths.items()}


def _compute(truth: Truth, folder: Path, device: str) -> None:
    particles = open_particles(truth.folder)
    rows = judged_rows(truth, _JUDGED_CONFORMATIONS)
    with progress_bar("Floor: consensus") as report:
        consensus = methods.get("consensus")
        floor = consensus.fit(particles, consensus.options(), device, 0, report)
    write_volume(folder / "consensus.mrc", floor.volumes_at(floor.representatives)[0], truth.pixel_size_A)
    with progress_bar("Ceiling: choosing the oracle's window") as report:
        window = best_window(particles, truth, device, report)

    def oracle_maps(judged: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([_oracle_map(int(c)) for c in truth.conformation[judged]])

    def _oracle_map(conformation: int) -> NDArray[np.float32]:
        path = folder / f"oracle_{conformation:04d}.mrc"
        if not path.exists():
            volume = known_label_map(particles, truth, conformation, window, device)
            write_volume(path, volume, truth.pixel_size_A)
        return read_volume(path)[0]

    floor_answer = Answer(floor.embedding, lambda judged: floor.volumes_at(floor.embedding[judged]))
    oracle = Answer(truth.embedding()[truth.conformation].astype(np.float32), oracle_maps)
    for name, answer, description in (
        ("floor", floor_answer, "the consensus map for every image; one latent for all"),
        (
            "ceiling",
            oracle,
            f"maps from known labels, {window} neighbouring conformations each; the true embedding",
        ),
    ):
        with progress_bar(f"Judging the {name}") as report:
            results = judge(answer, truth, rows, report)
        write_json(folder / f"{name}.json", {"description": description, **as_json(results)})


def as_json(results: dict[str, MetricResult | NoResult]) -> dict[str, Any]:
    """Return scores and curves keyed by "metric/statistic"; numbers that do not exist are null."""
    scores: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, result in results.items():
        if isinstance(result, NoResult):
            continue
        for statistic, score in result.scores.items():
            scores[f"{name}/{statistic}"] = {
                "value": _number(score.value),
                "standard_error": _number(score.standard_error),
                "n": score.n,
            }
        for statistic, curve in result.curves.items():
            curves[f"{name}/{statistic}"] = curve_as_json(curve)
    return {"scores": scores, "curves": curves}


def curve_as_json(curve: Curve) -> dict[str, Any]:
    """Return a curve as lists."""
    return {
        key: [_number(float(item)) for item in value] if isinstance(value, np.ndarray) else value
        for key, value in asdict(curve).items()
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
