"""Put truth and an answer side by side and compute every metric that applies: the only place that does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth, cv_embedding
from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import NoMaps
from cryoarena.metrics.base import Metric, MetricCard, MetricResult, NotApplicable, metrics
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.jitter import PAPER_AMPLITUDES, jitter
from cryoarena.metrics.kmeans_labels import kmeans_labels
from cryoarena.metrics.true_volumes import TrueVolumes
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import Report

VolumePairs = Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]

_SAMPLED_CLASSES = 20
_SEED = 0
# Where the paper states none; in the unit of the CV.
_JITTER = 0.05
# Why an input may be None.
_POSES_GIVEN = "the method was given the poses and estimated none"
_NO_MAPS = "the dataset has no true maps"
_OWN_FRAME = "the method estimated poses, so that its maps lie in a frame of their own; see aligned-fsc"
_NO_POSES = "the dataset has no true poses"
_WHY_ABSENT = {
    "posterior": "the method gives no class probabilities",
    "estimated_poses": _POSES_GIVEN,
    "ab_initio_volume_pairs": _POSES_GIVEN,
    "image_pairs": "the method restores no images",
    "volume_pairs": _NO_MAPS,
    "conformation_volume_pairs": _NO_MAPS,
    "sample_volumes": _NO_MAPS,
    "true_volumes": _NO_MAPS,
    "masks": _NO_MAPS,
    "true_poses": _NO_POSES,
    "pose_features": _NO_POSES,
    "ctf_features": "the dataset has no CTF parameters",
    "energy_surface": "the dataset has no free energy surface",
}


@dataclass(frozen=True)
class Answer:
    """What is judged: a method's result, or a limit. Row i belongs to row i of the truth, or to row `rows[i]`.

    Attributes:
        embedding: (N, d).
        maps_of: rows (k,) -> maps (k, D, D, D) that the answer gives for these particles.
        posterior: (N, K) class probabilities, or None.
        estimated_poses: of the N particles, or None where poses were given.
        maps_at_once: how many maps are best asked for in one call.
        rows: (N,) ascending rows of the truth that the answer speaks of, where it lacks particles; None for all.
    """

    embedding: NDArray[np.float32]
    maps_of: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    posterior: NDArray[np.float32] | None = None
    estimated_poses: Poses | None = None
    maps_at_once: int = 8
    rows: NDArray[np.int64] | None = None

    def covered(self, truth: Truth) -> Truth:
        """Return the truth of the particles that the answer speaks of."""
        return truth if self.rows is None else truth.subset(self.rows)

    def find(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which rows of the answer belong to `rows` of the truth; what it lacks is left out."""
        if self.rows is None:
            return rows
        there = np.isin(rows, self.rows)
        return np.searchsorted(self.rows, rows[there])


@dataclass(frozen=True)
class NoResult:
    """Why a metric has no value."""

    status: Literal["failed", "not_applicable"]
    reason: str


def judged_rows(truth: Truth, images: int) -> NDArray[np.int64]:
    """Return about `images` rows spread evenly over the conformations that have a true map.

    As in CryoBench: rows 0, s, 2s, … with s = N / images of those particles in order of conformation.
    """
    by_conformation = np.argsort(truth.conformation, kind="stable")
    by_conformation = by_conformation[np.isin(truth.conformation[by_conformation], truth.mapped)]
    count = len(by_conformation)
    return by_conformation[np.arange(min(images, count)) * count // min(images, count)] if count else by_conformation


def judge(
    answer: Answer,
    truth: Truth,
    rows: NDArray[np.int64],
    report: Report,
    device: str = "cpu",
    wanted: Callable[[MetricCard], bool] = lambda card: True,
) -> dict[str, MetricResult | NoResult]:
    """Compute every registered metric that is wanted, over the particles that the answer speaks of.

    Args:
        answer: what to judge.
        truth: of the dataset.
        rows: of the truth, particles whose maps are compared; of those that the answer lacks no map is.
        report: told which metric is being computed, and how many of its maps are compared.
        device: of torch, for the metrics that are heavy.
        wanted: which metrics to compute.

    Returns:
        Per metric its result, or why it has none.
    """
    chosen = {name: metric for name, metric in metrics.all().items() if wanted(metric.card)}
    # All of which some particle is there are judged, not those alone of which the drawn one is.
    conformations = np.unique(truth.conformation[rows])
    truth, rows = answer.covered(truth), answer.find(rows)
    results: dict[str, MetricResult | NoResult] = {}
    for number, (name, metric) in enumerate(chosen.items()):
        report(number, len(chosen), name)
        part = _part(report, number, len(chosen), name)
        inputs = _inputs(answer, truth, rows, conformations, part) | {"device": lambda: device}
        results[name] = _compute(metric, inputs)
    report(len(chosen), len(chosen))
    return results


def _part(report: Report, number: int, count: int, name: str) -> Report:
    """Return what tells, as a part of the whole, how far one of `count` metrics is."""

    def of_one(done: float, total: float, note: str = "") -> None:
        report(number + done / total, count, f"{name}: {done:.0f} of {total:.0f} {note}")

    return of_one


def _compute(metric: Metric, inputs: dict[str, Callable[[], Any]]) -> MetricResult | NoResult:
    try:
        given = {}
        for need in metric.card.needs:
            if need not in inputs:
                raise NotApplicable(f"there is no {need.replace('_', ' ')} to judge")
            given[need] = inputs[need]()
            if given[need] is None:
                raise NotApplicable(_WHY_ABSENT.get(need, f"there is no {need.replace('_', ' ')}"))
        return metric.compute(**given)
    except (NotApplicable, NoMaps) as reason:
        return NoResult("not_applicable", str(reason))
    except (UserError, ValueError) as error:
        return NoResult("failed", str(error))
    except Exception as error:
        # A metric or a method of a stranger may raise anything; one score is lost, the others are not.
        return NoResult("failed", f"{type(error).__name__}: {error}")


def _inputs(
    answer: Answer, truth: Truth, rows: NDArray[np.int64], conformations: NDArray[np.int64], report: Report
) -> dict[str, Callable[[], Any]]:
    """Return how to get each input that a metric may need; None where the answer or the truth lacks it.

    Rows of the truth are those of the answer.
    """
    has_maps = len(truth.mapped) > 0

    def unless_turned(pairs: Callable[[], Iterator[Any]]) -> Iterator[Any] | None:
        if answer.estimated_poses is not None:
            raise NotApplicable(_OWN_FRAME)
        return pairs() if has_maps else None

    return {
        "volume_pairs": lambda: unless_turned(lambda: _pairs(answer, truth, rows, report)),
        "conformation_volume_pairs": lambda: unless_turned(
            lambda: _conformation_pairs(answer, truth, conformations, report)
        ),
        "sample_volumes": lambda: unless_turned(lambda: _samples(answer, truth, report)),
        "true_volumes": lambda: TrueVolumes(truth) if has_maps else None,
        # Maps made with poses that the method was given need no alignment.
        "ab_initio_volume_pairs": lambda: (
            _pairs(answer, truth, rows, report) if has_maps and answer.estimated_poses else None
        ),
        "masks": lambda: truth.masks() if has_maps else None,
        "pixel_size_A": lambda: truth.pixel_size_A,
        "embedding": lambda: answer.embedding,
        "posterior": lambda: answer.posterior,
        "estimated_poses": lambda: answer.estimated_poses,
        "image_pairs": lambda: None,
        "true_embedding": lambda: truth.embedding()[truth.conformation],
        "true_embedding_cryobench": lambda: _paper_embedding(truth)[truth.conformation],
        "true_embedding_jittered": lambda: _jittered_embedding(truth),
        "true_cvs": lambda: {name: values[truth.conformation] for name, values in truth.cvs.items()},
        "cv_periods": lambda: truth.periods,
        "true_labels": lambda: truth.state,
        "true_weights": lambda: truth.state_population,
        "state_embedding": truth.state_embedding,
        "true_poses": lambda: truth.poses,
        "pose_features": lambda: truth.poses and truth.poses.rotation_object_to_image.reshape(-1, 9),
        "ctf_features": lambda: _ctf_features(truth),
        "energy_surface": lambda: truth.energy,
        "kind": lambda: "continuous" if truth.is_continuous else "discrete",
        "seed": lambda: _SEED,
    }


def _conformation_pairs(answer: Answer, truth: Truth, conformations: NDArray[np.int64], report: Report) -> VolumePairs:
    """Yield, for each of some conformations, the map at its real latent nearest to its mean latent."""
    finite_rows("embedding", answer.embedding, len(truth.conformation))
    central = [
        nearest_to_mean(answer.embedding, np.flatnonzero(truth.conformation == conformation))
        for conformation in conformations[np.isin(conformations, truth.conformation)]
    ]
    yield from _pairs(answer, truth, np.array(central), report)


def nearest_to_mean(embedding: NDArray[np.float32], rows: NDArray[np.int64]) -> int:
    """Return the row whose latent is nearest to the mean latent of `rows` (at least one)."""
    latents = embedding[rows].astype(np.float64)
    return int(rows[np.argmin(np.square(latents - latents.mean(axis=0)).sum(axis=1))])


def _samples(answer: Answer, truth: Truth, report: Report) -> Iterator[NDArray[np.float32]]:
    """Yield the maps at the particles nearest to the k-means centres of the latents (k = 20 as in the paper, or K)."""
    finite_rows("embedding", answer.embedding, len(truth.conformation))
    classes = min(_SAMPLED_CLASSES, len(truth.mapped), len(answer.embedding))
    labels = kmeans_labels(answer.embedding, classes, _SEED, "k-means++")
    rows = np.array([nearest_to_mean(answer.embedding, np.flatnonzero(labels == label)) for label in np.unique(labels)])
    done = 0
    for batch in _batches(rows, answer):
        yield from answer.maps_of(batch)
        done += len(batch)
        report(done, len(rows), "maps compared")


def _paper_embedding(truth: Truth) -> NDArray[np.float64]:
    """Return the coordinates (K, c) of CryoBench, B.8: the CVs; for a set of states that is the rank of their size."""
    return cv_embedding(truth.cvs, truth.periods) if truth.cvs else truth.embedding()


def _jittered_embedding(truth: Truth) -> NDArray[np.float64]:
    # A published set is called as ours, after cryobench/.
    name = truth.info["name"].rpartition("/")[2]
    amplitude = PAPER_AMPLITUDES.get(name, _JITTER)
    # In table S2 only Ribosembly, a set of states of one complex, goes by its voxels.
    if not truth.cvs or (not truth.is_continuous and name != "tomotwin-100"):
        return jitter(truth.embedding()[truth.conformation], amplitude, _SEED)
    # An angle is jittered before its sine and cosine are taken.
    jittered = {
        name: jitter(values[truth.conformation], amplitude, _SEED + number)
        for number, (name, values) in enumerate(truth.cvs.items())
    }
    return cv_embedding(jittered, truth.periods)


def _ctf_features(truth: Truth) -> NDArray[np.float64] | None:
    particles = open_particles(truth.folder)
    if particles.ctf is None:
        return None
    # The truth may be that of some particles only.
    order = np.argsort(particles.particle_id)
    ctf = particles.ctf[order[np.searchsorted(particles.particle_id, truth.particle_id, sorter=order)]]
    azimuth = np.deg2rad(2 * ctf.defocus_azimuth_deg)
    features = np.stack([ctf.defocus_u_A, ctf.defocus_v_A, np.cos(azimuth), np.sin(azimuth)], axis=1)
    return np.asarray((features - features.mean(axis=0)) / features.std(axis=0).clip(min=1e-12))


def _pairs(answer: Answer, truth: Truth, rows: NDArray[np.int64], report: Report) -> VolumePairs:
    done = 0
    for batch in _batches(rows, answer):
        for row, volume in zip(batch, answer.maps_of(batch), strict=True):
            yield f"particle {truth.particle_id[row]}", volume, truth.volume(int(truth.conformation[row]))
        done += len(batch)
        report(done, len(rows), "maps compared")


def _batches(rows: NDArray[np.int64], answer: Answer) -> Iterator[NDArray[np.int64]]:
    """Yield the rows, as many at a time as the answer likes to be asked for."""
    for start in range(0, len(rows), answer.maps_at_once):
        yield rows[start : start + answer.maps_at_once]
