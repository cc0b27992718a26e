"""The `cryoarena` command."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from cryoarena import __version__
from cryoarena.cli import (
    bench,
    check,
    convert,
    doctor,
    fetch,
    importing,
    limits,
    listing,
    make,
    mix,
    report,
    run,
    score,
    status,
    tools,
)
from cryoarena.errors import UserError

EXIT_WRONG_INPUT = 2

app = typer.Typer(
    name="cryoarena",
    help="Benchmark heterogeneous cryo-EM reconstruction: make data with known truth, run methods, score, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _one_sentence(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print a UserError as one sentence and exit with code 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            print(f"cryoarena: {error}", file=sys.stderr)
            raise typer.Exit(EXIT_WRONG_INPUT) from error
        except KeyboardInterrupt:
            print("cryoarena: interrupted; repeat the command to go on", file=sys.stderr)
            raise typer.Exit(130) from None

    return wrapped


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cryoarena {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Benchmark heterogeneous cryo-EM reconstruction: make data with known truth, run methods, score, report."""


_VERBS: dict[str, Callable[..., Any]] = {
    "make": make.make,
    "fetch": fetch.fetch,
    "mix": mix.mix,
    "convert": convert.convert,
    "run": run.run,
    "import": importing.import_folder,
    "limits": limits.limits,
    "score": score.score,
    "report": report.report,
    "bench": bench.bench,
    "status": status.status,
    "doctor": doctor.doctor,
    "list": listing.list_entries,
    "show": listing.show,
    "check": check.check,
}
for verb, command in _VERBS.items():
    app.command(verb)(_one_sentence(command))

_tools = typer.Typer(help="List and install the outside programs that methods run.", no_args_is_help=True)
_tools.command("list")(_one_sentence(tools.list_tools))
_tools.command("install")(_one_sentence(tools.install_tool))
app.add_typer(_tools, name="tools")
