"""`cryoarena check`: does a dataset, method or metric keep its contract?"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from cryoarena.benchmark.conformance.clause import Clause

_MARKS = {"kept": "[green]kept   [/green]", "broken": "[red]broken [/red]", "untried": "[dim]untried[/dim]"}


def check(
    names: Annotated[list[str], typer.Argument(help="Datasets, methods or metrics, ours or of a plug-in.")],
) -> None:
    """Try whether datasets, methods or metrics keep the contracts that suites rely on.

    A method is run on a tiny dataset, several times; of a dataset a few images are made; a metric judges the truth.
    The exit code is 1 where a clause is broken.

    Example: [bold]cryoarena check my-method[/bold]
    """
    console, broken = Console(), 0
    for name in names:
        console.print(f"[bold]{escape(name)}[/bold]")
        with tempfile.TemporaryDirectory(prefix="cryoarena-check-") as folder:
            for clause in _clauses(name, Path(folder)):
                broken += clause.status == "broken"
                reason = f": {escape(clause.reason)}" if clause.reason else ""
                console.print(f"  {_MARKS[clause.status]} {escape(clause.says)}{reason}")
    if broken:
        raise typer.Exit(1)


def _clauses(name: str, folder: Path) -> "Iterator[Clause]":
    from cryoarena.benchmark.conformance.check_dataset import check_dataset
    from cryoarena.benchmark.conformance.check_method import check_method
    from cryoarena.benchmark.conformance.check_metric import check_metric
    from cryoarena.cli.listing import entries_called

    checks: dict[str, Callable[[Any, Path], Iterator[Clause]]] = {
        "datasets": check_dataset,
        "methods": check_method,
        "metrics": check_metric,
    }
    for kind, entry in entries_called(name):
        yield from checks[kind](entry, folder)
