"""Draw the picture of a dataset page: python docs/dataset_page_picture.py DATASET_FOLDER OUT.png [x|y|z]

Ten true maps spread over the conformations, where they lie in the collective variables, and twelve images, as they
are and low-passed. Maps are projected along the axis named, else along that which shows the greatest change.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray
from PIL import Image

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.imaging.spectrum import crop, origin_phase, to_images
from cryoarena.particles.dataset_folder import open_particles

BLUE, ORANGE = "#0072b2", "#d55e00"
LOW_PASS_PX = 24
MANY = 300
# A picture of noise hardly compresses: this keeps it below 300 kB.
DPI = 80
COLOURS = 256


def draw(folder: Path, out: Path, along: str | None = None) -> None:
    """Draw the picture of a dataset folder into a PNG file."""
    truth = open_truth(folder)
    shown = spread(truth)
    figure = plt.figure(figsize=(13, 7.2))
    grid = GridSpec(1, 10, figure, left=0.005, right=0.995, top=0.95, bottom=0.77, wspace=0.03)
    inside = around(truth.masks()["mask"])
    volumes = [truth.volume(int(conformation))[inside] for conformation in shown]
    axis = busiest_axis(volumes) if along is None else "zyx".index(along)
    brightest = max(float(volume.sum(axis=axis).max()) for volume in volumes)
    for number, (cell, volume) in enumerate(zip(grid, volumes, strict=False), start=1):
        panel = figure.add_subplot(cell)
        panel.imshow(volume.sum(axis=axis), cmap="magma", origin="lower", vmin=0, vmax=brightest)
        panel.set_title(str(number), fontsize=9, pad=2)
        panel.axis("off")
    polar = truth.is_continuous and len(truth.cvs) == 1 and next(iter(truth.periods.values())) is not None
    where = GridSpec(1, 1, figure, left=0.06, right=0.37, top=0.66, bottom=0.09)[0]
    draw_conformations(figure.add_subplot(where, projection="polar" if polar else None), truth, shown, polar)

    images = open_particles(folder).images(np.arange(12))
    spectra = (np.fft.rfft2(images) * origin_phase(images.shape[-1])).astype(np.complex64)
    low_passed = to_images(crop(spectra, LOW_PASS_PX))
    for stack, interpolation, top, bottom, title in (
        (images, "nearest", 0.70, 0.39, "twelve images"),
        (low_passed, "bicubic", 0.35, 0.04, f"the same, cropped to {LOW_PASS_PX} px in Fourier space"),
    ):
        cells = GridSpec(2, 6, figure, left=0.42, right=0.995, top=top, bottom=bottom, wspace=0.02, hspace=0.02)
        figure.text(0.42, top + 0.01, title, fontsize=10)
        for cell, image in zip(cells, stack, strict=True):
            panel = figure.add_subplot(cell)
            panel.imshow(image, cmap="gray", origin="lower", aspect="auto", interpolation=interpolation)
            panel.axis("off")
    figure.text(0.005, 0.975, f"{truth.info['card']['title']}: true maps, projected along {'zyx'[axis]}", fontsize=11)
    figure.savefig(out, dpi=DPI)
    with Image.open(out) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(out, optimize=True)
    print(f"{out}: {out.stat().st_size // 1000} kB")


def spread(truth: Truth) -> NDArray[np.int64]:
    """Return ten of the conformations that have a map, evenly along the only CV or their numbers; all if fewer."""
    mapped = truth.mapped
    if truth.is_continuous and len(truth.cvs) == 1:
        mapped = mapped[np.argsort(next(iter(truth.cvs.values()))[mapped], kind="stable")]
    # A circle has no last one.
    circular = truth.is_continuous and any(period is not None for period in truth.periods.values())
    return mapped[np.unique(np.linspace(0, len(mapped) - (not circular), 10, endpoint=not circular).astype(int))]


def around(mask: NDArray[np.float32]) -> tuple[slice, slice, slice]:
    """Return the cube about the middle of a map that holds what a mask keeps."""
    half = len(mask) // 2
    reach = min(int(np.abs(np.argwhere(mask > 0.5) - half).max()) + 1, half)
    side = slice(half - reach, half + reach)
    return side, side, side


def busiest_axis(volumes: list[NDArray[np.float32]]) -> int:
    """Return the axis along which the projections of some maps differ most."""
    changes = [float(np.stack([volume.sum(axis=axis) for volume in volumes]).var(axis=0).sum()) for axis in range(3)]
    return int(np.argmax(changes))


def draw_conformations(panel: Axes, truth: Truth, shown: NDArray[np.int64], polar: bool) -> None:
    """Draw populations over the first one or two CVs, or of every state; the shown conformations are numbered."""
    infos = truth.info["cvs"]
    labels = [f"{info['name']} ({info['unit']})" if info["unit"] else info["name"] for info in infos]
    values = list(truth.cvs.values())
    numbers = [str(number) for number in range(1, len(shown) + 1)]
    if not truth.is_continuous and truth.states is None:
        panel.bar(np.arange(len(truth.population)), truth.population, color=BLUE)
        panel.set(xlabel="state", ylabel="population")
        points = np.stack([shown, truth.population[shown]], axis=1)
    elif polar:
        turn = 2 * np.pi * values[0] / infos[0]["period"]
        # Bins start a little before round angles, which equal steps fall on.
        share, edges = np.histogram((turn + 1e-6) % (2 * np.pi), 20, (0, 2 * np.pi), weights=truth.population)
        panel.bar(edges[:-1], share, np.diff(edges), align="edge", color=BLUE, alpha=0.5, edgecolor="white")
        panel.set_title(f"population over {labels[0]}", fontsize=10)
        panel.set_yticks([])
        points = np.stack([turn[shown], np.full(len(shown), 0.8 * share.max())], axis=1)
    elif len(values) == 1:
        share, edges = np.histogram(values[0], 30, weights=truth.population)
        panel.bar(edges[:-1], share, np.diff(edges), align="edge", color=BLUE, alpha=0.6)
        panel.set(xlabel=labels[0], ylabel="population")
        points = np.stack([values[0][shown], np.full(len(shown), 0.05 * share.max())], axis=1)
    else:
        if len(values[0]) > MANY:
            panel.hist2d(values[0], values[1], 60, weights=truth.population, cmap="Blues")
        else:
            panel.scatter(values[0], values[1], 14, color=BLUE, linewidths=0)
        panel.set(xlabel=labels[0], ylabel=labels[1])
        points = np.stack([values[0][shown], values[1][shown]], axis=1)
    panel.scatter(*points.T, 22, color=ORANGE, zorder=3)
    for point, number in zip(points, numbers, strict=True):
        panel.annotate(number, point, (3, 3), textcoords="offset points", color=ORANGE, fontsize=10, zorder=4)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
