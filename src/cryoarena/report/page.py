"""Put the page together from what was found on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.report.collect import DatasetFolder, Group, ResultFolder, collect
from cryoarena.report.colours import METHOD_COLOURS_DARK, METHOD_COLOURS_LIGHT, cyclic_map, sequential_map
from cryoarena.report.confusion import confusion_payload
from cryoarena.report.coverage import partial_coverage
from cryoarena.report.curve_sources import curve_sources
from cryoarena.report.curves import curves_payload
from cryoarena.report.gallery import Gallery, make_gallery
from cryoarena.report.history import HistoryPlot, history_plots
from cryoarena.report.latent import latent_payload
from cryoarena.report.overall import Overall, overall
from cryoarena.report.packing import data_uri, script_json
from cryoarena.report.pooling import pool
from cryoarena.report.provenance import dataset_facts, flat_rows, memory_text, seconds_text
from cryoarena.report.score_table import Bars, bars, percent, rank_text
from cryoarena.report.scores import Statistic, read_limit, read_scores, split_recommended, statistics
from cryoarena.report.shown_runs import shown_runs
from cryoarena.report.summary import summarise
from cryoarena.report.truth import read_truth
from cryoarena.report.volumes_3d import volumes_payload

_HERE = Path(__file__).resolve().parent
_SCRIPTS = ("start.js", "scatter.js", "curves.js", "confusion.js", "surface.js", "slices.js", "viewers.js")

T = TypeVar("T")


@dataclass(frozen=True)
class _Run:
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
class _Part:
    """Everything that the page shows about one dataset."""

    key: str
    group: Group
    title: str
    summary: list[str]
    facts: list[tuple[str, str]]
    found: tuple[Statistic, ...]
    recommended: list[Bars]
    rest: list[Bars]
    gallery: Gallery | None
    payload: dict[str, Any]
    is_continuous: bool
    runs: list[_Run]
    recipe: list[tuple[str, str]]
    dataset_notes: list[str]
    notes: list[str]


def write_report(directory: Path, output: Path) -> None:
    """Write one self-contained HTML page about the datasets and results below `directory` to `output`.

    Raises:
        UserError: when there is no result folder, or the page cannot be written.
    """
    collection = collect(directory)
    tables: list[pd.DataFrame] = []
    parts = [_part(f"d{number}", group, tables) for number, group in enumerate(collection.groups)]
    scores = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    environment = Environment(
        loader=PackageLoader("cryoarena.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        parts=parts,
        overall=_overall(parts),
        percent=percent,
        rank_text=rank_text,
        rank_source="Mogstad et al. 2024, doi:10.1093/restud/rdad006",
        notes=collection.notes,
        directory=directory.resolve().name,
        version=_version(),
        csv=data_uri("text/csv", scores.to_csv(index=False).encode()) if len(scores) else "",
        css=Markup(_text("templates/style.css")),
        scripts=Markup("\n".join(_text(f"templates/{name}") for name in _SCRIPTS)),
        viewer=Markup(_viewer() if any(part.payload["volumes"] for part in parts) else ""),
        palette=list(zip(METHOD_COLOURS_LIGHT, METHOD_COLOURS_DARK, strict=True)),
        data=script_json(
            {
                "parts": {part.key: part.payload for part in parts},
                "maps": {"sequential": sequential_map(), "cyclic": cyclic_map()},
            }
        ),
    )
    with atomic_path(output) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _part(key: str, group: Group, tables: list[pd.DataFrame]) -> _Part:
    notes: list[str] = []
    truth = read_truth(group.dataset, notes)
    table = read_scores(group, notes)
    if len(table):
        tables.append(table.drop(columns="label"))
    found = _noted(notes, "The scores", lambda: statistics(group, table)) or ()
    recommended, rest = split_recommended(found)
    partial = partial_coverage(table)
    dataset = group.dataset
    shown = shown_runs(group, found)
    gallery = _noted(notes, "The particle gallery", lambda: make_gallery(dataset, truth, notes)) if dataset else None
    sources = _noted(notes, "The curves", lambda: curve_sources(group, notes)) or []
    payload = {
        "latent": _noted(notes, "The latents", lambda: latent_payload(shown, truth, notes)),
        "curves": _noted(notes, "The curves", lambda: curves_payload(sources, dataset)) or [],
        "confusion": _noted(notes, "The confusion matrices", lambda: confusion_payload(sources, truth, notes)),
        "volumes": _noted(notes, "The maps", lambda: volumes_payload(shown, truth, notes)),
    }
    card = dict(dataset.info.get("card") or {}) if dataset else {}
    return _Part(
        key,
        group,
        str(card.get("title") or ""),
        summarise(group, found, partial),
        dataset_facts(group),
        found,
        [bars(statistic, group, partial) for statistic in recommended],
        [bars(statistic, group, partial) for statistic in rest],
        gallery,
        payload,
        "continuous" in str(card.get("kind") or ""),
        [_run(result, partial.get(result.label, "")) for result in group.results],
        flat_rows(dataset.recipe) if dataset else [],
        _dataset_notes(dataset) if dataset else [],
        list(dict.fromkeys(notes)),
    )


def _overall(parts: list[_Part]) -> list[Overall]:
    """Return the leaderboards over all datasets, one per recommended statistic."""
    recommended = [split_recommended(part.found)[0] for part in parts]
    names = dict.fromkeys((s.metric, s.name, s.label) for statistics_ in recommended for s in statistics_)
    boards = []
    for metric, name, label in names:
        found = [
            (part.group.name, pool(statistic, part.group))
            for part, chosen in zip(parts, recommended, strict=True)
            for statistic in chosen
            if (statistic.metric, statistic.name) == (metric, name)
        ]
        boards.append(overall(label, f"{metric}/{name}", found))
    return [board for board in boards if board is not None]


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


def _run(result: ResultFolder, covered: str) -> _Run:
    options = result.info.get("options") or {}
    return _Run(
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


def _viewer() -> str:
    """Return 3Dmol.js with its licence, as the licence asks."""
    licence = _text("vendor/3Dmol-LICENSE.txt").replace("*/", "* /")
    code = _text("vendor/3Dmol-2.5.5.min.js").replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return f"/*!\n{licence}\n*/\n{code}"


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _version() -> str:
    try:
        return version("cryoarena")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
