"""Run an outside program: in its own environment, its output into a log, its CPU time limited."""

import math
import os
import resource
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_SHOWN_LINES = 6
# Of our own Python, which the program must not see.
_NOT_PASSED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class ProgramFailed(Exception):
    """A program ended with an error; the message has its exit code and last lines."""


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        words: name of an executable of the tool, and its arguments.
        threads: that it may use.
        cpu_s: CPU seconds after which it is stopped, which is no failure; None for no limit.
    """

    words: Sequence[str | Path]
    threads: int = 1
    cpu_s: float | None = None


def run_program(
    command: Command,
    executables: Path,
    folder: Path,
    log: Path,
    on_line: Callable[[str], None] = lambda line: None,
    device: str = "cuda",
) -> None:
    """Run a command to its end, or to the end of its CPU time.

    The program dies with us, where the system has `setpriv`.

    Args:
        command: what to run.
        executables: folder of the tool's programs, also put first on PATH.
        folder: to run in.
        log: file that the output is added to.
        on_line: told each line of the output.
        device: "cpu" hides the GPUs from the program.

    Raises:
        ProgramFailed: when it ends with an error.
    """
    words = [str(executables / command.words[0]), *map(str, command.words[1:])]
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {' '.join(words)}\n")
        stream.flush()
        process = subprocess.Popen(
            _wrapped(words, command.cpu_s),
            cwd=folder,
            env=_environment(executables, command.threads, device),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                stream.write(line)
                stream.flush()
                if line.strip():
                    last.append(line.strip())
                on_line(line)
            process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode and not (command.cpu_s is not None and process.returncode == -signal.SIGXCPU):
        raise ProgramFailed(_reason(Path(words[0]).name, words[1:2], process.returncode, list(last)))


def _wrapped(words: list[str], cpu_s: float | None) -> list[str]:
    if cpu_s is not None:
        # The soft limit: its signal tells the end of the time from other ends.
        limit = 'ulimit -S -t "$1"; shift; exec "$@"'
        words = ["/bin/sh", "-c", limit, "sh", str(max(1, math.ceil(cpu_s))), *words]
    setpriv = shutil.which("setpriv")
    return words if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--", *words]


def _environment(executables: Path, threads: int, device: str) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    variables |= dict.fromkeys(_THREADS, str(threads))
    variables |= {
        "PATH": f"{executables}{os.pathsep}{variables.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
    }
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables


def _reason(program: str, first: list[str], code: int, last: list[str]) -> str:
    ending = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
    said = " | ".join(last) or "nothing"
    return f"{' '.join([program, *first])} ended with {ending}; its last lines: {said}"


def children_cpu_s() -> float:
    """Return the CPU seconds of all ended children of this process."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
