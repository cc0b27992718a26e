"""Random particles for the tests of tables."""

import numpy as np
import pytest

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import random_poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter


def make_particles(folder, n=7, box_px=8, pixel_size_A=1.3, shard=4, seed=0, write_stacks=True):
    """Return random particles whose stacks, of `shard` images each, are in folder/particles."""
    rng = np.random.default_rng(seed)
    stacks = [folder / "particles" / f"{number:04d}.mrcs" for number in range(-(-n // shard))]
    for number, path in enumerate(stacks if write_stacks else []):
        images = rng.normal(size=(min(shard, n - number * shard), box_px, box_px)).astype(np.float32)
        with StackWriter(path, len(images), box_px, pixel_size_A) as stack:
            stack.append(images)
    defocus_u_A = rng.uniform(5e3, 4e4, n)
    ctf = CtfParameters(
        defocus_u_A=defocus_u_A,
        defocus_v_A=defocus_u_A - rng.uniform(0, 5e3, n),
        defocus_azimuth_deg=rng.uniform(-180, 180, n),
        voltage_kV=rng.choice([200.0, 300.0], n),
        cs_mm=rng.choice([0.01, 2.7], n),
        amplitude_contrast=rng.choice([0.07, 0.1], n),
        phase_shift_deg=rng.uniform(0, 180, n),
        b_factor_A2=rng.uniform(0, 100, n),
    )
    return ParticleSet(
        particle_id=rng.choice(2**62, n, replace=False),
        box_px=box_px,
        pixel_size_A=pixel_size_A,
        contrast_sign=1,
        stack_files=tuple(stacks),
        stack_index=np.arange(n) // shard,
        slice_index=np.arange(n) % shard,
        poses=random_poses(n, 30.0, rng),
        ctf=ctf,
        half_set=rng.integers(0, 2, n),
    )


def assert_same_particles(found, expected, relative):
    """Compare every field; angles, shifts and CTF parameters up to `relative` of their size."""
    for name in ("particle_id", "stack_index", "slice_index", "half_set"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert [path.resolve() for path in found.stack_files] == [path.resolve() for path in expected.stack_files]
    assert (found.box_px, found.contrast_sign) == (expected.box_px, expected.contrast_sign)
    assert found.pixel_size_A == pytest.approx(expected.pixel_size_A, rel=1e-8)
    rotations = (found.poses.rotation_object_to_image, expected.poses.rotation_object_to_image)
    np.testing.assert_allclose(*rotations, atol=10 * relative)
    np.testing.assert_allclose(found.poses.shift_A, expected.poses.shift_A, rtol=0, atol=30 * relative)
    for name, values in vars(expected.ctf).items():
        np.testing.assert_allclose(getattr(found.ctf, name), values, rtol=relative, atol=1e-7, err_msg=name)
