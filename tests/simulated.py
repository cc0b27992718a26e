"""A tiny simulated stack with one moving part, shared by the tests of methods, limits and scores."""

from pathlib import Path

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.settings import resolve_settings


def make_small_dataset(
    folder: Path,
    images: int = 600,
    box_px: int = 32,
    snr: float | None = 0.1,
    seed: int = 0,
    realism: Realism = Realism(),
) -> Path:
    """Make an igg-pseudo dataset of a few conformations and return its folder."""
    dataset = datasets.get("igg-pseudo")
    settings = resolve_settings(dataset, "small", images, box_px, snr, seed, conformations=8, realism=realism)
    make_dataset(dataset, settings, Sources(), folder)
    return folder
