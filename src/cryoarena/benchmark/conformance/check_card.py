"""What every card must say."""

import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9-]*")


def wrong_in_card(card: Any) -> str | None:
    """Return what is wrong in a card, or None."""
    if not _NAME.fullmatch(card.name):
        return f"the name {card.name!r} is not made of small letters, digits and dashes"
    for field in ("summary", "citation"):
        if not getattr(card, field).strip():
            return f"it has no {field}"
    return None if card.summary.endswith(".") else "the summary is not a sentence"


def wrong_in_options(options: Any) -> str | None:
    """Return what is wrong in the options of a dataset or method, or None."""
    if not (isinstance(options, type) and is_dataclass(options)):
        return "`options` is not a dataclass"
    if not options.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return "the dataclass of the options is not frozen"
    for option in fields(options):
        if option.default is MISSING and option.default_factory is MISSING:
            return f"the option {option.name!r} has no default"
    return None
