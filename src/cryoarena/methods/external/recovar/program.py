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
