"""The documentation is built without a warning, and has a page for everything that is registered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cryoarena.datasets.base import datasets
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics

_ROOT = Path(__file__).parents[2]
# Of the theme and of a plug-in, about versions to come of programs that are pinned here.
_QUIET = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    built = subprocess.run(command, cwd=_ROOT, env=os.environ | _QUIET, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for kind, registry in (("datasets", datasets), ("methods", methods), ("metrics", metrics)):
        for name, entry in registry.all().items():
            page = (tmp_path / "site" / kind / name / "index.html").read_text()
            assert entry.card.citation.split(",")[0].split("&")[0] in page.replace("&amp;", "&"), name
    assert "volumes_at" in (tmp_path / "site" / "api" / "methods" / "index.html").read_text()
