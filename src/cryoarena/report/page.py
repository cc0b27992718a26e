"""Put the page together from what was found on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cryoarena.benchmark.suite_folder import log_of
from cryoarena.files import atomic_path
from cryoarena.report.collect import collect
from cryoarena.report.colours import METHOD_COLOURS_DARK, METHOD_COLOURS_LIGHT, cyclic_map, label_map, sequential_map
from cryoarena.report.coverage import covered_text, partial_coverage
from cryoarena.report.overall import Overall, overall
from cryoarena.report.packing import data_uri, script_json
from cryoarena.report.part import Part, read_part
from cryoarena.report.pooling import Pooled, pool
from cryoarena.report.score_table import percent, rank_text
from cryoarena.report.scores import split_recommended

_HERE = Path(__file__).resolve().parent
_SCRIPTS = ("start.js", "scatter.js", "curves.js", "confusion.js", "surface.js", "slices.js", "viewers.js", "save.js")


def write_report(directory: Path, output: Path, umap: bool = False) -> None:
    """Write one self-contained HTML page about the datasets and results below `directory` to `output`.

    Raises:
        UserError: when there is no result folder, or the page cannot be written.
    """
    collection = collect(directory)
    count = len(collection.groups)
    parts = [read_part(f"d{number}", group, count, umap) for number, group in enumerate(collection.groups)]
    html = page_html(parts, collection.notes, directory.resolve().name, home=output.parent)
    with atomic_path(output) as temporary:
        temporary.write_text(html, encoding="utf-8")


def page_html(
    parts: Sequence[Part],
    notes: list[str],
    folder: str,
    up: tuple[str, str] | None = None,
    home: Path | None = None,
) -> str:
    """Return the page about some datasets.

    Args:
        parts: the datasets.
        notes: what could not be read.
        folder: the name of what was read.
        up: address and text of a link to what holds the page.
        home: the folder in which the page will lie, if it is to lead to the logs below it.
    """
    scores = score_table(parts)
    return render(
        "page.html.j2",
        parts=parts,
        overall=overall_boards(parts),
        log_below=lambda result: _below(home, log_of(result)) if home else None,
        chimerax_uri=lambda script: data_uri("text/plain", script.encode()),
        rank_source="Mogstad et al. 2024, doi:10.1093/restud/rdad006",
        notes=notes,
        directory=folder,
        up=up,
        csv=data_uri("text/csv", scores.to_csv(index=False).encode()) if len(scores) else "",
        scripts=Markup("\n".join(_text(f"templates/{name}") for name in _SCRIPTS)),
        viewer=Markup(_viewer() if any(part.payload["volumes"] for part in parts) else ""),
        data=script_json(
            {
                "parts": {part.key: part.payload for part in parts},
                "maps": {"sequential": sequential_map(), "cyclic": cyclic_map(), "label": label_map()},
            }
        ),
    )


def render(template: str, **values: Any) -> str:
    """Fill a template; every page gets the style sheet, the palette and how numbers are written."""
    environment = Environment(
        loader=PackageLoader("cryoarena.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        css=Markup(_text("templates/style.css")),
        palette=list(zip(METHOD_COLOURS_LIGHT, METHOD_COLOURS_DARK, strict=True)),
        percent=percent,
        rank_text=rank_text,
        version=_version(),
        **values,
    )


def score_table(parts: Sequence[Part]) -> pd.DataFrame:
    """Return the score tables of all runs as one."""
    tables = [part.scores.drop(columns="label") for part in parts if len(part.scores)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def overall_boards(parts: Sequence[Part]) -> list[Overall]:
    """Return the leaderboards over all datasets, one per recommended statistic."""
    recommended = [split_recommended(part.found)[0] for part in parts]
    names = dict.fromkeys((s.metric, s.name, s.label) for statistics_ in recommended for s in statistics_)
    boards = []
    for metric, name, label in names:
        found = [
            (part.group.name, _with_coverage(pool(statistic, part.group), partial_coverage(part.scores)))
            for part, chosen in zip(parts, recommended, strict=True)
            for statistic in chosen
            if (statistic.metric, statistic.name) == (metric, name)
        ]
        boards.append(overall(label, f"{metric}/{name}", found))
    return [board for board in boards if board is not None]


def _with_coverage(methods: Sequence[Pooled], partial: Mapping[str, str]) -> list[Pooled]:
    return [replace(method, covered=covered_text(method, partial)) for method in methods]


def _below(home: Path, file: Path | None) -> str | None:
    """Return the path of a file from a folder that holds it."""
    if file is None or not file.resolve().is_relative_to(home.resolve()):
        return None
    return file.resolve().relative_to(home.resolve()).as_posix()


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
