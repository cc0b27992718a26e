"""Some particles: the raw image, its low-pass filtered view, and the noise-free projection of the truth."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.report.collect import DatasetFolder
from cryoarena.report.maps import low_pass, project
from cryoarena.report.packing import grey, png
from cryoarena.report.truth import Truth, with_true_map
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.mrc import read_volume

_SHOWN = 12
_IMAGE_PX = 128
_PROJECTED_PX = 96
_LOW_PASS_A = 20.0


@dataclass(frozen=True)
class GalleryItem:
    """Pictures (PNG data URIs; `truth` may be empty) and caption of one particle."""

    raw: str
    filtered: str
    truth: str
    title: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """The particles shown, with what their pictures have in common."""

    items: tuple[GalleryItem, ...]
    box_A: float
    box_px: int
    low_pass_A: float
    bright: bool


def make_gallery(dataset: DatasetFolder, truth: Truth, notes: list[str]) -> Gallery:
    """Picture particles spread evenly over the true conformations (or over the stack without truth).

    Raises:
        UserError: when the stack cannot be read.
    """
    particles = open_particles(dataset.path)
    rows, table = _choose(particles, truth)
    images = particles.images(rows)
    resolution = max(_LOW_PASS_A, 4 * particles.pixel_size_A)
    items = []
    for row, image in zip(rows, images, strict=True):
        known = table.get(int(particles.particle_id[row]))
        filtered = low_pass(image, particles.pixel_size_A, resolution)
        picture = ""
        if known is not None:
            try:
                picture = _truth_picture(dataset, truth, known, particles)
            except (UserError, OSError, ValueError, KeyError) as error:
                notes.append(f"No true projections are shown: {error}.")
                table = {}
        items.append(
            GalleryItem(
                _raw_picture(image),
                _raw_picture(filtered),
                picture,
                f"Particle {particles.particle_id[row]}",
                _caption(particles, int(row), truth, known),
            )
        )
    box_A = particles.box_px * particles.pixel_size_A
    return Gallery(tuple(items), box_A, particles.box_px, resolution, particles.contrast_sign > 0)


def _choose(particles: ParticleSet, truth: Truth) -> tuple[NDArray[np.int64], dict[int, dict[str, Any]]]:
    n = len(particles)
    if truth.particles is None:
        return np.unique(np.linspace(0, n - 1, min(n, _SHOWN)).astype(np.int64)), {}
    table = with_true_map(truth.particles, truth.conformations)
    known = np.flatnonzero(np.isin(particles.particle_id, table["particle_id"].to_numpy()))
    conformation_of = table.set_index("particle_id")["conformation"].to_dict()
    conformation = [conformation_of[identity] for identity in particles.particle_id[known]]
    order = known[np.argsort(conformation, kind="stable")]
    # The middles of equal stretches of the stack sorted by conformation.
    wanted = min(len(order), _SHOWN)
    rows = order[((np.arange(wanted) + 0.5) * len(order) / max(wanted, 1)).astype(np.int64)]
    chosen = table[table["particle_id"].isin(particles.particle_id[rows])]
    records = {int(record["particle_id"]): _named(record) for record in chosen.to_dict("records")}
    return rows.astype(np.int64), records


def _named(record: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in record.items()}


def _raw_picture(image: NDArray[np.float32]) -> str:
    factor = int(np.ceil(image.shape[0] / _IMAGE_PX))
    side = image.shape[0] // factor
    binned = image[: side * factor, : side * factor].reshape(side, factor, side, factor).mean(axis=(1, 3))
    low, high = np.percentile(binned, [0.5, 99.5])
    return png(grey(binned, float(low), float(high)))


def _truth_picture(dataset: DatasetFolder, truth: Truth, known: dict[str, Any], particles: ParticleSet) -> str:
    if truth.conformations is None:
        raise UserError("truth/conformations.parquet is missing")
    table = truth.conformations.set_index("conformation")
    name = str(table.loc[known["conformation"], "volume"])
    if not name or "rotation_object_to_image_00" not in known:
        return ""  # not every conformation has a map, and nobody knows the poses of recorded images
    path = dataset.path / "truth" / "volumes" / name
    volume, pixel_size_A = read_volume(path)
    small = fourier_crop_volume(volume, min(volume.shape[0], _PROJECTED_PX))
    pixel_size_A *= volume.shape[0] / small.shape[0]
    rotation = np.asarray([[known[f"rotation_object_to_image_{i}{j}"] for j in range(3)] for i in range(3)], np.float64)
    shift = np.asarray([known["shift_x_A"], known["shift_y_A"]], np.float64) / pixel_size_A
    image = project(small, rotation, shift) * (1 if particles.contrast_sign > 0 else -1)
    return png(grey(image, float(image.min()), float(image.max())))


def _caption(particles: ParticleSet, row: int, truth: Truth, known: dict[str, Any] | None) -> str:
    parts = []
    if particles.ctf is not None:
        mean_A = (particles.ctf.defocus_u_A[row] + particles.ctf.defocus_v_A[row]) / 2
        parts.append(f"defocus {mean_A / 1e4:.2f} µm")
    if known is not None:
        parts.append(f"conformation {known['conformation']}")
        if described := truth.describe(known):
            parts.append(described)
    return " · ".join(parts)
