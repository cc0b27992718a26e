"""`cryoarena report`: write the page."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(help="Folder that holds datasets and scored results, at any depth.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file.")] = Path("report.html"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write one self-contained page with data, results and scores.

    Example: [bold]cryoarena report bench -o report.html[/bold]
    """
    from cryoarena.errors import UserError
    from cryoarena.report.page import write_report

    if out.exists() and not overwrite:
        raise UserError(f"{out} exists; add --overwrite to replace it or choose another -o")
    write_report(directory, out)
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
