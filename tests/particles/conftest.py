import pytest

from random_particles import make_particles


@pytest.fixture
def particles(tmp_path):
    """Return seven random particles in two stacks under tmp_path."""
    return make_particles(tmp_path)
