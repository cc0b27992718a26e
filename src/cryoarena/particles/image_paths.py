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
            name = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
        if len(name.split()) != 1:
            raise UserError(f"RELION cannot read the stack name {name!r} because of its white space; rename the file")
        names.append(name)
    return names


def find_stack(table: Path, name: str) -> Path:
    """Return where the stack that `table` calls `name` is, or should be.

    Looked for from the folder of the table, from the one and two above it (RELION and cryoSPARC name files from the
    project folder and keep tables in job folders) and from the current folder.
    """
    folder = table.parent.absolute()
    # cryoSPARC marks a path inside its project by a leading ">".
    name = name.removeprefix(">")
    for root in (folder, *folder.parents[:2], Path.cwd()):
        if (root / name).is_file():
            return root / name
    return folder / name
