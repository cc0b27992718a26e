"""Turn the published files of a CryoBench set into a dataset folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from cryoarena.datasets.base import CollectiveVariable
from cryoarena.datasets.cryobench_layout import Maps, Stack, Tables, find_maps, find_stacks, find_tables, open_volume
from cryoarena.datasets.igg_1d import Igg1d
from cryoarena.datasets.image_agreement import Agreement, measure_agreement
from cryoarena.datasets.mixture import SIZE_RANK
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, read_json, require_free_space, write_json
from cryoarena.particles.cryodrgn import read_cryodrgn_ctf, read_cryodrgn_poses
from cryoarena.particles.dataset_folder import write_tables
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter, open_stack
from cryoarena.progress import progress_bar
from cryoarena.volumes.mask import MaskBuilder
from cryoarena.volumes.mrc import read_volume, write_volume
from cryoarena.volumes.voxel_embedding import voxel_embedding

_BATCH = 500
_CHECKED_CONFORMATIONS, _CHECKED_IMAGES = 20, 300


@dataclass(frozen=True)
class Converted:
    """What was made: the particles as they are in the folder, K, the CVs, the scale of the images and notes."""

    particles: ParticleSet
    conformations: int
    cvs: tuple[CollectiveVariable, ...]
    agreement: Agreement
    notes: tuple[str, ...]


def convert(published: Path, out: Path, base: str) -> Converted:
    """Write the stacks, tables and truth of a dataset folder; every published stack goes when it is converted.

    Images are scaled by one factor to noise of unit variance and bright protein, and true maps to match. An
    interrupted conversion goes on.

    Args:
        published: folder of the published files.
        out: dataset folder.
        base: our dataset of the same kind, e.g. "igg-1d".

    Raises:
        UserError: when a file is missing, ambiguous or does not go with the others.
    """
    plan = published.with_name("plan.json")
    known = read_json(plan) if plan.exists() else None
    stacks = tuple(Stack(**stack) for stack in known["stacks"]) if known else find_stacks(published)
    box_px = int(known["box_px"] if known else open_stack(published / stacks[0].name).shape[1])
    n = sum(stack.images for stack in stacks)
    tables, maps = find_tables(published, n), find_maps(published, box_px)
    conformation, label_note = _conformations(tables, maps, stacks, base)
    particles, pixel_note = _particles(published, stacks, tables, maps, box_px)
    if known:
        agreement = Agreement(**known["agreement"])
    else:
        agreement = _agreement(particles, maps, conformation)
        write_json(
            plan,
            {"stacks": [asdict(stack) for stack in stacks], "box_px": box_px, "agreement": asdict(agreement)},
        )
    particles = _write_stacks(particles, stacks, 1 / np.copysign(agreement.noise_sigma, agreement.gain), out)
    k = len(maps.true) or int(conformation.max()) + 1
    variables = _variables(base, tables, conformation, maps, k)
    _write_truth(out, particles, conformation, maps, variables, agreement, k)
    write_tables(out, particles)
    notes = (
        f"The published images, times one factor: their noise (standard deviation {agreement.noise_sigma:.4g}) has "
        f"unit variance and protein is bright; as published it is {'bright' if agreement.gain > 0 else 'dark'}.",
        "Stacks are in the published order, which is that of the conformations: the place of an image tells its label.",
        *(note for note in (label_note, pixel_note) if note),
    )
    return Converted(particles, k, tuple(variables), agreement, notes)


def _conformations(tables: Tables, maps: Maps, stacks: Sequence[Stack], base: str) -> tuple[NDArray[np.int64], str]:
    """Return the conformation (N,) of every image, and a note where it is not published as such."""
    if tables.labels is not None:
        labels = tables.labels
        if maps.true and labels.max() >= len(maps.true):
            raise UserError(f"the published labels go up to {labels.max()} but there are {len(maps.true)} true maps")
        return labels, ""
    if maps.true and len(stacks) == len(maps.true):
        index = np.arange(len(stacks))
        return np.repeat(
            index, [stack.images for stack in stacks]
        ), "A stack is a conformation: no labels are published."
    if not maps.true and tables.latents is not None:
        return np.arange(len(tables.latents)), "Every image is a conformation of its own; true maps are not published."
    raise UserError(
        f"{base}: the published files hold no labels, {len(maps.true)} true maps for {len(stacks)} stacks, and "
        f"{'no' if tables.latents is None else 'some'} latents: the conformation of an image cannot be told"
    )


def _particles(
    published: Path, stacks: Sequence[Stack], tables: Tables, maps: Maps, box_px: int
) -> tuple[ParticleSet, str]:
    """Return the particles in their published stacks, with contrast +1 until it is measured, and a note."""
    parameters, table_box_px, table_pixel_size_A = read_cryodrgn_ctf(tables.ctf)
    # The table is for the box before Fourier cropping, which keeps the field of view.
    pixel_size_A = table_box_px * table_pixel_size_A / box_px
    note = ""
    if maps.true and (of_map := _stated_pixel_size_A(maps.true[0])) is not None:
        if not np.isclose(of_map, pixel_size_A, rtol=1e-3, atol=0):
            note = (
                f"Pixels are {of_map:g} Å, as in the true maps; by the table of CTFs they would be {pixel_size_A:g} Å."
            )
        pixel_size_A = of_map
    n = sum(stack.images for stack in stacks)
    counts = np.array([stack.images for stack in stacks])
    first = np.repeat(np.cumsum(counts) - counts, counts)
    particles = ParticleSet(
        particle_id=np.arange(1, n + 1),
        box_px=box_px,
        pixel_size_A=pixel_size_A,
        contrast_sign=1,
        stack_files=tuple(published / stack.name for stack in stacks),
        stack_index=np.repeat(np.arange(len(stacks)), counts),
        slice_index=np.arange(n) - first,
        poses=read_cryodrgn_poses(tables.poses, box_px, pixel_size_A),
        ctf=parameters,
        half_set=RandomStreams(0).generator("half-set").permutation(np.arange(n) % 2),
    )
    return particles, note


def _stated_pixel_size_A(path: Path) -> float | None:
    """Return the pixel size in the header of a map, or None where a program left its default of 1 or 0."""
    try:
        pixel_size_A = read_volume(path)[1]
    except UserError:
        return None
    return None if abs(pixel_size_A - 1) < 1e-3 else pixel_size_A


def _agreement(particles: ParticleSet, maps: Maps, conformation: NDArray[np.int64]) -> Agreement:
    if not maps.true:
        if maps.consensus is None:
            raise UserError(
                "the published files hold neither true maps nor a map of all images to tell the contrast by"
            )
        consensus = open_volume(maps.consensus)
        rows = np.unique(np.linspace(0, len(particles) - 1, _CHECKED_IMAGES).astype(np.int64))
        return measure_agreement(particles, lambda _: consensus, np.zeros_like(conformation), rows)
    present = np.unique(conformation)
    chosen = present[np.unique(np.linspace(0, len(present) - 1, _CHECKED_CONFORMATIONS).astype(np.int64))]
    each = _CHECKED_IMAGES // len(chosen)
    rows = np.concatenate([np.flatnonzero(conformation == number)[:each] for number in chosen])
    return measure_agreement(particles, lambda number: open_volume(maps.true[number]), conformation, rows)


def _write_stacks(particles: ParticleSet, stacks: Sequence[Stack], factor: float, out: Path) -> ParticleSet:
    """Write the images times `factor` and delete each published stack when its twin is whole."""
    written = tuple(out / "particles" / f"{number:04d}.mrcs" for number in range(len(stacks)))
    require_free_space(out, 4 * particles.box_px**2 * max(stack.images for stack in stacks))
    with progress_bar("Converting images") as report:
        for number, (stack, source, path) in enumerate(zip(stacks, particles.stack_files, written, strict=True)):
            if not path.exists():
                images = open_stack(source, particles.box_px)
                with StackWriter(path, stack.images, particles.box_px, particles.pixel_size_A) as writer:
                    for start in range(0, stack.images, _BATCH):
                        writer.append(np.asarray(images[start : start + _BATCH] * np.float32(factor), np.float32))
            source.unlink(missing_ok=True)
            report(number + 1, len(stacks))
    return ParticleSet(**{**vars(particles), "stack_files": written})


def _variables(
    base: str, tables: Tables, conformation: NDArray[np.int64], maps: Maps, k: int
) -> dict[CollectiveVariable, NDArray[np.float64]]:
    """Return the collective variables (K,) that are published or follow from what is."""
    if base == "igg-1d":
        return {Igg1d.card.cvs[0]: 360.0 * np.arange(k) / k}
    if base in ("ribosembly", "tomotwin-100") and maps.true:
        # The integral of the density is as the mass.
        return {SIZE_RANK: rankdata([float(open_volume(path).sum(dtype=np.float64)) for path in maps.true])}
    if tables.latents is None:
        return {}
    first = np.zeros(k, np.int64)
    first[conformation[::-1]] = np.arange(len(conformation))[::-1]
    values = tables.latents[first]
    if not np.allclose(values[conformation], tables.latents):
        return {}
    return {
        CollectiveVariable(f"latent{number + 1}", "", None, "as published"): column
        for number, column in enumerate(values.T)
    }


def _write_truth(
    out: Path,
    particles: ParticleSet,
    conformation: NDArray[np.int64],
    maps: Maps,
    variables: dict[CollectiveVariable, NDArray[np.float64]],
    agreement: Agreement,
    k: int,
) -> None:
    truth, pixel_size_A = out / "truth", particles.pixel_size_A
    names = [f"{number:04d}.mrc" for number in range(len(maps.true))]
    scale = np.float32(abs(agreement.gain) / agreement.noise_sigma)
    masks = MaskBuilder(particles.box_px, pixel_size_A)
    for name, path in zip(names, maps.true, strict=True):
        volume = open_volume(path) * scale
        write_volume(truth / "volumes" / name, volume, pixel_size_A)
        masks.add(volume)
    if maps.true:
        mask = masks.whole() if maps.mask is None else open_volume(maps.mask)
        write_volume(truth / "mask.mrc", mask, pixel_size_A)
        write_volume(truth / "mask_moving.mrc", masks.moving(), pixel_size_A)
        in_density = (read_volume(truth / "volumes" / name)[0] / (scale * np.float32(pixel_size_A)) for name in names)
        with atomic_path(truth / "voxel_embedding.npy") as temporary, temporary.open("wb") as stream:
            np.save(stream, voxel_embedding(in_density, mask))
    cvs = {f"cv_{variable.name}": values for variable, values in variables.items()}
    _write_parquet(
        truth / "conformations.parquet",
        {
            "conformation": np.arange(k),
            **cvs,
            "population": np.bincount(conformation, minlength=k) / len(conformation),
            "volume": names or [""] * k,
        },
    )
    if particles.poses is None:
        raise ValueError("poses are published with every set")
    rotation = particles.poses.rotation_object_to_image
    _write_parquet(
        truth / "particles.parquet",
        {
            "particle_id": particles.particle_id,
            "conformation": conformation,
            **{name: values[conformation] for name, values in cvs.items()},
            **{f"rotation_object_to_image_{i}{j}": rotation[:, i, j] for i in range(3) for j in range(3)},
            "shift_x_A": particles.poses.shift_A[:, 0],
            "shift_y_A": particles.poses.shift_A[:, 1],
        },
    )


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)
