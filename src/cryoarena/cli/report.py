"""`cryoarena report`: write the page, or a site of pages."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIRECTORY...", help="Folders that hold datasets and scored results.")
    ],
    out: Annotated[str, typer.Option("-o", "--out", help="HTML file, or a folder (DIR/) for a site.")] = "report.html",
    umap: Annotated[bool, typer.Option("--umap", help="Show latents of more than two dimensions by UMAP too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file, or a site written before.")] = False,
) -> None:
    """Write one self-contained page with data, results and scores; or a folder with a page per dataset and result.

    Examples: [bold]cryoarena report bench -o report.html[/bold] · [bold]cryoarena report bench other -o site/[/bold]
    """
    from cryoarena.benchmark.suite_folder import LARGEST_PAGE_BYTES
    from cryoarena.errors import UserError
    from cryoarena.report.page import write_report
    from cryoarena.report.site import write_site
    from cryoarena.report.umap_axes import require_umap

    path = Path(out)
    is_site = out.endswith("/") or path.is_dir()
    if path.exists() and not overwrite:
        raise UserError(f"{out} exists; add --overwrite to replace it or choose another -o")
    if umap:
        require_umap()
    if is_site:
        write_site(directories, path, umap)
        print(f"open {path / 'index.html'}")
        return
    if len(directories) > 1:
        raise UserError(f"one page shows one folder; for {len(directories)} give a folder: -o {path.stem}/")
    write_report(directories[0], path, umap)
    size = path.stat().st_size
    print(f"{out} ({size / 1e6:.1f} MB)")
    if size > LARGEST_PAGE_BYTES:
        print(f"This page is large; `-o {path.stem}/` writes a folder with a page per dataset.")
