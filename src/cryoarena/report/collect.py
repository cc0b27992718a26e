"""Find dataset and result folders below a directory and bring each result to its dataset."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError
from cryoarena.files import read_json

_INNER_FOLDERS = {"truth", "particles", "volumes", "model", "comparison"}
_MAX_DEPTH = 3


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder and its `dataset.json`."""

    path: Path
    info: dict[str, Any]

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
        label: the method, with its seed where one method was run more than once.
        colour: index into the page's palette; equal labels have equal colours.
    """

    path: Path
    info: dict[str, Any]
    label: str
    colour: int

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
    return Collection(directory, _group(datasets, results, notes), notes)


def _folders(folder: Path, depth: int) -> list[Path]:
    found = [folder]
    if depth > 0:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith(".") and child.name not in _INNER_FOLDERS:
                found += _folders(child, depth - 1)
    return found


def _group(
    datasets: list[DatasetFolder], results: list[tuple[Path, dict[str, Any]]], notes: list[str]
) -> tuple[Group, ...]:
    by_id = {str(dataset.info.get("id")): dataset for dataset in reversed(datasets)}
    members: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path, info in results:
        members.setdefault(str((info.get("dataset") or {}).get("id")), []).append((path, info))
    labels = {identity: _labels(runs) for identity, runs in members.items()}
    palette = sorted({label for group in labels.values() for label in group})
    groups = []
    for identity, runs in members.items():
        dataset = by_id.get(identity)
        name = str((dataset.info if dataset else runs[0][1].get("dataset") or {}).get("name") or "unnamed dataset")
        if dataset is None:
            notes.append(f"The dataset folder of {name} is not below this folder: there is no truth to show.")
        group = [
            ResultFolder(path, info, label, palette.index(label))
            for (path, info), label in zip(runs, labels[identity], strict=True)
        ]
        groups.append(Group(name, dataset, tuple(sorted(group, key=lambda result: result.label))))
    for identity, dataset in by_id.items():
        if identity not in members:
            notes.append(f"No result was found for the dataset in {dataset.path.name}.")
    return tuple(sorted(groups, key=lambda group: group.name))


def _labels(runs: list[tuple[Path, dict[str, Any]]]) -> list[str]:
    """Call a run by its method; add the seed, then the folder, as far as needed to tell runs apart."""
    names = [str((info.get("method") or {}).get("name") or "unnamed method") for _, info in runs]
    with_seed = [f"{name}, seed {info.get('seed')}" for name, (_, info) in zip(names, runs, strict=True)]
    with_folder = [f"{name} in {path.name}" for name, (path, _) in zip(with_seed, runs, strict=True)]
    return [
        name if names.count(name) == 1 else seed if with_seed.count(seed) == 1 else folder
        for name, seed, folder in zip(names, with_seed, with_folder, strict=True)
    ]
