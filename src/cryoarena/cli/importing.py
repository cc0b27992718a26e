"""`cryoarena import`: take over what an outside program left."""

from pathlib import Path
from typing import Annotated

import typer


def import_folder(
    method: Annotated[str, typer.Argument(help="Method that the folder is a result of, see `cryoarena list methods`.")],
    folder: Annotated[Path, typer.Argument(help="Output folder of the program.")],
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder that the program was run on.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the result.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, may be repeated; see `cryoarena show METHOD`."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Turn the output folder of a program into a result that can be scored.

    Example: [bold]cryoarena import cryodrgn 004_train_vae --dataset igg1d -o results/cryodrgn[/bold]
    """
    from cryoarena.benchmark.import_result import import_result
    from cryoarena.options import split_options

    info = import_result(method, folder, dataset, out, split_options(options or []), overwrite)
    for note in info.get("notes", []):
        print(f"note: {note}")
    print(f"{folder} imported as {method} into {out}")
