"""`cryoarena tools`: the outside programs on this machine."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cryoarena.errors import UserError


def list_tools(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """List the outside programs: where they are, their version, and whether they start.

    Examples: [bold]cryoarena tools list[/bold] · [bold]cryoarena tools list --json[/bold]
    """
    from cryoarena.methods.external.installation import condition, tools

    rows = []
    waiting = Console(stderr=True)
    for name, tool in tools().items():
        with waiting.status(f"testing {tool.title}"):
            now = condition(tool)
        folder = "" if now.folder is None else str(now.folder)
        rows.append((name, tool.version, now.version, folder, now.trouble, now.is_wanted))
    if as_json:
        keys = ("tool", "wanted", "version", "folder", "trouble", "is_wanted")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return
    table = Table("tool", "wanted", "version", "found in", "self-test", title="outside programs")
    for *row, trouble, is_wanted in rows:
        table.add_row(*row, trouble or ("passes" if is_wanted else "passes; not tried with this version"))
    Console().print(table)


def install_tool(name: Annotated[str, typer.Argument(help="Tool, see `cryoarena tools list`.")]) -> None:
    """Install an outside program into an environment of its own.

    Example: [bold]cryoarena tools install cryodrgn[/bold]
    """
    from cryoarena.methods.external.installation import install, tools

    known = tools()
    if name not in known:
        raise UserError(f"there is no tool called {name!r}; choose {', '.join(known)}")
    print(f"{known[name].title} is installed in {install(known[name])}")
