"""`cryoarena list` and `cryoarena show`: what there is."""

import inspect
import json
import math
from dataclasses import asdict, fields, is_dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cryoarena.errors import UserError

_KINDS = ("datasets", "methods", "metrics")


def list_entries(
    kind: Annotated[str, typer.Argument(help="datasets, methods or metrics")],
    as_json: Annotated[bool, typer.Option("--json", help="Print their cards as JSON for scripts.")] = False,
) -> None:
    """List datasets, methods or metrics.

    Examples: [bold]cryoarena list methods[/bold] · [bold]cryoarena list metrics --json[/bold]
    """
    if as_json:
        print(_as_json([asdict(entry.card) for entry in _registry(kind).all().values()]))
        return
    table = Table("name", "what", title=kind)
    for name, entry in _registry(kind).all().items():
        table.add_row(name, entry.card.summary)
    Console().print(table)


def show(
    name: Annotated[str, typer.Argument(help="A dataset, method or metric, or `realism`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show the card, presets and options of one dataset, method or metric; or the dials of realism.

    Examples: [bold]cryoarena show ppca[/bold] · [bold]cryoarena show igg-1d --json[/bold]
    """
    if as_json:
        from cryoarena.datasets.realism import Realism

        what = [{"realism": _defaults(Realism)}] if name == "realism" else [_data(*one) for one in entries_called(name)]
        print(_as_json(what))
        return
    if name == "realism":
        Console().print(_dials())
        return
    for kind, entry in entries_called(name):
        table = Table("field", "value", title=f"{name} ({kind[:-1]})", show_lines=True)
        for key, value in _described(entry).items():
            table.add_row(key, value)
        Console().print(table)


def entries_called(name: str) -> list[tuple[str, Any]]:
    """Return every dataset, method and metric of a name, each with its kind in the plural.

    Raises:
        UserError: when there is none.
    """
    found = [(kind, _registry(kind).all()[name]) for kind in _KINDS if name in _registry(kind).all()]
    if not found:
        raise UserError(f"nothing is called {name!r}; see `cryoarena list {' | '.join(_KINDS)}`")
    return found


def _as_json(what: Any) -> str:
    """Return JSON that any program reads: an end of a range that is infinite is null."""
    return json.dumps(_finite(what), indent=1, allow_nan=False)


def _finite(what: Any) -> Any:
    if isinstance(what, dict):
        return {key: _finite(value) for key, value in what.items()}
    if isinstance(what, (list, tuple)):
        return [_finite(value) for value in what]
    return None if isinstance(what, float) and not math.isfinite(what) else what


def _data(kind: str, entry: Any) -> dict[str, Any]:
    data = {"kind": kind[:-1], "card": asdict(entry.card)}
    if presets := getattr(entry, "presets", None):
        data["presets"] = {name: asdict(settings) for name, settings in presets.items()}
    for what in ("options", "import_options"):
        options = getattr(entry, what, None)
        if isinstance(options, type) and is_dataclass(options):
            data[what] = _defaults(options)
    return data


def _defaults(options: type) -> dict[str, Any]:
    return asdict(options())


def _described(entry: Any) -> dict[str, str]:
    rows = {key: _text(value) for key, value in asdict(entry.card).items()}
    for preset, settings in getattr(entry, "presets", {}).items():
        numbers = asdict(settings)
        del numbers["realism"]
        rows[f"preset {preset}"] = _text(numbers)
    for kind, what in (("options", "options"), ("import_options", "options of an import")):
        options = getattr(entry, kind, None)
        if isinstance(options, type) and is_dataclass(options):
            rows[f"{what} (--set key=value)"] = "\n".join(f"{o.name} = {o.default}" for o in fields(options)) or "none"
            kinds = [kind for kind in inspect.getmro(options) if is_dataclass(kind)]
            rows[f"about the {what}"] = "\n\n".join(inspect.getdoc(kind) or "" for kind in kinds)
    return rows


def _dials() -> Table:
    from cryoarena.datasets.realism import Realism

    table = Table("field", "value", title="realism (--realism key=value)", show_lines=True)
    table.add_row("dials, off by default", "\n".join(f"{dial.name} = {dial.default}" for dial in fields(Realism)))
    table.add_row("about the dials", inspect.getdoc(Realism) or "")
    return table


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return "\n".join(_text(item) for item in value)
    return str(value)


def _registry(kind: str) -> Any:
    from cryoarena.datasets.base import datasets
    from cryoarena.methods.base import methods
    from cryoarena.metrics.base import metrics

    registries = {"datasets": datasets, "methods": methods, "metrics": metrics}
    if kind not in registries:
        raise UserError(f"there are no {kind!r} to list; choose {', '.join(registries)}")
    return registries[kind]
