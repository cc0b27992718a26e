"""What RECOVAR is."""

from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

RECOVAR = Tool(
    name="recovar",
    title="RECOVAR",
    version="1.0.5",
    program="recovar",
    version_command=python_version_command("recovar"),
    # Any command loads jax and all of the package.
    self_test=("recovar", "compute_state", "--help"),
    requirements=Path(__file__).with_name("requirements.txt"),
)

_ON_CPU = Path(__file__).with_name("on_cpu.py")


def recovar_command(name: str, on_gpu: bool) -> list[str | Path]:
    """Return the first words of a command of RECOVAR; without a GPU its slices are put right (`on_cpu.py`)."""
    # Isolated, so that it does not import modules that lie beside the file.
    return ["recovar", name] if on_gpu else ["python", "-I", "-u", _ON_CPU, name]


def was_put_right(command_line: str) -> bool:
    """Tell whether a command line of `job.json` is of `recovar_command` without a GPU."""
    # The folder in front of its name may hold spaces.
    return f"/{_ON_CPU.name} " in command_line
