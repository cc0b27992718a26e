"""A tiny simulated stack with one moving part, shared by the tests of methods, limits and scores."""

from dataclasses import replace
from pathlib import Path

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings


def make_small_dataset(folder: Path, images: int = 600, box_px: int = 32, snr: float = 0.1, seed: int = 0) -> Path:
    """Make an igg-pseudo dataset of a few conformations and return its folder."""
    dataset = datasets.get("igg-pseudo")
    settings = replace(resolve_settings(dataset, "small", images, box_px, snr, seed), conformations=8)
    make_dataset(dataset, settings, Sources(), folder)
    return folder
