"""Find source files: mirror folders first, then the cache, then a download."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch

from cryoarena.datasets.base import Dataset, SourceFile, Sources
from cryoarena.datasets.model_list import read_models
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, sha256_of

MIRROR_VARIABLE = "CRYOARENA_MIRROR"


@dataclass(frozen=True)
class Given:
    """Files that the user gives instead of the card's.

    Attributes:
        structure: one model.
        models: folder of models, or list of them (`read_models`).
        topology, trajectory: of a simulation.
    """

    structure: Path | None = None
    models: Path | None = None
    topology: Path | None = None
    trajectory: Path | None = None


_NOTHING = Given()


def locate_all(dataset: Dataset[Any], preset: str = "paper", given: Given = _NOTHING) -> Sources:
    """Return where the files of a dataset are.

    The preset `small` is made from the card's stand-ins, if it has any, where not all of its sources are on this
    machine: it never downloads what a stand-in can replace.

    Args:
        dataset: whose.
        preset: name of the preset.
        given: by the user.

    Raises:
        UserError: when a file cannot be had, or the recipe does not take what is given.
    """
    card = dataset.card
    if given == _NOTHING:
        sources = card.sources
        here = bool(sources) and all(_on_disk(source) is not None for source in sources)
        stand_ins = bool(preset == "small" and card.stand_ins and not here)
        files = {source.name: locate(source) for source in (card.stand_ins if stand_ins else sources)}
        return Sources(files, stand_ins)
    require_taken(dataset, given)
    if given.structure is not None:
        if len(card.sources) != 1:
            raise UserError(
                f"--structure replaces the model of a dataset that has one; {card.name} has {len(card.sources)}"
            )
        return Sources({card.sources[0].name: given.structure})
    models, counts = ((), ()) if given.models is None else read_models(given.models)
    return Sources(models=models, counts=counts, topology=given.topology, trajectory=given.trajectory)


def require_taken(dataset: Dataset[Any], given: Given) -> None:
    """Check that files that the user gives exist and that the recipe takes them.

    Raises:
        UserError: when not.
    """
    for name, role in (
        ("structure", "structure"),
        ("models", "models"),
        ("topology", "trajectory"),
        ("trajectory", "trajectory"),
    ):
        path = getattr(given, name)
        if path is None:
            continue
        if role not in dataset.takes:
            raise UserError(f"{dataset.card.name} takes no --{name}; see `cryoarena show {dataset.card.name}`")
        if not path.exists():
            raise UserError(f"--{name} {path} does not exist")
    if given.trajectory is not None and given.topology is None:
        raise UserError("--trajectory needs a --topology that names its atoms (PSF, PDB or GRO)")
    if given.topology is not None and given.trajectory is None:
        raise UserError("--topology needs a --trajectory (DCD, XTC or TRR); single models are given by --models")
    if given.models is not None and given.trajectory is not None:
        raise UserError("give --models or a --trajectory, not both")


def locate(source: SourceFile) -> Path:
    """Return the path of a source file, downloading it with a progress bar and a checksum if it is nowhere.

    `$CRYOARENA_MIRROR` is one folder or several (separated as in PATH), searched at any depth by file name.

    Raises:
        UserError: when the file is neither here nor can be downloaded.
    """
    found = _on_disk(source)
    if found is not None and not found.is_relative_to(_cache()):
        return found
    # An archive may revise a file: where no checksum is published, the one of the first download is kept and holds.
    remembered = _cache() / f"{source.name}.sha256"
    expected = source.sha256 or (remembered.read_text().strip() if remembered.exists() else None)
    try:
        path = Path(
            pooch.retrieve(
                source.url,
                f"sha256:{expected}" if expected else None,
                fname=source.name,
                path=_cache(),
                progressbar=True,
            )
        )
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise UserError(
            f"cannot get {source.name} ({source.description}): it is in no folder of ${MIRROR_VARIABLE} and "
            f"{source.url} cannot be downloaded ({reason}); put a local copy there or give your own files"
        ) from error
    with atomic_path(remembered) as temporary:
        temporary.write_text(sha256_of(path) + "\n")
    return path


def _on_disk(source: SourceFile) -> Path | None:
    for folder in filter(None, os.environ.get(MIRROR_VARIABLE, "").split(os.pathsep)):
        for name in (source.name, f"{source.name}.gz"):
            found = sorted(Path(folder).rglob(name))
            if found:
                return found[0]
    cached = _cache() / source.name
    return cached if cached.exists() else None


def _cache() -> Path:
    return Path(pooch.os_cache("cryoarena"))
