"""`cryoarena mix`: mix stacks that were recorded apart."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryoarena.errors import UserError

if TYPE_CHECKING:
    from cryoarena.datasets.base import CollectiveVariable


def mix(
    stacks: Annotated[list[Path], typer.Argument(help="One .star or .cs file or dataset folder per origin.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder for the dataset.")],
    counts: Annotated[str, typer.Option(help="Particles to take of each stack: N,N,…")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy the images, so that their paths do not tell.")] = False,
    maps: Annotated[
        list[Path] | None, typer.Option(help="A map per stack, in the frame of the poses; repeat in the same order.")
    ] = None,
    cv: Annotated[
        list[str] | None, typer.Option(help="NAME:UNIT=V,V,…: what tells the stacks apart, e.g. length:bp=2,3,4.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the dataset.")] = "mix",
    seed: Annotated[int, typer.Option(help="Of the draw, the order and the half-sets.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Draw particles of several stacks without replacement into one dataset whose labels are their origins.

    Example: [bold]cryoarena mix 2bp.star 8bp.star 14bp.star --counts 10000,80000,10000 --copy -o mix[/bold]
    """
    from cryoarena.datasets.mix import Mixture, mix_stacks

    if seed < 0:
        raise UserError(f"--seed must not be negative, not {seed}")
    mixture = Mixture(
        tables=tuple(stacks),
        counts=_counts(counts),
        name=name,
        seed=seed,
        copy=copy,
        maps=tuple(maps or ()),
        cvs=tuple(_cv(text) for text in cv or ()),
    )
    n = mix_stacks(mixture, out, overwrite)
    print(f"{n} images of {len(stacks)} origins in {out}")


def _counts(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise UserError(f"--counts takes whole numbers with commas between, as 100,200, not {text!r}")
    return tuple(int(word) for word in text.split(","))


def _cv(text: str) -> tuple["CollectiveVariable", tuple[float, ...]]:
    from cryoarena.datasets.base import CollectiveVariable

    match = re.fullmatch(r"(\w+)(?::([^=]*))?=(.+)", text)
    try:
        values = tuple(float(word) for word in match[3].split(",")) if match else ()
    except ValueError:
        values = ()
    if match is None or not values:
        raise UserError(f"--cv takes NAME:UNIT=V,V,… with a number for each stack, not {text!r}")
    return CollectiveVariable(match[1], match[2] or "", None, "of the origin of a particle"), values
