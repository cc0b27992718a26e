"""Truth and reconstructions as small maps for the 3-D viewers, and their projections as pictures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.report.collect import Group, ResultFolder
from cryoarena.report.map_series import latent_steps
from cryoarena.report.maps import enclosing_level, shrink, truth_level
from cryoarena.report.packing import grey, pack, png
from cryoarena.report.truth import Truth
from cryoarena.volumes.mrc import read_volume

LEVEL = 80  # the byte that stands for the default surface level; 255 is 3.2 times that
_FLOOR = 16  # weaker density is made constant: it compresses to nothing and no surface is drawn there
_MAX_CONFORMATIONS = 24
_MAX_SIDE_PX = 64
_BLIND_FRACTION = 0.02  # of the box that a molecule fills where no truth tells
# Of all maps together; 14 million are about 8 MB of page.
_VOXELS_OF_DATASET, _VOXELS_OF_PAGE = 14_000_000, 35_000_000


@dataclass
class _Store:
    """Packed maps and pictures, each kept once (a consensus map is the same for every conformation)."""

    maps: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    seen: dict[bytes, int] = field(default_factory=dict)

    def add(self, voxels: NDArray[np.uint8], picture: NDArray[np.uint8]) -> int:
        key = voxels.tobytes() + picture.tobytes()
        if key not in self.seen:
            self.seen[key] = len(self.maps)
            self.maps.append(pack(voxels))
            self.pictures.append(png(picture))
        return self.seen[key]


@dataclass(frozen=True)
class _Frame:
    """The part of the box that is shown, its largest side once reduced, and how much of it a molecule fills."""

    crop: tuple[slice, slice, slice]
    side_px: int
    fraction: float


def volumes_payload(group: Group, truth: Truth, notes: list[str], parts: int = 1) -> dict[str, Any] | None:
    """Return what the 3-D viewers need, or None when there is no map at all.

    The slider goes along the true conformations, or along the maps that one method offers of itself.

    Args:
        group: dataset and results.
        truth: of the dataset.
        notes: told what is missing.
        parts: datasets that share the page, and so its size.
    """
    truth_files = _truth_files(group, truth, notes)
    compared = {result.label: compared_maps(result) for result in group.results if result.status == "ok"}
    for name, files in compared.items():
        if not files:
            notes.append(f"{name} has no maps to show; `cryoarena score` writes comparison/conformation_XXXX.mrc.")
    shown = sorted({number for files in compared.values() for number in files} or truth_files)
    if not shown:
        return None
    if len(shown) > _MAX_CONFORMATIONS:
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, _MAX_CONFORMATIONS).astype(int)]
    results = [result for result in group.results if compared.get(result.label)]
    offered = {result.label: latent_steps(result, truth, notes) for result in results}
    nearest = {step.conformation for steps in offered.values() for step in steps if step.conformation is not None}
    true = [number for number in sorted(nearest | set(shown)) if number in truth_files]
    n_maps = len(true) + len(shown) * len(results) + sum(map(len, offered.values()))
    budget = min(_VOXELS_OF_DATASET, _VOXELS_OF_PAGE // parts)
    frame = _frame([truth_files[number] for number in true], n_maps, budget)
    store = _Store()
    placed: dict[Path, int] = {}
    geometry: dict[str, Any] = {}

    def add(row: list[Path | None]) -> list[int | None]:
        maps: list[int | None] = []
        for column, file in enumerate(row):
            try:
                if file is not None and file not in placed:
                    placed[file] = _add(store, file, frame, geometry, is_truth=column == 0)
                maps.append(None if file is None else placed[file])
            except (UserError, OSError, ValueError) as error:
                notes.append(f"A map is left out: {error}.")
                maps.append(None)
        return maps

    conformations = [
        {
            "title": f"Conformation {conformation}",
            "caption": _cv_text(truth, conformation),
            "maps": add([truth_files.get(conformation), *(compared[r.label].get(conformation) for r in results)]),
        }
        for conformation in shown
    ]
    series = [{"label": "true conformations", "column": 0, "steps": conformations}]
    for column, result in enumerate(results, 1):
        steps = []
        for step in offered[result.label]:
            row: list[Path | None] = [None] * (1 + len(results))
            row[column] = step.file
            caption = ""
            if step.conformation is not None:
                row[0] = truth_files.get(step.conformation)
                caption = (
                    f"nearest particle: {_cv_text(truth, step.conformation) or f'conformation {step.conformation}'}"
                )
            title = f"Map {step.number + 1} of {step.count}"
            steps.append({"title": title, "caption": caption, "maps": add(row)})
        if len(steps) > 1:
            series.append({"label": f"maps of {result.label}", "column": column, "steps": steps})
    if not geometry:
        return None
    columns: list[dict[str, Any]] = [{"label": "truth", "colour": None}]
    columns += [{"label": result.label, "colour": result.colour} for result in results]
    return {
        **geometry,
        "level": LEVEL,
        "columns": columns,
        "series": series,
        "maps": store.maps,
        "pictures": store.pictures,
        "moving": _moving(group, frame, geometry, notes),
        "start": _start_view(group),
        "slice": _start_slice(group, frame),
    }


def _start_view(group: Group) -> list[float]:
    """Return the quaternion (x, y, z, w) of the first view: along the axis that shows most of the moving region."""
    # Half a turn about x, as in the projections: x to the right, y down; then a slight tilt.
    along_z = Rotation.from_quat([0.985, 0.06, 0.05, 0.15])
    turns = {
        0: Rotation.identity(),
        1: Rotation.from_rotvec([np.pi / 2, 0, 0]),
        2: Rotation.from_rotvec([0, -np.pi / 2, 0]),
    }
    path = None if group.dataset is None else group.dataset.path / "truth" / "mask_moving.mrc"
    chosen = 0
    if path is not None:
        try:
            mask, _ = read_volume(path)
            chosen = int(np.argmax([(mask > 0.5).any(axis=axis).sum() for axis in turns]))
        except UserError:  # noted where the moving region is marked
            chosen = 0
    return [float(number) for number in (along_z * turns[chosen]).as_quat()]


def _start_slice(group: Group, frame: _Frame) -> tuple[int, float]:
    """Return the axis (z, y, x) and the position (0 to 1) of the slice through most of the moving region."""
    path = None if group.dataset is None else group.dataset.path / "truth" / "mask_moving.mrc"
    try:
        mask = None if path is None else read_volume(path)[0][frame.crop]
    except UserError:  # noted where the moving region is marked
        mask = None
    if mask is None or not mask.any():
        return 0, 0.5
    cuts = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    axis = int(np.argmax([cut.max() for cut in cuts]))
    return axis, round(float(np.argmax(cuts[axis]) / max(len(cuts[axis]) - 1, 1)), 2)


def true_maps(group: Group, truth: Truth) -> dict[int, Path]:
    """Return the true maps of a dataset that are there, by conformation."""
    return {conformation: path for conformation, path in _listed(group, truth).items() if path.is_file()}


def _truth_files(group: Group, truth: Truth, notes: list[str]) -> dict[int, Path]:
    files, present = _listed(group, truth), true_maps(group, truth)
    if len(present) < len(files):
        notes.append(f"{len(files) - len(present)} of {len(files)} true maps of {group.name} are missing.")
    return present


def _listed(group: Group, truth: Truth) -> dict[int, Path]:
    if group.dataset is None or truth.conformations is None:
        return {}
    folder = group.dataset.path / "truth" / "volumes"
    return {
        int(row["conformation"]): folder / str(row["volume"])
        for row in truth.conformations.to_dict("records")
        if row.get("volume")
    }


def compared_maps(result: ResultFolder) -> dict[int, Path]:
    """Return the maps of a result that scoring put beside the true ones, by conformation."""
    files = sorted((result.path / "comparison").glob("conformation_*.mrc"))
    return {int(path.stem.split("_")[1]): path for path in files if path.stem.split("_")[1].isdigit()}


def _frame(truth_files: list[Path], n_maps: int, budget: int) -> _Frame:
    """Choose the part of the box that holds every true map, and a grid that keeps all maps within so many voxels."""
    side = int(np.clip((budget / max(n_maps, 1)) ** (1 / 3), 32, _MAX_SIDE_PX))
    occupied: NDArray[np.bool_] | None = None
    enclosed = []
    for path in truth_files:
        try:
            volume, _ = read_volume(path)
        except UserError:  # noted where the map itself is added
            continue
        level = truth_level(volume)
        here = volume > 0.3 * level
        enclosed.append(int((volume > level).sum()))
        occupied = here if occupied is None or occupied.shape != here.shape else occupied | here
    if occupied is None or not occupied.any():
        return _Frame((slice(None), slice(None), slice(None)), side, _BLIND_FRACTION)
    crop = []
    for axis in range(3):
        filled = np.flatnonzero(occupied.any(axis=tuple(other for other in range(3) if other != axis)))
        crop.append(slice(max(int(filled[0]) - 3, 0), min(int(filled[-1]) + 4, occupied.shape[axis])))
    cropped = np.prod([part.stop - part.start for part in crop])
    return _Frame((crop[0], crop[1], crop[2]), side, float(np.median(enclosed) / cropped))


def _add(store: _Store, path: Path, frame: _Frame, geometry: dict[str, Any], is_truth: bool) -> int:
    """Store one map, scaled so that byte `LEVEL` is its surface; fill or check the common `geometry`.

    Every reconstruction gets the same enclosed volume, so that one map for all conformations stays one map.
    """
    full, pixel_size_A = read_volume(path)
    volume, factor = shrink(np.ascontiguousarray(full[frame.crop]), frame.side_px)
    level = truth_level(full) if is_truth else enclosing_level(volume, round(frame.fraction * volume.size))
    name = f"{path.name} in {path.parent.parent.name}"
    if not level > 0:
        raise UserError(f"{name} has no density to draw a surface around")
    shape = list(volume.shape)
    if geometry.setdefault("shape", shape) != shape:
        raise UserError(f"{name} has another box than the other maps")
    geometry.setdefault("voxel_A", round(pixel_size_A * factor, 4))
    scaled = np.clip(np.rint(LEVEL * volume / level), _FLOOR, 255).astype(np.uint8)
    return store.add(scaled, _projections(volume))


def _projections(volume: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the projections along z, y and x side by side, each in a square, on the map's own grey scale."""
    side = max(volume.shape)
    strip = np.zeros((side, 3 * side + 4), np.uint8)
    for panel, axis in enumerate((0, 1, 2)):
        image = np.clip(volume, 0, None).sum(axis=axis)
        picture = grey(image, float(np.percentile(image, 5)), float(image.max()))
        top, left = ((side - length) // 2 for length in picture.shape)
        left += panel * (side + 2)
        strip[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return strip


def _moving(group: Group, frame: _Frame, geometry: dict[str, Any], notes: list[str]) -> str | None:
    if group.dataset is None:
        return None
    path = group.dataset.path / "truth" / "mask_moving.mrc"
    if not path.is_file():
        return None
    try:
        mask, _ = read_volume(path)
    except UserError as error:
        notes.append(f"The moving region is not marked: {error}.")
        return None
    small, _ = shrink(np.ascontiguousarray(mask[frame.crop]), frame.side_px)
    return pack(np.asarray(np.clip(255 * small, 0, 255), np.uint8)) if list(small.shape) == geometry["shape"] else None


def _cv_text(truth: Truth, conformation: int) -> str:
    if truth.conformations is None:
        return ""
    rows = truth.conformations[truth.conformations["conformation"] == conformation]
    return truth.describe({str(k): v for k, v in rows.iloc[0].items()}) if len(rows) else ""
