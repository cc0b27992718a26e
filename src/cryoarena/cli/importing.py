"""`cryoarena import`: take over what an outside program left."""

from pathlib import Path
from typing import Annotated

import typer


def import_folder(
    method: Annotated[str, typer.Argument(help="Method that this is a result of, see `cryoarena list methods`.")],
    source: Annotated[Path, typer.Argument(help="Output folder of the program; of `table` a .csv, .npy or .star.")],
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder that the program was run on.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the result.")],
    maps: Annotated[
        Path | None, typer.Option(help="Folder of maps, of a method that reads them apart: table, cryosparc (3D Flex).")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, may be repeated; see `cryoarena show METHOD`."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Turn what a program left into a result that can be scored.

    Particles are told by their id or image, never by the order of rows. Examples:

    [bold]cryoarena import cryodrgn 004_train_vae --dataset igg1d -o results/cryodrgn[/bold]

    [bold]cryoarena import cryosparc CS-project/J12 --dataset igg1d -o results/3dva[/bold]

    [bold]cryoarena import table latents.csv --maps maps/ --dataset igg1d -o results/mine[/bold]
    (see `cryoarena show table` for what may be in the table and the folder)
    """
    from cryoarena.benchmark.import_result import import_result
    from cryoarena.options import split_options

    given = split_options(options or []) | ({} if maps is None else {"maps": str(maps)})
    info = import_result(method, source, dataset, out, given, overwrite)
    for note in info.get("notes", []):
        print(f"note: {note}")
    print(f"{source} imported as {info['method']['name']} into {out}")
