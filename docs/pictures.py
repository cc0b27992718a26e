"""Draw the pictures of the dataset pages: python docs/pictures.py DATASET_FOLDER [STRUCTURE]

DATASET_FOLDER is an igg-1d dataset (any preset); STRUCTURE is 1HZH where the mirror does not have it.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from cryoarena.datasets.base import datasets
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import Given, locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.structures.atoms import read_atoms

COLOURS = {"H": "#1b6ca8", "L": "#67b7e1", "K": "#b5482a", "M": "#f0a36b", "A": "#555555", "B": "#555555"}
IMAGES = Path(__file__).parent / "images"


def draw_structures(structure: Path | None) -> None:
    """Draw the backbone of the 100 conformations of IgG-1D along its thinnest direction."""
    dataset = datasets.get("igg-1d")
    sources = locate_all(dataset, given=Given(structure=structure))
    atoms = read_atoms(sources["1hzh.pdb"])
    ensemble = dataset.build(resolve_settings(dataset, "paper"), sources, dataset.options())
    shown = (atoms.atom_name == "CA") | np.isin(atoms.chain, ["A", "B"])
    first = ensemble.specimen.positions_A[0][shown]
    axes = np.linalg.svd(first - first.mean(axis=0), full_matrices=False)[2]
    colours = [COLOURS[chain] for chain in atoms.chain[shown]]
    figure, panels = plt.subplots(10, 10, figsize=(15, 15.6))
    for panel, position_A, angle in zip(
        panels.flat, ensemble.specimen.positions_A, ensemble.cvs["psi_H230"], strict=True
    ):
        x, y, _ = (position_A[shown] @ axes.T).T
        panel.scatter(x, y, s=1.0, c=colours, linewidths=0)
        panel.set(xlim=(-105, 105), ylim=(-105, 105), aspect="equal", xticks=[], yticks=[])
        panel.set_title(f"{angle:.1f}°", fontsize=8, pad=2)
    figure.tight_layout(pad=0.3)
    figure.savefig(IMAGES / "igg_1d_structures.png", dpi=60)
    plt.close(figure)


def draw_maps_and_images(folder: Path) -> None:
    """Draw ten true maps (projected) and twelve images of a dataset."""
    truth, particles = open_truth(folder), open_particles(folder)
    figure, panels = plt.subplots(1, 10, figsize=(15, 1.9))
    count = len(truth.volume_names)
    name, values = next(iter(truth.cvs.items()))
    for panel, conformation in zip(panels, np.linspace(0, count, 10, endpoint=False).astype(int), strict=True):
        panel.imshow(truth.volume(int(conformation)).sum(axis=1), cmap="magma", origin="lower")
        panel.set_title(f"{values[conformation]:.0f}°", fontsize=9)
        panel.axis("off")
    figure.suptitle(f"true maps along {name}", fontsize=9, y=0.04)
    figure.tight_layout(pad=0.3)
    figure.savefig(IMAGES / f"{truth.info['name'].replace('-', '_')}_maps.png", dpi=70)
    plt.close(figure)
    figure, panels = plt.subplots(2, 6, figsize=(12, 4.1))
    for panel, image in zip(panels.flat, particles.images(np.arange(12)), strict=True):
        panel.imshow(image, cmap="gray", origin="lower")
        panel.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(IMAGES / f"{truth.info['name'].replace('-', '_')}_images.png", dpi=60)
    plt.close(figure)


if __name__ == "__main__":
    draw_structures(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    draw_maps_and_images(Path(sys.argv[1]))
