"""`cryoarena fetch`: download a published dataset."""

from pathlib import Path
from typing import Annotated

import typer


def fetch(
    name: Annotated[
        str, typer.Argument(help="cryobench/ and one of igg-1d, igg-rl, ribosembly, tomotwin-100, spike-md.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the dataset.")],
    snr: Annotated[
        str | None, typer.Option(help="Noise level, where a set is published at several; else that of the paper, 0.01.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Download a published particle stack and its truth from Zenodo. Interrupted, the same command goes on.

    Example: [bold]cryoarena fetch cryobench/igg-1d -o igg1d-published[/bold]
    """
    from cryoarena.datasets.fetch import fetch_published

    images = fetch_published(name, out, snr, overwrite)
    print(f"{images} images of {name} in {out}")
