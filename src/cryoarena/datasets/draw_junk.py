"""Draw which images show something else than one centred molecule, and what."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.errors import UserError
from cryoarena.imaging.aggregates import Aggregates
from cryoarena.imaging.imperfections import perfect
from cryoarena.imaging.layer import Layer
from cryoarena.imaging.poses import Poses, random_poses
from cryoarena.imaging.simulate import Particles

# Distance from the middle of the image, in fields of view.
_OFF_CENTRE = 0.25, 0.5
_NEIGHBOUR = 0.4, 0.6


@dataclass(frozen=True)
class WithJunk:
    """Particles some of which are junk or have a neighbour.

    Attributes:
        particles: N; junk does not show as one of them.
        layers: what shows in its place, and neighbours.
        conformation: (N,) -1 where an image has none.
        columns: (N,) each, by name: what truth/particles.parquet tells of it.
    """

    particles: Particles
    layers: tuple[Layer, ...]
    conformation: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]


def draw_junk(particles: Particles, ensemble: Ensemble, settings: Settings, streams: RandomStreams) -> WithJunk:
    """Turn the shares of particles that the dials ask for into junk, and give some of the others a neighbour.

    Junk is `noise`: nothing; `aggregate`: another object of the size of the molecule; or `off-centre`: the molecule,
    but a quarter to half of the field of view off its place. A neighbour is a molecule at the edge of the image.

    Raises:
        UserError: when all particles would be junk.
    """
    realism, n = settings.realism, len(particles)
    shares = {
        "noise": realism.junk_noise,
        "aggregate": realism.junk_aggregate,
        "off-centre": realism.junk_off_centre,
    }
    conformation, layers, columns = particles.conformation, list[Layer](), dict[str, NDArray[Any]]()
    junk = np.full(n, "", dtype=object)
    if any(shares.values()):
        order, start = streams.generator("junk").permutation(n), 0
        for kind, share in shares.items():
            count = round(share * n)
            junk[order[start : start + count]] = kind
            start += count
        if not np.any(junk == ""):
            raise UserError(f"of {n} particles none is left that is not junk; make more images or less junk")
        particles = _off_centre(particles, np.flatnonzero(junk == "off-centre"), settings, streams)
        layers += _in_place_of(particles, junk, ensemble, settings, streams)
        particles = _visible(particles, junk == "")
        conformation = np.where(np.isin(junk, ["noise", "aggregate"]), -1, conformation)
        columns["junk"] = junk
    if realism.neighbours > 0:
        candidates = streams.generator("has neighbour").permutation(np.flatnonzero(junk == ""))
        rows = np.sort(candidates[: round(realism.neighbours * n)])
        layers.append(Layer(ensemble.specimen, rows, _neighbours(particles, rows, ensemble, settings, streams)))
        columns["neighbour"] = np.isin(np.arange(n), rows)
    return WithJunk(particles, tuple(layers), conformation, columns)


def _in_place_of(
    particles: Particles, junk: NDArray[Any], ensemble: Ensemble, settings: Settings, streams: RandomStreams
) -> list[Layer]:
    """Return what shows where the molecule does not."""
    displaced, aggregated = (np.flatnonzero(junk == kind) for kind in ("off-centre", "aggregate"))
    scattering = ensemble.specimen.scattering(0)
    aggregates = Aggregates(
        len(aggregated),
        ensemble.specimen.reach_A(),
        float((scattering.weights @ scattering.profile(np.zeros(1))).sum()),
        int(streams.generator("aggregates").integers(2**32)),
    )
    of_aggregates = replace(particles[aggregated], conformation=np.arange(len(aggregated)))
    return [
        Layer(ensemble.specimen, displaced, particles[displaced]),
        Layer(aggregates, aggregated, of_aggregates),
    ]


def _visible(particles: Particles, visible: NDArray[np.bool_]) -> Particles:
    imperfections = particles.imperfections or perfect(len(particles))
    return replace(particles, imperfections=replace(imperfections, visible=visible))


def _off_centre(particles: Particles, rows: NDArray[np.int64], settings: Settings, streams: RandomStreams) -> Particles:
    shift_A = particles.poses.shift_A.copy()
    shift_A[rows] = _ring(len(rows), _OFF_CENTRE, settings, streams.generator("off-centre"))
    return replace(particles, poses=replace(particles.poses, shift_A=shift_A))


def _neighbours(
    particles: Particles, rows: NDArray[np.int64], ensemble: Ensemble, settings: Settings, streams: RandomStreams
) -> Particles:
    rng = streams.generator("neighbour")
    conformation = rng.choice(len(ensemble.population), size=len(rows), p=ensemble.population)
    rotation = random_poses(len(rows), 0.0, rng).rotation_object_to_image
    poses = Poses(rotation, _ring(len(rows), _NEIGHBOUR, settings, rng))
    return replace(particles[rows], conformation=conformation, poses=poses)


def _ring(
    n: int, fields_of_view: tuple[float, float], settings: Settings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw n shifts (n, 2) in all directions whose lengths are in this range."""
    azimuth = rng.uniform(0, 2 * np.pi, n)
    length_A = settings.box_px * settings.pixel_size_A * rng.uniform(*fields_of_view, n)
    return np.asarray(length_A[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1))
