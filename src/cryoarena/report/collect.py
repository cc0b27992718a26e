"""Find dataset and result folders below a directory and bring each result to its dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryoarena.benchmark.suite_folder import without_key
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.report.run_names import name_runs

_INNER_FOLDERS = {"truth", "particles", "volumes", "model", "comparison"}
_MAX_DEPTH = 3


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder and its `dataset.json`."""

    path: Path
    info: dict[str, Any]

    @property
    def name(self) -> str:
        """Return the label in a suite, whose folders are `data/LABEL-KEY`, elsewhere the name of the recipe."""
        label = without_key(self.path.name)
        in_suite = self.path.parent.name == "data" and label != self.path.name
        return label if in_suite else str(self.info.get("name") or "unnamed dataset")

    @property
    def recipe(self) -> dict[str, Any]:
        """Return the recipe as resolved."""
        return dict(self.info.get("recipe") or {})

    @property
    def cvs(self) -> list[dict[str, Any]]:
        """Return name, unit and period of every CV."""
        return list(self.info.get("cvs") or [])


@dataclass(frozen=True)
class ResultFolder:
    """A result folder, its `result.json`, and how it is called and coloured on the page.

    Attributes:
        path: the folder.
        info: what is in `result.json`.
        variant: the method, with the options that set it apart where it was run with several. Runs of one variant on
            one dataset differ in their seed alone and are pooled.
        colour: index into the page's palette; equal variants have equal colours.
        run: the seed, where there are several runs of the variant.
    """

    path: Path
    info: dict[str, Any]
    variant: str
    colour: int
    run: str = ""

    @property
    def label(self) -> str:
        """Return the variant and the run."""
        return f"{self.variant}, {self.run}" if self.run else self.variant

    @property
    def method(self) -> str:
        """Return the name of the method."""
        return str((self.info.get("method") or {}).get("name") or "unnamed method")

    @property
    def status(self) -> str:
        """Return `ok`, `failed` or `not_applicable`."""
        return str(self.info.get("status") or "ok")


@dataclass(frozen=True)
class Group:
    """One dataset (None when its folder is not below the directory) and the results on it."""

    name: str
    dataset: DatasetFolder | None
    results: tuple[ResultFolder, ...]


@dataclass(frozen=True)
class Collection:
    """Everything found, and a note on each thing that could not be read."""

    directory: Path
    groups: tuple[Group, ...]
    notes: list[str] = field(default_factory=list)


def collect(directory: Path) -> Collection:
    """Find datasets and results at most three folders below `directory`, matched by dataset id.

    Raises:
        UserError: when the directory is missing or holds no result.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} is not a folder; give the folder that holds the results")
    notes: list[str] = []
    datasets: list[DatasetFolder] = []
    results: list[tuple[Path, dict[str, Any]]] = []
    for folder in _folders(directory, _MAX_DEPTH):
        for name in ("dataset.json", "result.json"):
            if not (folder / name).is_file():
                continue
            try:
                info = read_json(folder / name)
            except UserError as error:
                notes.append(str(error))
                continue
            if not isinstance(info, dict):
                notes.append(f"{folder / name} is not a JSON object")
            elif name == "dataset.json":
                datasets.append(DatasetFolder(folder, info))
            else:
                results.append((folder, info))
    if not results:
        detail = f" ({notes[0]})" if notes else ""
        raise UserError(
            f"{directory} holds no result folder (result.json) within {_MAX_DEPTH} levels{detail}; "
            "run `cryoarena run` first or give another folder"
        )
    return Collection(directory, _group(directory, datasets, results, notes), notes)


def distinct_names(groups: Sequence[Group]) -> list[str]:
    """Return the names of datasets, with the beginning of the id where several share one."""
    names = [group.name for group in groups]
    ids = [str((group.results[0].info.get("dataset") or {}).get("id"))[:8] for group in groups]
    return [name if names.count(name) == 1 else f"{name}-{identity}" for name, identity in zip(names, ids, strict=True)]


def _folders(folder: Path, depth: int) -> list[Path]:
    found = [folder]
    if depth > 0:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith(".") and child.name not in _INNER_FOLDERS:
                found += _folders(child, depth - 1)
    return found


def _distinct(paths: list[Path], directory: Path) -> list[str]:
    """Return the names of folders, with those of their parents where several share one."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else path.relative_to(directory).as_posix() for path in paths]


def _group(
    directory: Path, datasets: list[DatasetFolder], results: list[tuple[Path, dict[str, Any]]], notes: list[str]
) -> tuple[Group, ...]:
    by_id = {str(dataset.info.get("id")): dataset for dataset in reversed(datasets)}
    members: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path, info in results:
        members.setdefault(str((info.get("dataset") or {}).get("id")), []).append((path, info))
    named = {
        identity: name_runs([info for _, info in runs], _distinct([path for path, _ in runs], directory))
        for identity, runs in members.items()
    }
    palette = sorted({variant for names in named.values() for variant, _ in names})
    groups = []
    for identity, runs in members.items():
        dataset = by_id.get(identity)
        if dataset is not None:
            name = dataset.name
        else:
            name = str((runs[0][1].get("dataset") or {}).get("name") or "unnamed dataset")
            notes.append(f"The dataset folder of {name} is not below this folder: there is no truth to show.")
        group = [
            ResultFolder(path, info, variant, palette.index(variant), run)
            for (path, info), (variant, run) in zip(runs, named[identity], strict=True)
        ]
        groups.append(Group(name, dataset, tuple(sorted(group, key=lambda result: result.label))))
    for identity, dataset in by_id.items():
        if identity not in members:
            notes.append(f"No result was found for the dataset in {dataset.path.name}.")
    return tuple(sorted(groups, key=lambda group: group.name))
