"""Draw the picture of docs/realism.md: python docs/realism_picture.py OUT.png

The same particle of IgG-1D under every dial that changes images, and what the other dials change. $CRYOARENA_MIRROR
must hold the model.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scipy.spatial.transform import Rotation

from cryoarena.datasets.base import datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import Given, locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.particles.dataset_folder import open_particles

PARTICLE = 1
IMAGES = 8
COLOURS = 160
# Of eight images all but one.
ALMOST_ALL = 0.875
# Far above that of the dataset, so that one image shows something.
SNR = 0.5
SHOWN: dict[str, dict[str, Any]] = {
    "all dials off": {},
    "noise=carbon": {"noise": "carbon"},
    "dose_e_per_A2=40 dose_contrast=0.05": {"dose_e_per_A2": 40.0, "dose_contrast": 0.05},
    "solvent=0.8 solvent_b_A2=2000": {"solvent": 0.8, "solvent_b_A2": 2000.0},
    "ice_nm=1000 (far too thick)": {"ice_nm": 1000.0},
    "beam_tilt_mrad=20 (far too much)": {"beam_tilt_mrad": 20.0},
    "incomplete=0.875": {"incomplete": ALMOST_ALL},
    "neighbours=1": {"neighbours": 1.0},
    "junk_off_centre=0.875": {"junk_off_centre": ALMOST_ALL},
    "junk_aggregate=0.875": {"junk_aggregate": ALMOST_ALL},
    "junk_noise=0.875": {"junk_noise": ALMOST_ALL},
}


def made(folder: Path, dials: dict[str, Any], images: int = IMAGES, box_px: int = 128) -> Path:
    """Make a dataset of eight conformations in a new folder and return it."""
    dataset = datasets.get("igg-1d")
    snr = None if "dose_e_per_A2" in dials else SNR
    settings = resolve_settings(dataset, "small", images, box_px, snr, conformations=8, realism=Realism(**dials))
    make_dataset(dataset, settings, locate_all(dataset, "small", Given()), folder)
    return folder


def draw_views(panel: Axes, folder: Path) -> None:
    """Draw the view directions, coloured by conformation, in an equal-area map of the sphere."""
    truth = open_truth(folder)
    assert truth.poses is not None
    x, y, z = truth.poses.rotation_object_to_image[:, 2].T
    panel.scatter(np.arctan2(y, x), np.arcsin(z), c=truth.conformation, s=4, cmap="twilight")
    panel.set_xticks([])
    panel.set_yticks([])


def draw(out: Path, work: Path) -> None:
    """Make the datasets below `work` and draw the picture."""
    figure = plt.figure(figsize=(13, 10.5), dpi=70)
    for number, (title, dials) in enumerate(SHOWN.items()):
        folder = made(work / f"{number}", dials)
        panel = figure.add_subplot(4, 4, number + 1)
        image = open_particles(folder).images(np.array([PARTICLE]))[0]
        panel.imshow(image, cmap="gray", vmin=-6, vmax=14, origin="lower")
        panel.set_title(title, fontsize=10)
        panel.axis("off")

    given = made(work / "given", {"pose_error_deg": 5.0, "shift_error_A": 3.0, "defocus_error_A": 500.0}, 600, 16)
    truth, particles = open_truth(given), open_particles(given)
    assert truth.poses is not None
    assert truth.defocus is not None
    assert particles.poses is not None
    assert particles.ctf is not None
    turn = particles.poses.rotation_object_to_image @ truth.poses.rotation_object_to_image.transpose(0, 2, 1)
    panel = figure.add_subplot(4, 4, 12)
    panel.hist(np.rad2deg(Rotation.from_matrix(turn).magnitude()), 30, color="#0072b2")
    panel.set_title("pose_error_deg=5: angle between given\nand true pose (°)", fontsize=10)
    panel = figure.add_subplot(4, 4, 13)
    panel.hist(particles.ctf.defocus_u_A - truth.defocus.defocus_u_A, 30, color="#0072b2")
    panel.set_title("defocus_error_A=500: given - true (Å)", fontsize=10)
    panel = figure.add_subplot(4, 4, 14, projection="mollweide")
    draw_views(panel, made(work / "views", {"view_kappa": 10.0, "view_axes": 2}, 600, 16))
    panel.set_title("view_kappa=10 view_axes=2", fontsize=10)
    panel = figure.add_subplot(4, 4, 15, projection="mollweide")
    draw_views(panel, made(work / "entangled", {"entanglement": 0.9}, 600, 16))
    panel.set_title("entanglement=0.9 (colour: conformation)", fontsize=10)
    panel = figure.add_subplot(4, 4, 16)
    folder = made(work / "populations", {"populations": "geometric:0.6"}, 600, 16)
    counts = pd.read_parquet(folder / "truth" / "particles.parquet")["conformation"].value_counts().sort_index()
    panel.bar(counts.index, counts, color="#0072b2")
    panel.set_title("populations=geometric:0.6: particles", fontsize=10)
    figure.tight_layout()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # A picture of noise hardly compresses.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(COLOURS).save(out, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        draw(Path(sys.argv[1]), Path(work))
