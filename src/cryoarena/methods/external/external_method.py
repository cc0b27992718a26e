"""Methods that outside programs carry out, and whose folders can be imported."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import psutil

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import MICROSCOPE
from cryoarena.methods.base import Method, Reconstruction, Run
from cryoarena.methods.external.gpu import has_gpu
from cryoarena.methods.external.run_program import Command, ProgramFailed, children_cpu_s, run_program
from cryoarena.methods.external.tool import Tool
from cryoarena.particles.particle_set import ParticleSet

OptionsT = TypeVar("OptionsT")

LOG = "log.txt"
_CPU_SPENT = "cpu_seconds.txt"


class Done(NamedTuple):
    """How far a program is, as it tells in a line of its output."""

    done: float
    total: float
    note: str = ""


@dataclass(frozen=True)
class NoImportOptions:
    """Options of an import: none."""


class ImportableMethod(Method[OptionsT]):
    """A method whose results are read from the folder of an outside program.

    Attributes:
        import_options: frozen dataclass of what a user may have to tell about such a folder.
        reads_file: whether it is a file that is read, not a folder.
    """

    import_options: type[Any] = NoImportOptions
    reads_file: ClassVar[bool] = False

    def method_of(self, source: Path, options: Any) -> "ImportableMethod[Any]":
        """Return the method that left this: the same, unless it stands for several of a program.

        Raises:
            UserError: when it cannot be told.
        """
        return self

    @abstractmethod
    def read(self, folder: Path, particles: ParticleSet, options: Any) -> Reconstruction:
        """Read what the program left in its output folder.

        The only reader: of folders that users have, and of those that `fit` made. Rows are matched by the identity of
        particles (`match_rows`).

        Raises:
            UserError: when the folder is of another program or version, lacks a file, or is about other particles.
        """


class ExternalMethod(ImportableMethod[OptionsT]):
    """A method that runs an outside program.

    Attributes:
        tool: the program.
        output: folder, in the one that the program works in, of what `read` reads.
    """

    tool: ClassVar[Tool]
    output: ClassVar[str] = "output"

    @abstractmethod
    def commands(self, particles: ParticleSet, options: OptionsT, run: Run, work: Path) -> Iterator[Command]:
        """Write the input of the program into `work` and yield the commands to run there, one after another.

        Each is run before the next is asked for. After an interruption `work` is as it was left: what is done must
        not be done again.
        """

    def progress(self, line: str) -> Done | None:
        """Return how far the program is, where a line of its output tells."""
        return None

    def reading(self, options: OptionsT) -> Any:
        """Return the import options with which a run with these options is read."""
        return self.import_options()

    def fit(self, particles: ParticleSet, options: OptionsT, run: Run) -> Reconstruction:
        """Run the program and read its output.

        Raises:
            ProgramFailed: when it fails, or left nothing that can be read.
            UserError: when an option makes no sense for these particles, or there is no GPU where one was asked for.
        """
        if run.device != "cpu" and not has_gpu():
            raise UserError(f"--device {run.device}: nvidia-smi lists no GPU on this machine; choose --device cpu")
        device = "cuda" if self.card.needs_gpu else run.device
        work = run.work.open()
        executables = self.tool.require()

        others = set(psutil.Process().children())
        for command in self.commands(particles, options, run, work):

            def report(line: str, command: Command = command) -> None:
                if (told := self.progress(line)) is not None:
                    run.progress(*_or_share_of_time(told, command.cpu_s, cpu_spent_s(work), others))

            before_s = children_cpu_s()
            try:
                run_program(command, executables, work, work / LOG, report, device)
            finally:
                # What was interrupted has spent its time too.
                if command.cpu_s is not None:
                    (work / _CPU_SPENT).write_text(str(cpu_spent_s(work) + children_cpu_s() - before_s))
        # Programs tell what begins, and not that the last of it is over.
        run.progress(1, 1)
        try:
            return self.read(work / self.output, particles, self.reading(options))
        except UserError as error:
            # The user gave nothing wrong: it is the program that made it.
            raise ProgramFailed(str(error)) from error

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why the tool cannot run on these particles, or here."""
        if (reason := super().not_applicable(particles)) is not None:
            return reason
        if self.tool.find() is None:
            return self.tool.missing()
        if self.card.needs_gpu and not has_gpu():
            return f"{self.tool.title} needs a GPU and there is none"
        return None


def wrong_ctf(title: str, particles: ParticleSet, one_microscope: bool = False) -> str | None:
    """Return why a program that knows no phase shift, or one microscope only, would take a wrong CTF."""
    ctf = particles.ctf
    if ctf is not None and np.any(ctf.phase_shift_deg):
        return f"{title} knows no phase shift, and these particles have one"
    if ctf is not None and one_microscope and any(np.ptp(getattr(ctf, name)) > 0 for name in MICROSCOPE):
        return f"{title} takes one voltage, Cs and amplitude contrast for all, and these particles differ in them"
    return None


def _or_share_of_time(told: Done, limit_s: float | None, before_s: float, others: set[psutil.Process]) -> Done:
    """Return how far the program is by its own account or by its CPU time, which may end it first.

    Args:
        told: by the program.
        limit_s: CPU seconds of the command, if they are limited.
        before_s: CPU seconds spent before it.
        others: children of ours that were there before the program.
    """
    if limit_s is None:
        return told
    spent_s = before_s
    for child in set(psutil.Process().children()) - others:
        with suppress(psutil.NoSuchProcess):
            for process in (child, *child.children(recursive=True)):
                spent_s += process.cpu_times().user + process.cpu_times().system
    return told._replace(done=max(told.done, min(spent_s / (before_s + limit_s), 1.0) * told.total))


def cpu_spent_s(work: Path) -> float:
    """Return the CPU seconds that commands with a limit spent, before an interruption too, unless we were killed."""
    path = work / _CPU_SPENT
    return float(path.read_text()) if path.is_file() else 0.0
