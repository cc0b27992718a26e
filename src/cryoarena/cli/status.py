"""`cryoarena status`: how far a suite is."""

import json
from pathlib import Path
from typing import Annotated

import typer


def status(
    directory: Annotated[Path, typer.Argument(help="Folder of a suite, see `cryoarena bench -o`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show what of a suite is done, is running, has failed and why, and waits.

    Example: [bold]cryoarena status bench[/bold]
    """
    from rich.console import Console

    from cryoarena.benchmark import status as suite
    from cryoarena.benchmark.plan import read_plan
    from cryoarena.benchmark.suite_folder import SuiteFolder

    folder = SuiteFolder(directory.absolute())
    plan = read_plan(folder.plan)
    statuses = suite.suite_status(folder, plan)
    if as_json:
        print(json.dumps(suite.as_json(folder, plan, statuses), indent=1))
    else:
        Console().print(suite.as_table(folder, plan, statuses))
