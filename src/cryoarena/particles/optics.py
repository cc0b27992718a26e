"""Optics groups: particles recorded with the same microscope settings."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.ctf import MICROSCOPE
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.relion_columns import BEAM_TILT, CTF


@dataclass(frozen=True)
class OpticsGroups:
    """G groups that N particles fall into.

    Attributes:
        group: (N,) from 0.
        names: (G,) distinct.
        values: RELION's column to (G,) what the particles of a group share.
    """

    group: NDArray[np.int64]
    names: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]


def optics_groups(particles: ParticleSet) -> OpticsGroups:
    """Return the groups that particles are told to be of, split where voltage, Cs, amplitude contrast or tilt differ.

    Groups keep their order and, unless split, their names. Those without particles are left out.
    """
    values: dict[str, NDArray[np.float64]] = {}
    if particles.ctf is not None:
        values |= {CTF[field]: getattr(particles.ctf, field) for field in MICROSCOPE}
    if particles.beam_tilt_mrad is not None:
        values |= dict(zip(BEAM_TILT, particles.beam_tilt_mrad.T, strict=True))
    told = np.zeros(len(particles)) if particles.optics_group is None else particles.optics_group
    distinct, inverse = np.unique(np.stack([told, *values.values()], axis=1), axis=0, return_inverse=True)
    return OpticsGroups(
        inverse.reshape(-1),
        _names(particles, distinct[:, 0].astype(np.int64)),
        {name: np.asarray(distinct[:, column], np.float64) for column, name in enumerate(values, 1)},
    )


def _names(particles: ParticleSet, told: NDArray[np.int64]) -> tuple[str, ...]:
    if particles.optics_group is None:
        return tuple(f"opticsGroup{number}" for number in range(1, len(told) + 1))
    names = [particles.optics_names[number] for number in told]
    seen: Counter[str] = Counter()
    count = Counter(names)
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if count[name] == 1 else f"{name}-{seen[name]}")
    return tuple(distinct)
