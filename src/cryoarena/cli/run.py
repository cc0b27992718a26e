"""`cryoarena run`: run a method on a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from cryoarena.errors import UserError


def run(
    method: Annotated[str, typer.Argument(help="Method, see `cryoarena list methods`.")],
    dataset_dir: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the result.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, may be repeated; see `cryoarena show METHOD`."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of the method.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Reconstruct a dataset with one method.

    Example: [bold]cryoarena run ppca igg1d -o ppca --set components=6[/bold]
    """
    from cryoarena.benchmark.run_cell import run_method
    from cryoarena.options import split_options

    info = run_method(method, dataset_dir, out, split_options(options or []), device, seed, overwrite)
    if info["status"] != "ok":
        raise UserError(f"{method} is {info['status']} on {dataset_dir}: {info['reason']} (recorded in {out})")
    time = "resumed" if info["wall_s"] is None else f"{info['wall_s']:.1f} s"
    print(f"{method}: {time}, {info['peak_memory_bytes'] / 1e9:.2f} GB, result in {out}")
