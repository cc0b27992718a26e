"""Find out which published file is what: by what it holds, and by its name only where that leaves a choice.

What is known of the records of CryoBench: `images/snr0.01/*.mrcs`, in order in `sorted_particles.128.txt`;
`combined_poses.pkl` and `combined_ctfs.pkl`, the latter for the box before Fourier cropping; `gt_latents.pkl`, for some
sets the label of every image; `vols/128_org/*.mrc`; `init_mask/mask.mrc` beside maps of all images.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.safe_pickle import read_array_pickle
from cryoarena.particles.stack import open_stack
from cryoarena.volumes.mrc import read_volume

_LISTED_FILES = 30


@dataclass(frozen=True)
class Stack:
    """A published stack: its path below the folder, and how many images it has."""

    name: str
    images: int


@dataclass(frozen=True)
class Tables:
    """What is told of N images.

    Attributes:
        poses, ctf: files of cryoDRGN.
        labels: (N,) conformation of every image, from 0, or None.
        latents: (N, c) other coordinates of every image, or None.
    """

    poses: Path
    ctf: Path
    labels: NDArray[np.int64] | None
    latents: NDArray[np.float64] | None


@dataclass(frozen=True)
class Maps:
    """The published maps of the box of the images.

    Attributes:
        true: one per conformation, in order; empty where they are not published.
        mask: or None.
        consensus: of all images, or None.
    """

    true: tuple[Path, ...]
    mask: Path | None
    consensus: Path | None


def find_stacks(folder: Path) -> tuple[Stack, ...]:
    """Return the stacks in the order in which tables number their images: that of a list (.txt), else of their names.

    Raises:
        UserError: when there are none, or lists differ.
    """
    paths = {path.name: path for path in _files(folder, ".mrcs")}
    if not paths or len(paths) < len(_files(folder, ".mrcs")):
        raise UserError(f"no stacks of different names (.mrcs) are among the published files: {_listing(folder)}")
    orders = set()
    for path in _files(folder, ".txt"):
        listed = tuple(Path(line).name for line in path.read_text(errors="replace").split())
        if listed and set(listed) <= set(paths):
            orders.add(listed)
    if len(orders) > 1:
        raise UserError(f"lists of stacks (.txt) among the published files differ: {_listing(folder)}")
    names = orders.pop() if orders else tuple(sorted(paths, key=_natural))
    return tuple(Stack(str(paths[name].relative_to(folder)), len(open_stack(paths[name]))) for name in names)


def find_tables(folder: Path, images: int) -> Tables:
    """Return the poses, CTF parameters, labels and latents of N images.

    Raises:
        UserError: when there are no poses or CTF parameters, or more than one file may hold them.
    """
    content = {path: value for path in _files(folder, ".pkl", ".npy") if (value := _read(path)) is not None}

    def of_shape(*shape: int) -> Callable[[Any], bool]:
        return lambda value: isinstance(value, np.ndarray) and value.shape == shape

    def is_poses(value: Any) -> bool:
        return of_shape(images, 3, 3)(value[0] if isinstance(value, tuple) and value else value)

    def is_labels(value: Any) -> bool:
        return of_shape(images)(value) and bool((value == np.round(value)).all() and (value >= 0).all())

    def is_latents(value: Any) -> bool:
        flat = isinstance(value, np.ndarray) and value.ndim in (1, 2) and len(value) == images
        return flat and value.shape != (images, 9) and not is_labels(value)

    poses = _the_one("poses (rotations and shifts)", folder, [p for p in content if is_poses(content[p])], images)
    ctf = _the_one("CTF parameters", folder, [p for p in content if of_shape(images, 9)(content[p])], images)
    labels = [content[path] for path in content if is_labels(content[path])]
    latents = [content[path] for path in content if is_latents(content[path])]
    if len(labels) > 1 or len(latents) > 1:
        raise UserError(f"several of the published files may be the labels or latents: {_listing(folder)}")
    return Tables(
        poses=poses,
        ctf=ctf,
        labels=labels[0].astype(np.int64) if labels else None,
        latents=latents[0].reshape(images, -1).astype(np.float64) if latents else None,
    )


def find_maps(folder: Path, box_px: int) -> Maps:
    """Return the maps of a box: true ones are the largest family in one folder, masks are called so."""
    maps = [path for path in _files(folder, ".mrc") if _box(path) == box_px]
    masks = [path for path in maps if "mask" in path.stem.lower()]
    families: dict[Path, list[Path]] = {}
    for path in maps:
        if path not in masks and not any("mask" in part.lower() for part in path.relative_to(folder).parts[:-1]):
            families.setdefault(path.parent, []).append(path)
    largest = max(families.values(), key=len, default=[])
    true = sorted(largest, key=lambda path: _natural(path.name)) if len(largest) > 1 else []
    others = [path for path in maps if path not in masks and path not in true]
    return Maps(tuple(true), _first(masks), _first(others))


def open_volume(path: Path) -> NDArray[np.float32]:
    """Return a map, whatever its header says of its voxels."""
    return read_volume(path, pixel_size_A=1.0)[0]


def _box(path: Path) -> int | None:
    try:
        return len(open_volume(path))
    except UserError:
        # Not a cube with an even side: no map of these images.
        return None


def _files(folder: Path, *suffixes: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in suffixes)


def _read(path: Path) -> Any:
    """Return the arrays of a table, or None where it holds anything else."""
    try:
        return read_array_pickle(path) if path.suffix == ".pkl" else np.load(path, allow_pickle=False)
    except (UserError, ValueError, OSError):
        return None


def _the_one(what: str, folder: Path, candidates: Sequence[Path], images: int) -> Path:
    # Tables of every conformation are published beside the combined one.
    named = [path for path in candidates if path.name.startswith("combined")] or candidates
    if len(named) != 1:
        raise UserError(
            f"{len(named)} of the published files hold {what} of {images} images where one should: {_listing(folder)}"
        )
    return named[0]


def _first(paths: Sequence[Path]) -> Path | None:
    return min(paths, key=lambda path: (len(path.name), path.name), default=None)


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _listing(folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in _files(folder, ".mrcs", ".mrc", ".txt", ".pkl", ".npy")]
    more = f" and {len(names) - _LISTED_FILES} more" if len(names) > _LISTED_FILES else ""
    return (", ".join(names[:_LISTED_FILES]) or "none of a known kind") + more
