"""Answers with known defects, fabricated from the truth: a metric that works puts them in the known order.

Every function takes the truth and, where the defect can grow, its strength; strength 0 is the truth itself. The random
numbers do not depend on the strength, so that a defect grows along one line.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, fftn, ifftn
from scipy.spatial.transform import Rotation

from cryoarena.datasets.truth import Truth
from cryoarena.imaging.poses import Poses
from cryoarena.metrics.judge import Answer

_MIRROR_X = np.diag([-1.0, 1.0, 1.0])
_MIRROR_Z = np.diag([1.0, 1.0, -1.0])


def perfect(truth: Truth) -> Answer:
    """Give the true CVs, maps, conformations and poses."""
    return Answer(_true_latents(truth), _maps_by_conformation(truth, _true_maps(truth)), _one_hot(truth), truth.poses)


def noisy_latents(truth: Truth, strength: float) -> Answer:
    """Add white noise to the latents, its deviation in standard deviations of the latents (all axes together).

    The posterior is that of the conformations given the noisy latents and an even prior.
    """
    latents = _true_latents(truth)
    sigma = strength * float(latents.std())
    noisy = latents + sigma * _rng().standard_normal(latents.shape)
    posterior = _one_hot(truth)
    if sigma > 0:
        squared = np.square(noisy[:, None] - truth.embedding()[None]).sum(axis=2)
        likelihood = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * sigma**2))
        posterior = likelihood / likelihood.sum(axis=1, keepdims=True)
    return replace(perfect(truth), embedding=noisy.astype(np.float32), posterior=posterior.astype(np.float32))


def noisy_maps(truth: Truth, strength: float) -> Answer:
    """Add white noise to the map of every particle, its deviation in standard deviations of the map over the box."""
    true_maps_of = perfect(truth).maps_of

    def maps_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack(
            [
                volume + strength * volume.std() * np.random.default_rng(row).standard_normal(volume.shape)
                for row, volume in zip(rows, true_maps_of(rows), strict=True)
            ]
        ).astype(np.float32)

    return replace(perfect(truth), maps_of=maps_of)


def shuffled(truth: Truth) -> Answer:
    """Give every particle the latent, map, posterior and pose of a random other one."""
    order = _rng().permutation(len(truth.particle_id))
    # A particle that would keep its own answer and the next one trade.
    for row in np.flatnonzero(order == np.arange(len(order))):
        other = (row + 1) % len(order)
        order[[row, other]] = order[[other, row]]
    answer = perfect(truth)
    return Answer(
        answer.embedding[order], lambda rows: answer.maps_of(order[rows]), _one_hot(truth)[order], truth.poses[order]
    )


def merged(truth: Truth, states: int = 2) -> Answer:
    """Take the first `states` conformations for one: their mean latent, map and posterior."""
    into = np.arange(len(truth.volume_names))
    into[:states] = 0
    centres, maps = truth.embedding().copy(), _true_maps(truth).copy()
    centres[:states], maps[:states] = centres[:states].mean(axis=0), maps[:states].mean(axis=0)
    posterior = np.eye(len(into), dtype=np.float32)
    posterior[:states] = posterior[:states].mean(axis=0)
    conformation = truth.conformation
    return Answer(
        centres[conformation].astype(np.float32),
        _maps_by_conformation(truth, maps),
        posterior[conformation],
        truth.poses,
    )


def other_hand(truth: Truth) -> Answer:
    """Mirror the object: its maps along x, and its poses so that every image stays as it is."""
    # The origin is voxel D//2: a plain flip would also move the map by one voxel.
    maps = np.roll(_true_maps(truth)[..., ::-1], 1, axis=-1)
    rotation = _MIRROR_Z @ truth.poses.rotation_object_to_image @ _MIRROR_X
    poses = Poses(rotation, truth.poses.shift_A)
    return replace(perfect(truth), maps_of=_maps_by_conformation(truth, maps), estimated_poses=poses)


def blurred(truth: Truth, strength: float) -> Answer:
    """Blur the maps by a Gaussian of this deviation in voxels."""
    maps = _true_maps(truth)
    squared = sum(np.ix_(*[np.square(fftfreq(maps.shape[-1]))] * 3))
    filtered = ifftn(fftn(maps, axes=(1, 2, 3)) * np.exp(-2 * np.pi**2 * strength**2 * squared), axes=(1, 2, 3)).real
    return replace(perfect(truth), maps_of=_maps_by_conformation(truth, filtered.astype(np.float32)))


def constant_latent(truth: Truth) -> Answer:
    """Give every particle the same latent and an even posterior; the maps are true."""
    answer, states = perfect(truth), len(truth.volume_names)
    posterior = np.full((len(truth.particle_id), states), 1 / states, np.float32)
    return replace(answer, embedding=np.ones_like(answer.embedding), posterior=posterior)


def consensus(truth: Truth) -> Answer:
    """Give every particle the mean map, the same latent and an even posterior."""
    mean = np.tensordot(truth.population, _true_maps(truth), axes=1).astype(np.float32)
    return replace(constant_latent(truth), maps_of=lambda rows: np.repeat(mean[None], len(rows), axis=0))


def nan_latents(truth: Truth, share: float = 0.01, first: int = 0) -> Answer:
    """Put NaN into a share of the latents and the posterior, and into the maps decoded from these latents.

    The particles lost are spread evenly from the row `first` on.
    """
    answer, lost = perfect(truth), np.zeros(len(truth.particle_id), bool)
    lost[first :: round(1 / share)] = True

    def with_nan(values: NDArray[np.float32], gone: NDArray[np.bool_]) -> NDArray[np.float32]:
        values = values.copy()
        values[gone] = np.nan
        return values

    return Answer(
        with_nan(answer.embedding, lost),
        lambda rows: with_nan(answer.maps_of(rows), lost[rows]),
        with_nan(_one_hot(truth), lost),
        truth.poses,
    )


def noisy_poses(truth: Truth, strength: float) -> Answer:
    """Turn every pose about a random axis by a normal angle of this deviation (°); shift it as many tenths of Å."""
    n = len(truth.particle_id)
    rng = _rng()
    axes = rng.standard_normal((n, 3))
    angles = strength * rng.standard_normal((n, 1)) / np.linalg.norm(axes, axis=1, keepdims=True)
    turned = Rotation.from_rotvec(angles * axes, degrees=True).as_matrix() @ truth.poses.rotation_object_to_image
    poses = Poses(turned, truth.poses.shift_A + 0.1 * strength * rng.standard_normal((n, 2)))
    return replace(perfect(truth), estimated_poses=poses)


def entangled(truth: Truth, strength: float) -> Answer:
    """Let the latents also hold the direction of view, its deviation in standard deviations of the latents."""
    latents = _true_latents(truth)
    view = truth.poses.rotation_object_to_image[:, 2] * np.sqrt(3) * strength * latents.std()
    return replace(perfect(truth), embedding=np.concatenate([latents, view], axis=1).astype(np.float32))


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _true_latents(truth: Truth) -> NDArray[np.float32]:
    return truth.embedding()[truth.conformation].astype(np.float32)


def _one_hot(truth: Truth) -> NDArray[np.float32]:
    return np.eye(len(truth.volume_names), dtype=np.float32)[truth.conformation]


def _true_maps(truth: Truth) -> NDArray[np.float32]:
    return np.stack([truth.volume(conformation) for conformation in range(len(truth.volume_names))])


def _maps_by_conformation(
    truth: Truth, maps: NDArray[np.float32]
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    return lambda rows: maps[truth.conformation[rows]]
