"""One clause of a contract, and whether it is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cryoarena.errors import UserError


class CannotTell(Exception):
    """A clause cannot be tried here; the message says why."""


@dataclass(frozen=True)
class Clause:
    """What was tried.

    Attributes:
        says: what the contract asks, in a few words.
        status: kept, broken, or untried.
        reason: why it is not kept; "" where it is.
    """

    says: str
    status: Literal["kept", "broken", "untried"]
    reason: str = ""


def tried(says: str, attempt: Callable[[], str | None]) -> Clause:
    """Return what an attempt shows: it returns the sentence that says what is wrong, or None; errors are wrong too."""
    try:
        wrong = attempt()
    except CannotTell as reason:
        return Clause(says, "untried", str(reason))
    except UserError as error:
        return Clause(says, "broken", str(error))
    except Exception as error:
        # Whatever a stranger's code may raise.
        return Clause(says, "broken", f"{type(error).__name__}: {error}")
    return Clause(says, "broken", wrong) if wrong else Clause(says, "kept")
