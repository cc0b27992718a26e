"""Gather everything that a page shows about one dataset; what is damaged on disk becomes a note."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from cryoarena.errors import UserError
from cryoarena.report.chimerax import chimerax_script
from cryoarena.report.collect import DatasetFolder, Group, ResultFolder
from cryoarena.report.confusion import confusion_payload
from cryoarena.report.coverage import partial_coverage
from cryoarena.report.curve_sources import curve_sources
from cryoarena.report.curves import curves_payload
from cryoarena.report.figures.imbalance import imbalance_plane
from cryoarena.report.figures.leaderboard import leaderboard_figure
from cryoarena.report.figures.populations import populations_figure
from cryoarena.report.figures.style import svg_for_page
from cryoarena.report.gallery import Gallery, make_gallery
from cryoarena.report.history import HistoryPlot, history_plots
from cryoarena.report.latent import latent_payload
from cryoarena.report.pooling import Pooled, pool
from cryoarena.report.provenance import dataset_facts, flat_rows, memory_text, seconds_text
from cryoarena.report.score_table import Bars, bars
from cryoarena.report.scores import Statistic, read_limit, read_scores, split_recommended, statistics
from cryoarena.report.shown_runs import shown_runs
from cryoarena.report.summary import summarise
from cryoarena.report.truth import read_truth
from cryoarena.report.volumes_3d import volumes_payload

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One line of the overview and one block of the provenance."""

    result: ResultFolder
    title: str
    covered: str
    wall: str
    memory: str
    given: list[tuple[str, str]]
    resolved: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    history: tuple[HistoryPlot, ...]


@dataclass(frozen=True)
class Part:
    """Everything that the page shows about one dataset."""

    key: str
    group: Group
    title: str
    summary: list[str]
    facts: list[tuple[str, str]]
    scores: pd.DataFrame
    found: tuple[Statistic, ...]
    recommended: list[Bars]
    rest: list[Bars]
    leaderboards: list[Markup]
    imbalance: Markup | None
    populations: Markup | None
    chimerax: str
    gallery: Gallery | None
    payload: dict[str, Any]
    is_continuous: bool
    runs: list[Run]
    recipe: list[tuple[str, str]]
    dataset_notes: list[str]
    notes: list[str]


def read_part(key: str, group: Group, parts: int = 1, umap: bool = False) -> Part:
    """Read everything about one dataset and its results.

    Args:
        key: its id on the page.
        group: dataset and results.
        parts: datasets that share the page, and so its size.
        umap: whether latents are shown by UMAP too.
    """
    notes: list[str] = []
    truth = read_truth(group.dataset, notes)
    table = read_scores(group, notes)
    found = _noted(notes, "The scores", lambda: statistics(group, table)) or ()
    recommended, rest = split_recommended(found)
    partial = partial_coverage(table)
    dataset = group.dataset
    shown = shown_runs(group, found)
    gallery = _noted(notes, "The particle gallery", lambda: make_gallery(dataset, truth, notes)) if dataset else None
    sources = _noted(notes, "The curves", lambda: curve_sources(group, notes)) or []
    payload = {
        "latent": _noted(notes, "The latents", lambda: latent_payload(shown, truth, notes, umap)),
        "curves": _noted(notes, "The curves", lambda: curves_payload(sources, dataset)) or [],
        "confusion": _noted(notes, "The confusion matrices", lambda: confusion_payload(sources, truth, notes)),
        "volumes": _noted(notes, "The maps", lambda: volumes_payload(shown, truth, notes, parts)),
    }
    leaders = {f"{statistic.metric}/{statistic.name}": pool(statistic, group) for statistic in found}
    boards = _noted(notes, "The drawings of the leaderboards", lambda: _boards(recommended, group)) or []
    plane = _noted(notes, "The information-imbalance plane", lambda: _plane(leaders))
    states = _noted(notes, "The populations", lambda: populations_figure(sources, columns=1))
    card = dict(dataset.info.get("card") or {}) if dataset else {}
    return Part(
        key,
        group,
        str(card.get("title") or ""),
        summarise(group, found, partial),
        dataset_facts(group),
        table,
        found,
        [bars(statistic, group, partial) for statistic in recommended],
        [bars(statistic, group, partial) for statistic in rest],
        boards,
        svg_for_page(plane, f"Information imbalance on {group.name}") if plane else None,
        svg_for_page(states, f"Populations of {group.name}") if states else None,
        _noted(notes, "The ChimeraX script", lambda: chimerax_script(shown, truth)) or "",
        gallery,
        payload,
        "continuous" in str(card.get("kind") or ""),
        [_run(result, partial.get(result.label, "")) for result in group.results],
        flat_rows(dataset.recipe) if dataset else [],
        _dataset_notes(dataset) if dataset else [],
        list(dict.fromkeys(notes)),
    )


def _boards(recommended: Sequence[Statistic], group: Group) -> list[Markup]:
    return [svg_for_page(leaderboard_figure(each, pool(each, group)), each.label) for each in recommended]


def _plane(leaders: dict[str, tuple[Pooled, ...]]) -> Figure | None:
    ways = [leaders.get(f"information-imbalance/standard/{way}", ()) for way in ("latent_to_truth", "truth_to_latent")]
    return imbalance_plane(*ways)


def _dataset_notes(dataset: DatasetFolder) -> list[str]:
    """Return what the dataset says of itself and, where it is known, whether its labels leak."""
    leakage = read_limit(dataset.path, "leakage").get("description")
    return [str(note) for note in [*(dataset.info.get("notes") or []), leakage] if note]


def _noted(notes: list[str], what: str, build: Callable[[], T]) -> T | None:
    """Build one section; what is damaged on disk becomes a note on the page, not the end of it."""
    try:
        return build()
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error}" if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        notes.append(f"{what} cannot be shown: {reason}.")
        return None


def _run(result: ResultFolder, covered: str) -> Run:
    options = result.info.get("options") or {}
    return Run(
        result,
        str((result.info.get("method") or {}).get("title") or result.method),
        covered,
        seconds_text(result.info.get("wall_s")),
        memory_text(result.info.get("peak_memory_bytes")),
        flat_rows(options.get("given")),
        flat_rows(options.get("resolved")),
        flat_rows(result.info.get("versions")),
        history_plots(result.info.get("history")),
    )
