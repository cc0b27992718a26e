"""Find source files: mirror folders first, then the cache, then a download."""

import os
from pathlib import Path

import pooch

from cryoarena.datasets.base import DatasetCard, SourceFile
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, sha256_of

MIRROR_VARIABLE = "CRYOARENA_MIRROR"


def locate_all(card: DatasetCard, structure: Path | None = None) -> dict[str, Path]:
    """Return the path of every source file of a dataset by its name.

    Args:
        card: of the dataset.
        structure: file to take instead of the dataset's one model, or None.

    Raises:
        UserError: when a file cannot be had, or the dataset has no single model to replace.
    """
    if structure is None:
        return {source.name: locate(source) for source in card.sources}
    if len(card.sources) != 1:
        raise UserError(
            f"--structure replaces the model of a dataset that has one; {card.name} has {len(card.sources)}"
        )
    if not structure.is_file():
        raise UserError(f"--structure {structure} does not exist")
    return {card.sources[0].name: structure}


def locate(source: SourceFile) -> Path:
    """Return the path of a source file, downloading it with a progress bar and a checksum if it is nowhere.

    `$CRYOARENA_MIRROR` is one folder or several (separated as in PATH), searched at any depth by file name.

    Raises:
        UserError: when the file is neither here nor can be downloaded.
    """
    for folder in filter(None, os.environ.get(MIRROR_VARIABLE, "").split(os.pathsep)):
        for name in (source.name, f"{source.name}.gz"):
            found = sorted(Path(folder).rglob(name))
            if found:
                return found[0]
    cache = Path(pooch.os_cache("cryoarena"))
    # An archive may revise a file: where no checksum is published, the one of the first download is kept and holds.
    remembered = cache / f"{source.name}.sha256"
    expected = source.sha256 or (remembered.read_text().strip() if remembered.exists() else None)
    try:
        path = Path(
            pooch.retrieve(
                source.url,
                f"sha256:{expected}" if expected else None,
                fname=source.name,
                path=cache,
                progressbar=True,
            )
        )
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise UserError(
            f"cannot get {source.name} ({source.description}): it is in no folder of ${MIRROR_VARIABLE} and "
            f"{source.url} cannot be downloaded ({reason}); pass a local copy with --structure"
        ) from error
    with atomic_path(remembered) as temporary:
        temporary.write_text(sha256_of(path) + "\n")
    return path
