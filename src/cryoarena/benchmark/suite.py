"""Read a suite: which data sets, methods, seeds and metrics (docs/suites.md)."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cryoarena.errors import UserError

_SHIPPED = Path(__file__).with_name("suites")
# Keys that name files.
FILES = ("folder", "structure", "models", "topology", "trajectory", "ctf")
Value = bool | int | float | str
Label = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SuiteDataset(_Table):
    """A data set to make, as on the command line of `cryoarena make`, or the folder of one that is there."""

    name: str | None = None
    folder: str | None = None
    label: str | None = Label
    preset: str = "small"
    images: int | None = None
    box: int | None = None
    conformations: int | None = None
    snr: float | None = None
    seed: int = 0
    options: dict[str, Value] = {}
    realism: dict[str, Value] = {}
    structure: str | None = None
    models: str | None = None
    topology: str | None = None
    trajectory: str | None = None
    ctf: str | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.name is None) == (self.folder is None):
            raise ValueError("give the name of a data set, or the folder of one that is there")
        recipe = self.model_fields_set - {"name", "folder", "label"}
        if self.folder is not None and recipe:
            raise ValueError(f"a folder is taken as it is; leave {sorted(recipe)[0]} out")
        return self


class SuiteMethod(_Table):
    """A method with its options.

    Attributes:
        name: as in `cryoarena list methods`.
        label: tells two entries of one method apart.
        options: as `--set key=value`.
        seeds: in place of the suite's, e.g. of a slow method.
        device: of torch, or of the outside program.
        if_installed: leave the method out where its program is not installed.
    """

    name: str
    label: str | None = Label
    options: dict[str, Value] = {}
    seeds: list[int] | None = Field(default=None, min_length=1)
    device: str = Field(default="cpu", pattern="^(cpu|cuda)$")
    if_installed: bool = False


class Suite(_Table):
    """What is run: every method on every data set with every seed.

    Attributes:
        extends: a suite whose data sets and methods come first, and whose seeds and metrics hold unless given here.
        seeds: of the methods.
        metrics: by name; all when None.
    """

    extends: str | None = None
    seeds: list[int] | None = Field(default=None, min_length=1)
    metrics: list[str] | None = Field(default=None, min_length=1)
    datasets: list[SuiteDataset] = []
    methods: list[SuiteMethod] = []


def shipped_suites() -> dict[str, Path]:
    """Return the files of the suites that come with the package, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}


def find_suite(given: str) -> Path:
    """Return the file of a shipped suite, or the file itself.

    Raises:
        UserError: when there is neither.
    """
    known = shipped_suites()
    if given in known:
        return known[given]
    if Path(given).is_file():
        return Path(given)
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give a .toml file or one of {', '.join(known)}"
    raise UserError(f"there is no suite and no file called {given!r}; {hint}")


def read_suite(path: Path, _extended: tuple[Path, ...] = ()) -> Suite:
    """Read a suite file and those that it extends; paths in it are relative to it and become absolute.

    Raises:
        UserError: naming the file and the key that is wrong.
    """
    if path.resolve() in _extended:
        raise UserError(f"{path}: extends: the suites extend each other in a circle")
    try:
        suite = Suite.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error)}") from error
    suite = suite.model_copy(
        update={
            "datasets": [_absolute(entry, path.parent) for entry in suite.datasets],
            "methods": [e.model_copy(update={"options": _beside(e.options, path.parent)}) for e in suite.methods],
        }
    )
    if suite.extends is not None:
        beside = path.parent / suite.extends
        file = beside if beside.is_file() else find_suite(suite.extends)
        suite = _joined(read_suite(file, (*_extended, path.resolve())), suite)
    if not _extended:
        for kind in ("datasets", "methods"):
            if not getattr(suite, kind):
                raise UserError(f"{path}: {kind}: there are none; add a [[{kind}]] table")
    return suite


def _joined(base: Suite, suite: Suite) -> Suite:
    # Both are valid; validated again, absolute paths would look like options that were given.
    joined = {
        "seeds": suite.seeds or base.seeds,
        "metrics": suite.metrics or base.metrics,
        "datasets": [*base.datasets, *suite.datasets],
        "methods": [*base.methods, *suite.methods],
    }
    return base.model_copy(update=joined)


def _absolute(entry: SuiteDataset, folder: Path) -> SuiteDataset:
    paths: dict[str, Any] = {name: getattr(entry, name) for name in FILES}
    given: dict[str, Any] = {name: str((folder / path).absolute()) for name, path in paths.items() if path is not None}
    given |= {name: _beside(getattr(entry, name), folder) for name in ("options", "realism")}
    return entry.model_copy(update=given)


def _beside(options: dict[str, Value], folder: Path) -> dict[str, Value]:
    """Name files that lie beside the suite by absolute paths, since jobs run elsewhere."""
    # os.path.isfile is False, and no error, for a text too long to be a path.
    return {
        key: str((folder / value).absolute()) if isinstance(value, str) and os.path.isfile(folder / value) else value
        for key, value in options.items()
    }


def _sentence(error: ValidationError) -> str:
    """Return the first thing that is wrong, after the key where it is."""
    first = error.errors()[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    reason = {
        "extra_forbidden": "there is no such key; see docs/suites.md",
        "missing": "this key is missing",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    return f"{place}: {reason}" if place else reason
