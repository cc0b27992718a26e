"""The dataset that methods and metrics are tried on."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings

_IMAGES, _BOX_PX, _CONFORMATIONS, _SNR = 400, 24, 8, 0.2


def make_tiny_dataset(folder: Path) -> Path:
    """Make 400 images of 24 px of an arm that turns, and return the folder."""
    dataset = datasets.get("igg-pseudo")
    settings = resolve_settings(dataset, "small", _IMAGES, _BOX_PX, _SNR, conformations=_CONFORMATIONS)
    with redirect_stderr(StringIO()):
        make_dataset(dataset, settings, Sources(), folder)
    return folder
