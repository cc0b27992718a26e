"""Particles from cryoDRGN's pickles, which name no images, and the stack that they go with row by row."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import MICROSCOPE, CtfParameters
from cryoarena.particles.cryodrgn import read_cryodrgn_ctf, read_cryodrgn_poses
from cryoarena.particles.cs import read_cs
from cryoarena.particles.given import FLAGS, Given, require_no_conflict
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star
from cryoarena.particles.safe_pickle import read_array_pickle
from cryoarena.particles.stack import open_stack


def read_cryodrgn(path: Path, ctf_path: Path | None, stack: Path | None, given: Given = Given()) -> ParticleSet:
    """Read poses.pkl, ctf.pkl or both.

    A pixel size of a ctf.pkl for another box is that of a stack which was Fourier-cropped since: the field of view
    stays. Where the stack is a table, its particle ids, half-sets and optics groups are kept, and the pickles replace
    its poses and CTF.

    Args:
        path: poses.pkl, or ctf.pkl where poses are unknown.
        ctf_path: ctf.pkl that goes with poses.pkl, or None.
        stack: .mrcs, a .txt list of them, .star or .cs; row i of the pickles is its i-th image.
        given: what the files may lack.

    Raises:
        UserError: when a file is missing, damaged or holds something else, rows do not agree in number, the pixel
            size is not told, or facts contradict each other.
    """
    poses_path: Path | None = path
    if _is_ctf(read_array_pickle(path)):
        if ctf_path is not None:
            raise UserError(f"{path} holds CTF parameters, and so does --ctf; give poses.pkl first")
        poses_path, ctf_path = None, path
    if stack is None:
        raise UserError(f"{path} names no images; give its stack by --stack FILE (.mrcs, .txt, .star or .cs)")
    ctf, field_of_view_A = (None, None) if ctf_path is None else _read_ctf(ctf_path, given)
    if stack.suffix in (".star", ".cs"):
        images = _read_table(stack, ctf_path, field_of_view_A, given)
    else:
        images = _read_stacks(stack, path, field_of_view_A, given)
    poses = images.poses
    if poses_path is not None:
        poses = read_cryodrgn_poses(poses_path, images.box_px, images.pixel_size_A)
        _require_rows(poses_path, len(poses), stack, len(images))
    if ctf_path is None or ctf is None:
        return replace(images, poses=poses)
    _require_rows(ctf_path, len(ctf), stack, len(images))
    if images.ctf is not None:
        # Pickles have no B-factor, so that they do not speak against that of the table.
        ctf = replace(ctf, b_factor_A2=images.ctf.b_factor_A2)
    return replace(images, poses=poses, ctf=ctf)


def _is_ctf(content: Any) -> bool:
    return isinstance(content, np.ndarray) and content.ndim == 2 and content.shape[1] == 9


def _read_ctf(path: Path, given: Given) -> tuple[CtfParameters, float]:
    """Return the parameters and the field of view (Å)."""
    ctf, box_px, pixel_size_A = read_cryodrgn_ctf(path)
    for field in MICROSCOPE:
        if getattr(given, field) is not None:
            require_no_conflict(path, FLAGS[field], getattr(given, field), getattr(ctf, field))
    return ctf, box_px * pixel_size_A


def _read_table(stack: Path, ctf_path: Path | None, field_of_view_A: float | None, given: Given) -> ParticleSet:
    images = read_cs(stack, given=given) if stack.suffix == ".cs" else read_star(stack, given)
    if field_of_view_A is not None:
        told_A = field_of_view_A / images.box_px
        if not np.isclose(told_A, images.pixel_size_A, rtol=1e-4, atol=0):
            raise UserError(
                f"{stack} has pixels of {images.pixel_size_A:g} Å but by {ctf_path} they are {told_A:g} Å; "
                "these do not go together"
            )
    return images


def _read_stacks(stack: Path, pickle: Path, field_of_view_A: float | None, given: Given) -> ParticleSet:
    files = _stack_files(stack, given)
    box_px = open_stack(files[0]).shape[1]
    counts = [len(open_stack(file, box_px)) for file in files]
    if field_of_view_A is not None:
        # The shortest decimal of nine digits: 1.3 rather than 1.2999999999999998.
        pixel_size_A = float(f"{field_of_view_A / box_px:.9g}")
        if given.pixel_size_A is not None:
            require_no_conflict(pickle, FLAGS["pixel_size_A"], given.pixel_size_A, pixel_size_A)
    elif given.pixel_size_A is not None:
        pixel_size_A = given.pixel_size_A
    else:
        raise UserError(f"{pickle} does not tell the pixel size, on which shifts depend; give --ctf or --pixel-size")
    n = sum(counts)
    return ParticleSet(
        particle_id=np.arange(1, n + 1),
        box_px=box_px,
        pixel_size_A=pixel_size_A,
        contrast_sign=given.contrast_sign or 1,
        stack_files=tuple(files),
        stack_index=np.repeat(np.arange(len(files)), counts),
        slice_index=np.concatenate([np.arange(count) for count in counts]),
        poses=None,
        ctf=None,
    )


def _stack_files(stack: Path, given: Given) -> list[Path]:
    if stack.suffix in (".mrcs", ".mrc"):
        return [stack]
    if stack.suffix != ".txt":
        raise UserError(f"{stack} is no stack; --stack takes .mrcs, .txt (a list of .mrcs), .star or .cs")
    if not stack.is_file():
        raise UserError(f"{stack} does not exist")
    folder = given.datadir or stack.parent
    try:
        names = stack.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{stack} is not a list of .mrcs files") from error
    files = [folder / name.strip() for name in names if name.strip()]
    if not files:
        raise UserError(f"{stack} lists no .mrcs files; write one path on each line")
    return files


def _require_rows(path: Path, rows: int, stack: Path, images: int) -> None:
    if rows != images:
        raise UserError(
            f"{path} has {rows} rows but {stack} has {images} images; they must go together row by row: give the "
            "stack that the pickle was made for"
        )
