"""`cryoarena doctor`: find wrong conventions in a particle stack."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

EXIT_WRONG = 1
_COLOURS = {"fine": "green", "wrong": "red", "cannot be told": "yellow"}


def doctor(
    stack: Annotated[Path, typer.Argument(help="Dataset folder, .star or .cs file.")],
    reference: Annotated[
        Path | None, typer.Option(help="Map of the particle: tells the hand, and the pixel size by its own.")
    ] = None,
    images: Annotated[int, typer.Option(help="How many images to look at, spread evenly.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the halves.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Reconstruct some images in the conventions that are common and say what to change.

    Ends with code 0 when nothing is wrong, 1 when something is.

    Example: [bold]cryoarena doctor particles.star --reference map.mrc[/bold]
    """
    from cryoarena.particles.doctor.diagnose import diagnose
    from cryoarena.progress import progress_bar

    with progress_bar("Examining images") as report:
        diagnosis = diagnose(stack, reference, images, seed, report)
    if as_json:
        print(
            json.dumps({"images": diagnosis.images, "findings": [asdict(one) for one in diagnosis.findings]}, indent=2)
        )
    else:
        table = Table(
            "check", "verdict", "what was found", title=f"{stack}: {diagnosis.images} images", show_lines=True
        )
        for one in diagnosis.findings:
            table.add_row(one.check, f"[{_COLOURS[one.verdict]}]{one.verdict}[/]", one.sentence)
        Console().print(table)
    if not diagnosis.is_fine:
        raise typer.Exit(EXIT_WRONG)
