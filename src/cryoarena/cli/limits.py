"""`cryoarena limits`: compute floor and ceiling of a dataset."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def limits(
    dataset_dir: Annotated[Path, typer.Argument(help="Dataset folder with its truth.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="CSV file [default: DATASET_DIR/truth/limits/scores.csv].")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Compute what the observers behind floor and ceiling score; once per dataset, `score` then finds it done.

    Example: [bold]cryoarena limits igg1d[/bold]
    """
    from cryoarena.benchmark.score import summary
    from cryoarena.benchmark.score_limits import score_limits

    table = score_limits(dataset_dir, out, device)
    shown = Table("observer", "score", "value", title=str(dataset_dir))
    for observer, rows in table.groupby("method", sort=False):
        for what, value in summary(rows):
            shown.add_row(str(observer), what, value)
    Console().print(shown)
    print(f"{len(table)} rows in {out or dataset_dir / 'truth' / 'limits' / 'scores.csv'}")
