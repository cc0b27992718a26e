"""The fabricated bench that the tests of the report share."""

from pathlib import Path

import pytest
from report_bench import write_bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bench(tmp_path_factory.mktemp("bench"))
