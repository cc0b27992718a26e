"""A small stack of Gaussian blobs whose table is right, and ways to get it wrong as users do."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray

from cryoarena.imaging.ctf import CtfParameters, ctf
from cryoarena.imaging.poses import Poses, random_poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.mrc import write_volume

BOX_PX = 32
PIXEL_SIZE_A = 3.6
IMAGES = 250
_SIGMA_A = 4.0
_NOISE = 1.2

Floats = NDArray[np.float64]


def _blobs() -> tuple[Floats, Floats]:
    """Return centres (Å) and weights of a helix with a heavy lobe, which has no symmetry and a hand."""
    turn = np.linspace(0, 5 * np.pi, 30)
    helix = np.stack([20 * np.cos(turn), 20 * np.sin(turn), np.linspace(-35, 35, 30)], axis=1)
    lobe = np.random.default_rng(4).normal([25, 6, 15], 5, size=(10, 3))
    centres_A = np.concatenate([helix, lobe])
    return centres_A - centres_A.mean(axis=0), np.linspace(0.6, 1.4, len(centres_A))


def _positions_A() -> Floats:
    return (np.arange(BOX_PX) - BOX_PX // 2) * PIXEL_SIZE_A


def write_true_map(path: Path) -> None:
    """Write the density [z, y, x] of the blobs."""
    centres_A, weights = _blobs()
    factors = np.exp(-((_positions_A()[None, :, None] - centres_A[:, None, :]) ** 2) / (2 * _SIGMA_A**2))
    density = np.einsum("n,nz,ny,nx->zyx", weights, factors[..., 2], factors[..., 1], factors[..., 0])
    write_volume(path, density.astype(np.float32), PIXEL_SIZE_A)


def _projections(poses: Poses) -> Floats:
    centres_A, weights = _blobs()
    seen_A = np.einsum("nij,aj->nai", poses.rotation_object_to_image[:, :2], centres_A) + poses.shift_A[:, None]
    factors = np.exp(-((_positions_A()[:, None] - seen_A[:, :, None, :]) ** 2) / (2 * _SIGMA_A**2))
    projected = np.einsum("a,nay,nax->nyx", weights, factors[..., 1], factors[..., 0], optimize=True)
    return np.asarray(projected)


def write_good_stack(folder: Path, images: int = IMAGES, noise: float = _NOISE, seed: int = 0) -> Path:
    """Write bright images, -CTF · projection + noise, and return their table particles.star.

    Astigmatism is so large that its direction shows; `noise` is relative to the standard deviation of the images.
    """
    rng = np.random.default_rng(seed)
    poses = random_poses(images, 10.0, rng)
    defocus_u_A = rng.uniform(8e3, 25e3, images)
    parameters = CtfParameters(
        defocus_u_A=defocus_u_A,
        defocus_v_A=defocus_u_A - rng.uniform(500, 3000, images),
        defocus_azimuth_deg=rng.uniform(-90, 90, images),
        voltage_kV=np.full(images, 300.0),
        cs_mm=np.full(images, 2.7),
        amplitude_contrast=np.full(images, 0.1),
        phase_shift_deg=np.zeros(images),
        b_factor_A2=np.zeros(images),
    )
    frequency_y, frequency_x = np.meshgrid(*[np.fft.fftfreq(BOX_PX, PIXEL_SIZE_A)] * 2, indexing="ij")
    signal = np.fft.ifft2(np.fft.fft2(_projections(poses)) * -ctf(parameters, frequency_x, frequency_y)).real
    signal += rng.normal(0, noise * signal.std(), signal.shape)
    stack = folder / "particles.mrcs"
    with StackWriter(stack, images, BOX_PX, PIXEL_SIZE_A) as writer:
        writer.append((signal / signal.std()).astype(np.float32))
    particles = ParticleSet(
        particle_id=np.arange(1, images + 1),
        box_px=BOX_PX,
        pixel_size_A=PIXEL_SIZE_A,
        contrast_sign=1,
        stack_files=(stack,),
        stack_index=np.zeros(images, np.int64),
        slice_index=np.arange(images),
        poses=poses,
        ctf=parameters,
    )
    write_star(folder / "particles.star", particles)
    return folder / "particles.star"


def edit_star(good: Path, edited: Path, **columns: Any) -> Path:
    """Write the table again beside its stack, with columns replaced by functions of themselves."""
    blocks = starfile.read(good, always_dict=True)
    for name, change in columns.items():
        table: pd.DataFrame = blocks["optics" if name in blocks["optics"] else "particles"]
        table[name] = change(table[name].to_numpy())
    starfile.write(blocks, edited)
    return edited


def edit_images(good: Path, edited: Path, change: Any) -> Path:
    """Write the stack again, changed, with a table for it."""
    source = good.with_name("particles.mrcs")
    with mrcfile.open(source) as stream:
        images = change(np.array(stream.data))
    with StackWriter(edited.with_suffix(".mrcs"), len(images), BOX_PX, PIXEL_SIZE_A) as writer:
        writer.append(images.astype(np.float32))
    return edit_star(
        good,
        edited,
        rlnImageName=lambda names: [name.split("@")[0] + "@" + edited.with_suffix(".mrcs").name for name in names],
    )
