"""`cryoarena bench`: run a suite."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cryoarena.errors import UserError


def bench(
    suite: Annotated[str, typer.Argument(help="quick")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for everything the suite makes.")],
    processes: Annotated[int, typer.Option(help="Processes for making data.")] = os.cpu_count() or 1,
) -> None:
    """Run a whole suite: make data, run methods, score, report. Run again, it goes on where it was.

    Example: [bold]cryoarena bench quick -o bench[/bold]
    """
    from cryoarena.benchmark.quick import run_quick
    from cryoarena.report.page import write_report

    if suite != "quick":
        raise UserError(f"there is no suite called {suite!r}; there is: quick")
    run_quick(out, processes)
    write_report(out, out / "report.html")
    print(f"open {out / 'report.html'}")
