"""What run.log of OPUS-DSD tells of a training."""

import argparse
import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError

_ARGUMENTS = re.compile(r"Namespace\(.*\)$", re.MULTILINE)
# The argument parser keeps the function of a command among the arguments.
_FUNCTION = re.compile(r"=<[^>]*>")
_NEEDED = ("particles", "ind", "zdim", "masks", "downfrac", "lamb", "beta_control")


@dataclass(frozen=True)
class Training:
    """The arguments of the last start of a training.

    Attributes:
        particles: path of the images.
        ind: path of the rows of them that were used, or None for all.
        zdim: dimension of the latent.
        bodies: whether bodies were moved too, which has a second latent.
        arguments: some of the others.
    """

    particles: str
    ind: str | None
    zdim: int
    bodies: bool
    arguments: dict[str, Any]


def read_run_log(folder: Path) -> Training:
    """Read run.log.

    Raises:
        UserError: when it is missing or of another program.
    """
    path = folder / "run.log"
    if not path.is_file():
        raise UserError(f"{folder} is no output folder of OPUS-DSD: it has no run.log")
    found = _ARGUMENTS.findall(path.read_text(encoding="utf-8", errors="replace"))
    told = vars(_parsed(found[-1])) if found else {}
    if missing := [name for name in _NEEDED if name not in told]:
        raise UserError(f"{path} is not of `dsd train_multi` or `dsd train_cv`: it does not tell {missing[0]}")
    return Training(
        particles=str(told["particles"]),
        ind=None if told["ind"] is None else str(told["ind"]),
        zdim=int(told["zdim"]),
        bodies=told["masks"] is not None,
        arguments={name: told[name] for name in ("downfrac", "lamb", "beta_control")},
    )


def _parsed(text: str) -> argparse.Namespace:
    """Return what was printed as Namespace(…); nothing is run."""
    try:
        call = ast.parse(_FUNCTION.sub("=None", text), mode="eval").body
        assert isinstance(call, ast.Call)
        return argparse.Namespace(**{word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg})
    except (SyntaxError, ValueError, AssertionError):
        return argparse.Namespace()
