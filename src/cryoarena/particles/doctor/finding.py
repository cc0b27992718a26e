"""What a check found."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import final


class Verdict(StrEnum):
    """How a check ended."""

    FINE = "fine"
    WRONG = "wrong"
    UNKNOWN = "cannot be told"


@final
@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was looked at.
        verdict: how it ended.
        sentence: what to change, or why it is fine, or why it cannot be told.
        evidence: the measured numbers behind it, by name.
    """

    check: str
    verdict: Verdict
    sentence: str
    evidence: dict[str, float] = field(default_factory=dict)
