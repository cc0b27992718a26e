"""Draw what every particle of a dataset is: conformation, pose and CTF, from one seed."""

import hashlib
from dataclasses import dataclass

import numpy as np

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.defocus import DefocusTable, draw_defocus, parametric_defocus
from cryoarena.imaging.poses import random_poses
from cryoarena.imaging.simulate import Particles


@dataclass(frozen=True)
class RandomStreams:
    """Independent random streams of one seed, keyed by purpose and block."""

    seed: int

    def generator(self, purpose: str, block: int = 0) -> np.random.Generator:
        """Return the generator of a purpose and block."""
        key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(key, block)))


def draw_particles(ensemble: Ensemble, settings: Settings, defocus_table: DefocusTable | None) -> Particles:
    """Draw conformation, pose and CTF of every particle.

    Conformations get their share of images exactly (to rounding) and are dealt in random order, so that the row of
    an image says nothing about its conformation.
    """
    streams = RandomStreams(settings.seed)
    n = settings.images
    boundaries = np.round(np.cumsum(ensemble.population) * n).astype(np.int64)
    counts = np.diff(boundaries, prepend=0)
    conformation = streams.generator("conformation").permutation(np.repeat(np.arange(len(counts)), counts))
    max_shift_A = settings.max_shift_px * settings.source_pixel_size_A
    poses = random_poses(n, max_shift_A, streams.generator("pose"))
    generator = streams.generator("defocus")
    table = parametric_defocus(n, generator) if defocus_table is None else defocus_table
    defocus = draw_defocus(table, n, generator)
    ctf = CtfParameters(
        defocus_u_A=defocus.defocus_u_A,
        defocus_v_A=defocus.defocus_v_A,
        defocus_azimuth_deg=defocus.azimuth_deg,
        voltage_kV=np.full(n, settings.voltage_kV),
        cs_mm=np.full(n, settings.cs_mm),
        amplitude_contrast=np.full(n, settings.amplitude_contrast),
        phase_shift_deg=np.zeros(n),
        b_factor_A2=np.zeros(n),
    )
    return Particles(conformation, poses, ctf)
