"""`python -m cryoarena.cli` is the `cryoarena` command."""

from cryoarena.cli.main import app

app(prog_name="cryoarena")
