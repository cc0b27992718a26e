"""Fixtures of the tests of volume metrics."""

import numpy as np
import pytest

from turning_arm import eight_conformations, masks_of


@pytest.fixture(scope="session")
def truths() -> list[np.ndarray]:
    return eight_conformations()


@pytest.fixture(scope="session")
def masks(truths) -> dict[str, np.ndarray | None]:
    return masks_of(truths)
