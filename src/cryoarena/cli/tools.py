"""`cryoarena tools`: the outside programs on this machine."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cryoarena.errors import UserError


def list_tools() -> None:
    """List the outside programs: where they are, their version, and whether they start.

    Example: [bold]cryoarena tools list[/bold]
    """
    from cryoarena.methods.external.installation import condition, tools

    table = Table("tool", "wanted", "version", "found in", "self-test", title="outside programs")
    console = Console()
    for name, tool in tools().items():
        with console.status(f"testing {tool.title}"):
            now = condition(tool)
        folder = "" if now.folder is None else str(now.folder)
        table.add_row(name, tool.version, now.version, folder, now.trouble or "passes")
    console.print(table)


def install_tool(name: Annotated[str, typer.Argument(help="Tool, see `cryoarena tools list`.")]) -> None:
    """Install an outside program into an environment of its own.

    Example: [bold]cryoarena tools install cryodrgn[/bold]
    """
    from cryoarena.methods.external.installation import install, tools

    known = tools()
    if name not in known:
        raise UserError(f"there is no tool called {name!r}; choose {', '.join(known)}")
    print(f"{known[name].title} is installed in {install(known[name])}")
