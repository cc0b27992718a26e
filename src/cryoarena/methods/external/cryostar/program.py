"""What CryoSTAR is."""

from pathlib import Path

from cryoarena.methods.external.tool import Tool, python_version_command

SCRIPT = Path(__file__).with_name("run_project.py")

CRYOSTAR = Tool(
    name="cryostar",
    title="CryoSTAR",
    version="0.1.0",
    program="cstar_show_mrc_info",
    version_command=python_version_command("cryostar"),
    self_test=("python", str(SCRIPT)),
    requirements=Path(__file__).with_name("requirements.txt"),
)
