"""Draw what every particle of a dataset is: conformation, pose and CTF, from one seed; and what is told of it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.datasets.draw_imperfections import draw_imperfections
from cryoarena.datasets.draw_junk import draw_junk
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.defocus import DefocusTable, draw_defocus, parametric_defocus
from cryoarena.imaging.layer import Layer
from cryoarena.imaging.poses import Poses, perturbed_poses, random_poses
from cryoarena.imaging.simulate import Particles
from cryoarena.imaging.views import in_cap, random_directions, rotations_seen_along, von_mises_fisher

_CAP_DEG = 30.0


@dataclass(frozen=True)
class Drawn:
    """The particles of a dataset and what methods are told about them.

    Attributes:
        particles: N, as they are.
        layers: what images show besides them.
        conformation: (N,) as truth tells it: -1 where an image shows none.
        given_poses, given_ctf: as they are told; those of the particles unless errors are asked for.
        given_beam_tilt_mrad: (N, 2), or None where nothing is told.
        columns: (N,) each, by name: what truth/particles.parquet tells besides, because of dials that are on.
    """

    particles: Particles
    layers: tuple[Layer, ...]
    conformation: NDArray[np.int64]
    given_poses: Poses
    given_ctf: CtfParameters
    given_beam_tilt_mrad: NDArray[np.float64] | None
    columns: dict[str, NDArray[Any]]

    def shows_molecule(self) -> NDArray[np.bool_]:
        """Return whether each particle (N,) shows as it should: what is junk does not."""
        imperfections = self.particles.imperfections
        return np.ones(len(self.particles), np.bool_) if imperfections is None else imperfections.visible


def draw_particles(ensemble: Ensemble, settings: Settings, defocus_table: DefocusTable | None) -> Drawn:
    """Draw conformation, pose and CTF of every particle, and the errors of what is given.

    Conformations get their share of images exactly (to rounding) and are dealt in random order, so that the row of
    an image says nothing about its conformation. Every dial of realism draws from a stream of its own, so that turning
    one leaves the rest as it is.
    """
    streams = RandomStreams(settings.seed)
    n = settings.images
    boundaries = np.round(np.cumsum(ensemble.population) * n).astype(np.int64)
    counts = np.diff(boundaries, prepend=0)
    conformation = streams.generator("conformation").permutation(np.repeat(np.arange(len(counts)), counts))
    max_shift_A = settings.max_shift_px * settings.source_pixel_size_A
    poses = random_poses(n, max_shift_A, streams.generator("pose"))
    ctf = _draw_ctf(settings, defocus_table, streams)
    imperfections, columns = draw_imperfections(n, settings.realism, streams)
    if ensemble.sessions is not None:
        ctf, imperfections, of_sessions = ensemble.sessions.record(conformation, ctf, imperfections)
        columns |= of_sessions
    particles = Particles(conformation, _seen(poses, conformation, ensemble, settings, streams), ctf, imperfections)
    given_ctf = _given_ctf(ctf, settings, streams)
    if given_ctf is not ctf:
        columns |= {name: getattr(ctf, name) for name in ("defocus_u_A", "defocus_v_A", "defocus_azimuth_deg")}
    with_junk = draw_junk(particles, ensemble, settings, streams)
    return Drawn(
        particles=with_junk.particles,
        layers=with_junk.layers,
        conformation=with_junk.conformation,
        given_poses=_given_poses(particles.poses, settings, streams),
        given_ctf=given_ctf,
        given_beam_tilt_mrad=imperfections.beam_tilt_mrad
        if imperfections and settings.realism.beam_tilt_given
        else None,
        columns=columns | with_junk.columns,
    )


def _draw_ctf(settings: Settings, defocus_table: DefocusTable | None, streams: RandomStreams) -> CtfParameters:
    n = settings.images
    generator = streams.generator("defocus")
    table = parametric_defocus(n, generator) if defocus_table is None else defocus_table
    defocus = draw_defocus(table, n, generator)
    return CtfParameters(
        defocus_u_A=defocus.defocus_u_A,
        defocus_v_A=defocus.defocus_v_A,
        defocus_azimuth_deg=defocus.azimuth_deg,
        voltage_kV=np.full(n, settings.voltage_kV),
        cs_mm=np.full(n, settings.cs_mm),
        amplitude_contrast=np.full(n, settings.amplitude_contrast),
        phase_shift_deg=np.zeros(n),
        b_factor_A2=np.zeros(n),
    )


def _seen(
    poses: Poses, conformation: NDArray[np.int64], ensemble: Ensemble, settings: Settings, streams: RandomStreams
) -> Poses:
    """Return poses whose view directions gather around preferred axes or depend on the conformation, if they shall."""
    realism = settings.realism
    if realism.view_kappa > 0:
        rng = streams.generator("view")
        axes = random_directions(realism.view_axes, rng)
        view = von_mises_fisher(axes[rng.integers(len(axes), size=len(poses))], realism.view_kappa, rng)
        poses = replace(poses, rotation_object_to_image=rotations_seen_along(view, rng))
    if realism.entanglement > 0:
        rng = streams.generator("entanglement")
        rows = np.flatnonzero(rng.uniform(size=len(poses)) < realism.entanglement)
        angle = np.pi * _rank(ensemble)[conformation[rows]]
        centre = np.stack([np.cos(angle), np.sin(angle), np.zeros(len(rows))], axis=1)
        rotation = poses.rotation_object_to_image.copy()
        rotation[rows] = rotations_seen_along(in_cap(centre, _CAP_DEG, rng), rng)
        poses = replace(poses, rotation_object_to_image=rotation)
    return poses


def _rank(ensemble: Ensemble) -> NDArray[np.float64]:
    """Return the rank (K,) of every conformation in the first CV, from 0 to less than 1; without CVs its number."""
    count = len(ensemble.population)
    first = next(iter(ensemble.cvs.values()), np.arange(count))
    return rankdata(first, method="min") / count - 1 / count


def _given_poses(poses: Poses, settings: Settings, streams: RandomStreams) -> Poses:
    realism = settings.realism
    if realism.pose_error_deg == 0 and realism.shift_error_A == 0:
        return poses
    return perturbed_poses(poses, realism.pose_error_deg, realism.shift_error_A, streams.generator("pose error"))


def _given_ctf(ctf: CtfParameters, settings: Settings, streams: RandomStreams) -> CtfParameters:
    error_A = settings.realism.defocus_error_A
    if error_A == 0:
        return ctf
    error = error_A * streams.generator("defocus error").standard_normal(len(ctf))
    return ctf.with_defocus(DefocusTable(ctf.defocus_u_A + error, ctf.defocus_v_A + error, ctf.defocus_azimuth_deg))
