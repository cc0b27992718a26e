"""`cryoarena score`: score a result."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def score(
    result_dir: Annotated[Path, typer.Argument(help="Result folder.")],
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder with its truth.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="CSV file [default: RESULT_DIR/scores.csv].")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Score a result against the truth, between floor and ceiling.

    Example: [bold]cryoarena score ppca --dataset igg1d -o scores.csv[/bold]
    """
    from cryoarena.benchmark.score import score_result, summary

    table = score_result(result_dir, dataset, out, device)
    shown = Table("score", "value", title=f"{result_dir} on {dataset}")
    for what, value in summary(table):
        shown.add_row(what, value)
    Console().print(shown)
    print(f"{len(table)} rows in {out or result_dir / 'scores.csv'}")
