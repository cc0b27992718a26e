"""What ManifoldEM is."""

from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

MANIFOLDEM = Tool(
    name="manifoldem",
    title="ManifoldEM",
    version="0.3.1",
    program="manifold-cli",
    version_command=python_version_command("ManifoldEM"),
    self_test=("python", "-c", "import ManifoldEM.psi_analysis, ManifoldEM.trajectory, ManifoldEM.interfaces.cli"),
    requirements=Path(__file__).with_name("requirements.txt"),
)
