"""A static site of one or several suites: a page per dataset and per result, at addresses that stay the same."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryoarena.benchmark.suite_folder import without_key
from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.report.collect import collect, distinct_names
from cryoarena.report.page import overall_boards, page_html, render, score_table
from cryoarena.report.part import Part, Run, read_part

_TITLE = "<title>CryoArena: Suites</title>"


@dataclass(frozen=True)
class Entry:
    """A line of an index: where it leads, what it is called, and what is to be said about it."""

    address: str
    name: str
    title: str
    sentences: list[str]


def write_site(directories: Sequence[Path], output: Path, umap: bool = False) -> None:
    """Write a folder of pages: `index.html`, `SUITE/index.html`, `SUITE/DATASET/index.html`, `SUITE/DATASET/RUN.html`.

    SUITE and RUN are the names of the folders read, without the key that a suite puts at their end; DATASET is the
    label in the suite or the name of the dataset (with the beginning of its id where several share a name). Addresses
    thus stay the same when the suite is run again by a newer version. Beside the pages lie `scores.csv` and, per
    dataset, a script for ChimeraX. Nothing is loaded from elsewhere and every link is relative, so the folder can be
    opened from disk or put on any web server.

    Raises:
        UserError: when two suites have one name, a suite has no result, the folder cannot be written, or it holds
            something else than a site; a site is replaced.
    """
    if output.exists() and not _is_site(output):
        raise UserError(f"{output} is no site that can be replaced; choose another folder")
    names = [_slug(directory.resolve().name) for directory in directories]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two folders are called {', '.join(sorted(repeated))}; rename one: the name is its address")
    with atomic_path(output) as temporary:
        suites = [
            _write_suite(directory, temporary / name, umap) for directory, name in zip(directories, names, strict=True)
        ]
        _write(
            temporary / "index.html",
            render("index.html.j2", title="Suites", up=None, entries=suites, overall=[], notes=[]),
        )
        if output.exists():
            shutil.rmtree(output)


def _is_site(folder: Path) -> bool:
    index = folder / "index.html"
    return index.is_file() and _TITLE in index.read_text(encoding="utf-8", errors="replace")


def _write_suite(directory: Path, folder: Path, umap: bool) -> Entry:
    collection = collect(directory)
    parts = [read_part("d0", group, umap=umap) for group in collection.groups]
    name = directory.resolve().name
    entries = []
    for part, dataset in zip(parts, map(_slug, distinct_names([part.group for part in parts])), strict=True):
        _write(folder / dataset / "index.html", page_html([part], [], name, ("../index.html", f"← {name}")))
        if part.chimerax:
            _write(folder / dataset / "maps.cxc", part.chimerax)
        runs = list(zip(part.runs, _addresses(part.runs), strict=True))
        for run, address in runs:
            _write(folder / dataset / address, _result_html(part, run))
        entries.append(Entry(f"{dataset}/index.html", part.group.name, part.title, part.summary))
        entries += [
            Entry(f"{dataset}/{address}", f"{part.group.name}: {run.result.label}", run.title, [])
            for run, address in runs
        ]
    boards = overall_boards(parts)
    up = ("../index.html", "← all suites")
    index = render("index.html.j2", title=name, up=up, entries=entries, overall=boards, notes=collection.notes)
    _write(folder / "index.html", index)
    score_table(parts).to_csv(folder / "scores.csv", index=False)
    datasets = [part.group.name for part in parts]
    return Entry(f"{folder.name}/index.html", name, f"{len(datasets)} datasets", [", ".join(datasets)])


def _result_html(part: Part, run: Run) -> str:
    table = part.scores
    mine = table[table["label"] == run.result.label].to_dict("records") if len(table) else []
    up = ("index.html", f"← {part.group.name}")
    return render("result.html.j2", part=part, run=run, rows=mine, up=up)


def _addresses(runs: Sequence[Run]) -> list[str]:
    """Return the file name of every result's page: that of its folder, without the key that changes with the code.

    Where several share it, the first keeps it, and the others are told apart by the folders that hold them.
    """
    found: dict[Path, str] = {}
    for path in sorted(run.result.path for run in runs):
        name = _slug(without_key(path.name))
        taken = name in found.values() or name == "index"
        found[path] = _slug("-".join(path.parts[-3:])) if taken else name
    return [f"{found[run.result.path]}.html" for run in runs]


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
