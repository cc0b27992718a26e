"""`cryoarena make`: simulate a dataset."""

import os
from pathlib import Path
from typing import Annotated

import typer


def make(
    name: Annotated[str, typer.Argument(help="Dataset, see `cryoarena list datasets`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the dataset.")],
    preset: Annotated[str, typer.Option(help="paper: as published; small: the same physics in minutes.")] = "small",
    images: Annotated[int | None, typer.Option(help="Number of images.")] = None,
    box: Annotated[
        int | None, typer.Option(help="Box of the images in pixels (even); the field of view stays.")
    ] = None,
    conformations: Annotated[
        int | None, typer.Option(help="Number of conformations; of models, the number to take.")
    ] = None,
    snr: Annotated[float | None, typer.Option(help="Signal variance / noise variance at the source box.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 0,
    structure: Annotated[Path | None, typer.Option(help="PDB or mmCIF file to use for the dataset's model.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of PDB or mmCIF files, or a list: one path, and a count, per line.")
    ] = None,
    topology: Annotated[Path | None, typer.Option(help="PSF, PDB or GRO file of a trajectory.")] = None,
    trajectory: Annotated[Path | None, typer.Option(help="DCD, XTC or TRR file.")] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, may be repeated; see `cryoarena show DATASET`.")
    ] = None,
    realism: Annotated[
        list[str] | None,
        typer.Option(help="key=value, may be repeated: a dial of realism; see `cryoarena show realism`."),
    ] = None,
    ctf: Annotated[Path | None, typer.Option(help="Table of real defoci (.npz, .star, .cs or cryoDRGN .pkl).")] = None,
    processes: Annotated[int, typer.Option(help="Processes; the bytes do not depend on it.")] = os.cpu_count() or 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Simulate a particle stack with known truth. Interrupted, the same command goes on.

    Example: [bold]cryoarena make igg-1d -o igg1d --preset small --processes 2[/bold]
    """
    from cryoarena.datasets.order import Order
    from cryoarena.datasets.sources import Given
    from cryoarena.options import split_options

    order = Order(
        name,
        preset,
        images,
        box,
        conformations,
        snr,
        seed,
        split_options(options or []),
        split_options(realism or [], "--realism"),
        Given(structure, models, topology, trajectory),
        ctf,
    )
    settings = order.make(out, processes, overwrite)
    print(f"{settings.images} images of {settings.box_px} px in {out}")
