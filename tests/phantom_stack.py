"""A stack whose truth needs no code of ours but the CTF: Gaussian blobs have closed projections and maps."""

from pathlib import Path

import numpy as np

from cryoarena.imaging.ctf import CtfParameters, ctf
from cryoarena.imaging.poses import random_poses
from cryoarena.particles.dataset_folder import write_tables
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter

BOX_PX = 64
PIXEL_SIZE_A = 3.2
IMAGES = 2000
_SHARD = 1000
_SIGMA_A = 4.0
_NOISE = 0.1


def blobs():
    """Return centres (Å) and weights of a helix with a heavy lobe, which has no symmetry and a hand."""
    turn = np.linspace(0, 5 * np.pi, 40)
    helix = np.stack([35 * np.cos(turn), 35 * np.sin(turn), np.linspace(-60, 60, 40)], axis=1)
    lobe = np.random.default_rng(4).normal([45, 10, 25], 8, size=(12, 3))
    centres_A = np.concatenate([helix, lobe])
    return centres_A - centres_A.mean(axis=0), np.linspace(0.6, 1.4, len(centres_A))


def pixel_positions_A():
    return (np.arange(BOX_PX) - BOX_PX // 2) * PIXEL_SIZE_A


def truth_map():
    """Return the density [z, y, x] of the blobs at the voxel centres."""
    centres_A, weights = blobs()
    factors = np.exp(-((pixel_positions_A()[None, :, None] - centres_A[:, None, :]) ** 2) / (2 * _SIGMA_A**2))
    return np.einsum("n,nz,ny,nx->zyx", weights, factors[..., 2], factors[..., 1], factors[..., 0]).astype(np.float32)


def project(poses):
    """Return the line integrals (n, y, x) of the blobs turned and shifted by `poses`."""
    centres_A, weights = blobs()
    seen_A = np.einsum("nij,aj->nai", poses.rotation_object_to_image[:, :2], centres_A) + poses.shift_A[:, None]
    factors = np.exp(-((pixel_positions_A()[:, None] - seen_A[:, :, None, :]) ** 2) / (2 * _SIGMA_A**2))
    height = weights * np.sqrt(2 * np.pi) * _SIGMA_A
    return np.einsum("a,nay,nax->nyx", height, factors[..., 1], factors[..., 0], optimize=True)


def draw_ctf(n, rng):
    defocus_u_A = rng.uniform(8e3, 25e3, n)
    return CtfParameters(
        defocus_u_A=defocus_u_A,
        # So much astigmatism that a wrong azimuth ruins the map.
        defocus_v_A=defocus_u_A - rng.uniform(1000, 7000, n),
        defocus_azimuth_deg=rng.uniform(-90, 90, n),
        voltage_kV=np.where(np.arange(n) % 3 == 0, 200.0, 300.0),
        cs_mm=np.full(n, 2.7),
        amplitude_contrast=np.full(n, 0.1),
        phase_shift_deg=np.where(np.arange(n) % 2 == 0, 0.0, 60.0),
        b_factor_A2=np.zeros(n),
    )


def clean_images(poses, parameters):
    """Return the noise-free bright images, -CTF · projection."""
    frequency = np.fft.fftfreq(BOX_PX, PIXEL_SIZE_A)
    frequency_y, frequency_x = np.meshgrid(frequency, frequency, indexing="ij")
    return np.fft.ifft2(np.fft.fft2(project(poses)) * -ctf(parameters, frequency_x, frequency_y)).real


def write_phantom_dataset(folder: Path) -> ParticleSet:
    """Write bright images (-CTF · projection + noise) in two shards and their tables."""
    rng = np.random.default_rng(0)
    poses, parameters = random_poses(IMAGES, 12.0, rng), draw_ctf(IMAGES, rng)
    stacks = []
    for number, start in enumerate(range(0, IMAGES, _SHARD)):
        rows = slice(start, start + _SHARD)
        images = clean_images(poses[rows], parameters[rows])
        images += rng.normal(0, _NOISE * images.std(), images.shape)
        stacks.append(folder / "particles" / f"{number:04d}.mrcs")
        with StackWriter(stacks[-1], len(images), BOX_PX, PIXEL_SIZE_A) as stack:
            stack.append(images.astype(np.float32))
    index = np.arange(IMAGES)
    particles = ParticleSet(
        particle_id=rng.permutation(IMAGES) + 3_000_000_000_000_000_000,
        box_px=BOX_PX,
        pixel_size_A=PIXEL_SIZE_A,
        contrast_sign=1,
        stack_files=tuple(stacks),
        stack_index=index // _SHARD,
        slice_index=index % _SHARD,
        poses=poses,
        ctf=parameters,
        half_set=index % 2,
    )
    write_tables(folder, particles)
    return particles
