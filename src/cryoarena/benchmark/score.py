"""Score a result folder: the tidy table, the curves and the maps that the report compares."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.benchmark.comparison import write_comparison
from cryoarena.benchmark.device import require_device
from cryoarena.benchmark.score_rows import empty_row, rows_of, table_of
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.limits.leakage import leakage_of
from cryoarena.limits.limits import limits_of
from cryoarena.methods.result_folder import Result, check_volumes, open_result
from cryoarena.methods.result_info import read_info
from cryoarena.metrics.base import metrics
from cryoarena.metrics.judge import Answer, judge, judged_rows
from cryoarena.metrics.remembered_maps import RememberedMaps
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import progress_bar

JUDGED_IMAGES = 100
# Of fewer particles it is their choice that is judged, more than the method.
LEAST_COVERAGE = 0.5


def score_result(
    result_folder: Path,
    dataset_folder: Path,
    table_path: Path | None = None,
    device: str = "cpu",
    wanted: Collection[str] | None = None,
) -> pd.DataFrame:
    """Compute every metric of a result and write `scores.csv` and `comparison/` into its folder.

    A run that failed gives one failed row per metric. Limits of the dataset are computed if they are not cached. What
    is wrong with single latents, probabilities or maps makes the metrics that need them fail, and no other.

    A result may lack particles: it is scored over those that it has, between the limits of the whole dataset, and every
    row tells the `coverage`. Images whose maps are compared are drawn from the whole dataset, for all results alike;
    those that are lacking are left out. Below half of the particles all metrics fail.

    Args:
        result_folder: from `cryoarena run`.
        dataset_folder: that it was run on, with its truth.
        table_path: where the table goes; scores.csv in the result folder by default.
        device: of torch.
        wanted: names of the metrics to compute; all by default.

    Returns:
        The score table.

    Raises:
        UserError: when the folders do not belong together or are damaged, or there is no such device.
    """
    require_device(device)
    truth = open_truth(dataset_folder)
    info = read_info(result_folder)
    if info["dataset"]["id"] != truth.info["id"]:
        raise UserError(
            f"{result_folder} is a result on another dataset ({info['dataset']['name']}, id "
            f"{info['dataset']['id'][:12]}) than {dataset_folder} (id {truth.info['id'][:12]})"
        )
    particles, covered = len(truth.particle_id), None
    names = [name for name in metrics.all() if wanted is None or name in wanted]
    if info["status"] == "ok":
        answer = match_rows(open_result(result_folder, open_particles(dataset_folder), device), truth)
        covered = len(answer.embedding)
    if covered is None:
        rows = [empty_row(name, info["status"], info["reason"]) for name in names]
    elif covered < LEAST_COVERAGE * particles:
        reason = f"the result has {covered} of {particles} particles; at least half are needed to judge it"
        rows = [empty_row(name, "failed", reason) for name in names]
    else:
        with progress_bar(f"Scoring {info['method']['name']}") as report:
            rows_judged = judged_rows(truth, JUDGED_IMAGES)
            results = judge(answer, truth, rows_judged, report, device, lambda card: card.name in names)
        write_comparison(results, answer, truth, result_folder / "comparison")
        limits = limits_of(truth, device)
        leakage_of(truth)
        rows = rows_of(results, limits)
    run = result_folder.resolve().name
    table = table_of(rows, truth.info["name"], info["method"]["name"], run, particles, covered)
    with atomic_path(table_path or result_folder / "scores.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table


def match_rows(result: Result, truth: Truth) -> Answer:
    """Bring a result's rows into the order of the truth, by particle id; the truth knows no junk.

    Raises:
        UserError: when the maps in `volumes` have another box or pixel size.
    """
    box_px = int(truth.info["recipe"]["box_px"])
    check_volumes(result.folder, box_px, truth.pixel_size_A)
    order = np.argsort(result.particle_id)
    position = np.searchsorted(result.particle_id, truth.particle_id, sorter=order)
    position = np.minimum(position, len(order) - 1)
    there = result.particle_id[order[position]] == truth.particle_id
    rows = order[position[there]]
    embedding = result.embedding[rows]

    def maps_of(judged: NDArray[np.int64]) -> NDArray[np.float32]:
        maps = result.volumes_at(embedding[judged])
        if maps.shape != (len(judged), box_px, box_px, box_px):
            raise UserError(f"the method gives maps of shape {maps.shape[1:]} for a dataset of box {box_px}")
        return maps

    return Answer(
        embedding,
        RememberedMaps(maps_of),
        None if result.posterior is None else result.posterior[rows],
        None if result.poses is None else result.poses[rows],
        result.maps_at_once,
        None if there.all() else np.flatnonzero(there),
    )


def summary(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (what, value) lines for the terminal: the recommended statistics, and what has no value and why.

    Where particles are lacking, that comes first.
    """
    recommended = {"standard/moving_mask/auc", "standard/mask/auc", "standard/mean_1_10"}
    lines = []
    if (table["coverage"] < 1).any():
        share, particles = table[["coverage", "particles"]].iloc[0]
        lines.append(("covers", f"{share * particles:,.0f} of {particles:,.0f} particles; the others are not judged"))
    for row in table.to_dict("records"):
        what = f"{row['metric']} {row['statistic']}"
        if row["status"] != "ok":
            line = (str(row["metric"]), f"{row['status']}: {row['reason']}")
            lines += [line] if line not in lines else []
        elif row["statistic"] in recommended:
            normalised = "" if pd.isna(row["normalised"]) else f" (normalised {row['normalised']:.2f})"
            lines.append((what, f"{row['value']:.3f} ± {row['standard_error']:.3f}{normalised}"))
    return lines
