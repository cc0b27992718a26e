"""The folder of a RELION job: its iterations, and what its files tell of the run."""

import re
from dataclasses import dataclass
from pathlib import Path

from cryoarena.errors import UserError

# A run that was continued from the graphical interface of RELION 3 is called run_ct010 from there on.
_DATA = re.compile(r"(?P<root>.+?)(_ct(?P<from>\d+))?(_it(?P<number>\d+))?_data\.star")
_VERSION = re.compile(r"^# RELION optimiser; version (\S+)\s*\n# (.*)", re.MULTILINE)
# Arguments that only one kind of job has, with the method that reads it.
_MARKS = {
    "--multibody_masks": "relion-multibody",
    "--denovo_3dref": "relion-initialmodel",
    "--sgd": "relion-initialmodel",
}
_HISTORY = {
    "model": {
        "resolution_A": "rlnCurrentResolution",
        "average_p_max": "rlnAveragePmax",
        "log_likelihood": "rlnLogLikelihood",
    },
    "optimiser": {"changed": "rlnChangesOptimalClasses"},
}


@dataclass(frozen=True)
class Iteration:
    """What RELION wrote after an iteration, or at the end.

    Attributes:
        number: of the iteration; None for the end of an auto-refinement.
        continued_from: iteration that a continued run began with, 0 for the first run.
        data: particle table.
    """

    number: int | None
    continued_from: int
    data: Path

    @property
    def label(self) -> str:
        """Return what a user calls it."""
        return "the end" if self.number is None else f"iteration {self.number}"

    def beside(self, ending: str) -> Path:
        """Return the file of this iteration with another ending, e.g. optimiser.star."""
        return self.data.with_name(self.data.name.removesuffix("data.star") + ending)

    def class_maps(self) -> list[Path]:
        """Return the maps of classes 1 to K."""
        stem = self.data.name.removesuffix("data.star") + "class"
        numbers = [re.fullmatch(re.escape(stem) + r"(\d{3})\.mrc", path.name) for path in self.data.parent.iterdir()]
        count = max((int(found[1]) for found in numbers if found), default=0)
        return [self.data.with_name(f"{stem}{number:03d}.mrc") for number in range(1, count + 1)]

    def body_mask(self, number: int) -> Path:
        """Return the mask of a body, from 1."""
        match = _DATA.fullmatch(self.data.name)
        assert match is not None
        return self.data.with_name(f"{match['root']}_body{number:03d}_mask.mrc")

    def is_whole(self) -> bool:
        """Tell whether the table is complete, which is written last, with an empty line after its rows."""
        size = self.data.stat().st_size
        with self.data.open("rb") as stream:
            stream.seek(max(0, size - 8))
            ending = stream.read()
        return ending.endswith(b"\n") and not ending.splitlines()[-1].strip()


def whole_iterations(folder: Path) -> list[Iteration]:
    """Return the iterations whose tables are complete, in order."""
    return [iteration for iteration in _iterations(folder) if iteration.is_whole()]


def last_iteration(folder: Path) -> Iteration | None:
    """Return the last iteration whose files are complete, or None."""
    return next(reversed(whole_iterations(folder)), None)


def choose_iteration(folder: Path, wanted: int | None) -> Iteration:
    """Return the wanted iteration, or the last one that is complete.

    Raises:
        UserError: when the folder is of no RELION job, or there is no such iteration.
    """
    iterations = _iterations(folder)
    if not iterations:
        raise UserError(
            f"{folder} is no folder of a RELION job that has done an iteration: it has no run_itNNN_data.star"
        )
    whole = whole_iterations(folder)
    chosen = [iteration for iteration in whole if wanted is None or iteration.number == wanted]
    if not chosen:
        have = ", ".join(str(iteration.number) for iteration in whole if iteration.number is not None) or "none"
        which = "iteration" if wanted is None else f"iteration {wanted}"
        raise UserError(f"{folder} has no complete {which}; there are: {have}")
    return chosen[-1]


def read_version(iteration: Iteration) -> tuple[str, str]:
    """Return RELION's version and its arguments, as the optimiser's file tells them, or "unknown" and "".

    The end of an auto-refinement has no such file: then it is that of the first iteration.
    """
    for told in (iteration, *_iterations(iteration.data.parent)):
        path = told.beside("optimiser.star")
        if path.is_file() and (found := _VERSION.search(path.read_text(encoding="utf-8", errors="replace"))):
            return found[1], found[2].strip()
    return "unknown", ""


def job_kind(folder: Path) -> str | None:
    """Return the method that reads a job of this kind, or None where its files do not tell."""
    told = [iteration.beside("optimiser.star") for iteration in _iterations(folder)]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in told if path.is_file()]
    words = {word for text in texts for found in _VERSION.finditer(text) for word in found[2].split()}
    marked = next((kind for word, kind in _MARKS.items() if word in words), None)
    # A run that was continued is not told again what it is.
    plain = "relion-class3d" if words and "--continue" not in words else None
    return marked or plain


def require_job_of(name: str, folder: Path) -> None:
    """Check that a job is of the kind that a method reads, as far as its files tell.

    Raises:
        UserError: when it is of another; the sentence names the method that reads it.
    """
    if (kind := job_kind(folder)) not in (None, name):
        raise UserError(f"{folder} is of another kind of RELION job; import it with {kind}")


def read_history(folder: Path, last: Iteration) -> list[dict[str, float]]:
    """Return numbers of every iteration up to the last: resolution, sharpness of the posteriors, likelihood."""
    history: dict[int, dict[str, float]] = {}
    for iteration in _iterations(folder):
        if iteration.number is None or (last.number is not None and iteration.number > last.number):
            continue
        numbers = {"iteration": float(iteration.number)}
        for kind, columns in _HISTORY.items():
            # Of half-sets, the numbers of the first.
            numbers |= _values(iteration.beside(f"half1_{kind}.star"), columns)
            numbers |= _values(iteration.beside(f"{kind}.star"), columns)
        history[iteration.number] = numbers
    return [history[number] for number in sorted(history)]


def _values(path: Path, columns: dict[str, str]) -> dict[str, float]:
    """Return single values of a STAR file by regular expression: its tables are long and not wanted."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = {name: re.search(rf"^_{column}\s+([-+.\de]+)\s*$", text, re.MULTILINE) for name, column in columns.items()}
    return {name: float(value[1]) for name, value in found.items() if value}


def _iterations(folder: Path) -> list[Iteration]:
    """Return the iterations in order; a continued run comes after the one that it goes on from."""
    found = []
    for path in folder.glob("*_data.star"):
        match = _DATA.fullmatch(path.name)
        assert match is not None
        number = None if match["number"] is None else int(match["number"])
        # Before the first iteration no image has a class.
        if number != 0:
            found.append(Iteration(number, int(match["from"] or 0), path))

    def order(iteration: Iteration) -> tuple[float, int, str]:
        last = float("inf") if iteration.number is None else iteration.number
        return last, iteration.continued_from, iteration.data.name

    return sorted(found, key=order)
