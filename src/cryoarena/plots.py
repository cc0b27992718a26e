"""The figures of the report for notebooks: every function takes a folder of scored results and returns a figure.

The folder is what `cryoarena report` takes. Figures are matplotlib figures: a notebook shows them, `savefig` keeps
them. `dataset` may be left out where the folder holds one dataset.

    from cryoarena import plots
    plots.leaderboard("bench", dataset="igg-1d")
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cryoarena.errors import UserError
from cryoarena.report.collect import Group, collect, distinct_names
from cryoarena.report.curve_sources import curve_sources
from cryoarena.report.curves import curves_payload
from cryoarena.report.figures.confusion import confusion_figure
from cryoarena.report.figures.curves import curves_figure
from cryoarena.report.figures.imbalance import imbalance_plane
from cryoarena.report.figures.latents import latents_figure
from cryoarena.report.figures.leaderboard import leaderboard_figure
from cryoarena.report.figures.populations import populations_figure
from cryoarena.report.latent import principal_axes, read_embedding
from cryoarena.report.pooling import pool
from cryoarena.report.scores import Statistic, read_scores, statistics
from cryoarena.report.shown_runs import shown_runs
from cryoarena.report.truth import read_truth

_MOVING_AUC = "per-image-fsc/standard/moving_mask/auc"
_TO_TRUTH, _TO_LATENT = (f"information-imbalance/standard/{way}" for way in ("latent_to_truth", "truth_to_latent"))


def leaderboard(folder: str | Path, dataset: str | None = None, statistic: str = _MOVING_AUC) -> Figure:
    """Draw the methods pooled over seeds, by rank, between floor and ceiling; `statistic` is `metric/statistic`."""
    group = _group(folder, dataset)
    found = _statistic(_scored(group), statistic)
    return leaderboard_figure(found, pool(found, group))


def curves(folder: str | Path, dataset: str | None = None, key: str = _MOVING_AUC.removesuffix("/auc")) -> Figure:
    """Draw the curves of one key, e.g. `per-image-fsc/standard/mask`, `pmn/standard` or `pose-error/rotation`."""
    group = _group(folder, dataset)
    entries = {entry["key"]: entry for entry in curves_payload(curve_sources(group, []), group.dataset)}
    return curves_figure(entries[_known(key, list(entries), "curve")])


def information_imbalance(folder: str | Path, dataset: str | None = None) -> Figure:
    """Draw the information-imbalance plane."""
    group = _group(folder, dataset)
    found = _scored(group)
    figure = imbalance_plane(pool(_statistic(found, _TO_TRUTH), group), pool(_statistic(found, _TO_LATENT), group))
    return _there(figure, group, "information imbalance")


def confusion(folder: str | Path, dataset: str | None = None, metric: str = "class-agreement") -> Figure:
    """Draw the confusion matrices; `metric` may also be `posterior-class-agreement`."""
    group = _group(folder, dataset)
    return _there(confusion_figure(curve_sources(group, []), metric), group, f"confusion matrix of {metric}")


def populations(
    folder: str | Path, dataset: str | None = None, metric: str = "populations", estimator: str = "kmeans_counting"
) -> Figure:
    """Draw estimated and true populations of the states."""
    group = _group(folder, dataset)
    return _there(populations_figure(curve_sources(group, []), metric, estimator), group, f"{metric}/{estimator}")


def latents(folder: str | Path, method: str, dataset: str | None = None, cv: str | None = None) -> Figure:
    """Draw the first two principal components of a method's latents (its median run), coloured by a true CV."""
    group = _group(folder, dataset)
    runs = {run.variant: run for run in shown_runs(group, _scored(group)).results}
    run = runs[_known(method, list(runs), "method")]
    notes: list[str] = []
    loaded = read_embedding(run, notes)
    if loaded is None:
        raise UserError(notes[0] if notes else f"{method} has no latents: its run {run.status}")
    ids, latent = loaded
    values, names = principal_axes(latent)
    points = np.stack([values[:, 0], values[:, min(1, values.shape[1] - 1)]], axis=1)
    truth = read_truth(group.dataset, notes)
    cvs = {str(known["name"]): known for known in truth.cvs}
    if truth.particles is None or not cvs:
        return latents_figure(points, (names[0], names[min(1, len(names) - 1)]), method)
    name = _known(cv, list(cvs), "CV") if cv else next(iter(cvs))
    by_id = truth.particles.set_index("particle_id")[f"cv_{name}"]
    title = (names[0], names[min(1, len(names) - 1)])
    coloured = by_id.reindex(ids).to_numpy(np.float64)
    return latents_figure(points, title, method, coloured, name, cvs[name].get("period"))


def _group(folder: str | Path, dataset: str | None) -> Group:
    found = collect(Path(folder)).groups
    groups = dict(zip(distinct_names(found), found, strict=True))
    if dataset is None and len(groups) > 1:
        raise UserError(f"{folder} holds {len(groups)} datasets; say which: dataset={next(iter(groups))!r} or another")
    return groups[_known(dataset, list(groups), "dataset")] if dataset else next(iter(groups.values()))


def _scored(group: Group) -> tuple[Statistic, ...]:
    return statistics(group, read_scores(group, []))


def _statistic(found: tuple[Statistic, ...], key: str) -> Statistic:
    by_key = {f"{statistic.metric}/{statistic.name}".rstrip("/"): statistic for statistic in found}
    return by_key[_known(key, list(by_key), "statistic")]


def _known(name: str, names: list[str], what: str) -> str:
    if name not in names:
        raise UserError(f"there is no {what} {name!r} here; there is {', '.join(names) or 'none'}")
    return name


def _there(figure: Figure | None, group: Group, what: str) -> Figure:
    if figure is None:
        raise UserError(f"no result on {group.name} has {what}; run `cryoarena score` on one that has")
    return figure
