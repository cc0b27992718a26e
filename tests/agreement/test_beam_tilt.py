"""RELION takes off the coma that we put on when it reads our beam tilt, and doubles it when the sign is wrong."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryoarena.imaging.coma import coma_phase
from cryoarena.imaging.poses import random_poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.fsc import fsc
from phantom_stack import BOX_PX, PIXEL_SIZE_A, clean_images, draw_ctf, truth_map

N = 600


@pytest.fixture(scope="module")
def tilted(tmp_path_factory) -> ParticleSet:
    folder = tmp_path_factory.mktemp("tilted")
    rng = np.random.default_rng(0)
    poses = random_poses(N, 12.0, rng)
    # Cs is too large on purpose: a real one needs finer pixels to show.
    ctf = replace(draw_ctf(N, rng), cs_mm=np.full(N, 20.0))
    tilt_mrad = np.where(np.arange(N)[:, None] % 2, [4.0, -2.5], [-1.0, 4.0])
    frequency = np.fft.fftfreq(BOX_PX, PIXEL_SIZE_A)
    coma = coma_phase(tilt_mrad, ctf, *np.meshgrid(frequency, frequency))
    images = np.fft.ifft2(np.fft.fft2(clean_images(poses, ctf)) * coma).real
    images += rng.normal(0, 0.1 * images.std(), images.shape)
    with StackWriter(folder / "images.mrcs", N, BOX_PX, PIXEL_SIZE_A) as stack:
        stack.append(images.astype(np.float32))
    zeros, index = np.zeros(N, np.int64), np.arange(N)
    return ParticleSet(
        index + 1, BOX_PX, PIXEL_SIZE_A, 1, (folder / "images.mrcs",), zeros, index, poses, ctf, index % 2, tilt_mrad
    )


@pytest.mark.agreement
def test_relion_takes_the_coma_off(relion, tilted: ParticleSet, tmp_path: Path) -> None:
    def mean_fsc(particles: ParticleSet) -> float:
        write_star(tmp_path / "a.star", particles)
        relion("relion_reconstruct", "--i", "a.star", "--o", "a.mrc", "--ctf", cwd=tmp_path)
        with mrcfile.open(tmp_path / "a.mrc") as stream:
            frequency, correlation = fsc(stream.data.copy(), truth_map())
        return float(correlation[(frequency > 0.2) & (frequency < 0.3)].mean())

    assert tilted.beam_tilt_mrad is not None
    told = mean_fsc(tilted)
    hidden = mean_fsc(replace(tilted, beam_tilt_mrad=None))
    wrong = mean_fsc(replace(tilted, beam_tilt_mrad=-tilted.beam_tilt_mrad))
    assert told > 0.95
    assert told > hidden + 0.05
    assert hidden > wrong + 0.05
