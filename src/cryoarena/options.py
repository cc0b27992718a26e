"""Options of recipes and methods: frozen dataclasses with defaults, set by `key=value`."""

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from cryoarena.errors import UserError

OptionsT = TypeVar("OptionsT")


def split_options(given: Iterable[str], flag: str = "--set") -> dict[str, str]:
    """Split the `key=value` arguments of a flag.

    Raises:
        UserError: when one has no equals sign.
    """
    parsed = {}
    for option in given:
        key, separator, value = option.partition("=")
        if not separator:
            raise UserError(f"{flag} takes key=value, not {option!r}")
        parsed[key] = value
    return parsed


def parse_options(options: type[OptionsT], given: dict[str, str]) -> OptionsT:
    """Turn `key=value` strings into an options dataclass.

    Raises:
        UserError: for an unknown key, a value of the wrong type, or a file that does not exist.
    """
    resolved: Any = options()
    known = {item.name: item for item in fields(resolved)}
    hints = get_type_hints(options)
    for key, text in given.items():
        if key not in known:
            raise UserError(f"there is no option {key!r}; there are: {', '.join(known) or 'none'}")
        kind = _kind(hints[key])
        try:
            value = _parse_bool(text) if kind is bool else kind(text)
        except ValueError as error:
            raise UserError(f"option {key} must be of type {kind.__name__}, not {text!r}") from error
        if isinstance(value, Path) and not value.is_file():
            raise UserError(f"option {key}: {value} does not exist")
        resolved = replace(resolved, **{key: value})
    return resolved  # type: ignore[no-any-return]


def as_json(options: Any) -> dict[str, Any]:
    """Return an options dataclass as what JSON can hold; files by their names."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


def _kind(hint: Any) -> Any:
    """Return the type of a field, which may be None as well."""
    return next((kind for kind in get_args(hint) if kind is not NoneType), hint)


def _parse_bool(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]
