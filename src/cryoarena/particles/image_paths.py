"""The stack files that tables name: written relative to the table, looked for where programs keep them."""

import os
from collections.abc import Sequence
from pathlib import Path

from cryoarena.errors import UserError


def relative_stack_names(folder: Path, stack_files: Sequence[Path]) -> list[str]:
    """Name stacks relative to `folder`, where a table will be.

    Raises:
        UserError: when a name has white space, which STAR readers take for the end of the value.
    """
    names = []
    for path in stack_files:
        if path.absolute().is_relative_to(folder.absolute()):
            name = path.absolute().relative_to(folder.absolute()).as_posix()
        else:
            # A link keeps its name: people link .mrc files as .mrcs for RELION.
            name = Path(os.path.relpath(path.parent.resolve() / path.name, folder.resolve())).as_posix()
        if len(name.split()) != 1:
            raise UserError(f"RELION cannot read the stack name {name!r} because of its white space; rename the file")
        names.append(name)
    return names


def find_stack(table: Path, name: str, datadir: Path | None = None) -> Path:
    """Return where the stack that `table` calls `name` is, or should be.

    Looked for from `datadir`, there also without the folders of the name; or else from the folder of the table, from
    the one and two above it (RELION and cryoSPARC name files from the project folder and keep tables in job folders)
    and from the current folder.
    """
    # cryoSPARC marks a path inside its project by a leading ">"; RELION tells the format of a file after a colon.
    name = name.removeprefix(">").removesuffix(":mrcs")
    if datadir is not None:
        places = [datadir.absolute() / name, datadir.absolute() / Path(name).name]
    else:
        folder = table.parent.absolute()
        places = [root / name for root in (folder, *folder.parents[:2], Path.cwd())]
    return next((place for place in places if place.is_file()), places[0])


def require_stack(table: Path, row: int, stack: Path) -> None:
    """Check that the stack that `table` names in `row`, from 0, exists.

    Raises:
        UserError: when it does not.
    """
    if not stack.is_file():
        raise UserError(
            f"{table} names the stack {stack} in row {row + 1} but there is no such file; restore or link it, or tell "
            "`cryoarena convert` its folder by --datadir"
        )
