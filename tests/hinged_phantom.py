"""A dataset of two rigid bodies joined by a hinge: a block, and an arm that swings about it."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from cryoarena.datasets.base import CollectiveVariable, Dataset, DatasetCard, Ensemble, NoOptions, Settings, Sources
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.turned_body import TurnedBody
from cryoarena.structures.density import gaussian_model

HINGE_A = np.array([4.0, -3.0, 2.0])
AXES = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
SWING_DEG = 20.0


def block_and_arm_A():
    """Return the atoms of the block (m, 3), and of the arm (n, 3) in the middle of its swing."""
    rng = np.random.default_rng(3)
    block = rng.uniform([-46, -24, -18], [-2, 24, 18], (260, 3))
    # Neither has a symmetry by which it could be turned.
    block = block[~((block[:, 1] > 4) & (block[:, 0] < -24))]
    arm = rng.uniform([8, -10, -8], [54, 10, 8], (130, 3))
    crook = rng.uniform([38, 10, -8], [54, 24, 16], (50, 3))
    return block, np.concatenate([arm, crook])


class HingedPhantom(Dataset[NoOptions]):
    """An arm that swings by ±20° in one plane."""

    card = DatasetCard(
        name="hinged-phantom",
        title="Hinged phantom",
        kind="conformational, continuous, one dimension",
        summary="Two rigid bodies, one of which swings about a hinge.",
        citation="none",
        licence="BSD-3-Clause",
        sources=(),
        cvs=(CollectiveVariable("swing", "deg", None, "angle of the arm"),),
    )
    options = NoOptions
    presets: ClassVar[dict[str, Settings]] = {}

    def build(self, settings: Settings, sources: Sources, options: NoOptions) -> Ensemble:
        """Swing the arm in equal steps."""
        swing_deg = np.linspace(-SWING_DEG, SWING_DEG, settings.conformations)
        block, arm = (atoms.astype(np.float32) for atoms in block_and_arm_A())
        specimen = TurnedBody(
            block,
            arm,
            HINGE_A,
            AXES,
            np.stack([swing_deg, np.zeros_like(swing_deg)], axis=1),
            gaussian_model(np.full(len(block) + len(arm), 7), settings.resolution_A),
        )
        population = np.full(len(swing_deg), 1 / len(swing_deg))
        return Ensemble(specimen, {"swing": swing_deg}, population, rigid_bodies=specimen.rigid_bodies())


def make_hinged_dataset(folder: Path, images: int = 300, box_px: int = 32, snr: float = 1.0) -> Path:
    """Make the dataset and return its folder."""
    settings = Settings(
        preset="test",
        images=images,
        conformations=9,
        box_px=box_px,
        source_box_px=2 * box_px,
        source_pixel_size_A=160 / (2 * box_px),
        snr=snr,
        max_shift_px=2.0,
        resolution_A=8.0,
    )
    make_dataset(HingedPhantom(), settings, Sources(), folder)
    return folder
