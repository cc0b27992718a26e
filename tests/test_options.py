"""Options given as key=value."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cryoarena.errors import UserError
from cryoarena.options import parse_options, split_options


@dataclass(frozen=True)
class Options:
    count: int = 3
    fast: bool = False
    table: Path | None = None
    temperature_K: float | None = None
    selection: str = "all"


def test_values_get_the_type_of_their_field(tmp_path: Path) -> None:
    table = tmp_path / "a=b.csv"
    table.touch()
    given = split_options([f"table={table}", "temperature_K=310", "fast=yes", "count=4", "selection=name CA"])
    assert parse_options(Options, given) == Options(4, True, table, 310.0, "name CA")
    assert parse_options(Options, {}) == Options()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"cuont": "4"}, "there is no option 'cuont'"),
        ({"count": "four"}, "option count must be of type int"),
        ({"temperature_K": "hot"}, "option temperature_K must be of type float"),
        ({"table": "none.csv"}, "option table: none.csv does not exist"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_options(Options, given)
