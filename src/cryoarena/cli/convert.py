"""`cryoarena convert`: convert particle tables."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cryoarena.errors import UserError


class Contrast(StrEnum):
    """How protein looks in the images."""

    bright = "bright"
    dark = "dark"


class StarVersion(StrEnum):
    """Of RELION."""

    v30 = "3.0"
    v31 = "3.1"
    v5 = "5"


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help=".star, .cs, cryoDRGN's poses.pkl (or ctf.pkl), or a dataset folder.")
    ],
    output: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The same: its name tells the form; without suffix, a folder.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Another way to give OUT.")] = None,
    stack: Annotated[
        Path | None, typer.Option(help="Images that pickles go with row by row: .mrcs, .txt list, .star or .cs.")
    ] = None,
    ctf: Annotated[Path | None, typer.Option(help="ctf.pkl that goes with poses.pkl.")] = None,
    passthrough: Annotated[
        list[Path] | None, typer.Option(help="Passthrough file of a .cs file, joined by uid; may be repeated.")
    ] = None,
    datadir: Annotated[Path | None, typer.Option(help="Folder of the stacks, where they are not found.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Å, where IN does not tell it.")] = None,
    contrast: Annotated[
        Contrast | None, typer.Option(help="Of protein, where IN does not tell it; else bright is assumed.")
    ] = None,
    voltage: Annotated[float | None, typer.Option(help="kV, where IN does not tell it.")] = None,
    cs: Annotated[float | None, typer.Option(help="Spherical aberration, mm, where IN does not tell it.")] = None,
    amplitude_contrast: Annotated[float | None, typer.Option(help="0 to 1, where IN does not tell it.")] = None,
    star_version: Annotated[
        StarVersion, typer.Option(help="RELION to write for; 3.0 has no optics table.")
    ] = StarVersion.v31,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Convert particle tables between RELION, cryoSPARC, cryoDRGN and dataset folders.

    Images are not copied: tables name them by paths that are relative to the folder of OUT.

    Example: [bold]cryoarena convert J12_particles.cs particles.star --passthrough J12_passthrough_particles.cs[/bold]

    Example: [bold]cryoarena convert poses.pkl particles.cs --ctf ctf.pkl --stack particles.mrcs[/bold]
    """
    from cryoarena.particles.convert import convert as convert_tables
    from cryoarena.particles.convert_source import Source
    from cryoarena.particles.given import Given

    target = output or out
    if target is None or (output and out):
        raise UserError("give the output once, as in `cryoarena convert IN OUT`")
    sign = {Contrast.bright: 1, Contrast.dark: -1, None: None}[contrast]
    given = Given(pixel_size, sign, voltage, cs, amplitude_contrast, datadir)
    origin = Source(source, tuple(passthrough or ()), ctf, stack, given)
    done = convert_tables(origin, target, star_version.value, overwrite)
    particles = done.particles
    known = [name for name, value in (("poses", particles.poses), ("CTF", particles.ctf)) if value is not None]
    print(
        f"{len(particles)} particles of {particles.box_px} px, {particles.pixel_size_A:g} Å, "
        f"{'bright' if particles.contrast_sign > 0 else 'dark'}, with {' and '.join(known) or 'neither poses nor CTF'}"
    )
    for note in done.notes:
        print(note)
    print(f"written: {', '.join(str(path) for path in done.written)}")
